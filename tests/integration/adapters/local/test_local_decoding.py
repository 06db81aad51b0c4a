"""Decoding in processes gives what decoding in turn gives, and survives the loss of a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.decoding import processes
from dicom_export.decoding.batches import BATCH_HEADER_BYTES
from dicom_export.decoding.budget import DEFAULT_LIMITS
from dicom_export.decoding.decoded import Decoded, DecodedInstance, Skipped
from dicom_export.decoding.many import decode_in_turn
from dicom_export.decoding.processes import ParallelDecoder
from dicom_export.errors import InstanceError, LimitExceeded, Unavailable
from dicom_export.rows.arrow import Batch, arrow_schema
from dicom_export.rows.layout import RowLayout, SchemaKind
from support.dicom_files import element, make_file, make_instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dicom_export.decoding.decoded import DecodedBatch, Found
    from dicom_export.stored_object import StoredObject

LAYOUT = RowLayout(SchemaKind.FLATTENED)
MANY = 10_000
RAISED = replace(DEFAULT_LIMITS, header_bytes=1 << 30)
OOM_SCORE = Path("/proc/self/oom_score_adj")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """150 instances, every tenth of them cut short: enough for processes to be worth their start."""
    for number in range(150):
        data = make_instance(SOPInstanceUID=f"1.2.{number}")
        (tmp_path / f"{number:03d}.dcm").write_bytes(data[:200] if number % 10 == 0 else data)
    return FolderStore(tmp_path)


def in_turn(store: FolderStore) -> Iterable[Decoded]:
    return decode_in_turn(store, list(store.list()), LAYOUT)


def comparable(decoded: Iterable[object]) -> list[object]:
    return [(type(each), each.message, each.uids) if isinstance(each, InstanceError) else each for each in decoded]


def test_processes_give_what_one_gives_in_the_same_order(store: FolderStore) -> None:
    objects = list(store.list())
    with ParallelDecoder(2) as decode:
        first = comparable(decode(store, objects, LAYOUT, following=MANY))  # while the processes begin
        assert decode._pool
        assert first == comparable(decode(store, objects, LAYOUT)) == comparable(in_turn(store))


def seen(batches: Iterable[DecodedBatch]) -> tuple[list[object], list[str]]:
    """Return what was found, and the instances of the rows."""
    found: list[Found] = []
    instances: list[str] = []
    for batch in batches:
        found += batch.found
        for part in batch.rows:
            assert isinstance(part, Batch)
            assert part.records.schema == arrow_schema(batch.schema)
            instances += map(str, part.records.column("SOPInstanceUID").to_pylist())
    return comparable(found), instances


def test_batches_of_processes_hold_what_those_of_one_hold_in_the_same_order(store: FolderStore) -> None:
    objects = list(store.list())
    with ParallelDecoder(2) as decode:
        list(decode(store, objects, LAYOUT, following=MANY))
        found, instances = seen(decode.batches(store, objects, LAYOUT, None))
    assert found == comparable(each.uids if isinstance(each, DecodedInstance) else each for each in in_turn(store))
    assert instances == [f"1.2.{number}" for number in range(150) if number % 10]


def test_what_a_filter_leaves_out_is_in_no_batch(store: FolderStore) -> None:
    skipped = Skipped("for a test")

    def only_the_first(decoded: Decoded) -> Decoded:
        return decoded if isinstance(decoded, DecodedInstance) and decoded.uids.instance == "1.2.1" else skipped

    with ParallelDecoder(2) as decode:
        found, instances = seen(decode.batches(store, list(store.list()), LAYOUT, only_the_first))
    assert instances == ["1.2.1"]
    assert found.count(skipped) == 149


def test_long_headers_come_in_batches_of_fewer(tmp_path: Path) -> None:
    for number in range(160):
        data = make_instance(SOPInstanceUID=f"1.2.{number}", TextValue="x" * (200_000 if number >= 20 else 20))
        (tmp_path / f"{number:03d}.dcm").write_bytes(data)
    store = FolderStore(tmp_path)
    with ParallelDecoder(2) as decode:
        list(decode(store, list(store.list()), LAYOUT, following=MANY))
        batches = list(decode.batches(store, list(store.list()), LAYOUT, None))
    assert seen(batches)[1] == [f"1.2.{number}" for number in range(160)]
    assert len(batches) > 2
    assert max(batch.header_bytes for batch in batches) < BATCH_HEADER_BYTES + 210_000


def test_killed_processes_cost_no_object_its_row(store: FolderStore) -> None:
    objects = list(store.list())
    with ParallelDecoder(2) as decode:
        list(decode(store, objects, LAYOUT, following=MANY))
        decoded = iter(decode(store, objects, LAYOUT))
        next(decoded)
        assert decode._pool
        for process in list(decode._pool._processes):
            os.kill(process, signal.SIGKILL)
        assert comparable(decode(store, objects, LAYOUT)) == comparable(in_turn(store))


class Deadly(FolderStore):
    """A store of which some objects kill the process that reads them."""

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        if stored.name in {"007.dcm", "144.dcm"}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(stored, start, length)


def test_an_object_that_kills_processes_costs_only_itself(store: FolderStore) -> None:
    objects, deadly = list(store.list()), Deadly(store.root)
    expected = [*in_turn(store)]
    with ParallelDecoder(2) as decode:
        decode._started()
        found = list(decode(deadly, objects, LAYOUT))
    killed = {7, 144}
    for number, (one, other) in enumerate(zip(comparable(found), comparable(expected), strict=True)):
        assert (one == other) is (number not in killed)
    assert [number for number, each in enumerate(found) if isinstance(each, LimitExceeded)] == sorted(killed)


class OnSlowDisk(FolderStore):
    """A store of which each read takes 2 ms."""

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        time.sleep(0.002)
        return super().read(stored, start, length)


class DeadlyOnSlowDisk(OnSlowDisk, Deadly):
    """A slow store of which some objects kill the process that reads them."""


def test_processes_that_read_ahead_give_what_one_gives_in_the_same_order(store: FolderStore) -> None:
    objects, slow = list(store.list()), OnSlowDisk(store.root)
    with ParallelDecoder(2) as decode:
        first = comparable(decode(slow, objects, LAYOUT, following=MANY))
        assert decode._ahead._pool  # it was slow enough
        assert first == comparable(decode(slow, objects, LAYOUT)) == comparable(in_turn(store))
        found, _ = seen(decode.batches(slow, objects, LAYOUT, None))
    assert found == comparable(each.uids if isinstance(each, DecodedInstance) else each for each in in_turn(store))


def test_an_object_that_kills_processes_which_read_ahead_costs_only_itself(store: FolderStore) -> None:
    objects, deadly = list(store.list()), DeadlyOnSlowDisk(store.root)
    expected = comparable(in_turn(store))
    with ParallelDecoder(2) as decode:
        decode._started()
        found = list(decode(deadly, objects, LAYOUT))
    assert [number for number, each in enumerate(found) if isinstance(each, LimitExceeded)] == [7, 144]
    others = [number for number in range(len(objects)) if number not in {7, 144}]
    assert [comparable(found)[number] for number in others] == [expected[number] for number in others]


class OnlyElsewhere(Deadly):
    """Such a store, of which nothing may be read in the process of the tests."""

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        assert multiprocessing.parent_process()
        return super().read(stored, start, length)


def test_with_limits_beyond_the_default_ones_the_program_itself_decodes_nothing(store: FolderStore) -> None:
    objects, deadly = list(store.list())[:20], OnlyElsewhere(store.root)
    with ParallelDecoder(2, RAISED) as decode:
        found = [list(decode(deadly, objects, LAYOUT)) for _ in range(2)]
        batches = list(decode.batches(deadly, objects, LAYOUT, None))
        assert not list(decode(deadly, [], LAYOUT))
        assert not list(decode.batches(deadly, [], LAYOUT, None))
    in_batches = [one for batch in batches for one in batch.found]
    seen_by_all: list[Sequence[object]] = [*found, in_batches]
    for each in seen_by_all:
        assert len(each) == 20
        assert [number for number, one in enumerate(each) if isinstance(one, LimitExceeded)] == [7]


def test_long_headers_are_sent_a_few_at_a_time(tmp_path: Path) -> None:
    for number in range(30):
        data = make_instance(SOPInstanceUID=f"1.2.{number}", TextValue="x" * 1_000_000)
        (tmp_path / f"{number:03d}.dcm").write_bytes(data)
    store = FolderStore(tmp_path)
    objects = list(store.list())
    assert len(processes._decode_chunk(store, objects, LAYOUT, limits=DEFAULT_LIMITS)) == 13
    with ParallelDecoder(2, RAISED) as decode:
        assert comparable(decode(store, objects, LAYOUT)) == comparable(in_turn(store))


def test_a_row_that_no_request_takes_is_not_sent(tmp_path: Path) -> None:
    creator = element(0x00310010, "LO", b"LARGE ")
    texts = [element(0x00311000 + number, "UT", b"x" * (1 << 20)) for number in range(13)]
    (tmp_path / "large.dcm").write_bytes(make_file(creator, *texts))
    store = FolderStore(tmp_path)
    (found,) = processes._decode_chunk(store, list(store.list()), LAYOUT, limits=DEFAULT_LIMITS)
    assert isinstance(found, LimitExceeded)
    assert "a request to the table takes" in found.message
    assert found.uids


@pytest.mark.skipif(not OOM_SCORE.exists(), reason="only Linux says whom it kills first when memory runs out")
def test_a_process_that_decodes_is_killed_before_the_program_if_memory_runs_out() -> None:
    with ParallelDecoder(2) as decode:
        assert decode._started().submit(OOM_SCORE.read_text).result() == "1000\n"
    assert OOM_SCORE.read_text() != "1000\n"


def test_processes_that_die_before_they_have_work_blame_no_object(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_begin", partial(os._exit, 1))
    with ParallelDecoder(2) as decode:
        decode._started()
        with pytest.raises(Unavailable, match="before it began"):
            list(decode.batches(store, list(store.list()), LAYOUT, None))


def test_no_process_is_started_for_a_folder_that_is_decoded_before_it_would_have_begun(store: FolderStore) -> None:
    objects = list(store.list())
    with ParallelDecoder(2) as decode:
        assert comparable(decode(store, objects, LAYOUT, following=len(objects))) == comparable(in_turn(store))
        assert seen(decode.batches(store, objects, LAYOUT, None))[1] == [f"1.2.{n}" for n in range(150) if n % 10]
        assert decode._pool is None


def test_processes_are_started_once_many_small_messages_were_decoded(store: FolderStore) -> None:
    objects = list(store.list())
    with ParallelDecoder(2) as decode:
        for _ in range(6):
            assert decode._pool is None
            list(decode.batches(store, objects, LAYOUT, None))
        assert len(list(decode(store, objects, LAYOUT))) == len(objects)
        assert decode._pool
