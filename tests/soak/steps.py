"""A process that kills itself at one of its steps: before or after each call of an adapter, and at each change of a file below a folder."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.local.duckdb import bookkeeping
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.adapters.local.duckdb.watched import WatchedTable
from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.adapters.local.queue import LocalQueue
from dicom_export.exporting.service import OperationsService

if TYPE_CHECKING:
    from collections.abc import Callable

_CALLS: dict[Any, tuple[str, ...]] = {
    FolderState: ("create", "replace"),
    DuckDbTables: (
        "create_dataset", "prepare", "prepare_staging", "stream", "open_stream", "append", "finalize", "commit", "discard",
        "replace", "drop", "compare", "keep_streams", "insert", "close",
    ),
    WatchedTable: ("write", "remember_mounts", "_latest", "_append", "_remember"),
    bookkeeping: ("record_commit", "record_replacement", "record_schema", "record_staging", "forget_files", "forget_table"),
    LocalQueue: ("publish", "stop"),
    OperationsService: ("set_reported",),
}  # fmt: skip
_TO_ANOTHER_NAME = {"os.link", "os.rename"}
_CHANGES = {"os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
_DIFFERS = re.compile(r"(?<=^tmp).*|(?<=^new-).*|[0-9a-f]{8,}|[0-9]+(?=[.-]|$)")
_FOLDERS = {"os.mkdir", "os.rmdir"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass
class Steps:
    """Counts the steps below a folder, and kills the process at one of them."""

    folder: Path
    dies_at: int | None = None
    log: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def install(self) -> None:
        """Count from now on, as long as the process lives."""
        for owner, names in _CALLS.items():
            for name in names:
                setattr(owner, name, self._counted(name, getattr(owner, name)))
        sys.addaudithook(self._audit)

    def reach(self, step: str) -> None:
        """Count a step, and die if it is the one."""
        with self._lock:
            self.log.append(step)
            if len(self.log) - 1 == self.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.reach(f"before {name}")
            result = method(*args, **kwargs)
            self.reach(f"after {name}")
            return result

        return counted

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_change = event in _CHANGES or (event == "open" and bool((arguments[2] or 0) & _WRITING))
        if is_change and isinstance(arguments[0], str | bytes | os.PathLike):
            target = arguments[1] if event in _TO_ANOTHER_NAME else arguments[0]
            path = Path(os.fsdecode(target))
            if path.is_relative_to(self.folder):
                self.reach(event if event in _FOLDERS else f"{event} {_kind_of(path.relative_to(self.folder))}")


def _kind_of(path: Path) -> str:
    """Return the names of a file and of its folder, without what is different at each run."""
    return "/".join(_DIFFERS.sub("#", name) for name in path.parts[-2:])
