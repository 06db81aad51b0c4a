"""PIVOT: a column for each value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from dicom_export.adapters.local.bigquery_sql.names import Scope, Source, Table, columns_of
from dicom_export.adapters.local.bigquery_sql.operators import compared
from dicom_export.adapters.local.duckdb.types import quoted
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from dicom_export.adapters.local.bigquery_sql.expressions import Translator
    from dicom_export.adapters.local.bigquery_sql.types import Type


def pivoted(translator: Translator, pivot: exp.Expr, table: Table) -> tuple[Table, str]:
    """Return a table turned by PIVOT, and its alias. It is grouped by the columns that PIVOT does not name."""
    if pivot.args.get("unpivot"):
        raise translator.refuse(pivot, "UNPIVOT")
    alias = translator.alias()
    values = columns_of(alias, table)
    inside = translator.within(Scope(outer=translator.scope.outer, sources=[Source(None, values, alias)]))
    [field] = pivot.args["fields"]
    used = {each.name.lower() for part in (*pivot.expressions, field.this) for each in part.find_all(exp.Column)}
    groups = {name: value for name, value in values.items() if name.lower() not in used}
    listed = [f"{value.sql} AS {quoted(name)}" for name, value in groups.items()]
    columns: dict[str, Type] = {name: value.type for name, value in groups.items()}
    for choice in field.expressions:
        value, label = (choice.this, choice.alias) if isinstance(choice, exp.Alias | exp.PivotAlias) else (choice, "")
        condition = compared(inside, choice, "=", inside.value(field.this), inside.value(value))
        for aggregate in pivot.expressions:
            name = _name(aggregate, value, label, alone=len(pivot.expressions) == 1)
            node = aggregate.this if isinstance(aggregate, exp.Alias) else aggregate
            found = replace(inside, aggregate_filter=condition).value(node)
            listed.append(f"{found.sql} AS {quoted(name)}")
            columns[name] = found.type
    grouped = f" GROUP BY {', '.join(value.sql for value in groups.values())}" if groups else ""
    given = pivot.args.get("alias")
    return Table(
        f"(SELECT {', '.join(listed)} FROM {table.sql} AS {alias}{grouped})", columns
    ), given.name if given else ""


def _name(aggregate: exp.Expr, value: exp.Expr, label: str, *, alone: bool) -> str:
    of_value = label or value.name
    if isinstance(value, exp.Null):
        of_value = label or "NULL"
    if isinstance(aggregate, exp.Alias):
        return f"{aggregate.alias}_{of_value}"
    if not alone:
        raise InvalidArgument("PIVOT with several aggregate functions gives each a name with AS")
    return of_value if not of_value[:1].isdigit() else f"_{of_value}"
