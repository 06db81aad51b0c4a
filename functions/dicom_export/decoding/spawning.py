"""Start processes that import only this package, and not the program that uses it."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_starting = threading.Lock()


class _Process(SpawnProcess):
    """A process that does not run the program's main module again.

    Python has each new process import it, so that it knows the classes that are sent. A script that exports without
    `if __name__ == "__main__"` would begin its export again in each process; ours only need what this package has.
    """

    def start(self) -> None:
        with _another_main_module():
            super().start()


class DecodingContext(SpawnContext):
    """Starts processes afresh: forked ones would inherit the locks that this process' threads hold."""

    Process = _Process


@contextmanager
def _another_main_module() -> Iterator[None]:
    """Have multiprocessing find a main module that is of no file, as in an interactive session."""
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
