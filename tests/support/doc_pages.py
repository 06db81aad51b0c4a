"""The code blocks of the documentation, and a folder in which somebody follows a page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
_TIMEOUT_SECONDS = 120


def code(page: str, language: str) -> list[str]:
    """Return the code blocks of a page in a language, in order."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@dataclass
class PageReader:
    """Somebody who follows a page in a folder of their own, with the command at `.venv/bin/dicom-export`, and `queries`.

    `replaced` are texts of the page in whose place something else is run, such as a port that is free.
    """

    folder: Path
    replaced: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = self.folder / ".venv" / "bin" / "dicom-export"
        command.parent.mkdir(parents=True)
        command.write_text(f"#!{sys.executable}\nfrom dicom_export.cli import main\n\nmain()\n")
        command.chmod(0o755)
        (self.folder / "queries").symlink_to(ROOT / "queries")

    def follow(self, block: str, *, is_python: bool = False) -> str:
        """Run a block, and return what it printed. Every command has to succeed."""
        command = [sys.executable, "-c"] if is_python else ["bash", "-euc"]
        done = subprocess.run(
            [*command, self._filled(block)],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def following(self, block: str) -> Iterator[Path]:
        """Run a block that does not end by itself, and return the file with what it prints; press Ctrl-C at the end."""
        printed = self.folder / "printed"
        with printed.open("w") as output:
            shell = subprocess.Popen(
                ["bash", "-euc", self._filled(block)],  # noqa: S607 - the page says `sh`, wherever it is
                cwd=self.folder,
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield printed
                assert shell.poll() is None, printed.read_text()
                os.killpg(shell.pid, signal.SIGINT)
                shell.wait(_TIMEOUT_SECONDS)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(shell.pid, signal.SIGKILL)

    def _filled(self, block: str) -> str:
        for text, instead in self.replaced.items():
            block = block.replace(text, instead)
        return block

    def _environment(self) -> dict[str, str]:
        paths = (str(ROOT / "functions"), os.environ.get("PYTHONPATH", ""))
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **self.environment}
