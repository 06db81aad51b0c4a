"""Terraform runs with the providers of the registry where that answers, else with stand-ins, else not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.terraform import Registry, StandIn, choose

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """Return the program of a stand-in that exists."""
    program = tmp_path / "stand-in"
    program.touch()
    return program


def test_the_registry_is_used_where_it_answers(stand_in: Path) -> None:
    assert choose("/bin/terraform", stand_in, lambda: True) == Registry("/bin/terraform")


def test_the_registry_needs_no_stand_in(tmp_path: Path) -> None:
    assert choose("/bin/terraform", tmp_path / "none", lambda: True) == Registry("/bin/terraform")


def test_the_stand_in_is_used_where_the_registry_does_not_answer(stand_in: Path) -> None:
    assert choose("/bin/terraform", stand_in, lambda: False) == StandIn(stand_in)


def test_without_registry_and_stand_in_the_reason_names_both(tmp_path: Path) -> None:
    reason = choose("/bin/terraform", tmp_path / "none", lambda: False)
    assert reason == (
        f"registry.terraform.io does not answer, and {tmp_path / 'none'} does not exist; connect to the internet"
    )


def test_without_terraform_the_registry_is_not_asked(stand_in: Path) -> None:
    def fail() -> bool:
        pytest.fail("asked")

    reason = choose(None, stand_in, fail)
    assert isinstance(reason, str)
    assert reason.startswith("terraform is not on the PATH; install it: https://")
