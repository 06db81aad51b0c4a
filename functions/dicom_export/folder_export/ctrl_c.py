"""Deliver Ctrl-C to the main thread only."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def threads_without_ctrl_c() -> Iterator[None]:
    """Block Ctrl-C in threads that start within the context, and so in the processes they start.

    A terminal sends Ctrl-C to all processes, and a process that is still starting would end with a
    traceback.
    """
    # The first user of multiprocessing's tracker starts it, which unblocks signals in that thread: start it before.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
