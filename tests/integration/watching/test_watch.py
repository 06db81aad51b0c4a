"""Whatever happens to the files of a watched folder, and however little of it is told: the table's latest rows are what is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, current_thread
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.ahead import Ahead, always_slow
from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.errors import NotDicom, NotFound, Unavailable
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.stored_object import StoredObject
from dicom_export.stores import DeclaredStore
from dicom_export.uids import InstanceUids
from dicom_export.watching.keep_watch import Watcher
from dicom_export.watching.rows import LatestRow, Look, Reconciled, WatchedFile, Written, as_unread, reconcile
from dicom_export.watching.touched import Touched
from dicom_export.watching.watcher import FolderWatch, Looked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_export.decoding.decoded import Decoded
    from dicom_export.ports import DicomStore

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUT = RowLayout(SchemaKind.JSON)
NAMES = ("a", "b", "c", "d")
BROKEN = "broken"


def row_of(stored: StoredObject, instance: str) -> dict[str, Any]:
    return {
        "SOPInstanceUID": instance,
        "Type": "CREATE",
        "LastUpdated": stored.updated,
        "Size": stored.size,
        "SourceObject": stored.name,
        "SourceGeneration": stored.generation,
    }


class Folder:
    """A folder in memory: by name the instance that a file holds, its size, and when it was written."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, int, int]] = {}

    def uri(self, name: str) -> str:
        return f"file:///{name}"

    def copy_source(self, name: str) -> str:
        return self.uri(name)

    def get(self, name: str) -> StoredObject | None:
        if name not in self.files:
            return None
        _, size, tick = self.files[name]
        return StoredObject(name, tick, size, EPOCH + timedelta(milliseconds=tick))

    def list(
        self,
        *,
        prefix: str = "",
        start_after: str = "",
        unlisted: object = None,  # noqa: ARG002 - all can be listed
    ) -> Iterator[StoredObject]:
        assert not prefix
        assert not start_after
        return (stored for name in sorted(self.files) if (stored := self.get(name)))

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        raise AssertionError((stored, start, length))

    def decode(
        self, _: DicomStore, objects: Sequence[StoredObject], layout: RowLayout, *, following: int = 0
    ) -> Iterator[Decoded]:
        assert not following
        for stored in objects:
            instance = self.files[stored.name][0]
            if instance == BROKEN:
                yield NotDicom("Not DICOM")
            else:
                row = row_of(stored, instance)
                yield DecodedInstance(row, InstanceUids("1.2", layout.source_store or "1.3", instance))


