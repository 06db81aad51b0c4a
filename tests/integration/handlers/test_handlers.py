"""What requests and messages do besides the ordinary: what is refused, what fails, and what that leaves behind."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from pydicom._dicom_dict import DicomDictionary

from dicom_export import messages
from dicom_export.bootstrap.wiring import dead_letters_on, handlers_on, service_on
from dicom_export.decoding.many import decode_in_turn
from dicom_export.errors import (
    Aborted,
    AlreadyExists,
    Code,
    FailedPrecondition,
    Internal,
    NotFound,
    TransientError,
    Unavailable,
)
from dicom_export.messages import ExportStudy
from dicom_export.names import StoreName, TableName
from dicom_export.operations.counters import Counters
from dicom_export.operations.planning import PlanLimits
from dicom_export.operations.request import WriteDisposition
from dicom_export.rows.layout import RowLayout, SchemaKind
from support.dicom_files import MemoryStore, make_instance, make_stored
from support.factories import STORE, TABLE, make_request
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dicom_export.decoding.decoded import Decoded
    from dicom_export.operations.operation import Operation
    from dicom_export.ports import DicomStore, OperationStore, StateObject, Warehouse
    from dicom_export.stored_object import StoredObject

FLATTENED = RowLayout(SchemaKind.FLATTENED)
PATIENT = "Secret^Patient"
DICOMDIR = "1.2.840.10008.1.3.10"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    for number in range(3):
        add_instance(root, number)
    return root


@pytest.fixture
def world(tmp_path: Path, store: Path) -> Iterator[World]:
    (tmp_path / "root").mkdir()
    world = World(tmp_path / "root", store)
    yield world
    world.close()


def add_instance(root: Path, number: int, **elements: Any) -> Path:
    path = root / f"folder/{number}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_instance(SOPInstanceUID=f"1.2.3.{number}", **elements))
    return path


def export(
    world: World, disposition: WriteDisposition = WriteDisposition.WRITE_APPEND, schema: SchemaKind = SchemaKind.JSON
) -> Operation:
    operation = world.export(disposition, schema=schema)
    world.drain()
    return world.ended(operation)


def test_an_unknown_store_is_not_found(world: World) -> None:
    request = replace(make_request(), store=StoreName(STORE.parent, "other"))
    with pytest.raises(NotFound, match="dicomStores/other"):
        world.service.create_export(request)


def test_a_missing_dataset_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        world.service.create_export(replace(make_request(), table=TableName("local", "nowhere", "t")))


def test_a_store_whose_folder_is_gone_is_refused_at_once(world: World, store: Path) -> None:
    shutil.rmtree(store)
    with pytest.raises(NotFound):
        world.export()


def test_write_empty_takes_a_new_and_an_empty_table_and_no_other(world: World) -> None:
    assert export(world, WriteDisposition.WRITE_EMPTY).error is None
    with pytest.raises(FailedPrecondition, match="has 3 rows"):
        world.export(WriteDisposition.WRITE_EMPTY)


@pytest.mark.parametrize("disposition", [WriteDisposition.WRITE_EMPTY, WriteDisposition.CREATE_NEW])
def test_of_two_exports_that_want_an_empty_table_the_second_is_refused_until_the_first_has_ended(
    world: World, store: Path, disposition: WriteDisposition
) -> None:
    first = world.export(disposition)
    with pytest.raises(FailedPrecondition, match=f"{first.name} is exporting to bq://"):
        world.export(disposition)
    world.service.cancel_operation(first.name)
    shutil.rmtree(store / "folder")
    world.drain()
    second = world.export(WriteDisposition.WRITE_EMPTY)
    world.drain()
    assert world.ended(second).error is None


@pytest.mark.parametrize("disposition", [WriteDisposition.WRITE_EMPTY, WriteDisposition.CREATE_NEW])
@pytest.mark.parametrize("is_first_to_plan", [True, False])
def test_of_two_exports_that_were_requested_at_once_one_fills_the_empty_table(
    world: World, disposition: WriteDisposition, *, is_first_to_plan: bool
) -> None:
    """The second is requested after the first took the table and before the first is there to be seen."""
    requested: list[Operation] = []

    def act(effect: str) -> None:
        if effect == "create":
            world.faults.on_effect = lambda _: None
            requested.append(world.service.create_export(make_request(disposition=disposition)))

    world.faults.on_effect = act
    requested.append(world.service.create_export(make_request(disposition=disposition)))
    if not is_first_to_plan:
        world.mailbox.waiting.reverse()
    world.drain()
    ended = [world.ended(operation) for operation in requested]
    assert [operation.error.code for operation in ended if operation.error] == [Code.FAILED_PRECONDITION]
    assert len(world.instances()) == 3


def test_write_empty_that_an_append_was_faster_than_ends_with_an_error(world: World) -> None:
    first = world.export(WriteDisposition.WRITE_EMPTY)
    late = world.mailbox.waiting.pop()
    assert export(world).error is None
    world.mailbox.waiting.append(late)
    world.drain()
    error = world.ended(first).error
    assert error
    assert error.code is Code.FAILED_PRECONDITION
    assert len(world.instances()) == 3


def test_an_overwrite_replaces_what_an_append_wrote_until_then_and_nothing_later(world: World) -> None:
    append = world.export(WriteDisposition.WRITE_APPEND)
    while not world.instances():
        world.deliver()
    late, world.mailbox.waiting = world.mailbox.waiting, []
    written = len(world.instances())
    assert export(world, WriteDisposition.WRITE_TRUNCATE).error is None
    world.mailbox.waiting += late
    world.drain()
    counters = world.ended(append).counters
    assert counters
    assert len(world.instances()) == 3 + counters.success - written


class NoTopic:
    """A Publisher whose answer is lost; what it was given may or may not arrive."""

    def __init__(self, world: World, *, arrives: bool) -> None:
        self._world = world
        self._arrives = arrives

    def publish(self, published: Any) -> None:
        if self._arrives:
            self._world.mailbox.publish(published)
            self._world.drain()
        raise Unavailable("no answer")


def test_an_export_that_nobody_could_be_told_of_ends_with_the_error(world: World) -> None:
    service = replace(world.service, publisher=NoTopic(world, arrives=False))
    with pytest.raises(Unavailable):
        service.create_export(make_request())
    ((_, operation),) = world.service.list_operations(STORE.parent)
    assert operation.error
    assert "could not be started" in operation.error.message
    assert export(world, WriteDisposition.WRITE_EMPTY).error is None


def test_an_export_whose_planner_was_told_after_all_goes_on(world: World) -> None:
    service = replace(world.service, publisher=NoTopic(world, arrives=True))
    operation = service.create_export(make_request())
    world.drain()
    assert world.ended(operation).error is None
    assert len(world.instances()) == 3


def test_an_append_beside_an_export_into_an_empty_table_adds_its_rows(world: World) -> None:
    first = world.export(WriteDisposition.WRITE_EMPTY)
    world.deliver()
    second = world.export(WriteDisposition.WRITE_APPEND)
    world.drain()
    assert [world.ended(first).error, world.ended(second).error] == [None, None]
    assert len(world.instances()) == 6


def test_force_false_takes_a_new_table_only(world: World, store: Path) -> None:
    shutil.rmtree(store / "folder")
    assert export(world, WriteDisposition.CREATE_NEW).error is None
    with pytest.raises(AlreadyExists):
        world.export(WriteDisposition.CREATE_NEW)
    assert export(world, WriteDisposition.WRITE_EMPTY).error is None


def test_an_empty_store_makes_an_empty_table_with_the_columns_that_every_row_has(world: World, store: Path) -> None:
    shutil.rmtree(store / "folder")
    operation = export(world)
    table = world.tables.describe(TABLE)
    assert operation.error is None
    assert table
    assert table.row_count == 0
    assert {"StudyInstanceUID", "Metadata", "Type"} <= {field.name for field in table.schema}


def test_append_adds_and_truncate_replaces(world: World) -> None:
    export(world)
    export(world)
    assert len(world.instances()) == 6
    export(world, WriteDisposition.WRITE_TRUNCATE)
    assert len(world.instances()) == 3


def test_an_overwrite_shows_only_when_it_is_whole_and_leaves_no_table_behind(world: World) -> None:
    export(world)
    operation = world.export(WriteDisposition.WRITE_TRUNCATE)
    seen = set()
    while world.mailbox.waiting:
        world.deliver()
        table = world.tables.describe(TABLE)
        seen.add(table.row_count if table else None)
    assert seen == {3}
    assert world.tables.describe(operation.target) is None


@pytest.mark.parametrize("fate", ["cancelled", "dead letter", "nothing readable"])
def test_an_overwrite_that_fails_leaves_the_old_rows(world: World, store: Path, fate: str) -> None:
    export(world)
    if fate == "nothing readable":
        for path in (store / "folder").iterdir():
            path.write_bytes(b"\0no DICOM at all")
    operation = world.export(WriteDisposition.WRITE_TRUNCATE)
    world.deliver()
    if fate == "cancelled":
        world.service.cancel_operation(operation.name)
    elif fate == "dead letter":
        letter = next(each for each in world.mailbox.waiting if each[0] == "export-study")
        dead_letters_on(world.ports)(messages.decode(*letter), Unavailable("out of attempts"))
    world.drain()
    ended = world.ended(operation)
    assert ended.error
    assert f"{TABLE} was left as it was" in ended.error.message
    assert len(world.instances()) == 3
    assert world.tables.describe(operation.target) is None


def test_an_operation_that_nobody_was_told_to_plan_ends_with_that_error(world: World) -> None:
    class Unreachable:
        def publish(self, _: object) -> NoReturn:
            raise Unavailable("Pub/Sub did not answer")

    service = service_on(replace(world.ports, publisher=Unreachable()))
    with pytest.raises(Unavailable):
        service.create_export(make_request())
    ((_, operation),) = service.list_operations(STORE.parent)
    assert operation.is_done
    assert operation.error
    assert operation.error.code is Code.UNAVAILABLE


def test_an_object_that_was_replaced_after_the_plan_is_a_failure(world: World, store: Path) -> None:
    operation = world.export()
    world.deliver()
    add_instance(store, 1, PatientComments="longer than before")
    world.drain()
    (failure,) = world.service.failures(operation.name)
    assert (failure.object, failure.code) == ("folder/1.dcm", Code.NOT_FOUND)
    assert len(world.instances()) == 2


def test_a_store_that_is_declared_no_more_ends_its_operations(world: World) -> None:
    operation = world.export()
    world.deliver()
    ports = replace(world.ports, stores={})
    for topic, data in list(world.mailbox.waiting):
        message = messages.decode(topic, data)
        try:
            handlers_on(ports, PlanLimits())[topic](message)
        except NotFound as error:
            dead_letters_on(ports)(message, error)
    world.drain()
    ended = world.ended(operation)
    assert ended.error
    assert ended.counters
    assert ended.counters.failure == 3


def test_a_row_that_no_request_takes_is_a_failure_and_costs_no_other(world: World, store: Path) -> None:
    keywords = [keyword for vr, vm, _, _, keyword in DicomDictionary.values() if (vr, vm) == ("UT", "1")]
    add_instance(store, 7, **dict.fromkeys(keywords[:9], "x" * 1_000_000))
    operation = export(world, schema=SchemaKind.FLATTENED)
    (failure,) = world.service.failures(operation.name)
    assert (failure.object, failure.stage) == ("folder/7.dcm", "WRITE")
    assert "8000000" in failure.message
    assert failure.uids.instance == "1.2.3.7"
    assert len(world.instances()) == 3


def test_instances_that_the_store_holds_twice_are_two_rows_and_a_warning(
    world: World, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (store / "folder/1-copy.dcm").write_bytes((store / "folder/1.dcm").read_bytes())
    with caplog.at_level(logging.WARNING):
        operation = export(world)
    assert operation.error is None
    assert world.instances() == ["1.2.3.0", "1.2.3.1", "1.2.3.1", "1.2.3.2"]
    assert "2 objects hold the instance" in caplog.text
    assert "1.2.3.1" in caplog.text


def test_nothing_of_a_patient_is_logged_or_reported(
    world: World, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = add_instance(store, 5, PatientName=PATIENT, PatientBirthDate="19700101", PatientID="4711-0815")
    path.write_bytes(path.read_bytes()[:-3])
    with caplog.at_level(logging.DEBUG):
        operation = export(world)
    reported = "".join(failure.message for failure in world.service.failures(operation.name))
    assert reported
    for secret in (PATIENT, "Secret", "19700101", "4711-0815"):
        assert secret not in caplog.text
        assert secret not in reported


class Broken(MemoryStore):
    """Raises an error of the test's instead of answering."""

    def __init__(self, error: Exception) -> None:
        super().__init__({})
        self._error = error

    def read(self, *_: object) -> NoReturn:
        raise self._error


