"""Poison files among good ones in a control group of 1 GiB: a smaller run of `soak.containers`, and what it looks for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from soak.containers import Exported, wrong_with
from soak.control_group import parent_of_groups
from soak.figures import figures

POISON = {"!00.dcm": "much", "!01.dcm": "more"}
RIGHT = Exported(1, 11, {"!00.dcm": "too large"}, (11, 10), "")


@pytest.mark.skipif(
    parent_of_groups() is None, reason="a control group takes root, and a memory controller of version 1 or 2"
)
def test_poison_files_cost_no_good_file_its_row_in_1_gib() -> None:
    printed = figures("containers", "--instances", 200, "--copies", 1, "--runs", 1)
    found = re.match(
        r"run 1: 200 of 200 good instances are rows; of (\d+) poison files (\d+) are failures and (\d+) rows;", printed
    )
    assert found, printed
    poison, failures, rows = map(int, found.groups())
    assert failures + rows == poison >= 17
    assert " 0 processes killed" in printed


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"exit_code": -9}, ["exit code -9: "]),
        ({"failures": {"000001.dcm": "no"}}, ["1 good files failed, the first 000001.dcm: no"]),
        ({"success": 10}, ["10 were counted, and 11 are rows; expected 11"]),
        ({"rows": (11, 9)}, ["9 of 10 good instances are rows"]),
    ],
)
def test_whatever_is_wrong_with_an_export_is_said(changes: dict[str, object], expected: list[str]) -> None:
    assert wrong_with(replace(RIGHT, **changes), 10, POISON) == expected  # type: ignore[arg-type]
