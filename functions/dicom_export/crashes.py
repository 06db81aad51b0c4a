"""Show unhandled exceptions without the messages of other libraries' exceptions.

Such a message quotes the value that caused the error, which may be patient data.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from dicom_export.errors import DicomExportError

if TYPE_CHECKING:
    from types import TracebackType


def stack_trace(error: BaseException) -> str:
    """Return the traceback of the exception and its causes, the newest last.

    Only a DicomExportError is shown with its message.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{stack_trace(cause)}\n\n" if cause else ""
    message = f": {error.message}" if isinstance(error, DicomExportError) else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}Traceback (most recent call last):\n{frames}{type(error).__qualname__}{message}"


def keep_values_back() -> None:
    """Make this process show unhandled exceptions, in all its threads, as `stack_trace` does.

    This includes log entries for which no handler is set up.
    """
    sys.excepthook = _show_uncaught
    threading.excepthook = _show_uncaught_in_thread
    sys.unraisablehook = _show_unraisable
    if logging.lastResort:
        logging.lastResort.setFormatter(_Formatter())


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return f"{record.getMessage()}\n{stack_trace(error)}" if error else record.getMessage()


def _show_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _show(error)


def _show_uncaught_in_thread(uncaught: threading.ExceptHookArgs) -> None:
    if uncaught.exc_value and not isinstance(uncaught.exc_value, SystemExit):
        _show(uncaught.exc_value)


def _show_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    if unraisable.exc_value:
        _show(unraisable.exc_value)


def _show(error: BaseException) -> None:
    if sys.stderr:
        sys.stderr.write(f"{stack_trace(error)}\n")
