"""Commands in forked processes, which begin with everything imported: a process that is killed costs a third of a second.

Whoever forks must not have started a thread, and so opens no DuckDB file itself.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

from support.command_line import run

# Imported before the fork, not after each.
for _module in (
    "dicom_export.bootstrap.local",
    "dicom_export.cli.export",
    "dicom_export.cli.folder_runs",
    "dicom_export.cli.running",
    "dicom_export.cli.summary",
    "dicom_export.cli.verifying",
    "dicom_export.cli.watched",
    *(
        f"dicom_export.adapters.local.{name}"
        for name in ("duckdb.destinations", "duckdb.tables", "duckdb.watched", "folder.mounts", "queue")
    ),
    *(f"dicom_export.decoding.{name}" for name in ("batches", "processes")),
    *(f"dicom_export.handlers.{name}" for name in ("export_study", "plan_export", "record_result", "stream_instance")),
    "dicom_export.verifying.verify",
    "dicom_export.watching.watcher",
):
    import_module(_module)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a forked process ended: killed, or with what it returned."""

    was_killed: bool
    value: Any = None


def forked(work: Callable[[], Any]) -> Ended:
    """Return what the work returns in a process of its own, as JSON keeps it. Raises what it raises there."""
    with tempfile.TemporaryFile() as answer:
        child = os.fork()
        if child == 0:
            _answer(work, answer.fileno())
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL, status
            return Ended(was_killed=True)
        answer.seek(0)
        value, error = json.loads(answer.read() or b'[null, "no answer"]')
    assert error is None, error
    return Ended(was_killed=False, value=value)


def command(*arguments: object) -> dict[str, Any]:
    """Run a command of `dicom-export` in this process, and return its exit code and what it printed."""
    result = run(*arguments)
    return {"exit_code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}


def _answer(work: Callable[[], Any], descriptor: int) -> None:
    value, error = None, None
    try:
        value = work()
    except BaseException:  # noqa: BLE001 - told to the parent, whatever it is
        error = traceback.format_exc()
    os.write(descriptor, json.dumps([value, error]).encode())
    sys.stdout.flush()
    os._exit(0)


@cache
def scratch() -> Path:
    """Return a folder for stores and tables, in memory if there is such a file system."""
    memory = Path("/dev/shm")  # noqa: S108 - a file system and no file name
    return Path(tempfile.mkdtemp(prefix="dicom-export-soak-", dir=memory if memory.is_dir() else None))
