"""What operations and exports do for the command line, whether their state is read or their API is called."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dicom_export.bootstrap.local import LocalDeployment, local_deployment
from dicom_export.bootstrap.served import served_exports
from dicom_export.errors import Code, FailedPrecondition, NotFound
from dicom_export.folder_export.run import error_besides_failures
from dicom_export.names import DatasetName, GcsUri, OperationName, StoreName, TableName
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.settings import LocalSettings
from support.command_line import make_folder
from support.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation
    from dicom_export.ports import ServedExports

PARENT = DatasetName("p", "l", "d")
STORE = StoreName(PARENT, "s")
TABLE = TableName("p", "d", "t")
ADDING = ExportRequest(STORE, TABLE, WriteDisposition.WRITE_APPEND)
COUNT = 60
INSTANCES = 3


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[LocalDeployment]:
    folder = make_folder(tmp_path / "store", INSTANCES)
    (folder / "broken").write_bytes(b"\0no DICOM")
    filters = tmp_path / "filters"
    filters.mkdir()
    (filters / "bad.txt").write_text("/studies/1/2\n")
    settings = LocalSettings(
        data=tmp_path / "data",
        stores={STORE: folder},
        buckets={"filters": filters},
        databases={"p": tmp_path / "p.duckdb"},
        datasets=(("p", "d"),),
    )
    with local_deployment(settings) as opened:
        yield opened


@pytest.fixture(params=["state", "API"])
def exports(request: pytest.FixtureRequest, deployment: LocalDeployment) -> Iterator[ServedExports]:
    if request.param == "state":
        yield deployment.service
        return
    with served(deployment.service) as url:
        yield served_exports(url)


def ended(exports: ServedExports, deployment: LocalDeployment, request: ExportRequest = ADDING) -> Operation:
    name = exports.create_export(request).name
    deployment.wait()
    return exports.get_operation(name)


def test_an_export_can_be_followed_to_its_end(exports: ServedExports, deployment: LocalDeployment) -> None:
    before = datetime.now(UTC)
    operation = ended(exports, deployment)
    assert operation.name.parent == PARENT
    assert operation.is_done
    assert operation.end_time
    assert before <= operation.create_time <= operation.end_time
    assert operation.counters
    counters = operation.counters
    assert (counters.success, counters.failure, counters.studies, counters.pending) == (INSTANCES, 1, 1, 0)
    assert operation.error
    assert operation.error.message.startswith("1 of 4 instances failed.")


def test_an_error_other_than_failed_instances_is_told_from_them(
    exports: ServedExports, deployment: LocalDeployment
) -> None:
    operation = ended(exports, deployment, replace(ADDING, filter_uri=GcsUri("filters", "bad.txt")))
    assert operation.error
    assert operation.error.code is Code.INVALID_ARGUMENT
    assert error_besides_failures(operation) == operation.error
    assert error_besides_failures(ended(exports, deployment)) is None


def test_failures_have_their_object_and_reason(exports: ServedExports, deployment: LocalDeployment) -> None:
    (failure,) = exports.failures(ended(exports, deployment).name)
    (expected,) = deployment.service.failures(next(iter(exports.newest_first(PARENT))).name)
    assert failure == expected
    assert failure.message.startswith("Not DICOM")


def test_operations_are_listed_with_the_newest_first_however_many_there_are(
    exports: ServedExports, deployment: LocalDeployment
) -> None:
    names = [exports.create_export(replace(ADDING, table=TableName("p", "d", f"t{n}"))).name for n in range(COUNT)]
    deployment.wait()
    assert [operation.name for operation in exports.newest_first(PARENT)] == names[::-1]


def test_what_has_ended_is_cancelled_without_effect(exports: ServedExports, deployment: LocalDeployment) -> None:
    operation = ended(exports, deployment)
    assert exports.cancel_operation(operation.name) == operation


@pytest.mark.parametrize("method", ["get_operation", "cancel_operation", "failures"])
def test_an_operation_that_does_not_exist_is_not_found(exports: ServedExports, method: str) -> None:
    def call() -> object:
        found = getattr(exports, method)(OperationName(PARENT, "123"))
        return next(found)

    with pytest.raises(NotFound, match="123 was not found"):
        call()


def test_a_refused_request_starts_nothing(exports: ServedExports, deployment: LocalDeployment) -> None:
    ended(exports, deployment)
    with pytest.raises(FailedPrecondition, match="has 3 rows"):
        exports.create_export(replace(ADDING, write_disposition=WriteDisposition.WRITE_EMPTY))
    with pytest.raises(NotFound, match="s2"):
        exports.create_export(replace(ADDING, store=StoreName(PARENT, "s2")))
    assert len(list(exports.newest_first(PARENT))) == 1


def test_an_estimate_has_the_same_numbers(exports: ServedExports, deployment: LocalDeployment) -> None:
    found = exports.estimate(STORE, SchemaKind.JSON).to_json()
    assert found["exact"] == deployment.service.estimate(STORE, SchemaKind.JSON).to_json()["exact"]
    assert found["sampledObjects"] == str(INSTANCES + 1)
    with pytest.raises(NotFound):
        exports.estimate(StoreName(PARENT, "s2"), SchemaKind.JSON)


def test_a_name_may_have_every_character_that_a_name_has(exports: ServedExports) -> None:
    name = OperationName(DatasetName("example.com:p", "l", "d@1"), "a%2Fb+c~d")
    with pytest.raises(NotFound, match="was not found"):
        exports.get_operation(name)
