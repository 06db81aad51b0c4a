"""Suggestions for misspelt names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 3
_CLOSE = 0.7


def close_names(name: str, names: Iterable[str]) -> list[str]:
    """Return up to three of the names that resemble this one in any case, the closest first."""
    by_folded = {each.casefold(): each for each in names}
    return [by_folded[each] for each in get_close_matches(name.casefold(), by_folded, _MOST, _CLOSE)]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the question that follows the sentence about an unknown name, or nothing if no other name resembles it."""
    close = close_names(name, names)
    if not close:
        return ""
    *first, last = close
    return f". Did you mean {', '.join(first)}{' or ' if first else ''}{last}?"