class Rows:
    """A table and what is remembered beside it, in memory."""

    def __init__(self, folder: Folder | None = None, *, has_sources: bool = False) -> None:
        self.folder = folder
        self.has_sources = has_sources
        self.rows: list[dict[str, Any]] = []
        self.remembered: dict[str, WatchedFile] = {}

    def known(self, names: Sequence[str]) -> dict[str, WatchedFile]:
        return {name: self.remembered[name] for name in names if name in self.remembered}

    def files(self) -> Iterator[WatchedFile]:
        return iter([self.remembered[name] for name in sorted(self.remembered)])

    def write(self, look: Look) -> Reconciled:
        others: dict[str, list[WatchedFile]] = {}
        for file in self.remembered.values():
            if file.uids and file.uids.instance and file.name not in look.names:
                others.setdefault(file.uids.instance, []).append(file)
        latest = {uid: self._latest(uid, row) for uid, row in self.newest().items()}
        result = reconcile(look, latest, others, self._source_of, self._is_there)
        self.rows += [*result.created, *result.deleted]
        for name in look.names:
            self.remembered.pop(name, None)
        self.remembered |= {written.stored.name: written.file for written in look.written}
        self.remembered |= {name: as_unread(self.remembered[name]) for name in result.again}
        return result

    def _latest(self, uid: str, row: dict[str, Any]) -> LatestRow:
        created = [each for each in self.rows if each["SOPInstanceUID"] == uid and each["Type"] == "CREATE"]
        return LatestRow(
            row["LastUpdated"],
            row["Type"] == "DELETE",
            (row["SourceObject"], row["SourceGeneration"]) if self.has_sources else None,
            frozenset(each["LastUpdated"] for each in created),
            frozenset(each["SourceGeneration"] for each in created) if self.has_sources else frozenset(),
        )

    def _source_of(self, stored: StoredObject) -> dict[str, Any]:
        return {"SourceObject": stored.name, "SourceGeneration": stored.generation} if self.has_sources else {}

    def _is_there(self, source: tuple[str, int]) -> bool:
        assert self.folder
        stored = self.folder.get(source[0])
        return stored is not None and stored.generation == source[1]

    def mounts(self) -> set[str]:
        return set()

    def remember_mounts(self, names: Iterable[str]) -> None:
        raise AssertionError([*names])

    def newest(self) -> dict[str, dict[str, Any]]:
        """Return each instance's row with the highest LastUpdated, which no other has."""
        newest: dict[str, dict[str, Any]] = {}
        for row in self.rows:
            uid = row["SOPInstanceUID"]
            assert uid not in newest or newest[uid]["LastUpdated"] != row["LastUpdated"]
            if uid not in newest or newest[uid]["LastUpdated"] < row["LastUpdated"]:
                newest[uid] = row
        return newest

    def latest(self) -> dict[str, int]:
        """Return the instances of the view, each with its file's size."""
        return {uid: row["Size"] for uid, row in self.newest().items() if row["Type"] == "CREATE"}


class ExportedRows(Rows):
    """A table that an export of the folder wrote, which gives each file a row."""

    def __init__(self, folder: Folder, *, has_sources: bool) -> None:
        super().__init__(folder, has_sources=has_sources)
        self.rows = [row_of(stored, folder.files[stored.name][0]) for stored in folder.list()]

    def newest(self) -> dict[str, dict[str, Any]]:
        return {row["SOPInstanceUID"]: row for row in sorted(self.rows, key=lambda row: row["LastUpdated"])}


def watch_of(folder: Folder, rows: Rows, touched: Touched | None = None) -> FolderWatch:
    return FolderWatch(DeclaredStore(folder), rows, folder.decode, LAYOUT, touched or Touched(), patience=0)


names = st.sampled_from(NAMES)
# A change is told by time or size: so files of different instances have different sizes here.
SIZES = {"1.1": 10, "1.2": 20, BROKEN: 30}
steps = st.one_of(
    st.tuples(st.just("write"), names, st.sampled_from(["1.1", "1.2", BROKEN]), st.integers(1, 3)),
    st.tuples(st.just("restore"), names, st.sampled_from(["1.1", "1.2"]), st.integers(1, 3)),
    st.tuples(st.just("rename"), names, names),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("look"), st.lists(names, max_size=4)),
    st.tuples(st.just("scan")),
)


@given(history=st.lists(steps, max_size=20), has_sources=st.booleans())
@example(
    history=[("write", "a", "1.1", 1), ("scan",), ("rename", "a", "b"), ("look", ["a"]), ("look", ["b"])],
    has_sources=False,
)
@example(history=[("write", "a", "1.1", 1), ("write", "b", "1.1", 2), ("scan",), ("delete", "b")], has_sources=False)
def test_in_the_end_the_latest_rows_are_what_is_in_the_folder(
    *, history: list[tuple[Any, ...]], has_sources: bool
) -> None:
    folder = Folder()
    rows = Rows(folder, has_sources=has_sources)
    touched = Touched()
    watch = watch_of(folder, rows, touched)
    for tick, (step, *arguments) in enumerate(history, 100):
        if step == "write":
            folder.files[arguments[0]] = (arguments[1], SIZES[arguments[1]] + arguments[2], tick)
        elif step == "restore":  # with the time that it had long ago
            folder.files[arguments[0]] = (arguments[1], SIZES[arguments[1]] + arguments[2], 50 + arguments[2])
        elif step == "rename" and arguments[0] in folder.files:
            folder.files[arguments[1]] = folder.files.pop(arguments[0])
        elif step == "delete":
            folder.files.pop(arguments[0], None)
        elif step == "look":
            list(watch.look_at(arguments[0]))
        elif step == "scan":
            list(watch.scan())
    list(watch.scan())
    list(watch.look_at(touched.take_due(float("inf"))))
    there: dict[str, set[int]] = {}
    for instance, size, _ in folder.files.values():
        if instance != BROKEN:
            there.setdefault(instance, set()).add(size)
    latest = rows.latest()
    assert set(latest) == set(there)
    assert all(size in there[instance] for instance, size in latest.items())
    assert not any(watch.scan())


