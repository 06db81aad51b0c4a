"""The deployed functions, each under functions-framework in a process of its own that can be killed and started again."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.emulators.process import free_port, is_listening, running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from types import TracebackType

_MAIN = Path(__file__).parents[3] / "functions" / "main.py"
_POLL_SECONDS = 0.02


class Function:
    """An entry point as Google Cloud runs it: gunicorn, one worker, several threads. A context that starts and stops it.

    `target` is its entry point. It gets this process' environment and `environment`: `THREADS` is how many requests it takes at once. Every start writes a
    log of its own beside `log`.
    """

    def __init__(
        self,
        target: str,
        log: Path,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
        source: Path = _MAIN,
    ) -> None:
        self.port = port or free_port()
        self.target = target
        framework = Path(sys.executable).with_name("functions-framework")
        self._command = [
            str(framework),
            f"--target={target}",
            f"--source={source}",
            "--host=127.0.0.1",
            f"--port={self.port}",
        ]
        self._environment = {"PYTHONUNBUFFERED": "1", **(environment or {})}
        self._log = log
        self._logs: list[Path] = []
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it takes requests."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """The id of the group of its processes while it runs."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Return when it takes requests. Raises RuntimeError with its output if it does not come to that."""
        log = self._log.with_name(f"{self._log.name}.{len(self._logs)}")
        self._logs.append(log)
        self._process = self._stack.enter_context(
            running(self._command, log, lambda: is_listening(self.port), self._environment)
        )

    def kill(self) -> None:
        """End it, with all that it is doing, as a machine that fails does."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._close()

    def stop(self) -> None:
        """End it, and let it end what it is doing. Without effect if it does not run."""
        self._close()

    def output(self) -> str:
        """Return what it wrote since the first start, log entries and all."""
        return "".join(log.read_text(errors="replace") for log in self._logs)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _close(self) -> None:
        self._process = None
        self._stack.close()
        # A worker that dies after its parent still listens for a moment, and would pass for the next one.
        while is_listening(self.port):
            time.sleep(_POLL_SECONDS)