def decode_with(error: Exception) -> object:
    store = cast("DicomStore", Broken(error))
    (decoded,) = decode_in_turn(store, [make_stored("a", b"x" * 1000)], FLATTENED)
    return decoded


def test_a_defect_that_one_object_shows_is_its_failure_and_quotes_nothing() -> None:
    failure = decode_with(ValueError(PATIENT))
    assert isinstance(failure, Internal)
    assert "ValueError" in failure.message
    assert PATIENT not in failure.message


@pytest.mark.parametrize("error", [Unavailable("503"), OSError("network"), MemoryError()])
def test_what_a_retry_may_help_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        decode_with(error)


class Forgetful:
    """Tables whose streams hold one row, whatever is sent."""

    def __init__(self, tables: object) -> None:
        self._tables = tables

    def __getattr__(self, name: str) -> object:
        return getattr(self._tables, name)

    def finalize(self, _: str) -> int:
        return 1


def test_a_stream_that_lost_rows_is_written_again(world: World) -> None:
    operation = world.export()
    world.deliver()
    topic, data = next(each for each in world.mailbox.waiting if each[0] == "export-study")
    ports = replace(world.ports, tables=cast("Warehouse", Forgetful(world.tables)))
    with pytest.raises(TransientError, match="holds 1 rows of 3"):
        handlers_on(ports, PlanLimits())[topic](messages.decode(topic, data))
    world.drain()
    assert world.ended(operation).error is None
    assert len(world.instances()) == 3


