"""Who hears Ctrl-C: the main thread, and nobody else."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def threads_without_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from threads that are started within, and so from the processes that those start.

    On a terminal it goes to all of them, and would end a process that is still starting with a traceback.
    """
    # Whoever needs multiprocessing's tracker first starts it, and lets signals through again in its thread.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
