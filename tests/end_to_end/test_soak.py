"""A little of `make soak`, in processes of their own: they fork, which takes a process without threads."""

from __future__ import annotations

import os
import re

import pytest

from soak.figures import figures


def test_commands_that_are_killed_at_each_kind_of_step_end_right_when_run_again() -> None:
    printed = figures("kills", "--kinds", "--random", 1)
    kills = dict(re.findall(r"^([a-z, -]+?) +[0-9]+ steps +([0-9]+) kills +0 wrong$", printed, re.MULTILINE))
    assert {name for name, count in kills.items() if int(count)} == {
        "export write-empty",
        "export write-truncate",
        "watch --once",
        "verify --repair",
        "export, random moments",
    }  # write-append has no kind of step that write-empty has not
    assert sum(map(int, kills.values())) >= 50


def test_functions_that_die_after_some_of_their_calls_end_right_when_called_again() -> None:
    assert ", 0 wrong" in figures("functions", "--every", 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is a tmpfs, and only root may mount one")
def test_a_disk_that_fills_up_costs_no_row() -> None:
    printed = figures("full_disk", "--rooms", 64, "--command", "write-append", "watch", "verify")
    assert printed.count("  1 full   0 wrong") == 3


def test_a_store_that_changes_while_it_is_read_costs_no_row_and_gives_no_half_one() -> None:
    printed = figures("changing_store", "--seconds", 0)
    assert re.search(r"1 rounds, [0-9,]+ changes meanwhile, .* 0 wrong", printed)
