"""A pseudo-terminal of a certain size, and a command that runs in it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROWS = 24


def on_terminal(
    columns: int, *arguments: object, before: str = "", environment: Mapping[str, str | None] | None = None
) -> tuple[int, str]:
    """Run a command in a terminal of so many columns; return its exit code and everything that the terminal was sent.

    `before` is what Python does before the command. A variable that is None is removed from the environment.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    command = [sys.executable, "-c", f"{before}\nfrom dicom_export.cli import main; main()", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env=changed({"COLUMNS": None, "LINES": None, "TERM": "xterm-256color", **(environment or {})}),
    )
    os.close(follower)
    output = bytearray()
    while True:
        try:
            output += os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
    os.close(leader)
    return process.wait(), output.decode()


def changed(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the environment of this process with these changes; None removes a variable."""
    return {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
