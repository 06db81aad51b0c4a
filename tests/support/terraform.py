"""Run Terraform with the providers of the registry, or with stand-ins for them where the registry does not answer."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from support.infra_files import INFRA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = ROOT.parent / "shared" / "tools" / "tfcheck" / "tfcheck"
INSTALL = "https://developer.hashicorp.com/terraform/install"

# The providers are listed by the one, and downloaded from the other.
_HOSTS = ("https://registry.terraform.io/.well-known/terraform.json", "https://releases.hashicorp.com/index.json")
_PROBE = "import sys, urllib.request\nfor url in sys.argv[1:]: urllib.request.urlopen(url, timeout=2).close()"
_PROBE_SECONDS = 4

# Mocked providers answer data sources too, so that a plan needs no credentials.
_PLANNED = """\
mock_provider "google" {}
mock_provider "google-beta" {}

run "plan" {
  command = plan
}
"""
_TIMEOUT_SECONDS = 500
_CACHE = INFRA / ".build" / "providers"


@dataclass(frozen=True)
class Registry:
    """Terraform with the providers of the registry, in place: the folder has to be a copy. Google's providers are mocked.

    `variables` are added to the environment.
    """

    program: str
    cache: Path = _CACHE
    variables: Mapping[str, str] | None = None

    def check_plan(self, folder: Path, *options: str) -> None:
        """Fail unless the folder is formatted and valid, and can be planned."""
        self._prepare(folder)
        file = folder / "planned.tftest.hcl"
        file.write_text(_PLANNED)
        try:
            self._run(folder, "test", f"-filter={file.name}", "-no-color", *options, expected="1 passed, 0 failed")
        finally:
            file.unlink()

    def check_tests(self, folder: Path) -> None:
        """Fail unless the folder is formatted and valid, and passes its tests."""
        self._prepare(folder)
        self._run(folder, "test", "-no-color", expected=", 0 failed")

    def _prepare(self, folder: Path) -> None:
        self._run(folder, "fmt", "-check", "-recursive", "-diff", "-no-color")
        self.cache.mkdir(parents=True, exist_ok=True)
        # Two inits at once may write the same provider: https://developer.hashicorp.com/terraform/cli/config/config-file
        with (self.cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._run(folder, "init", "-input=false", "-backend=false", "-no-color")
        self._run(folder, "validate", "-no-color")

    def _run(self, folder: Path, *arguments: str, expected: str = "") -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CLI_ARGS")}
        environment |= {
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_PLUGIN_CACHE_DIR": str(self.cache),
            "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
        }
        _check([self.program, *arguments], expected, folder, {**environment, **(self.variables or {})})


@dataclass(frozen=True)
class StandIn:
    """Terraform with stand-ins for the providers. `tool` starts it, with a copy of the folder."""

    tool: Path

    def check_plan(self, folder: Path, *options: str) -> None:
        """Fail unless the folder is formatted and valid, and can be planned."""
        self._run("--plan", folder, *(("--", *options) if options else ()), expected="Plan: ")

    def check_tests(self, folder: Path) -> None:
        """Fail unless the folder is formatted and valid, and passes its tests."""
        self._run("--test", folder, expected=", 0 failed")

    def _run(self, *arguments: str | Path, expected: str) -> None:
        _check([sys.executable, str(self.tool), "--fmt", *map(str, arguments)], expected)


Terraform = Registry | StandIn


def copied_sources(target: Path) -> Path:
    """Copy what Terraform reads to the folder, and return it. The checkout also has large environments."""
    ignored = shutil.ignore_patterns("__pycache__", ".terraform*", ".build")
    for name in ("infra", "functions"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored, symlinks=True)
    shutil.copy(ROOT / "requirements.txt", target)
    (target / ".git").mkdir()  # the stand-in copies the folder that has it
    return target


def choose(program: str | None, stand_in: Path, registry_answers: Callable[[], bool]) -> Terraform | str:
    """Return how Terraform can be run on this machine, or the reason why it cannot be."""
    if program is None:
        return f"terraform is not on the PATH; install it: {INSTALL}"
    if registry_answers():
        return Registry(program)
    if stand_in.exists():
        return StandIn(stand_in)
    return f"registry.terraform.io does not answer, and {stand_in} does not exist; connect to the internet"


@cache
def chosen() -> Terraform | str:
    """Return the choice for this machine; it is made once per process."""
    return choose(shutil.which("terraform"), STAND_IN, registry_answers)


def registry_answers(hosts: tuple[str, ...] = _HOSTS) -> bool:
    """Return whether providers can be downloaded. It takes at most a few seconds, also if names are resolved slowly."""
    try:
        subprocess.run([sys.executable, "-c", _PROBE, *hosts], capture_output=True, check=True, timeout=_PROBE_SECONDS)
    except subprocess.SubprocessError:
        return False
    return True


def _check(
    command: list[str], expected: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert expected in output, output
