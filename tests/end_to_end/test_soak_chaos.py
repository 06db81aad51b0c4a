"""Less than a minute of `soak.chaos`: rows, counters, operations and tables agree whatever was killed, away, late or lost."""

from __future__ import annotations

import re

import pytest

from soak.figures import figures


@pytest.mark.usefixtures("emulators_are_installed")
@pytest.mark.timeout(1_500)
def test_everything_agrees_after_chaos() -> None:
    printed = figures("chaos", "--minutes", 0.75, "--seed", 1)
    assert re.search(r" kills.* requests .* exports WRITE_.* uploads; .* operations .*; 0 wrong\n", printed), printed
