"""Write the query that puts the rows of one table into the columns of another.

BigQuery compares a query's result with its destination field by field, and takes nested fields in
the same order only. Both tables begin with the same columns, but others may add some to either.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.gcp.bigquery.table_schema import key_of, type_of
from dicom_export.rows.schema import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# A table of the same name as one of its columns would hide it.
_ROW = "dicom_export_row"
_ITEM = "dicom_export_item"
_SQL_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


def select(source: Sequence[Mapping[str, Any]], destination: Sequence[Mapping[str, Any]], source_sql: str) -> str:
    """Return the query whose result has the columns of the destination, at every depth in its order.

    A column that only the destination has is NULL, or empty if it is REPEATED.
    """
    aliases = (f"{_ITEM}_{number}" for number in count(1))
    columns = _columns(source, destination, _ROW, aliases)
    return f"SELECT {', '.join(columns)} FROM {source_sql} AS {_ROW}"  # noqa: S608 - names of columns have no backtick


def _columns(
    source: Sequence[Mapping[str, Any]],
    destination: Sequence[Mapping[str, Any]],
    parent: str,
    aliases: Iterator[str],
) -> list[str]:
    """Return the expression of each field of the destination, with its name."""
    by_name = {key_of(field): field for field in source}
    return [
        f"{_expression(by_name.get(key_of(field)), field, parent, aliases)} AS {_quoted(field['name'])}"
        for field in destination
    ]


def _expression(
    source: Mapping[str, Any] | None, destination: Mapping[str, Any], parent: str, aliases: Iterator[str]
) -> str:
    if source is None:
        return _nothing(destination)
    value = f"{parent}.{_quoted(source['name'])}"
    if _shape(source) == _shape(destination):
        return value
    fields, others = source.get("fields") or (), destination.get("fields") or ()
    if destination.get("mode") != Mode.REPEATED:
        return f"IF({value} IS NULL, NULL, STRUCT({', '.join(_columns(fields, others, value, aliases))}))"
    item = next(aliases)
    columns = ", ".join(_columns(fields, others, item, aliases))
    # BigQuery promises no order of the items of a subquery without ORDER BY.
    return (
        f"ARRAY(SELECT AS STRUCT {columns} FROM UNNEST({value}) AS {item} WITH OFFSET AS {item}_at ORDER BY {item}_at)"  # noqa: S608 - as above
    )


def _nothing(field: Mapping[str, Any]) -> str:
    type_ = _sql_type(field)
    return f"ARRAY<{type_}>[]" if field.get("mode") == Mode.REPEATED else f"CAST(NULL AS {type_})"


def _sql_type(field: Mapping[str, Any]) -> str:
    """Return the type of one value of the field."""
    name = type_of(field)
    if name == "RECORD":
        fields = [f"{_quoted(each['name'])} {_sql_type_of_all(each)}" for each in field["fields"]]
        return f"STRUCT<{', '.join(fields)}>"
    if name == "RANGE":
        return f"RANGE<{field['rangeElementType']['type']}>"
    return _SQL_TYPES.get(name, name)


def _sql_type_of_all(field: Mapping[str, Any]) -> str:
    """Return the type of the field, which may be repeated."""
    return f"ARRAY<{_sql_type(field)}>" if field.get("mode") == Mode.REPEATED else _sql_type(field)


def _shape(field: Mapping[str, Any]) -> object:
    """Return what two fields have to share so that values of one go into the other."""
    is_repeated = field.get("mode") == Mode.REPEATED
    return key_of(field), type_of(field), is_repeated, tuple(map(_shape, field.get("fields") or ()))


def _quoted(name: str) -> str:
    return f"`{name}`"