def test_a_claimed_stream_that_is_gone_is_reported_with_every_instance(world: World, store: Path) -> None:
    (store / "folder/0-DICOMDIR").write_bytes(make_instance(SOPClassUID=DICOMDIR))
    (store / "folder/bad.dcm").write_bytes(b"\0no DICOM at all")
    operation = world.export()
    world.deliver()
    world.faults.log.clear()
    world.faults.at = frozenset({3})
    world.deliver(next(n for n, (topic, _) in enumerate(world.mailbox.waiting) if topic == "export-study"))
    assert world.faults.log == ["open_stream", "append", "finalize", "create"]
    world.faults.at = frozenset()
    claim = world.service.journal.tasks.claim(operation.name, 0, 0)
    assert claim
    assert claim.stream
    world.tables.discard(claim.stream)
    world.drain()
    ended = world.ended(operation)
    assert ended.counters
    stages = {failure.object: failure.stage for failure in world.service.failures(operation.name)}
    assert stages == {"folder/0.dcm": "COMMIT", "folder/1.dcm": "COMMIT", "folder/bad.dcm": "READ"}
    assert ended.counters == Counters(planned=5, success=1, failure=3, skipped=1, abandoned=2, studies=1)


class Refusing(Forgetful):
    """Tables that refuse each commit for good."""

    def commit(self, *_: object) -> NoReturn:
        raise FailedPrecondition("DuckDB refused a statement")

    def finalize(self, stream: str) -> int:
        return cast("Warehouse", self._tables).finalize(stream)


