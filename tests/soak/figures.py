"""A soak test as `make soak` runs it: a process of its own, which prints its figures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = [_ROOT / "functions", _ROOT / "tests", _ROOT / "bench"]


def figures(module: str, *options: object) -> str:
    """Return what a module prints. It ends with an error if anything was wrong."""
    command = [sys.executable, "-m", f"soak.{module}", *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _FOLDERS))}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
