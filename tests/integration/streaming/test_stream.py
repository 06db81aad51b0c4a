"""What an upload or a deletion becomes, on the local adapters: rows, log entries, or nothing."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.bootstrap.wiring import dead_letters_on
from dicom_export.errors import Unavailable
from dicom_export.messages import InstanceChanged, ObjectEvent
from dicom_export.names import TableName
from dicom_export.rows.layout import SchemaKind
from dicom_export.streaming.config import StreamConfig
from support.buckets import Bucket
from support.dicom_files import make_instance
from support.factories import STORE
from support.faults import Faults
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FLAT = StreamConfig(TableName("local", "main", "flat"))
JSON = StreamConfig(
    TableName("local", "main", "json"), SchemaKind.JSON, include_source_store=True, include_source_object=True
)
LATEST = StreamConfig(TableName("local", "main", "latest"), SchemaKind.JSON, tracks_changes=True)
ALL = (FLAT, JSON, LATEST)
UIDS: dict[str, Any] = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.3.1", "SOPInstanceUID": "1.4.1"}
NAMED = "1.2.1/1.3.1/1.4.1.dcm"
INSTANCE = make_instance(**UIDS, PatientID="1")


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def open_world(tmp_path: Path, bucket: Bucket) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def open_one(faults: Faults | None = None, streams: tuple[StreamConfig, ...] = ALL) -> World:
        root = tmp_path / str(len(worlds))
        root.mkdir()
        worlds.append(World(root, bucket, faults, streams=streams))
        bucket.tell = worlds[-1].change
        return worlds[-1]

    yield open_one
    for world in worlds:
        world.close()


@pytest.fixture
def world(open_world: Callable[..., World]) -> World:
    return open_world()


@pytest.fixture
def entries(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return the log entries of instances that were not streamed."""
    caplog.set_level(logging.DEBUG, "dicom_export")
    return lambda: [record.payload for record in caplog.records if hasattr(record, "payload")]


def rows(world: World) -> list[int]:
    return [len(world.rows(config.table)) for config in ALL]


def test_an_upload_is_a_row_in_each_table_of_its_store(world: World, bucket: Bucket) -> None:
    stored = bucket.write("any/name", INSTANCE)
    world.drain()
    (flat,), (json,), (latest,) = (world.rows(config.table) for config in ALL)
    for row in (flat, json, latest):
        assert {name: row[name] for name in UIDS} == UIDS
        assert row["LastUpdated"] == stored.updated
        assert row["BlobStorageSize"] == len(INSTANCE)
    assert (flat["PatientID"], flat["Type"], json["Type"]) == ("1", "CREATE", "CREATE")
    assert "SourceDicomStore" not in flat
    assert json["SourceDicomStore"] == str(STORE)
    assert (json["SourceObject"], json["SourceGeneration"]) == (bucket.uri("any/name"), stored.generation)
    assert not {"SourceObject", "SourceGeneration"} & (flat.keys() | latest.keys())
    assert "Type" not in latest


def test_an_object_is_read_once_for_all_its_tables(world: World, bucket: Bucket) -> None:
    reads = []
    bucket.on_read = lambda: reads.append(1)
    bucket.write("a", INSTANCE)
    world.drain()
    assert rows(world) == [1, 1, 1]
    assert len(reads) == 1


def test_an_upload_into_a_cold_class_is_a_row_too(world: World, bucket: Bucket) -> None:
    bucket.tell = lambda event, stored: world.change(event, stored._replace(storage_class="ARCHIVE"))
    bucket.write("a", INSTANCE)
    world.drain()
    assert rows(world) == [1, 1, 1]


