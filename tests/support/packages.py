"""Packages built from the checkout and installed into environments of their own, away from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
VERSIONS = ("3.11", "3.12", "3.13")
"""The versions of Python that the package says it supports."""

# Would point an installed program to the checkout, or to another environment.
_OURS = ("PYTHONPATH", "VIRTUAL_ENV", "UV_PYTHON")


class CommandFailed(Exception):
    """A program ended with another exit code than 0: the message has its output."""


def environment(**settings: str) -> dict[str, str]:
    """Return this process' environment without what leads to the checkout."""
    return {name: value for name, value in os.environ.items() if name not in _OURS} | settings


def uv(*arguments: object, folder: Path | None = None, **settings: str) -> str:
    """Run uv and return its standard output. Raises CommandFailed with its standard error."""
    command = [str(UV), *map(str, arguments)]
    return _output(command, folder, environment(UV_PYTHON_DOWNLOADS="never", **settings))


@cache
def unreachable_registry() -> str | None:
    """Return why packages cannot be installed here, or None if they can."""
    try:
        subprocess.run(
            [str(UV), "pip", "compile", "--quiet", "--no-header", "-"],
            input="pytz",
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
        return f"PyPI is not reachable: {lines[-1] if lines else type(error).__name__}"
    return None


@cache
def interpreter(version: str) -> Path | None:
    """Return the Python of this version, such as 3.12, that the machine has."""
    return next((path for path in _candidates(version) if _version(path) == version), None)


def _candidates(version: str) -> Iterator[Path]:
    yield Path(sys.executable).resolve()
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    found = shutil.which(f"python{version}")
    if found:
        yield Path(found)


def _version(python: Path) -> str | None:
    """Return the version of a Python that runs: pyenv has commands for versions that are not selected."""
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
    try:
        return _output(command, None, environment()).strip()
    except (CommandFailed, OSError, subprocess.SubprocessError):
        return None


def built(folder: Path) -> Mapping[str, Path]:
    """Build the wheel and the sdist, and return them by these names."""
    uv("build", "--quiet", "--out-dir", folder, ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


class Installed:
    """An environment of its own, and a folder far from the checkout that its programs run in."""

    def __init__(self, root: Path, python: Path) -> None:
        self.folder = root / "work"
        self.folder.mkdir(parents=True)
        self._environment = root / "environment"
        uv("venv", "--quiet", "--no-project", "--python", python, self._environment, folder=self.folder)

    def install(self, *arguments: object) -> None:
        """Install what the arguments of `uv pip install` say."""
        uv("pip", "install", "--quiet", "--python", self.program("python"), *arguments, folder=self.folder)

    def check(self) -> None:
        """Raise CommandFailed if a package lacks one that it requires."""
        uv("pip", "check", "--quiet", "--python", self.program("python"), folder=self.folder)

    def program(self, name: str) -> Path:
        """Return the path of a program."""
        return self._environment / "bin" / name

    def run(self, name: str, *arguments: object, **settings: str) -> str:
        """Run a program in the folder and return its standard output. Raises CommandFailed with its standard error."""
        return _output([str(self.program(name)), *map(str, arguments)], self.folder, environment(**settings))


def _output(command: list[str], folder: Path | None, variables: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout
