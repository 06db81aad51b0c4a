"""SIGKILL at the steps of `export`, `watch` and `verify --repair`, and at random moments; then the advised rerun, and a look at every row.

python -m soak.kills [--every N | --kinds] [--random N]
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from dicom_export.bootstrap.local import local_operations
from dicom_export.folder_export.places import state_of
from soak.forks import command, forked, scratch
from soak.steps import Steps
from support.command_line import SMALL_MESSAGES, make_folder, rows, start
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

INSTANCES = 12
MANY = 1_200
ROWS_WITH_A_PAST = 17
"""13 of the first look, two new, one changed, one deleted."""
_COUNTED = "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom"
_LATEST = (
    "SELECT SOPInstanceUID FROM dicom QUALIFY ROW_NUMBER() OVER (PARTITION BY SOPInstanceUID ORDER BY LastUpdated DESC) = 1"
    " AND Type = 'CREATE' ORDER BY 1"
)


@dataclass
class Case:
    """A command, what precedes it, and what has to hold after its rerun: `check` returns what is wrong, or nothing."""

    name: str
    arguments: Callable[[Path, Path], tuple[object, ...]]
    check: Callable[[Path, Path], str]
    before: Callable[[Path, Path], None] = lambda *_: None


@dataclass
class Figures:
    """What came of the kills of a case."""

    steps: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        return f"{name:24} {self.steps:6,} steps {self.kills:6,} kills {len(self.wrong):4,} wrong"


def kill_at_steps(case: Case, choose: Callable[[Sequence[str]], Iterable[int]]) -> Figures:
    """Kill the command at each of the steps that are chosen, each time with the same folder and table."""
    figures, place = Figures(), _Place(case, scratch() / case.name.replace(" ", "-"))
    place.restore()
    log = forked(lambda: place.run(None)).value
    figures.steps = len(log)
    for step in choose(log):
        place.restore()
        figures.kills += forked(partial(place.run, step)).was_killed
        wrong = forked(place.after_rerun).value
        if wrong:
            figures.wrong.append(f"{case.name}, killed at step {step}: {wrong}")
    place.remove()
    return figures


def every_step(every: int, log: Sequence[str]) -> Iterable[int]:
    """Choose every so manieth step."""
    return range(0, len(log), every)


def new_kinds(seen: set[str], log: Sequence[str]) -> Iterator[int]:
    """Choose the last step of each kind that no case had before. To die before a call is to die after the step that precedes it."""
    last = {kind: number for number, kind in enumerate(log) if kind not in seen and not kind.startswith("before ")}
    seen.update(last)
    return iter(last.values())


@dataclass
class _Place:
    """Where a case takes place again and again: a folder and a table, as they were before the command."""

    case: Case
    root: Path

    def __post_init__(self) -> None:
        make_folder(self.folder, INSTANCES)
        forked(lambda: self.case.before(self.folder, self.file))
        shutil.copytree(self.root, self._template)

    @property
    def folder(self) -> Path:
        return self.root / "store"

    @property
    def file(self) -> Path:
        return self.root / "out.duckdb"

    @property
    def _template(self) -> Path:
        return self.root.with_name(f"{self.root.name}-template")

    def restore(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self._template, self.root)

    def remove(self) -> None:
        shutil.rmtree(self.root)
        shutil.rmtree(self._template)

    def run(self, step: int | None) -> list[str]:
        """Run the command, which dies at the step, and return all steps if it does not."""
        steps = Steps(self.root, step)
        steps.install()
        command(*self.case.arguments(self.folder, self.file))
        return steps.log

    def after_rerun(self) -> str:
        """Run the same command again, unless the killed process had reported its operation, and return what is wrong then."""
        is_over = self.case.name.startswith("export") and _is_reported(self.file)
        failed = "" if is_over else _failed(command(*self.case.arguments(self.folder, self.file)))
        return failed or self.case.check(self.folder, self.file)


def kill_at_random(kills: int, seed: int = 0) -> Figures:
    """Kill exports of 1,200 instances that decode in processes of their own, thrice each at a random moment."""
    figures, chance = Figures(), random.Random(seed)
    root = scratch() / "random"
    folder = make_folder(root / "store", MANY)
    for number in count():
        if figures.kills >= kills:
            return figures
        option = chance.choice(("write-empty", "write-append", "write-truncate"))
        file = root / f"{number}.duckdb"
        arguments = ("export", folder, "--to", file, "--write-disposition", option)
        for _ in range(3):
            process = start(*arguments, before=SMALL_MESSAGES)
            try:
                process.wait(chance.uniform(0.5, 4))
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
            figures.kills += process.returncode == -signal.SIGKILL
            figures.steps += 1
            if _is_reported(file):
                break  # the same command would begin another export
        wrong = forked(partial(_after_random_kills, arguments, file)).value
        if wrong:
            figures.wrong.append(f"{option}, killed at random: {wrong}")
    return figures


def _after_random_kills(arguments: tuple[object, ...], file: Path) -> str:
    failed = "" if _is_reported(file) else _failed(command(*arguments))
    found = failed or rows(file, _COUNTED)
    return failed or _left_streams(file) if found == [(MANY, MANY)] else f"{found} rows"


def _failed(result: dict[str, Any]) -> str:
    return "" if result["exit_code"] == 0 else f"exit code {result['exit_code']}: {result['stderr'][-300:]}"


def _operations(file: Path) -> list[tuple[str, bool]]:
    service = local_operations(state_of(file))
    found = [each for parent in service.journal.operations.parents() for _, each in service.list_operations(parent)]
    return [(each.name.operation, each.is_done and not each.awaits_report and not each.error) for each in found]


def _is_reported(file: Path) -> bool:
    return state_of(file).is_dir() and any(is_reported for _, is_reported in _operations(file)[:1])


def _left_streams(file: Path) -> str:
    left = list((state_of(file) / "streams").glob("*/*.arrow"))
    return f"{len(left)} files with rows are left" if left else ""


def check_rows(_: Path, file: Path) -> str:
    """Return what is wrong with a table that has to hold each instance once."""
    found = rows(file, _COUNTED)
    return _left_streams(file) if found == [(INSTANCES, INSTANCES)] else f"{found} rows"


def check_latest(folder: Path, file: Path) -> str:
    """Return what is wrong with a table whose latest rows have to be what is in the folder, with no row twice."""
    expected = len(list(folder.glob("*.dcm")))
    found = rows(file, "SELECT count(*), count(DISTINCT (SOPInstanceUID, LastUpdated)) FROM dicom")
    latest = len(rows(file, _LATEST))
    return "" if latest == expected and found == [(ROWS_WITH_A_PAST,) * 2] else f"{latest} latest of {found}"


def _with_a_past(folder: Path, file: Path) -> None:
    """Have a table that was kept in sync, and three files new, one gone and one changed since."""
    for name in ("new1", "new2", "new3"):
        (folder / f"{name}.dcm").write_bytes(make_instance(SOPInstanceUID=f"1.9.{name[-1]}"))
    for path in (later := [folder / "000000.dcm", folder / "000001.dcm"]):
        path.rename(path.with_suffix(".later"))
    command("watch", folder, "--to", file, "--once", "--ignore", "*.later")
    for path in later:
        path.with_suffix(".later").rename(path)
    (folder / "new1.dcm").unlink()
    (folder / "new2.dcm").write_bytes(make_instance(SOPInstanceUID="1.9.2", PatientComments="another"))


def _lacking_rows(folder: Path, file: Path) -> None:
    command("export", folder, "--to", file, "--ignore", "*5.dcm", "--ignore", "*7.dcm")


CASES = [
    *(
        Case(
            f"export {option}",
            lambda folder, file, option=option: ("export", folder, "--to", file, "--write-disposition", option),  # type: ignore[misc]
            check_rows,
        )
        for option in ("write-empty", "write-append", "write-truncate")
    ),
    Case("watch --once", lambda folder, file: ("watch", folder, "--to", file, "--once"), check_latest, _with_a_past),
    Case(
        "verify --repair",
        lambda folder, file: ("verify", folder, "--from", file, "--repair"),
        check_rows,
        _lacking_rows,
    ),
]


def main() -> None:
    """Kill, and print the figures. Ends with an error if anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="kill at every so manieth step")
    parser.add_argument("--kinds", action="store_true", help="kill at one step of each kind")
    parser.add_argument("--random", type=int, default=30, help="kills at random moments")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    options = parser.parse_args()
    wrong: list[str] = []
    total, begun = 0, time.monotonic()
    choose = partial(new_kinds, set()) if options.kinds else partial(every_step, options.every)
    for case in CASES:
        if options.case in case.name:
            figures = kill_at_steps(case, choose)
            print(figures.line(case.name), flush=True)
            wrong += figures.wrong
            total += figures.kills
    if options.random and not options.case:
        figures = kill_at_random(options.random)
        print(figures.line("export, random moments"), flush=True)
        wrong += figures.wrong
        total += figures.kills
    print(f"{total:,} kills in {time.monotonic() - begun:,.0f} s, {len(wrong)} wrong")
    shutil.rmtree(scratch())
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
