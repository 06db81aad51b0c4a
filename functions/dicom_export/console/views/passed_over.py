"""Objects that were passed over, grouped by kind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from dicom_export.console.texts import t

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markupsafe import Markup

MOST_COUNTED = 20_000
"""The number of objects that are looked at for their kinds."""

_MOST_KINDS = 20
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind, the number of its objects, and the names of some."""

    name: Markup | str
    objects: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """The kinds, the most frequent first. `left_out` have no place on the page; not `is_whole` if there were too many objects."""

    kinds: tuple[Kind, ...]
    left_out: int
    is_whole: bool


def passed_over(found: Iterable[tuple[str, str]], skipped: int) -> PassedOver:
    """Group pairs of an object and its kind. The rest of the `skipped` objects is not named by the filter."""
    groups: dict[str, list[str]] = {}
    total = 0
    for name, kind in islice(found, MOST_COUNTED):
        groups.setdefault(kind, []).append(name)
        total += 1
    kinds = [Kind(kind, len(names), tuple(names[:_MOST_NAMES])) for kind, names in groups.items()]
    is_whole = total < MOST_COUNTED
    if is_whole and skipped > total:
        kinds.append(Kind(t("passed.not_named"), skipped - total))
    kinds.sort(key=lambda each: (-each.objects, each.name))
    return PassedOver(tuple(kinds[:_MOST_KINDS]), max(len(kinds) - _MOST_KINDS, 0), is_whole)
