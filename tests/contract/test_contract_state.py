"""What every OperationStore does, whatever it is made of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_export.adapters.gcp.storage.state import BucketState
from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_export.ports import OperationStore
    from support.emulators.storage import Storage

PATHS = ["o/1/operation.json", "o/1/pages/0.json", "o/1/pages/1.json", "o/1/plan/0.json", "o/10/operation.json", "o-/x"]


@pytest.fixture(params=["folder", "bucket", "folder of a bucket"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> OperationStore:
    if request.param == "folder":
        return FolderState(tmp_path)
    storage: Storage = request.getfixturevalue("storage_emulator")
    bucket = storage.make_bucket()
    if request.param == "bucket":
        return BucketState(bucket)
    for name in ("a/1", "o/1/operation.json", "state", "state/", "state0", "stats/a"):
        storage.put(bucket, name, b"elsewhere")
    return BucketState(bucket, "state/")


def paths(state: OperationStore, prefix: str = "", start_after: str = "") -> list[str]:
    return [entry.path for entry in state.list(prefix, start_after=start_after)]


def run_at_once(actions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_object_is_created_once(state: OperationStore) -> None:
    assert state.create("a/b", b"first\nline") is True
    assert state.create("a/b", b"second") is False
    stored = state.read("a/b")
    assert stored
    assert stored.content == b"first\nline"


@pytest.mark.parametrize("path", ["a", "a/b/c", "x"])
def test_what_is_not_there_is_none(state: OperationStore, path: str) -> None:
    state.create("a/b", b"")
    assert state.read(path) is None
    assert state.replace(path, b"", "1") is False


def test_of_many_who_create_one_succeeds(state: OperationStore) -> None:
    created: list[int] = []

    def create(number: int) -> None:
        if state.create("a/b", str(number).encode()):
            created.append(number)

    run_at_once([lambda number=number: create(number) for number in range(8)])  # type: ignore[misc]
    stored = state.read("a/b")
    assert stored
    assert [stored.content] == [str(number).encode() for number in created]


def test_only_the_version_that_was_read_is_replaced(state: OperationStore) -> None:
    state.create("a", b"1")
    first = state.read("a")
    assert first
    assert state.replace("a", b"2", first.version) is True
    assert state.replace("a", b"3", first.version) is False
    second = state.read("a")
    assert second
    assert second.content == b"2"
    assert state.replace("a", b"1", second.version) is True
    third = state.read("a")
    assert third
    assert third.content == first.content
    assert third.version not in {first.version, second.version}


def test_concurrent_replacements_lose_nothing(state: OperationStore) -> None:
    state.create("count", b"0")

    def add_one() -> None:
        while stored := state.read("count"):
            if state.replace("count", str(int(stored.content) + 1).encode(), stored.version):
                return

    run_at_once([add_one] * 12)
    stored = state.read("count")
    assert stored
    assert stored.content == b"12"


def test_metadata_is_listed_and_outlives_a_replacement(state: OperationStore) -> None:
    state.create("a/1", b"x" * 100_000, {"success": "3", "note": "é\n"})
    state.create("a/2", b"y")
    stored = state.read("a/1")
    assert stored
    state.replace("a/1", b"z", stored.version)
    assert [(entry.path, entry.metadata) for entry in state.list("a/")] == [
        ("a/1", {"success": "3", "note": "é\n"}),
        ("a/2", {}),
    ]


@settings(max_examples=30)
@given(
    prefix=st.sampled_from(["", *(path[:n] for path in PATHS for n in range(1, len(path)))]),
    start=st.sampled_from(PATHS),
)
def test_a_listing_is_the_part_with_the_prefix_behind_the_start(state: OperationStore, prefix: str, start: str) -> None:
    for path in PATHS:
        state.create(path, b"")
    wanted = sorted((path for path in PATHS if path.startswith(prefix)), key=str.encode)
    assert paths(state, prefix) == wanted
    assert paths(state, prefix, start) == [path for path in wanted if path.encode() > start.encode()]


def test_a_path_that_no_object_can_have_is_invalid(state: OperationStore) -> None:
    for path in ("", "a\0", "\udcff"):
        with pytest.raises(InvalidArgument, match="is not the path of an object"):
            state.read(path)
        with pytest.raises(InvalidArgument, match="is not the path of an object"):
            state.create(path, b"")
