"""Deliver Ctrl-C to the main thread only."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


_LEFT = "ignore:resource_tracker"
"""Hides the tracker's warning that it removed what a killed process has left: this is its purpose."""


def _start_tracker() -> None:
    """Start multiprocessing's tracker, if it does not run. It takes over this process' filters of warnings."""
    sys.warnoptions.append(_LEFT)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_LEFT)


@contextmanager
def threads_without_ctrl_c() -> Iterator[None]:
    """Block Ctrl-C in threads that start within the context, and so in the processes they start.

    A terminal sends Ctrl-C to all processes, and a process that is still starting would end with a
    traceback.
    """
    # The first user of multiprocessing's tracker starts it, which unblocks signals in that thread: start it before.
    _start_tracker()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
