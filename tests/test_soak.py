"""A little of `make soak`, in processes of their own: they fork, which takes a process without threads."""

from __future__ import annotations

import os
import re

import pytest

from soak.figures import figures


def test_commands_that_are_killed_at_some_of_their_steps_end_right_when_run_again() -> None:
    printed = figures("kills", "--every", 45, "--random", 2)
    assert {line.split("  ")[0] for line in printed.splitlines()[:-1]} == {
        "export write-empty",
        "export write-append",
        "export write-truncate",
        "watch --once",
        "verify --repair",
        "export, random moments",
    }
    total = re.search(r"^([0-9]+) kills in .* s, 0 wrong$", printed, re.MULTILINE)
    assert total
    assert int(total[1]) >= 15


def test_functions_that_die_after_some_of_their_calls_end_right_when_called_again() -> None:
    assert ", 0 wrong" in figures("functions", "--every", 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is a tmpfs, and only root may mount one")
@pytest.mark.parametrize("command", ["export write-append", "watch", "verify"])
def test_a_disk_that_fills_up_costs_no_row(command: str) -> None:
    assert "  1 full   0 wrong" in figures("full_disk", "--rooms", 64, "--command", command)


def test_a_store_that_changes_while_it_is_read_costs_no_row_and_gives_no_half_one() -> None:
    printed = figures("changing_store", "--seconds", 0)
    assert re.search(r"1 rounds, [0-9,]+ changes meanwhile, .* 0 wrong", printed)