def test_an_upload_with_a_content_encoding_is_not_read_and_logged(
    world: World, bucket: Bucket, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    reads = []
    bucket.on_read = lambda: reads.append(1)
    bucket.tell = lambda event, stored: world.change(event, stored._replace(content_encoding="gzip"))
    bucket.write("a", INSTANCE)
    world.drain()
    assert rows(world) == [0, 0, 0]
    assert reads == []
    assert len(entries()) == len(ALL)


def test_columns_grow_as_instances_come(world: World, bucket: Bucket) -> None:
    bucket.write("a", INSTANCE)
    world.drain()
    bucket.write("b", make_instance(**UIDS | {"SOPInstanceUID": "1.4.2"}, StudyDescription="Head"))
    world.drain()
    assert [row["StudyDescription"] for row in world.rows(FLAT.table)] == [None, "Head"]


def test_a_table_that_lost_its_columns_meanwhile_gets_them_again(world: World, bucket: Bucket) -> None:
    bucket.write("a", INSTANCE)
    world.drain()
    world.tables.drop(FLAT.table)
    bucket.write("b", INSTANCE)
    world.drain()
    assert rows(world) == [1, 2, 1]


@pytest.mark.parametrize("name", [NAMED, "studies/1.2.1/series/1.3.1/instances/1.4.1", "any/name"])
def test_a_deletion_is_a_row_that_says_of_which_instance(world: World, bucket: Bucket, name: str) -> None:
    stored = bucket.write(name, INSTANCE)
    world.drain()
    bucket.delete(name)
    world.drain()
    for config in (FLAT, JSON):
        created, deleted = sorted(world.rows(config.table), key=lambda row: row["LastUpdated"])
        assert (created["Type"], deleted["Type"]) == ("CREATE", "DELETE")
        assert {name: deleted[name] for name in UIDS} == UIDS
        assert deleted["LastUpdated"] == stored.updated + timedelta(microseconds=1)
        assert deleted["BlobStorageSize"] is None
    sources = [(row["SourceObject"], row["SourceGeneration"]) for row in world.rows(JSON.table)]
    assert sources == [(bucket.uri(name), stored.generation)] * 2
    assert world.rows(LATEST.table) == []


def test_a_deletion_that_comes_first_leaves_nothing_to_be_created(world: World, bucket: Bucket) -> None:
    bucket.write("any/name", INSTANCE)
    bucket.delete("any/name")
    world.deliver(1)
    world.drain()
    assert rows(world) == [0, 0, 0]


def test_a_deletion_while_the_object_is_being_read_is_not_undone_by_its_row(world: World, bucket: Bucket) -> None:
    bucket.write("any/name", INSTANCE)

    def delete() -> None:
        bucket.on_read = lambda: None
        bucket.delete("any/name")
        world.deliver(1)

    bucket.on_read = delete
    world.drain()
    assert rows(world) == [0, 0, 0]


def test_a_deletion_nobody_knows_the_instance_of_is_logged_for_each_table(
    world: World, bucket: Bucket, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    stored = bucket.write("any/name", INSTANCE)
    world.mailbox.waiting.clear()
    bucket.objects.clear()
    world.change(ObjectEvent.DELETED, stored)
    world.drain()
    assert [entry["destination"] for entry in entries()] == [str(config.table) for config in ALL]
    assert {entry["error"]["code"] for entry in entries()} == {5}


def test_a_deletion_of_a_kept_generation_reads_which_instance_it_was(world: World, bucket: Bucket) -> None:
    """As in a bucket with versions, where the object is not listed any more and its generation can be read."""
    stored = bucket.write("any/name", INSTANCE)
    world.mailbox.waiting.clear()
    bucket.get = lambda _: None  # type: ignore[assignment,method-assign]
    world.change(ObjectEvent.DELETED, stored)
    world.drain()
    assert [row["SOPInstanceUID"] for row in world.rows(FLAT.table)] == ["1.4.1"]


def test_a_deletion_of_what_was_written_again_is_none(world: World, bucket: Bucket) -> None:
    stored = bucket.write(NAMED, INSTANCE)
    bucket.write(NAMED, INSTANCE)
    world.change(ObjectEvent.DELETED, stored)
    world.drain()
    assert [row["Type"] for row in world.rows(FLAT.table)] == ["CREATE"]


def test_a_generation_that_is_gone_is_acknowledged_with_a_line_in_the_log(
    world: World, bucket: Bucket, caplog: pytest.LogCaptureFixture, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    bucket.write("a", make_instance(**UIDS, PatientID="old"))
    bucket.write("a", make_instance(**UIDS, PatientID="new"))
    world.drain()
    assert [row["PatientID"] for row in world.rows(FLAT.table)] == ["new"]
    assert entries() == []
    (line,) = [record for record in caplog.records if "a later change will be streamed" in record.getMessage()]
    assert line.levelname == "INFO"


@pytest.mark.parametrize("content", [b"\0no DICOM at all", INSTANCE[:-3]])
def test_what_is_not_dicom_is_one_log_entry_for_each_table_and_never_tried_again(
    world: World, bucket: Bucket, content: bytes, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    bucket.write("notes", content)
    world.deliver()
    assert world.mailbox.waiting == []
    assert rows(world) == [0, 0, 0]
    assert [entry["destination"] for entry in entries()] == [str(config.table) for config in ALL]
    for entry in entries():
        assert entry["@type"].endswith(".DicomStreamLogEntry")
        assert entry["error"]["message"]


@pytest.mark.parametrize(("name", "content"), [("folder/", b""), ("readme.txt", b"no DICOM")])
def test_what_is_meant_to_be_no_instance_is_passed_over_quietly(
    world: World, bucket: Bucket, name: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.write(name, content)
    bucket.delete(name)
    world.drain()
    assert rows(world) == [0, 0, 0]
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_a_store_without_streams_is_left_alone(open_world: Callable[..., World], bucket: Bucket) -> None:
    world = open_world(streams=())
    bucket.write("a", INSTANCE)
    world.drain()
    assert world.faults.calls == []


def test_a_table_that_takes_no_row_costs_the_others_none(
    world: World, bucket: Bucket, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    from dicom_export.rows.schema import Field, FieldType  # noqa: PLC0415 - of this test only

    world.tables.prepare(JSON.table, (Field("SOPInstanceUID", FieldType.INTEGER),))
    bucket.write("a", INSTANCE)
    world.drain()
    assert rows(world) == [1, 0, 1]
    (entry,) = entries()
    assert entry["destination"] == str(JSON.table)
    assert entry["resourceName"] == f"{STORE}/dicomWeb/studies/1.2.1/series/1.3.1/instances/1.4.1"
    assert "SOPInstanceUID" in entry["error"]["message"]


def test_a_fault_at_any_call_is_mended_by_the_next_delivery(open_world: Callable[..., World], bucket: Bucket) -> None:
    quiet = open_world()
    bucket.write("any/name", INSTANCE)
    quiet.drain()
    kinds: list[dict[str, Any]] = [
        *({"at": frozenset({number})} for number in range(len(quiet.faults.log))),
        *({"at": frozenset({number}), "error": Unavailable} for number in range(len(quiet.faults.log))),
        *({"refused": frozenset({number})} for number in range(len(quiet.faults.calls))),
        *({"denied": frozenset({number})} for number in range(len(quiet.faults.log))),
    ]
    for kind in kinds:
        world = open_world(Faults(**kind))
        bucket.write("any/name", INSTANCE)
        world.drain()
        flat, json, latest = rows(world)
        assert (min(flat, 1), min(json, 1), latest) == (1, 1, 1), kind
        assert {row["SOPInstanceUID"] for row in world.rows(FLAT.table)} == {"1.4.1"}
        world.close()


def test_a_change_that_is_out_of_attempts_is_logged_for_each_table(
    world: World, bucket: Bucket, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    message = InstanceChanged(STORE, ObjectEvent.WRITTEN, bucket.write(NAMED, INSTANCE))
    dead_letters_on(world.ports)(message, Unavailable("None of 5 attempts succeeded"))
    assert [entry["destination"] for entry in entries()] == [str(config.table) for config in ALL]
    assert {entry["error"]["code"] for entry in entries()} == {14}
    assert {entry["resourceName"] for entry in entries()} == {f"gs://bucket/{NAMED}"}
