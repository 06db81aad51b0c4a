"""A table's columns as BigQuery's REST API has them: read, grown without loss, and without their policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.errors import FailedPrecondition
from dicom_export.rows.schema import Field, FieldType, Mode, Schema, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ApiField = dict[str, Any]
"""A TableFieldSchema: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema"""

_OLD_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "STRUCT": "RECORD"}
_TYPES = {each.value for each in FieldType}
# Those that are needed are listed, because BigQuery may add kinds of policies.
_NEEDED = (
    *("name", "type", "mode", "precision", "scale", "maxLength", "roundingMode"),
    *("collation", "rangeElementType", "timestampPrecision"),
)


def schema_of(fields: Iterable[Mapping[str, Any]]) -> Schema:
    """Return the columns, without those that somebody else added with a type that no exported column has."""
    return from_json(_known(fields))


def grown(existing: Sequence[ApiField], wanted: Schema, *, may_require: bool = True) -> list[ApiField]:
    """Return the existing fields, followed by the wanted ones that are missing, at every depth.

    A field that is wanted as REQUIRED may exist as NULLABLE. An existing table gets no REQUIRED fields, except in a new
    RECORD, and there only if `may_require`. Raises FailedPrecondition if a field exists with another type or mode.
    """
    return _grown(existing, wanted, "", may_require=may_require)


def without_annotations(fields: Iterable[Mapping[str, Any]]) -> list[ApiField]:
    """Return the fields with what rows depend on: no policy of any kind, description or default value."""
    return [_without_annotations(field) for field in fields]


def type_of(field: Mapping[str, Any]) -> str:
    """Return the type by the name that the REST API has always had: INTEGER, not INT64."""
    name = str(field["type"]).upper()
    return _OLD_NAMES.get(name, name)


def key_of(field: Mapping[str, Any]) -> str:
    """Return the field's name as BigQuery compares it: names differ in more than case."""
    return str(field["name"]).lower()


def _known(fields: Iterable[Mapping[str, Any]]) -> list[ApiField]:
    kept = []
    for field in fields:
        nested = _known(field.get("fields") or ())
        if type_of(field) in _TYPES and (nested or type_of(field) != FieldType.RECORD):
            kept.append({**field, "fields": nested})
    return kept


def _grown(existing: Sequence[ApiField], wanted: Schema, path: str, *, may_require: bool) -> list[ApiField]:
    missing = {field.name.lower(): field for field in wanted}
    kept = [_grown_field(field, missing.pop(key_of(field), None), path, may_require=may_require) for field in existing]
    return kept + [_addition(field, may_require=may_require) for field in to_json(tuple(missing.values()))]


def _grown_field(existing: ApiField, wanted: Field | None, path: str, *, may_require: bool) -> ApiField:
    if wanted is None:
        return existing
    name, mode = path + existing["name"], existing.get("mode") or Mode.NULLABLE
    is_laxer = (mode, wanted.mode) == (Mode.NULLABLE, Mode.REQUIRED)
    if type_of(existing) != wanted.type or not (mode == wanted.mode or is_laxer):
        raise FailedPrecondition(
            f"Column {name} is {mode} {type_of(existing)} in the table and {wanted.mode} {wanted.type} in the export"
        )
    if not wanted.fields:
        return existing
    return {
        **existing,
        "fields": _grown(existing.get("fields") or (), wanted.fields, f"{name}.", may_require=may_require),
    }


def _addition(field: ApiField, *, may_require: bool) -> ApiField:
    relaxed = field if may_require else _relaxed(field)
    return {**relaxed, "mode": _laxer(field["mode"])}


def _relaxed(field: ApiField) -> ApiField:
    nested = {"fields": [_relaxed(each) for each in field["fields"]]} if "fields" in field else {}
    return {**field, "mode": _laxer(field["mode"]), **nested}


def _laxer(mode: str) -> str:
    return Mode.NULLABLE.value if mode == Mode.REQUIRED else mode


def _without_annotations(field: Mapping[str, Any]) -> ApiField:
    kept = {name: field[name] for name in _NEEDED if name in field}
    return {**kept, "fields": without_annotations(field["fields"])} if field.get("fields") else kept
