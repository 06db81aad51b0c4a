"""What docs/how-to/export.md says of the progress line: in terminals of two widths, in a pipe, and as cron runs a command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.command_line import make_folder
from support.terminal import changed, on_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "export.md").read_text()
INSTANCES = 60
FOUND = INSTANCES + 1  # and a file that cannot be read
BATCHES = 7
# Small messages, and one batch after another waits until the progress was drawn, or printed, with it.
GATED = """
import threading
from dicom_export.cli import progress
from dicom_export.decoding.counted import DecodedCounts
from dicom_export.folder_export import request
from dicom_export.operations.planning import PlanLimits

request.local_limits = lambda: PlanLimits(bundle=10, split=10)
drawn, turn, one = 0, threading.Condition(), threading.Lock()


def note(done):
    global drawn
    with turn:
        drawn = max(drawn, done)
        turn.notify_all()


def drawing(state, width, line=progress.progress_line):
    note(state.done)
    return line(state, width)


def showing(self, operation, show=progress.ExportProgress.show):
    show(self, operation)
    if self._live is None:
        note(self._state.done)


def adding(self, found, add=DecodedCounts.add):
    with one:
        add(self, found)
        counted = self.instances + self.failures
        with turn:
            assert turn.wait_for(lambda: drawn >= counted, 60)


progress.progress_line, progress.ExportProgress.show, DecodedCounts.add = drawing, showing, adding
"""
# Each look at the clock is 30 s later than the one before.
FAST_CLOCK = f"""{GATED}
from itertools import count
progress.ExportProgress.__init__.__kwdefaults__["clock"] = count(0, 30).__next__
"""
FRAME = re.compile(r"(?:(\w+)  )?(?:[━─]+  )?([\d,]+)(?:/([\d,]+))?  (\d+) failed  (\d:\d\d:\d\d)(?:  .*)?")
LOGGED = re.compile(r"Exporting: (\d+) of (\d+) instances, (\d+) failed, (\d:\d\d:\d\d) elapsed, .*")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_folder(tmp_path_factory.mktemp("scans") / "scans", INSTANCES)
    (folder / "000000-cut.dcm").write_bytes((folder / "000000.dcm").read_bytes()[:-10])
    return folder


def frames(sent: str) -> list[str]:
    """Return the lines that the terminal showed, one after another in the same place."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", sent)
    return [line for line in map(str.strip, re.split(r"[\r\n]+", text)) if line]


def test_the_page_says_what_is_tested_here() -> None:
    words = " ".join(PAGE.split())
    assert (
        "A terminal shows one line of progress: instances, failures, the time taken, the speed and the time left."
        in words
    )
    assert "It moves with each batch of rows." in words
    assert "(`TERM=dumb`), the export prints one line per minute" in words


@pytest.mark.parametrize(("columns", "is_wide"), [(80, True), (40, False)])
def test_a_terminal_shows_one_line_that_moves_with_each_batch(
    folder: Path, tmp_path: Path, columns: int, *, is_wide: bool
) -> None:
    code, sent = on_terminal(columns, "export", folder, "--to", tmp_path / "out.duckdb", before=GATED)
    assert code == 1, sent
    shown = [line for line in frames(sent) if FRAME.fullmatch(line)]
    assert all(len(line) < columns for line in shown)
    found = [match.groups() for match in map(FRAME.fullmatch, shown) if match]
    counts = [int(done) for _, done, *_ in found]
    assert counts == sorted(counts)
    assert len(set(counts)) >= BATCHES
    assert counts[-1] == FOUND
    assert {total for _, _, total, *_ in found[len(found) // 2 :]} == {str(FOUND)}
    assert found[-1][3] == "1"
    assert [taken for *_, taken in found] == sorted(taken for *_, taken in found)
    assert any("/s" in line and "Exporting" in line and "━" in line for line in shown) == is_wide
    # The line is gone at the end, and the summary stands alone.
    _, _, rest = sent.rpartition("\x1b[2K")
    assert "failed  0:" not in rest
    assert f"{INSTANCES} of {FOUND} instances" in " ".join(frames(rest))


def check_log(lines: Sequence[str]) -> None:
    """Check lines that are printed once per minute, while each look at the clock is 30 s later."""
    found = [match.groups() for match in map(LOGGED.fullmatch, lines) if match]
    assert len(found) == len(lines) >= BATCHES // 2
    assert [taken for *_, taken in found] == [f"0:{minute:02d}:00" for minute in range(1, len(found) + 1)]
    counts = [int(done) for done, *_ in found]
    assert counts == sorted(counts)
    assert {total for _, total, *_ in found} == {str(FOUND)}
    assert found[-1][2] == "1"


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"TERM": "xterm-256color"}, id="pipe"),
        pytest.param({"TERM": None, "DISPLAY": None, "SHELL": "/bin/sh", "LANG": None, "LC_ALL": None}, id="cron"),
        pytest.param({"TERM": None, "FORCE_COLOR": "1"}, id="forced color"),
    ],
)
def test_what_is_not_a_terminal_gets_one_line_per_minute(
    folder: Path, tmp_path: Path, environment: dict[str, str | None]
) -> None:
    command = [sys.executable, "-c", f"{FAST_CLOCK}\nfrom dicom_export.cli import main; main()", "export", str(folder)]
    done = subprocess.run(
        [*command, "--to", tmp_path / "out.duckdb"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=changed(environment),
        check=False,
    )
    assert done.returncode == 1, done.stderr
    check_log(done.stderr.splitlines())
    assert done.stdout.startswith(f"{INSTANCES} of {FOUND} instances (1 study) exported")
    assert "\x1b" not in done.stdout + done.stderr


def test_a_terminal_that_cannot_move_its_cursor_gets_one_line_per_minute(folder: Path, tmp_path: Path) -> None:
    _, sent = on_terminal(
        40,
        *("export", folder, "--to", tmp_path / "out.duckdb"),
        before=FAST_CLOCK,
        environment={"TERM": "dumb"},
    )
    lines = sent.split("\r\n")
    summary = next(number for number, line in enumerate(lines) if line.startswith(f"{INSTANCES} of"))
    check_log(lines[:summary])
    assert "\x1b" not in sent


def test_quiet_prints_no_progress(folder: Path, tmp_path: Path) -> None:
    _, sent = on_terminal(80, "export", folder, "--to", tmp_path / "out.duckdb", "--quiet")
    assert not [line for line in frames(sent) if FRAME.fullmatch(line)]
