"""End a command that is interrupted: at the first Ctrl-C in order, at the second at once, both without a traceback."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALLED = 128
INTERRUPTED = _SIGNALLED + signal.SIGINT
"""The exit code after a Ctrl-C that ends a command at once, as shells have it."""


def stop_at_once(text: str = "", *, code: int = INTERRUPTED) -> NoReturn:
    """End this process and those that decode for it, as a kill does, which loses nothing."""
    for child in multiprocessing.active_children():
        child.kill()  # one that is still starting would otherwise miss its parent, with a traceback
    os.write(2, f"\n{text}\n".encode() if text else b"\n")
    os._exit(code)


def stop_by(number: int, _frame: FrameType | None) -> NoReturn:
    """End this process at once, because of a signal."""
    stop_at_once(code=_SIGNALLED + number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have the first Ctrl-C raise KeyboardInterrupt, and the next one end the process at once, also while it cleans up."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not is_ours:
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, stop_by)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise  # the process ends: another Ctrl-C until then ends it at once
    except BaseException:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise
    else:
        signal.signal(signal.SIGINT, signal.default_int_handler)
