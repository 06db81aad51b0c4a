"""An export that the version before began is finished by this one.

`state_before/DISPOSITION-EFFECT.tar.xz` is what commit aa824fe left of an export of these files when its process was killed
after an effect: state, streams and DuckDB file.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from dicom_export.names import GcsUri
from dicom_export.operations.request import (
    ExportRequest,
    RepairRequest,
    Request,
    VerifyRequest,
    WriteDisposition,
    request_from_json,
)
from dicom_export.rows.layout import SchemaKind
from support.factories import STORE, TABLE
from support.machines import EXPECTED, INSTANCES, Machine, make_store

STATES = sorted((Path(__file__).parent / "state_before").iterdir())
GENERATION = 1_700_000_000_000_000_000
OF_EXPORT: dict[str, Any] = {
    "store": str(STORE),
    "table": str(TABLE),
    "writeDisposition": "WRITE_EMPTY",
    "schema": "flattened",
    "includeSourceStore": False,
    "filterUri": None,
}
OF_VERIFICATION = OF_EXPORT | {
    "writeDisposition": "WRITE_TRUNCATE",
    "schema": "inventory",
    "comparison": {"table": str(TABLE), "repair": True},
    "repairs": None,
}
OF_REPAIR = OF_EXPORT | {"writeDisposition": "WRITE_APPEND", "comparison": None, "repairs": str(TABLE)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_store(tmp_path_factory.mktemp("store"))
    for path in root.rglob("*.dcm"):
        os.utime(path, ns=(GENERATION, GENERATION))
    return root


@pytest.mark.parametrize("archive", STATES, ids=lambda path: path.name.partition(".")[0])
def test_an_export_that_the_version_before_began_is_finished(archive: Path, store: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as content:
        content.extractall(tmp_path, filter="data")
    begun = [path.parent.name for path in tmp_path.rglob("operation.json")]
    machine = Machine(tmp_path, store, WriteDisposition(archive.name.partition("-")[0]))
    assert machine.run()
    assert [operation.name.operation for operation in machine.reported] == begun
    assert machine.reported[-1].counters == EXPECTED
    assert machine.instances() == INSTANCES
    assert machine.streams() == []


@pytest.mark.parametrize(
    ("data", "request_"),
    [
        (OF_EXPORT, ExportRequest(STORE, TABLE)),
        (
            OF_EXPORT | {"filterUri": "gs://filters/a.txt", "schema": "json", "includeSourceStore": True},
            ExportRequest(
                STORE,
                TABLE,
                schema=SchemaKind.JSON,
                include_source_store=True,
                filter_uri=GcsUri.parse("gs://filters/a.txt"),
            ),
        ),
        (OF_VERIFICATION, VerifyRequest(STORE, TABLE, TABLE, repair=True)),
        (OF_REPAIR, RepairRequest(STORE, TABLE, TABLE)),
    ],
    ids=["export", "filtered export", "verification", "repair"],
)
def test_a_request_is_read_from_state_and_written_as_the_version_before_wrote_it(
    data: dict[str, Any], request_: Request
) -> None:
    assert request_from_json(data) == request_
    assert json.loads(json.dumps(request_.to_json())) == {"comparison": None, "repairs": None, **data}
