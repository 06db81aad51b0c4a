"""Decoding in processes gives what decoding in turn gives, and survives the loss of a process."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from dicom_export.adapters.local.decoding import ParallelDecoder
from dicom_export.adapters.local.store import FolderStore
from dicom_export.errors import InstanceError, Unavailable
from dicom_export.handlers.decoding import Decoded, decode_in_turn
from dicom_export.row_layout import RowLayout, SchemaKind
from dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LAYOUT = RowLayout(SchemaKind.FLATTENED)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """150 instances, every tenth of them cut short: enough for processes to be worth their start."""
    for number in range(150):
        data = make_instance(SOPInstanceUID=f"1.2.{number}")
        (tmp_path / f"{number:03d}.dcm").write_bytes(data[:200] if number % 10 == 0 else data)
    return FolderStore(tmp_path)


def comparable(decoded: Iterable[Decoded]) -> list[object]:
    return [(type(each), each.message, each.uids) if isinstance(each, InstanceError) else each for each in decoded]


def test_processes_give_what_one_gives_in_the_same_order(store: FolderStore) -> None:
    objects = list(store.list())
    with ParallelDecoder(2) as decode:
        assert comparable(decode(store, objects, LAYOUT)) == comparable(decode_in_turn(store, objects, LAYOUT))


def test_a_killed_process_is_a_reason_to_deliver_again_and_the_next_delivery_has_a_new_one(store: FolderStore) -> None:
    objects = list(store.list())
    with ParallelDecoder(2) as decode:
        decoded = iter(decode(store, objects, LAYOUT))
        next(decoded)
        assert decode._pool
        for process in list(decode._pool._processes):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(Unavailable, match="killed"):
            list(decode(store, objects, LAYOUT))
        assert len(list(decode(store, objects, LAYOUT))) == len(objects)
