"""How much the slow tests do: a part that has each kind of step by `make test`, all of it by `make soak`."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

IS_SOAK = os.environ.get("DICOM_EXPORT_SOAK") == "1"


def by_extent(quick: T, soak: T) -> T:
    """Return the first in `make test`, and the second in `make soak`."""
    return soak if IS_SOAK else quick


def points_of(log: Sequence[str]) -> list[int]:
    """Return the positions in a log of effects at which to crash: all of them, or one for each pair of neighbours."""
    if IS_SOAK:
        return list(range(len(log)))
    first_of_pair: dict[tuple[str, str], int] = {}
    for number, pair in enumerate(pairwise(["", *log])):
        first_of_pair.setdefault(pair, number)
    return list(first_of_pair.values())
