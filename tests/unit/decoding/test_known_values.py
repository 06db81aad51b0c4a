"""A value that was converted before is what it was then, and only values that mean the same everywhere are remembered."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from dicom_export.decoding.context import Context
from dicom_export.decoding.fast.known_values import LONGEST, KnownValues
from dicom_export.decoding.values import Misfit
from dicom_export.rows.layout import SchemaKind

if TYPE_CHECKING:
    from typing import Any

CONTEXT = Context(SchemaKind.FLATTENED, ("iso8859",), UTC, is_signed=False, depth=0)


def upper(value: bytes, _: Context) -> Any:
    if value == b"odd":
        raise Misfit
    return value.upper()


def test_converted_value_is_remembered_by_its_bytes() -> None:
    known = KnownValues(upper)
    assert known.convert(b"head", CONTEXT) == b"HEAD"
    assert known == {b"head": b"HEAD"}


@pytest.mark.parametrize("value", [b"\xc4", b"a\x1b$B", b"a" * (LONGEST + 1)])
def test_what_may_mean_something_else_or_is_rare_is_not_remembered(value: bytes) -> None:
    """What is not ASCII, has escape sequences, or is long."""
    known = KnownValues(upper)
    assert known.convert(value, CONTEXT) == upper(value, CONTEXT)
    assert not known


def test_value_that_cannot_be_converted_is_not_remembered() -> None:
    known = KnownValues(upper)
    with pytest.raises(Misfit):
        known.convert(b"odd", CONTEXT)
    assert not known


def test_no_more_values_are_held_than_allowed() -> None:
    known = KnownValues(upper, most=2)
    for value in (b"a", b"b", b"c"):
        known.convert(value, CONTEXT)
    assert known == {b"c": b"C"}
