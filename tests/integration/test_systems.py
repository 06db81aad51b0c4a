"""On a system that is not supported a sentence says so."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from dicom_export.cli import main
from support.command_line import subcommands

if TYPE_CHECKING:
    from pathlib import Path

# As on Windows, whose Python lacks the module.
WITHOUT_LOCKS = "import sys; sys.modules['fcntl'] = None; "


@pytest.mark.parametrize("name", sorted(subcommands(main)))
def test_a_command_says_that_it_needs_another_system(name: str, tmp_path: Path) -> None:
    program = f"{WITHOUT_LOCKS}from dicom_export.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: dicom-export needs the file locks of Linux or macOS")
    assert "Windows Subsystem for Linux" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_version_is_told_on_any_system() -> None:
    program = f"{WITHOUT_LOCKS}from dicom_export.cli import main; main(['--version'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "version 0." in done.stdout
