"""infra/ and its examples are formatted, valid, can be planned, and pass their own tests and checkov."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.infra_files import INFRA, ROOT
from support.terraform import copied_sources

if TYPE_CHECKING:
    from pathlib import Path

    from support.terraform import Terraform

EXAMPLES = sorted(path.parent.relative_to(ROOT).as_posix() for path in INFRA.glob("examples/*/main.tf"))


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what Terraform reads; the checkout has environments of hundreds of megabytes besides."""
    return copied_sources(tmp_path_factory.mktemp("checkout"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_can_be_planned(terraform: Terraform, sources: Path, example: str) -> None:
    terraform.check_plan(sources / example)


def test_what_the_tfvars_example_says_can_be_planned(terraform: Terraform, sources: Path) -> None:
    shutil.copy(sources / "infra" / "terraform.tfvars.example", sources / "infra" / "example.tfvars")
    terraform.check_plan(sources / "infra", "-var-file=example.tfvars")


def test_the_plan_has_what_it_has_to_have(terraform: Terraform, sources: Path) -> None:
    terraform.check_tests(sources / "infra")


def test_what_cannot_work_is_refused(terraform: Terraform, sources: Path) -> None:
    terraform.check_tests(sources / "infra" / "tests" / "validation")


def test_checkov_has_nothing_to_say_that_is_not_explained(checkov: Path, sources: Path) -> None:
    done = subprocess.run(
        [str(checkov), "--config-file", "infra/.checkov.yaml", "-d", "infra"],
        cwd=sources,
        env={**os.environ, "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed checks: " in done.stdout
    assert "Failed checks: 0" in done.stdout