@given(st.lists(names, unique=True, min_size=1), st.data())
def test_what_is_only_renamed_adds_no_row(present: list[str], data: st.DataObject) -> None:
    folder, rows = Folder(), Rows()
    watch = watch_of(folder, rows)
    folder.files = {name: (f"1.{number}", number, number) for number, name in enumerate(present)}
    list(watch.scan())
    before = list(rows.rows)
    renamed = data.draw(st.permutations([f"{name}{name}" for name in present]))
    folder.files = dict(zip(renamed, folder.files.values(), strict=True))
    list(watch.scan() if data.draw(st.booleans()) else watch.look_at([*present, *renamed]))
    assert rows.rows == before


def test_what_was_exported_before_the_first_look_adds_no_row() -> None:
    folder, rows = Folder(), Rows()
    folder.files = {"a": ("1.1", 1, 7)}
    rows.rows = [
        {"SOPInstanceUID": "1.1", "Type": "CREATE", "LastUpdated": EPOCH + timedelta(milliseconds=7), "Size": 1}
    ]
    assert not any(watch_of(folder, rows).scan())
    assert set(rows.remembered) == {"a"}


files = st.dictionaries(names, st.tuples(st.sampled_from(["1.1", "1.2"]), st.integers(1, 3), st.integers(1, 9)))


@given(there=files, has_sources=st.booleans(), data=st.data())
@example(there={"a": ("1.1", 1, 1), "b": ("1.1", 1, 3)}, has_sources=True, data=None)
@example(there={"a": ("1.1", 1, 1), "b": ("1.1", 1, 3)}, has_sources=False, data=None)
def test_what_an_export_wrote_of_several_files_of_an_instance_adds_no_row(
    *, there: dict[str, tuple[str, int, int]], has_sources: bool, data: st.DataObject | None
) -> None:
    folder = Folder()
    folder.files = there
    rows = ExportedRows(folder, has_sources=has_sources)
    watch = watch_of(folder, rows)
    for _ in range(2):
        order = data.draw(st.permutations(sorted(there))) if data else sorted(there)
        for name in order:
            assert not any(watch.look_at([name]))
        assert not any(watch.scan())
    assert set(rows.remembered) == set(there)


def test_an_exported_file_counts_again_if_a_newer_one_of_its_instance_went_before_the_first_look() -> None:
    folder = Folder()
    folder.files = {"a": ("1.1", 1, 1), "b": ("1.1", 2, 3)}
    rows = ExportedRows(folder, has_sources=True)
    del folder.files["b"]
    watch = watch_of(folder, rows)
    assert sum(watch.scan(), Looked()).created == 1
    assert rows.latest() == {"1.1": 1}
    assert not any(watch.scan())


def test_a_file_that_goes_while_a_newer_one_of_its_instance_stays_adds_no_row() -> None:
    folder = Folder()
    folder.files = {"a": ("1.1", 1, 1), "b": ("1.1", 2, 3), "c": ("1.1", 3, 5)}
    rows, touched = ExportedRows(folder, has_sources=True), Touched()
    watch = watch_of(folder, rows, touched)
    assert not any(watch.scan())
    del folder.files["a"]
    assert not any(watch.scan())
    assert touched.is_quiet


