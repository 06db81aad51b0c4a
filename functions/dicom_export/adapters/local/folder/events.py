"""Receive the operating system's events of a folder, as names of its files."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from dicom_export.adapters.local.folder.walk import name_of_entry
from dicom_export.operations.planning import is_ignored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.watching.touched import Touched

log = logging.getLogger(__name__)

_FOLDERS = [DirCreatedEvent, DirMovedEvent, DirDeletedEvent]
_FILES = [FileCreatedEvent, FileModifiedEvent, FileMovedEvent, FileClosedEvent, FileDeletedEvent]


@contextmanager
def folder_events(root: Path, touched: Touched, ignore: Sequence[str], rest_seconds: float) -> Iterator[None]:
    """Add each file that changes below the folder to `touched`, due when it is at rest. A changed folder requests a scan.

    Where the system cannot send events, log a warning: then only scans find changes.
    """
    observer = Observer()
    path = str(root.absolute())
    observer.schedule(
        _Names(path, touched, ignore, rest_seconds), path, recursive=True, event_filter=[*_FOLDERS, *_FILES]
    )
    try:
        observer.start()
    except (OSError, RecursionError) as error:  # the observer is recursive, and folders can be deeper than it can go
        why = getattr(error, "strerror", None) or "it is nested too deeply"
        log.warning("No events of %r: %s. It is scanned from time to time", path, why)
        yield
        return
    try:
        yield
    finally:
        observer.stop()
        observer.join()


class _Names(FileSystemEventHandler):
    def __init__(self, root: str, touched: Touched, ignore: Sequence[str], rest_seconds: float) -> None:
        self._root = root
        self._touched = touched
        self._ignore = ignore
        self._rest = rest_seconds

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            name = self._name(os.fsdecode(path)) if path else None
            if name is None or is_ignored(name, self._ignore) or is_ignored(f"{name}/", self._ignore):
                continue
            if event.is_directory:
                self._touched.ask_for_scan()
            else:
                self._touched.touch(name, time.monotonic() + self._rest)

    def _name(self, path: str) -> str | None:
        """Return the name of the path in the folder's listing, or None for the folder itself and for paths outside."""
        try:
            parts = Path(path).relative_to(self._root).parts
        except ValueError:
            return None
        return "/".join(map(name_of_entry, parts)) or None
