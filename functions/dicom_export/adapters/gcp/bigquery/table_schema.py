"""Convert and extend a table's columns in the form of BigQuery's REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from dicom_export.errors import FailedPrecondition
from dicom_export.rows.schema import Field, FieldType, Mode, Schema, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ApiField = dict[str, Any]
"""A TableFieldSchema: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema"""

_F = TypeVar("_F", bound="Mapping[str, Any]")

_OLD_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "STRUCT": "RECORD"}
_TYPES = {each.value for each in FieldType}
_ANNOTATIONS = ("description", "policyTags")


def schema_of(fields: Iterable[Mapping[str, Any]]) -> Schema:
    """Return the columns, without those that somebody else added with a type that no exported column has."""
    return from_json(_known(fields))


def grown(existing: Sequence[ApiField], wanted: Schema, *, may_require: bool = True) -> list[ApiField]:
    """Return the existing fields, followed by the wanted ones that are missing, at every depth.

    A field that is wanted as REQUIRED may exist as NULLABLE. An existing table gets no REQUIRED fields, except in a new
    RECORD, and there only if `may_require`. Raises FailedPrecondition if a field exists with another type or mode.
    """
    return _grown(existing, wanted, "", may_require=may_require)


def annotated(fields: Iterable[ApiField], like: Iterable[Mapping[str, Any]]) -> list[ApiField]:
    """Return the fields with the descriptions and policy tags of those that have the same name in the other table."""
    others = _by_name(like)
    return [_annotated(field, others.get(_key(field), {})) for field in fields]


def with_fields(fields: list[ApiField], names: Iterable[str], source: Iterable[ApiField]) -> list[ApiField]:
    """Return the fields, followed by the source's fields that have these names and are missing."""
    present, others = _by_name(fields), _by_name(source)
    missing = [name.lower() for name in names if name.lower() not in present]
    return [*fields, *(others[name] for name in missing if name in others)]


def _known(fields: Iterable[Mapping[str, Any]]) -> list[ApiField]:
    kept = []
    for field in fields:
        nested = _known(field.get("fields") or ())
        if _type(field) in _TYPES and (nested or _type(field) != FieldType.RECORD):
            kept.append({**field, "fields": nested})
    return kept


def _grown(existing: Sequence[ApiField], wanted: Schema, path: str, *, may_require: bool) -> list[ApiField]:
    missing = {field.name.lower(): field for field in wanted}
    kept = [_grown_field(field, missing.pop(_key(field), None), path, may_require=may_require) for field in existing]
    return kept + [_addition(field, may_require=may_require) for field in to_json(tuple(missing.values()))]


def _grown_field(existing: ApiField, wanted: Field | None, path: str, *, may_require: bool) -> ApiField:
    if wanted is None:
        return existing
    name, mode = path + existing["name"], existing.get("mode") or Mode.NULLABLE
    is_laxer = (mode, wanted.mode) == (Mode.NULLABLE, Mode.REQUIRED)
    if _type(existing) != wanted.type or not (mode == wanted.mode or is_laxer):
        raise FailedPrecondition(
            f"Column {name} is {mode} {_type(existing)} in the table and {wanted.mode} {wanted.type} in the export"
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


def _annotated(field: ApiField, other: Mapping[str, Any]) -> ApiField:
    found = {key: other[key] for key in _ANNOTATIONS if key in other}
    nested = {"fields": annotated(field["fields"], other.get("fields") or ())} if "fields" in field else {}
    return {**field, **found, **nested}


def _by_name(fields: Iterable[_F]) -> dict[str, _F]:
    return {_key(field): field for field in fields}


def _key(field: Mapping[str, Any]) -> str:
    """Return the column's name without regard to case: BigQuery's names differ in more than case."""
    return str(field["name"]).lower()


def _type(field: Mapping[str, Any]) -> str:
    name = str(field["type"]).upper()
    return _OLD_NAMES.get(name, name)
