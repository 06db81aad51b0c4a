"""The estimate of an export, as the form shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.console import numbers
from dicom_export.console.texts import t
from dicom_export.stores import COLD_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from dicom_export.console.estimates import Estimated


@dataclass(frozen=True, slots=True)
class EstimateView:
    """What an export of the whole store would take: pairs of what and how much. Estimated numbers say "about"."""

    facts: tuple[tuple[Markup | str, Markup | str], ...]
    note: Markup | str


def view_of(estimated: Estimated) -> EstimateView:
    """Return the estimate as the form shows it."""
    found = estimated.estimate.found
    note = "estimate.note" if found.is_complete else "estimate.note_incomplete"
    return EstimateView(
        tuple((t(f"estimate.{name}"), text) for name, text in _facts(estimated)),
        t(note, n=numbers.count(estimated.estimate.sample.objects), time=numbers.moment(estimated.time)),
    )


def _facts(estimated: Estimated) -> Iterator[tuple[str, Markup | str]]:
    estimate = estimated.estimate
    found = estimate.found
    objects = t("estimate.n_objects", n=numbers.count(found.count), size=numbers.size(found.stored_bytes))
    yield "objects", objects if found.is_complete else t("estimate.more_than", what=objects)
    yield "instances", _about(numbers.count(estimate.instances))
    yield "read", _about(numbers.size(estimate.read_bytes))
    if cold := sum(found.objects[name] for name in COLD_CLASSES):
        yield "cold", numbers.count(cold)
    yield "rows", _about(numbers.size(estimate.row_bytes))
    yield "time", _about(numbers.about(estimate.seconds))
    if estimate.price is not None:
        yield "price", _about(f"{estimate.price:,.2f}")


def _about(what: str) -> Markup | str:
    return t("estimate.about", what=what)
