"""The failure report of the API: ours, beside what the managed service has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.api import HttpRequest, answer
from dicom_export.api.paging import take_page
from dicom_export.errors import Code
from dicom_export.operations.failure import Failure, FailureStage
from dicom_export.uids import InstanceUids
from support.api_calls import get, make_client
from support.exports import DATASET, InMemoryExports, make_operation
from support.worlds import World

if TYPE_CHECKING:
    from pathlib import Path

OPERATION = f"{DATASET}/operations/o1"
FAILED = [
    Failure("a/1.dcm", 17, FailureStage.READ, Code.DATA_LOSS, "cut short", InstanceUids("1.2", "1.3", "1.4")),
    Failure("a/2.dcm", 18, FailureStage.READ, Code.INVALID_ARGUMENT, "no DICOM"),
    Failure("a/3.dcm", 19, FailureStage.DELIVERY, Code.UNAVAILABLE, "out of attempts", InstanceUids("1.2")),
]


def make_service() -> InMemoryExports:
    return InMemoryExports(operations=[make_operation()], failed=FAILED)


def test_a_failure_tells_the_object_its_uids_as_far_as_known_the_stage_and_the_error() -> None:
    failures: Any = get(make_service(), f"/v1/{OPERATION}/failures")
    assert failures["failures"][0] == {
        "object": "a/1.dcm",
        "generation": "17",
        "studyInstanceUid": "1.2",
        "seriesInstanceUid": "1.3",
        "sopInstanceUid": "1.4",
        "stage": "READ",
        "error": {"code": 15, "message": "cut short"},
    }
    assert set(failures["failures"][1]) == {"object", "generation", "stage", "error"}
    assert "nextPageToken" not in failures


def test_googles_python_client_pages_through_them() -> None:
    lister = make_client(make_service()).operations().failures()
    request, found = lister.list(parent=OPERATION, pageSize=2), []
    while request is not None:
        page = request.execute()
        found += [failure["object"] for failure in page["failures"]]
        request = lister.list_next(request, page)
    assert found == [failure.object for failure in FAILED]


def test_an_unknown_operation_has_none() -> None:
    response = answer(HttpRequest("GET", f"/v1/{DATASET}/operations/o9/failures", {}), make_service())
    assert response.status == 404


@pytest.mark.parametrize("position", ["#zz", "000000/000.json#zz", "1"])
def test_a_token_of_a_position_that_no_failure_has_is_an_invalid_argument(tmp_path: Path, position: str) -> None:
    (tmp_path / "store").mkdir()
    world = World(tmp_path / "root", tmp_path / "store")
    name = str(world.export().name)
    _, token = take_page([(position, "a"), ("", "b")], 1, name)
    query = {"pageToken": token["nextPageToken"]}
    response = answer(HttpRequest("GET", f"/v1/{name}/failures", query), world.service)
    world.close()
    assert response.status == 400
    assert b"INVALID_ARGUMENT" in response.encode()
