"""The most memory that a process has had."""

from __future__ import annotations

from pathlib import Path


def peak_bytes(process: int | str = "self") -> int:
    """Return the peak of a process' resident memory. Raises OSError if the process has ended.

    Not `ru_maxrss`: a new process inherits that from the process that started it.
    """
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    kibibytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return int(kibibytes) * 1024
