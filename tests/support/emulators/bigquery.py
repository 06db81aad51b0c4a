"""The BigQuery emulator, REST and gRPC, in an environment of its own: its requirements are not the tests'."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.emulators.process import free_port, is_listening, running

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST_VARIABLE = "BIGQUERY_EMULATOR_HOST"
MARKER = ".venv-bigquery/.installed"
"""What the Makefile makes when the environment is complete."""

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class BigQuery:
    """Where the emulator listens: `url` is for HOST_VARIABLE, `write_endpoint` is the Storage Write API's host and port."""

    url: str
    write_endpoint: str


def python() -> Path | None:
    """Return the Python of the emulator's environment, if that is installed."""
    return _ROOT / ".venv-bigquery/bin/python" if (_ROOT / MARKER).exists() else None


@contextmanager
def emulator(interpreter: Path, log: Path) -> Iterator[BigQuery]:
    """Run an emulator that forgets everything when the block ends."""
    rest, write = free_port(), free_port()
    server = Path(__file__).with_name("bigquery_server.py")
    command = [interpreter, server, "start", "--ephemeral", "--rest-port", rest, "--grpc-port", write]
    environment = {
        "PYTHONPATH": str(_ROOT / "functions"),
        "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",  # would be looked for in the network
        "BQEMU_LOG_LEVEL": "warning",
    }
    with running(list(map(str, command)), log, lambda: is_listening(rest) and is_listening(write), environment):
        yield BigQuery(f"http://127.0.0.1:{rest}", f"127.0.0.1:{write}")
