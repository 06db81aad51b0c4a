"""The tables of column types and of columns that every table has, from the schema and its descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.rows.descriptions import description
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import NAME_GROUPS, NAME_PARTS, TYPE_OF_VR, common_columns
from support.reference_pages.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.rows.schema import Field

_HEADER = ("column", "type", "mode", "meaning")


def types() -> str:
    """Return the table of the VRs that have columns, and of the type of these."""
    rows = []
    for each in dict.fromkeys(TYPE_OF_VR.values()):
        names = [vr for vr, kind in TYPE_OF_VR.items() if kind is each and vr not in ("PN", "SQ")]
        rows += [(", ".join(names), each.value)] if names else []
    groups = ", ".join(f"`{group}`" for group in NAME_GROUPS)
    parts = ", ".join(f"`{part}`" for part in NAME_PARTS)
    rows.append(("PN", f"{TYPE_OF_VR['PN'].value} with {groups}, each a RECORD with {parts}"))
    rows.append(("SQ", f"{TYPE_OF_VR['SQ'].value}, REPEATED, with a field per element of its items"))
    return table(("VR", "type"), rows)


def flattened_columns() -> str:
    """Return the table of the columns that a table of the flattened schema has besides those of elements."""
    return _columns(SchemaKind.FLATTENED)


def json_columns() -> str:
    """Return the table of the columns of the JSON schema."""
    return _columns(SchemaKind.JSON)


def _columns(kind: SchemaKind) -> str:
    fields = common_columns(kind, has_source_store=True, has_source_object=True)
    return table(_HEADER, (row for field in fields for row in _rows(field, ())))


def _rows(field: Field, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    path = (*above, field.name)
    yield f"`{'.'.join(path)}`", field.type.value, field.mode.value, description(path)
    for inner in field.fields:
        yield from _rows(inner, path)
