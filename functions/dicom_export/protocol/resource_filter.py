"""The filters of lists of stores and locations, as the discovery document describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.protocol.list_filter import malformed, parse_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.protocol.list_filter import Term

_OF_LABELS = "expected labels.KEY=VALUE, joined by AND"
_OF_LOCATIONS = "expected name, locationId or displayName with = or : and a text, joined by AND"
_LOCATION_FIELDS = ("name", "locationId", "displayName")


def fulfils_without_labels(text: str) -> bool:
    """Say whether a store without labels fulfils the filter. Raises InvalidArgument.

    The stores of an installation have no labels.
    """
    terms = parse_terms(text, _OF_LABELS)
    for term in terms:
        if not term.field.startswith("labels.") or term.compare not in "=:":
            raise malformed(text, term.position, _OF_LABELS)
    return not terms


def parse_location_filter(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Return the condition of the filter for locations. Raises InvalidArgument."""
    terms = parse_terms(text, _OF_LOCATIONS)
    for term in terms:
        if term.field not in _LOCATION_FIELDS or term.compare not in "=:":
            raise malformed(text, term.position, _OF_LOCATIONS)
    return lambda location: all(_fulfils(location, term) for term in terms)


def _fulfils(location: Mapping[str, str], term: Term) -> bool:
    value = location[term.field]
    return term.value == value if term.compare == "=" else term.value.lower() in value.lower()