def test_a_commit_that_is_refused_for_good_ends_the_operation(world: World) -> None:
    operation = world.export()
    world.handlers = handlers_on(replace(world.ports, tables=cast("Warehouse", Refusing(world.tables))), PlanLimits())
    world.drain()
    ended = world.ended(operation)
    assert ended.error
    assert ended.counters == Counters(planned=3, failure=3, abandoned=3)


def test_an_attempt_that_fails_leaves_no_stream_behind(world: World) -> None:
    operation = world.export()
    world.deliver()
    topic, data = next(each for each in world.mailbox.waiting if each[0] == "export-study")
    ports = replace(world.ports, tables=cast("Warehouse", Forgetful(world.tables)))
    with pytest.raises(TransientError):
        handlers_on(ports, PlanLimits())[topic](messages.decode(topic, data))
    assert not world.stream_folders()
    world.drain()
    assert world.ended(operation).error is None


def test_a_cancelled_operation_ends_even_if_its_first_message_was_lost(world: World) -> None:
    operation = world.export()
    world.mailbox.waiting.clear()
    world.service.cancel_operation(operation.name)
    world.drain()
    ended = world.ended(operation)
    assert ended.error
    assert ended.error.code is Code.CANCELLED


def test_an_operation_that_nobody_was_told_to_plan_is_planned_when_it_is_asked_for(world: World) -> None:
    operation = world.export()
    world.mailbox.waiting.clear()
    world.service.get_operation(operation.name)
    assert not world.mailbox.waiting
    long_ago = operation.create_time - timedelta(minutes=11)
    world.ports.journal.operations.change(operation.name, lambda current: replace(current, create_time=long_ago))
    world.service.get_operation(operation.name)
    world.drain()
    assert world.ended(operation).error is None
    assert len(world.instances()) == 3


