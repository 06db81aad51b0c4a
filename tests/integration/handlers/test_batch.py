"""Batch jobs: an export request as a message starts one operation, and never none that somebody could see."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.errors import Code, Unavailable
from dicom_export.handlers.start_export import give_up_batch_export, start_batch_export
from dicom_export.names import OperationName
from dicom_export.operations.request import WriteDisposition
from support.dicom_files import make_instance
from support.factories import PARENT, STORE
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation

JOB = "14532891"
NAME = OperationName(PARENT, JOB)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "store/folder"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(make_instance(SOPInstanceUID=f"1.2.3.{number}"))
    (tmp_path / "root").mkdir()
    world = World(tmp_path / "root", tmp_path / "store")
    yield world
    world.close()


def job(**changes: Any) -> bytes:
    request = {"name": str(STORE), "bigqueryDestination": {"tableUri": "bq://local.main.dicom", "schemaJson": {}}}
    return json.dumps(request | changes).encode()


def listed(world: World) -> list[Operation]:
    return [operation for _, operation in world.service.list_operations(PARENT)]


def test_a_job_becomes_the_operation_of_its_message_id(world: World) -> None:
    start_batch_export(job(), JOB, world.service)
    world.drain()
    operation = world.service.get_operation(NAME)
    assert operation.is_done
    assert operation.error is None
    assert len(world.instances()) == 3


def partitioned(**config: str) -> bytes:
    destination = {"tableUri": "bq://local.main.dicom", "last_updated_partition_config": config}
    return job(bigqueryDestination=destination)


def test_partitions_have_no_effect_on_a_table_in_duckdb(world: World, tmp_path: Path) -> None:
    for file in (tmp_path / "store/folder").iterdir():
        os.utime(file, (1, 1))
    start_batch_export(partitioned(type="DAY"), JOB, world.service)
    world.drain()
    assert world.service.get_operation(NAME).error is None
    assert len(world.instances()) == 3


def test_rows_that_would_never_expire_in_duckdb_are_refused(world: World) -> None:
    start_batch_export(partitioned(type="DAY", expirationMs="86400000"), JOB, world.service)
    error = world.service.get_operation(NAME).error
    assert error
    assert error.code is Code.UNIMPLEMENTED
    assert "expirationMs" in error.message
    assert not world.instances()


def test_a_job_that_comes_again_at_any_moment_starts_nothing_twice(world: World) -> None:
    for _ in range(2):
        start_batch_export(job(), JOB, world.service)
    while world.mailbox.waiting:
        start_batch_export(job(), JOB, world.service)
        world.deliver()
        if world.service.get_operation(NAME).is_done:
            break
    world.drain()
    start_batch_export(job(), JOB, world.service)
    world.drain()
    assert [operation.name for operation in listed(world)] == [NAME]
    assert listed(world)[0].error is None
    assert len(world.instances()) == 3


def test_a_job_whose_first_message_could_not_be_sent_goes_on_with_its_next_delivery(world: World) -> None:
    class Refusing:
        def publish(self, _messages: object) -> None:
            raise Unavailable("no topic today")

    with pytest.raises(Unavailable):
        start_batch_export(job(), JOB, replace(world.service, publisher=Refusing()))
    start_batch_export(job(), JOB, world.service)
    world.drain()
    assert world.service.get_operation(NAME).error is None
    assert len(world.instances()) == 3


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (job(name=f"{PARENT}/dicomStores/other"), Code.NOT_FOUND, "dicomStores/other was not found"),
        (job(bigqueryDestination={"tableUri": "local.main.dicom"}), Code.INVALID_ARGUMENT, "not a BigQuery table URI"),
        (job(surprise=1), Code.INVALID_ARGUMENT, 'Unknown name "surprise"'),
        (job(bigqueryDestination={"tableUri": "bq://local.nowhere.t"}), Code.NOT_FOUND, "nowhere"),
    ],
)
def test_a_bad_request_becomes_an_operation_that_has_ended_with_the_error(
    world: World, request_: bytes, code: Code, message: str
) -> None:
    for _ in range(2):
        start_batch_export(request_, JOB, world.service)
    (operation,) = listed(world)
    assert operation.name == NAME
    assert operation.is_done
    assert operation.error
    assert operation.error.code is code
    assert message in operation.error.message
    assert not world.mailbox.waiting


@pytest.mark.parametrize("data", [b"", b"no JSON", b"[]", b'{"name": 7}', b'{"name": "archive"}', b"\xff"])
def test_what_names_no_store_is_logged_and_starts_nothing(
    world: World, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        start_batch_export(data, JOB, world.service)
        give_up_batch_export(data, JOB, Unavailable("out of attempts"), world.service)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert JOB in caplog.text
    assert listed(world) == []


def test_a_job_that_is_out_of_attempts_is_seen_as_an_operation_that_ended(world: World) -> None:
    give_up_batch_export(job(), "other-id", Unavailable("out of attempts"), world.service)
    (operation,) = listed(world)
    assert operation.error
    assert operation.error.code is Code.UNAVAILABLE


def test_a_job_that_adds_what_is_new_is_found_again_when_it_is_out_of_attempts(world: World) -> None:
    """The table has the columns of the source: the operation writes them, too, although the job does not ask for them."""
    destination = {"tableUri": "bq://local.main.dicom", "schemaJson": {}, "writeDisposition": "WRITE_APPEND"}
    start_batch_export(job(bigqueryDestination=destination | {"includeSourceObject": True}), "1", world.service)
    world.drain()
    request = job(bigqueryDestination=destination, _since="2000-01-01T00:00:00Z")
    with world.faults.disarmed():
        start_batch_export(request, JOB, world.service)
    world.mailbox.waiting.clear()
    give_up_batch_export(request, "other-id", Unavailable("out of attempts"), world.service)
    world.drain()
    assert len(listed(world)) == 2
    operation = world.service.get_operation(NAME)
    assert operation.counters
    assert (operation.counters.success, operation.counters.unchanged) == (0, 3)


def test_a_job_that_is_out_of_attempts_but_has_its_operation_goes_on(world: World) -> None:
    start_batch_export(job(), JOB, world.service)
    world.mailbox.waiting.clear()
    give_up_batch_export(job(), "other-id", Unavailable("out of attempts"), world.service)
    world.drain()
    (operation,) = listed(world)
    assert operation.name == NAME
    assert operation.error is None
    assert operation.request.write_disposition is WriteDisposition.WRITE_EMPTY
