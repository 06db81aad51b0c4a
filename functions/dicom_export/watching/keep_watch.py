"""Decide when to look at a watched folder: at a file soon after an event of it, at all files when there are no more events."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from dicom_export.errors import InUse, NotFound, PermissionDenied, TransientError
from dicom_export.watching.watcher import Looked

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from dicom_export.watching.touched import Touched
    from dicom_export.watching.watcher import FolderWatch

log = logging.getLogger(__name__)

_SPELL_SECONDS = 0.5
_BETWEEN_SCANS_SECONDS = 60.0
# A scan of a large folder takes a while; of the time, it may have a twentieth.
_SHARE_OF_SCANS = 20
_PASSING = (TransientError, InUse, NotFound, PermissionDenied)


class Watcher:
    """Keeps a table in sync with a folder, in periods of work. Between them other processes can open the table's file.

    `opened` opens the file and yields its FolderWatch. `report` is called with the result of each period.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[FolderWatch]],
        touched: Touched,
        report: Callable[[Looked], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opened = opened
        self._touched = touched
        self._report = report
        self._clock = clock
        self._no_scan_before = self._scan_at_last = clock()

    def catch_up(self, stop: threading.Event) -> None:
        """Bring the table up to date once, or until `stop`. Raises the error that prevents it."""
        with self._opened() as watch:
            self._report_all(self._scan_and_due(watch), stop)

    def run(self, stop: threading.Event) -> None:
        """Keep the table up to date until `stop`. Temporary errors are logged, and the work is retried."""
        waits_for = ""
        while not stop.is_set():
            try:
                self._spell(stop)
                waits_for = ""
            except _PASSING as error:
                if error.message != waits_for:
                    log.warning("Will be retried: %s", error.message)
                waits_for = error.message
                self._scan_at_last = self._clock()  # the files that were due are no longer known
            stop.wait(_SPELL_SECONDS)

    def _spell(self, stop: threading.Event) -> None:
        due = self._touched.take_due(self._clock())
        scans = self._takes_scan()
        if not due and not scans:
            return
        with self._opened() as watch:
            if due:
                self._report_all(watch.look_at(due), stop)
                self._touched.ask_for_scan()  # when it is quiet: some changes may have had no event
            if scans:
                self._scan(watch, stop)

    def _takes_scan(self) -> bool:
        now = self._clock()
        if now >= self._scan_at_last:
            self._touched.take_scan()
            return True
        return now >= self._no_scan_before and self._touched.is_quiet and self._touched.take_scan()

    def _scan(self, watch: FolderWatch, stop: threading.Event) -> None:
        begun = self._clock()
        self._report_all(watch.scan(), stop)
        ended = self._clock()
        pause = _SHARE_OF_SCANS * (ended - begun)
        self._no_scan_before = ended + max(pause, 2 * _SPELL_SECONDS)
        self._scan_at_last = ended + max(pause, _BETWEEN_SCANS_SECONDS)

    def _scan_and_due(self, watch: FolderWatch) -> Iterator[Looked]:
        """Scan, then look at the files that the scan found to need another look."""
        yield from watch.scan()
        yield from watch.look_at(self._touched.take_due(self._clock()))

    def _report_all(self, looks: Iterator[Looked], stop: threading.Event) -> None:
        total = Looked()
        try:
            for looked in looks:
                total += looked
                if stop.is_set():
                    break
        finally:
            if total:
                self._report(total)