def test_an_operation_that_was_never_created_is_not_listed(world: World) -> None:
    class Dying:
        def read(self, path: str) -> StateObject | None:
            return world.ports.operations.read(path)

        def create(self, path: str, content: bytes, metadata: object = None) -> bool:
            if path.endswith("operation.json"):
                raise KeyboardInterrupt
            return bool(world.ports.operations.create(path, content, cast("None", metadata)))

    service = service_on(replace(world.ports, operations=cast("OperationStore", Dying())))
    with pytest.raises(KeyboardInterrupt):
        service.create_export(make_request())
    assert list(world.service.list_operations(STORE.parent)) == []


def test_a_column_that_takes_effect_late_loses_nothing(world: World, store: Path) -> None:
    """The sample does not show it; the worker that meets it adds it, and then has to come again for a while."""
    add_instance(store, 3, PatientComments="a column of its own")
    refusals: list[str] = []

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.ports.tables, name)

        def append(self, stream: str, offset: int, batch: Any) -> None:
            if "PatientComments" in batch.schema.names and len(refusals) < 7:
                refusals.append(stream)
                raise Unavailable("the table does not know all columns yet")
            world.ports.tables.append(stream, offset, batch)

    world.handlers = handlers_on(
        replace(world.ports, tables=cast("Warehouse", Late())), PlanLimits(bundle=1, page_tasks=10, sample=1)
    )
    operation = world.export(schema=SchemaKind.FLATTENED)
    world.drain()
    ended = world.ended(operation)
    assert ended.error is None
    assert len(refusals) == 7
    table = world.tables.describe(TABLE)
    assert table
    assert "PatientComments" in {field.name for field in table.schema}
    assert len(world.instances()) == 4


def test_a_worker_that_comes_to_its_table_after_the_end_of_an_overwrite_does_not_make_it_again(world: World) -> None:
    operation = world.export(WriteDisposition.WRITE_TRUNCATE)
    world.deliver()
    letter = next(letter for letter in world.mailbox.waiting if letter[0] == ExportStudy.topic)

    def decode_slowly(
        store: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, *, following: int = 0
    ) -> Iterator[Decoded]:
        assert not following
        world.drain()
        return decode_in_turn(store, objects, layout)

    late = handlers_on(world.ports, PlanLimits(), decode_slowly)[ExportStudy.topic]
    with pytest.raises(Aborted, match="others did this work"):
        late(messages.decode(*letter))
    assert world.ended(operation).error is None
    assert world.tables.describe(operation.target) is None
    late(messages.decode(*letter))
    assert len(world.instances()) == 3
