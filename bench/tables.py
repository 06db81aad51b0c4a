"""Markdown tables and the machine they are of: the one place that prints."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PACKAGES = ("pydicom", "pyarrow", "duckdb")


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table row by row, so that a long run shows how far it is; all but the first column are figures."""
    print_row(head)
    print_row(["---", *["---:"] * (len(head) - 1)])
    for row in rows:
        print_row(row)
    print(flush=True)


def print_row(cells: Sequence[object]) -> None:
    """Print one row."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def print_section(title: str, note: str) -> None:
    """Print a heading and what the figures below it are."""
    print(f"### {title}\n\n{note}\n", flush=True)


def machine() -> str:
    """Return what the figures depend on: processor, cores, memory, versions."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) / 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    packages = ", ".join(f"{each} {version(each)}" for each in _PACKAGES)
    processor = names[0] if names else platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}"


def _lines(path: str) -> list[str]:
    found = Path(path)
    return found.read_text().splitlines() if found.exists() else []