def test_files_of_a_slow_store_are_looked_for_several_at_once() -> None:
    folder, rows = Folder(), Rows()
    folder.files = {f"{number:03}": (f"1.{number}", 1, 1) for number in range(100)}
    looked_for = []
    find = folder.get

    def noted(name: str) -> StoredObject | None:
        looked_for.append(current_thread().name.startswith("ahead"))
        return find(name)

    folder.get = noted  # type: ignore[method-assign]
    with Ahead(4, always_slow()) as ahead:
        watch = replace(watch_of(folder, rows), ahead=ahead)
        names = [f"{number:03}" for number in range(0, 200, 2)]
        assert sum((each for each in watch.look_at(names)), Looked()).created == 50
    assert looked_for == [True] * 200
    assert sorted(rows.latest()) == sorted(f"1.{number}" for number in range(0, 100, 2))


def test_a_failure_is_told_once_and_again_when_the_file_has_changed() -> None:
    folder, rows = Folder(), Rows()
    folder.files = {"a": (BROKEN, 1, 1)}
    watch = watch_of(folder, rows)
    assert [looked.failures for looked in watch.scan()] == [(("a", "Not DICOM"),)]
    assert not any(watch.scan())
    folder.files = {"a": (BROKEN, 2, 2)}
    assert [looked.failures for looked in watch.scan()] == [(("a", "Not DICOM"),)]


def test_a_file_that_fails_is_looked_at_again_until_it_has_been_at_rest() -> None:
    folder, rows, touched = Folder(), Rows(), Touched()
    folder.files = {"a": (BROKEN, 1, 0)}
    now = EPOCH.timestamp() + 2
    watch = FolderWatch(
        DeclaredStore(folder), rows, folder.decode, LAYOUT, touched, clock=lambda: 1000.0, now=lambda: now, patience=60
    )
    assert not any(watch.scan())
    assert touched.take_due(1001.9) == []
    assert touched.take_due(1002.0) == ["a"]
    now += 60
    assert sum((each for each in watch.look_at(["a"])), Looked()).failures == (("a", "Not DICOM"),)
    assert touched.is_quiet


def test_a_folder_that_is_not_there_at_the_moment_deletes_nothing(tmp_path: Path) -> None:
    rows = Rows()
    file = WatchedFile("a", 1, 1, InstanceUids("1.2", "1.3", "1.1"))
    rows.write(Look((Written(StoredObject("a", 1, 1, EPOCH), file.uids, {"SOPInstanceUID": "1.1", "Type": "CREATE"}),)))
    store = DeclaredStore(FolderStore(tmp_path / "unmounted"))
    watch = FolderWatch(store, rows, Folder().decode, LAYOUT, Touched(), patience=0)
    for look in (watch.scan(), watch.look_at(["a"])):
        with pytest.raises(NotFound):
            list(look)
    assert rows.remembered == {"a": file}
    assert len(rows.rows) == 1


def test_what_was_to_be_looked_at_when_something_failed_is_found_by_a_scan() -> None:
    folder, rows, touched, stop = Folder(), Rows(), Touched(), Event()
    watch = watch_of(folder, rows, touched)
    failing = [Unavailable("a process was killed")]

    class Opened:
        def __enter__(self) -> FolderWatch:
            if failing:
                raise failing.pop()
            return watch

        def __exit__(self, *_: object) -> None:
            return None

    def report(looked: Looked) -> None:
        assert looked.created == 1
        stop.set()

    folder.files = {"a": ("1.1", 1, 1)}
    touched.touch("a", 0)
    Watcher(Opened, touched, report).run(stop)
    assert not failing
    assert rows.latest() == {"1.1": 1}


def test_more_names_than_are_held_are_left_to_a_scan() -> None:
    touched = Touched(most=2)
    for name in ("a", "b", "a", "c"):
        touched.touch(name, 1.0)
    assert touched.take_scan()
    assert not touched.take_scan()
    assert sorted(touched.take_due(2.0)) == ["a", "b"]
