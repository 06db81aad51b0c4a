"""Whatever the order in which uploads and deletions are told of, and however often, tables end right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicom_export.adapters.local.duckdb.query import run_query
from dicom_export.messages import InstanceChanged, decode
from dicom_export.names import TableName
from dicom_export.rows.layout import SchemaKind
from dicom_export.streaming.config import StreamConfig
from support.buckets import Bucket
from support.dicom_files import make_instance
from support.factories import TABLE
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FLAT = StreamConfig(TABLE)
LATEST = StreamConfig(TableName("local", "main", "latest"), SchemaKind.JSON, tracks_changes=True)
# Of two instances the names tell which they are, of two they do not.
PLACES = {
    "1.4.1": ("1.2.1/1.3.1/1.4.1.dcm", "1.2.1/1.3.1/1.4.1-copy.dcm"),
    "1.4.2": ("1.2.1/1.3.1/1.4.2.dcm", "anywhere/2"),
    "1.4.3": ("somewhere/3", "elsewhere/3"),
    "1.4.4": ("somewhere/4", "1.2.1/1.3.1/1.4.99.dcm"),
}

Step = tuple[str, str, float]
"""What is done, to which instance or with which message, and whether it is done while an object is being read."""


class History:
    """A bucket's life, and what is told of it: uploads, overwrites, renames, deletions, and deliveries of what waits."""

    def __init__(self, root: Path) -> None:
        self.bucket = Bucket()
        self.world = World(root, self.bucket, streams=(FLAT, LATEST))
        self.bucket.tell = self.world.change
        self._later: list[Step] = []
        self._number = 0

    def run(self, steps: list[Step]) -> None:
        for step in steps:
            if step[2] < 0.3:
                self._later.append(step)
                self.bucket.on_read = self._interrupt
            else:
                self.take(step)
        self.bucket.on_read = lambda: None
        for step in self._later:
            self.take(step)
        self.world.drain()

    def take(self, step: Step) -> None:
        action, uid, chance = step
        here = next((name for name in PLACES[uid] if name in self.bucket.objects), None)
        if action == "write":
            self._number += 1
            content = make_instance(
                StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.1", SOPInstanceUID=uid, InstanceNumber=self._number
            )
            self.bucket.write(here or PLACES[uid][0], content)
        elif action == "delete" and here:
            self.bucket.delete(here)
        elif action == "rename" and here:
            (there,) = set(PLACES[uid]) - {here}
            self.bucket.write(there, self.bucket.objects[here][1])
            self.bucket.delete(here)
        elif action in ("deliver", "repeat") and self.world.mailbox.waiting:
            waiting = self.world.mailbox.waiting
            self.world.deliver(int(chance * 1000) % len(waiting), again=action == "repeat")

    def _interrupt(self) -> None:
        """Do the next thing while an object is being read; it may be interrupted in turn."""
        if self._later:
            self.take(self._later.pop(0))

    def expected(self) -> dict[str, Any]:
        """Return when each instance that is there was written."""
        where = {name: uid for uid, names in PLACES.items() for name in names}
        return {where[name]: stored.updated for name, (stored, _) in self.bucket.objects.items()}


@pytest.fixture
def open_history(tmp_path: Path) -> Iterator[Callable[[], History]]:
    opened: list[History] = []

    def open_one() -> History:
        root = tmp_path / str(len(opened))
        root.mkdir()
        opened.append(History(root))
        return opened[-1]

    yield open_one
    for history in opened:
        history.world.close()


@settings(max_examples=25)
@example(steps=[("write", "1.4.3", 1.0), ("delete", "1.4.3", 1.0), ("deliver", "1.4.3", 0.501)])
@example(steps=[("write", "1.4.3", 1.0), ("write", "1.4.3", 0.1), ("deliver", "1.4.3", 0.5)])
@example(steps=[("write", "1.4.3", 1.0), ("write", "1.4.3", 0.1), ("delete", "1.4.3", 0.1), ("deliver", "1.4.3", 0.5)])
@example(
    steps=[("write", "1.4.1", 1.0), ("repeat", "1.4.1", 1.0), ("delete", "1.4.1", 1.0), ("deliver", "1.4.1", 0.501)]
)
@example(
    steps=[("write", "1.4.4", 1.0), ("rename", "1.4.4", 1.0), ("deliver", "1.4.4", 0.502), ("delete", "1.4.4", 1.0)]
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "delete", "rename", "deliver", "deliver", "deliver", "repeat"]),
            st.sampled_from(list(PLACES)),
            st.floats(0, 1),
        ),
        max_size=20,
    )
)
def test_the_latest_view_and_the_kept_table_have_what_the_bucket_has(
    open_history: Callable[[], History], root: Path, steps: list[Step]
) -> None:
    history = open_history()
    history.run(steps)
    expected = history.expected()
    kept = {row["SOPInstanceUID"]: row["LastUpdated"] for row in history.world.rows(LATEST.table)}
    exists = history.world.tables.describe(TABLE)
    history.world.close()
    assert kept == expected
    assert (latest(root, history.world.file) if exists else {}) == expected


def latest(root: Path, file: Path) -> dict[str, Any]:
    """Return the instances of the view, each with its time."""
    result = run_query((root / "queries/latest-instances.sql").read_text(), file)
    uid, updated = (result.columns.index(name) for name in ("SOPInstanceUID", "LastUpdated"))
    found = [(row[uid], row[updated]) for row in result.rows]
    assert len(found) == len(dict(found))
    return dict(found)


def test_a_thousand_deletions_leave_what_was_not_deleted(open_history: Callable[[], History], root: Path) -> None:
    history = open_history()
    uids = [f"1.4.{number}" for number in range(1000, 2001)]
    template = make_instance(StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.1", SOPInstanceUID="1.4.9999")
    for uid in uids:
        history.bucket.write(f"1.2.1/1.3.1/{uid}.dcm", template.replace(b"1.4.9999", uid.encode()))
    deliver_all(history.world)
    for uid in uids[1:]:
        history.bucket.delete(f"1.2.1/1.3.1/{uid}.dcm")
    deliver_all(history.world)
    assert history.world.instances(LATEST.table) == uids[:1]
    history.world.close()
    assert list(latest(root, history.world.file)) == uids[:1]


def deliver_all(world: World) -> None:
    """Deliver what waits by many threads, as a worker gets it, so that its rows share appends."""
    waiting = [decode(*each) for each in world.mailbox.waiting]
    world.mailbox.waiting.clear()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(world.handlers[InstanceChanged.topic], waiting))
