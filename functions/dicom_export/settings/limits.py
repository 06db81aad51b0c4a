"""Read the limits of one object and of one table.

Google Cloud and one machine use the same environment variables.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_export.decoding.budget import ColumnLimits, Limits
from dicom_export.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIB = 1024 * 1024
_OBJECT = {
    "DICOM_EXPORT_MAX_ELEMENTS": ("elements", 5_000_000),
    "DICOM_EXPORT_MAX_VALUES": ("values", 50_000_000),
    "DICOM_EXPORT_MAX_HEADER_BYTES": ("header_bytes", 1024 * _MIB),
    "DICOM_EXPORT_MAX_INFLATED_BYTES": ("inflated_bytes", 1024 * _MIB),
    "DICOM_EXPORT_MAX_DEPTH": ("depth", 100),
    "DICOM_EXPORT_MAX_SECONDS": ("seconds", 600),
}
_COLUMNS = {
    "DICOM_EXPORT_MAX_TABLE_COLUMNS": ("table", 10_000),
    "DICOM_EXPORT_MAX_INSTANCE_COLUMNS": ("instance", 10_000),
}

VARIABLES = (*_OBJECT, *_COLUMNS)
"""The environment variables of the limits."""


def object_limits(environment: Mapping[str, str]) -> Limits:
    """Return the limits of one object.

    Raises ConfigurationError, which names the variable and what is expected.
    """
    return replace(Limits(), **_numbers(environment, _OBJECT))


def column_limits(environment: Mapping[str, str]) -> ColumnLimits:
    """Return the limits of a table's columns.

    Raises ConfigurationError, which names the variable and what is expected.
    """
    return replace(ColumnLimits(), **_numbers(environment, _COLUMNS))


def number(environment: Mapping[str, str], variable: str, default: int, most: int) -> int:
    """Return the variable's number, or the default if it is not set or empty.

    Raises ConfigurationError unless it is a number from 1 to `most`.
    """
    text = environment.get(variable)
    if not text:
        return default
    if not (text.isdecimal() and text.isascii() and 1 <= int(text) <= most):
        raise ConfigurationError(f"Invalid {variable} {text!r}: expected a number from 1 to {most}")
    return int(text)


def _numbers(environment: Mapping[str, str], known: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    return {
        name: number(environment, variable, 0, most)
        for variable, (name, most) in known.items()
        if environment.get(variable)
    }
