"""Exports of files: each selected instance is copied once, whatever happens meanwhile."""

from __future__ import annotations

import logging
import os
import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

from dicom_export import messages
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.archives.store import ArchiveStore
from dicom_export.bootstrap.wiring import dead_letters_on, handlers_on
from dicom_export.errors import Code, InvalidArgument, NotFound, Unavailable
from dicom_export.exporting import copying
from dicom_export.messages import ExportStudy
from dicom_export.names import GcsUri
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import FailureStage
from dicom_export.uids import MALFORMED
from support.dicom_files import make_instance
from support.faults import Faults
from support.slow_copies import SlowCopies
from support.worlds import LIMITS, FilesWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.operations.operation import Operation

STUDIES = {"1.2.1": 1, "1.2.2": 2, "1.2.3": 4}
EXPECTED = Counters(planned=9, success=8, failure=1, studies=3)
FIRST_MTIME = 1_700_000_000_000_000_000


def put(root: Path, name: str, content: bytes, mtime: int) -> bytes:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime, mtime))
    return content


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies of one to four instances, one object twice with other pixels, and a file that is not DICOM."""
    root = tmp_path_factory.mktemp("store")
    mtime = FIRST_MTIME
    for study, instances in STUDIES.items():
        for number in range(instances):
            uid = f"{study}.{number}"
            content = make_instance(StudyInstanceUID=study, SeriesInstanceUID="1.3", SOPInstanceUID=uid)
            mtime += 1
            put(root, f"any/{uid}", content, mtime)
    put(root, "any/1.2.2.0-later", make_instance(StudyInstanceUID="1.2.2", SeriesInstanceUID="1.3", SOPInstanceUID="1.2.2.0", PatientID="other"), FIRST_MTIME + 99)  # fmt: skip
    put(root, "any/1.2.3.9", b"\0no DICOM at all", FIRST_MTIME)
    return root


@pytest.fixture
def expected(store: Path) -> dict[str, bytes]:
    """Return the content of each copy of the whole store, one of the two objects with the same UIDs left out."""
    return {
        f"{study}/1.3/{study}.{number}.dcm": (store / f"any/{study}.{number}").read_bytes()
        for study, count in STUDIES.items()
        for number in range(count)
    }


@pytest.fixture
def open_world(tmp_path: Path, store: Path) -> Iterator[Callable[..., FilesWorld]]:
    worlds: list[FilesWorld] = []

    def open_one(faults: Faults | None = None, folder: Path = store) -> FilesWorld:
        root = tmp_path / str(len(worlds))
        root.mkdir()
        worlds.append(FilesWorld(root, folder, faults))
        return worlds[-1]

    yield open_one
    for world in worlds:
        world.close()


def assert_exact(world: FilesWorld, operation: Operation, expected: dict[str, bytes]) -> None:
    with world.faults.disarmed():
        ended = world.ended(operation)
        assert ended.is_done
        assert ended.counters == EXPECTED
        assert [failure.object for failure in world.service.failures(operation.name)] == ["any/1.2.3.9"]
    copied = world.copied()
    assert len(copied) == EXPECTED.success
    either = ("any/1.2.2.0", FIRST_MTIME + 2), ("any/1.2.2.0-later", FIRST_MTIME + 99)
    (second,) = set(copied) - set(expected)
    assert second in {f"1.2.2/1.3/1.2.2.0-{generation}.dcm" for _, generation in either}
    twins = {"1.2.2/1.3/1.2.2.0.dcm", second}
    assert len({copied[name] for name in twins}) == 2
    assert {name: copied[name] for name in copied.keys() - twins} == {
        name: content for name, content in expected.items() if name not in twins
    }


def test_every_instance_is_copied_byte_by_byte(
    open_world: Callable[..., FilesWorld], expected: dict[str, bytes]
) -> None:
    world = open_world()
    operation = world.export_files()
    world.drain()
    assert_exact(world, operation, expected)


def test_another_content_under_the_same_name_gets_the_generation_and_a_warning(
    open_world: Callable[..., FilesWorld], caplog: pytest.LogCaptureFixture
) -> None:
    world = open_world()
    with caplog.at_level(logging.WARNING):
        world.export_files(prefix="cohort/")
        world.drain()
    (second,) = (name for name in world.copied() if "-" in name)
    assert (
        f"/copies/cohort/1.2.2/1.3/1.2.2.0.dcm has another content; the copy is file://{world.copies}/{second}"
        in caplog.text
    )


def test_a_second_export_copies_nothing(open_world: Callable[..., FilesWorld], expected: dict[str, bytes]) -> None:
    world = open_world()
    world.export_files()
    world.drain()
    inodes = {path: path.stat().st_ino for path in world.copies.rglob("*")}
    operation = world.export_files()
    world.drain()
    assert_exact(world, operation, expected)
    assert {path: path.stat().st_ino for path in world.copies.rglob("*")} == inodes


def test_a_filter_selects_the_files(open_world: Callable[..., FilesWorld], tmp_path: Path) -> None:
    world = open_world()
    filters = tmp_path / "0/filters"
    filters.mkdir()
    (filters / "cohort.csv").write_text("path\n/dicomWeb/studies/1.2.3/series/1.3/instances/1.2.3.1\n/studies/1.2.1\n")
    operation = world.export_files(GcsUri("filters", "cohort.csv"))
    world.drain()
    assert set(world.copied()) == {"1.2.3/1.3/1.2.3.1.dcm", "1.2.1/1.3/1.2.1.0.dcm"}
    counters = world.ended(operation).counters
    assert counters
    assert (counters.success, counters.failure, counters.skipped) == (2, 0, 7)


@pytest.mark.parametrize("error", ["crash", "lost answer"])
def test_a_crash_or_a_lost_answer_after_any_effect_changes_nothing(
    open_world: Callable[..., FilesWorld], tmp_path: Path, error: str
) -> None:
    for number in range(2):  # two contents of one instance
        put(tmp_path / "store", f"{number}", make_instance(PatientID=str(number)), FIRST_MTIME + number)
    quiet = open_world(folder=tmp_path / "store")
    quiet.export_files()
    quiet.drain()
    assert {"create", "copy", "flush", "publish"} <= set(quiet.faults.log)
    for point in range(len(quiet.faults.log)):
        faults = Faults(frozenset({point})) if error == "crash" else Faults(frozenset({point}), Unavailable)
        world = open_world(faults, tmp_path / "store")
        operation = world.export_files()
        world.drain()
        assert world.ended(operation).counters == Counters(planned=2, success=2, studies=1)
        first, second = world.copied().items()
        assert {first[1], second[1]} == {path.read_bytes() for path in (tmp_path / "store").iterdir()}
        assert len({name.partition("-")[0].removesuffix(".dcm") for name in (first[0], second[0])}) == 1


@pytest.mark.parametrize("seed", range(4))
def test_any_order_with_duplicates_and_crashes_changes_nothing(
    open_world: Callable[..., FilesWorld], expected: dict[str, bytes], seed: int
) -> None:
    chance = random.Random(seed)
    world = open_world(Faults(frozenset(chance.sample(range(80), 8))))
    operation = world.export_files()
    for _ in range(200):
        if world.mailbox.waiting:
            world.deliver(chance.randrange(len(world.mailbox.waiting)), again=chance.random() < 0.5)
    world.drain()
    assert_exact(world, operation, expected)


def delivered_to_workers(world: FilesWorld) -> ExportStudy:
    """Plan the export, and return the first message to a worker."""
    world.deliver()
    topic, data = next(letter for letter in world.mailbox.waiting if letter[0] == ExportStudy.topic)
    message = messages.decode(topic, data)
    assert isinstance(message, ExportStudy)
    return message


def test_of_a_dead_letter_and_a_late_worker_one_counts(open_world: Callable[..., FilesWorld]) -> None:
    world = open_world()
    operation = world.export_files()
    message = delivered_to_workers(world)

    def act(effect: str) -> None:
        if effect == "flush":
            world.faults.on_effect = lambda _: None
            dead_letters_on(world.ports)(message, Unavailable("out of attempts"))

    world.faults.on_effect = act
    world.drain()
    counters = world.ended(operation).counters
    assert counters
    assert counters.abandoned == len(message.objects)
    assert counters.success + counters.failure == EXPECTED.found


def test_dead_letters_are_replayed(open_world: Callable[..., FilesWorld], expected: dict[str, bytes]) -> None:
    world = open_world()
    operation = world.export_files()
    message = delivered_to_workers(world)
    dead_letters_on(world.ports)(message, Unavailable("out of attempts"))
    world.drain()
    assert len(world.copied()) < len(expected)
    world.service.replay(operation.name)
    world.drain()
    assert expected.keys() <= world.copied().keys()


def test_a_cancellation_is_noticed_between_two_copies(
    open_world: Callable[..., FilesWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_LOOK_SECONDS", 0.0)
    world = open_world()
    operation = world.export_files()

    def act(effect: str) -> None:
        if effect == "copy" and world.faults.log.count("copy") == 2:
            with world.faults.disarmed():
                world.service.cancel_operation(operation.name)

    world.faults.on_effect = act
    world.drain()
    ended = world.ended(operation)
    assert ended.error
    assert ended.error.code is Code.CANCELLED
    assert ended.counters
    assert ended.counters.success == len(world.copied()) == 2
    assert ended.counters.pending == 0


def slow_handlers(world: FilesWorld, slow: SlowCopies, seconds: float) -> dict[str, Callable[..., None]]:
    ports = replace(world.ports, folders=lambda _: slow)
    return handlers_on(ports, LIMITS, copy_seconds=seconds)


def test_a_copy_of_several_calls_is_continued_by_other_deliveries_with_its_token(
    open_world: Callable[..., FilesWorld], expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_world()
    operation = world.export_files()
    inner = world.ports.folders(operation.request.folder)  # type: ignore[union-attr]  # it is one of files
    assert inner
    slow = SlowCopies(inner, calls=4)
    handlers = slow_handlers(world, slow, seconds=250.0)
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr(copying, "monotonic", partial(next, clock))
    deliveries = 0
    while world.mailbox.waiting:
        deliveries += 1
        assert deliveries < 1_000
        world.mailbox.deliver(handlers, 0)
    assert_exact(world, operation, expected)
    # Nothing begins anew: each copy was asked for with no token once.
    assert all(tokens.count("") == 1 for (stored, _), tokens in slow.tokens.items() if "1.2.2.0" not in stored)


def test_a_delivery_without_progress_is_an_attempt(open_world: Callable[..., FilesWorld]) -> None:
    world = open_world()
    operation = world.export_files()
    inner = world.ports.folders(operation.request.folder)  # type: ignore[union-attr]  # it is one of files
    assert inner
    message = delivered_to_workers(world)
    with pytest.raises(Unavailable, match="No file was copied"):
        slow_handlers(world, SlowCopies(inner, calls=1), seconds=-1.0)[ExportStudy.topic](message)


@pytest.mark.filterwarnings("ignore:.*for VR UI")
@pytest.mark.parametrize("uid", ["..", ".", "../../escaped", "/etc", "a\0b", "1.2/../..", "...", "John Doe", "1" * 129])
@pytest.mark.parametrize("which", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_malformed_uid_is_a_failure_that_shows_no_text_and_writes_no_file(
    tmp_path: Path, which: str, uid: str
) -> None:
    (tmp_path / "store").mkdir()
    uids: dict[str, Any] = {which: uid}
    (tmp_path / "store/a").write_bytes(make_instance(**uids))
    world = FilesWorld(tmp_path, tmp_path / "store")
    before = sorted(tmp_path.rglob("*.dcm"))
    operation = world.export_files()
    world.drain()
    (failure,) = world.service.failures(operation.name)
    assert failure.stage in (FailureStage.COPY, FailureStage.READ)
    assert failure.code is Code.INVALID_ARGUMENT
    assert "John" not in failure.message
    assert world.copied() == {}
    assert sorted(tmp_path.rglob("*.dcm")) == before
    world.close()


@pytest.mark.filterwarnings("ignore:.*for VR UI")
def test_a_reason_names_the_uid_and_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/a").write_bytes(make_instance(SeriesInstanceUID="../x"))
    world = FilesWorld(tmp_path, tmp_path / "store")
    operation = world.export_files()
    world.drain()
    (failure,) = world.service.failures(operation.name)
    assert failure.message.startswith(
        f"The Series Instance UID {MALFORMED} cannot be a part of the name of a copy; expected digits"
    )
    world.close()


def test_an_instance_without_uids_is_a_failure_or_passed_over_by_a_filter(tmp_path: Path) -> None:
    for name in ("store", "filters"):
        (tmp_path / name).mkdir()
    (tmp_path / "store/a").write_bytes(make_instance(StudyInstanceUID=None))
    (tmp_path / "filters/f").write_text("/studies/1.2\n")
    world = FilesWorld(tmp_path, tmp_path / "store")
    whole, filtered = world.export_files(), world.export_files(GcsUri("filters", "f"))
    world.drain()
    (failure,) = world.service.failures(whole.name)
    assert "Study" in failure.message
    counters = world.ended(filtered).counters
    assert counters
    assert (counters.failure, counters.skipped) == (0, 1)
    world.close()


def test_three_contents_of_one_instance_and_time_have_three_names(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "store", f"{number}", make_instance(PatientID=str(number)), FIRST_MTIME)
    world = FilesWorld(tmp_path, tmp_path / "store")
    world.export_files()
    world.drain()
    assert len(world.copied()) == 3
    world.close()


def test_a_file_where_a_folder_has_to_be_is_a_failure(tmp_path: Path) -> None:
    put(tmp_path / "store", "a", make_instance(StudyInstanceUID="1.2"), FIRST_MTIME)
    world = FilesWorld(tmp_path, tmp_path / "store")
    (world.copies / "1.2").write_text("mine")
    operation = world.export_files()
    world.drain()
    (failure,) = world.service.failures(operation.name)
    assert failure.code is Code.ALREADY_EXISTS
    assert world.copied() == {"1.2": b"mine"}
    world.close()


def test_a_member_of_an_archive_is_a_failure_that_says_why(tmp_path: Path) -> None:
    put(tmp_path / "store", "1.dcm", make_instance(StudyInstanceUID="1.2"), FIRST_MTIME)
    with ZipFile(tmp_path / "store" / "a.zip", "w") as archive:
        archive.writestr("2.dcm", make_instance(StudyInstanceUID="1.3"))
    world = FilesWorld(tmp_path, ArchiveStore(FolderStore(tmp_path / "store")))
    operation = world.export_files()
    world.drain()
    (failure,) = world.service.failures(operation.name)
    assert (failure.object, failure.stage) == ("a.zip#2.dcm", FailureStage.COPY)
    assert "unpack the archive first" in failure.message
    assert [name.partition("/")[0] for name in world.copied()] == ["1.2"]
    world.close()


@pytest.mark.parametrize("where", ["copies", "copies/sub", "copies/1.2.3"])
def test_a_folder_that_is_a_part_of_the_store_or_holds_it_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / where).mkdir(parents=True)
    store = {"copies": "copies", "copies/sub": "copies", "copies/1.2.3": "copies/1.2.3"}[where]
    prefix = {"copies/sub": "sub/"}.get(where, "")
    world = FilesWorld(tmp_path, tmp_path / store)
    with pytest.raises(InvalidArgument, match="choose a folder outside of it"):
        world.export_files(prefix=prefix)
    world.close()


def test_a_store_below_the_folder_under_another_name_than_a_uid_is_copied(tmp_path: Path) -> None:
    put(tmp_path / "copies/incoming", "a", make_instance(), FIRST_MTIME)
    world = FilesWorld(tmp_path, tmp_path / "copies/incoming")
    operation = world.export_files()
    world.drain()
    assert world.ended(operation).error is None
    assert len(world.copied()) == 2
    world.close()


def test_an_unknown_bucket_is_not_found(open_world: Callable[..., FilesWorld]) -> None:
    world = open_world()
    world.copies = world.copies.with_name("elsewhere")
    with pytest.raises(NotFound, match="elsewhere"):
        world.export_files()
