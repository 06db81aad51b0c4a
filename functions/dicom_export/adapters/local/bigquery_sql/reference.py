"""The list of what a query may use, as docs/reference/query-functions.md has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.local.bigquery_sql.operators import OPERATORS
from dicom_export.adapters.local.bigquery_sql.signatures import GROUPS, SPECIAL, overloads

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Functions of `query`

`dicom-export query` takes BigQuery's SQL and gives BigQuery's answers. It accepts the functions and operators below; each is tested
against the result that BigQuery documents. Anything else is refused by name. `--dialect duckdb` runs DuckDB's own SQL unchanged.

`T` is any type, the same in each place. `NUMBER` is INT64, NUMERIC or FLOAT64. `PART` is a part such as DAY, WEEK(MONDAY) or ISOYEAR.
`ZONE` is a time zone that is written in the query: `'Asia/Seoul'`, `'+09:00'`. `constant` arguments are written in the query too.
`SAFE.` before a function that is not an aggregate gives NULL instead of an error.

Known differences: NaN equals NaN and is larger than every number. The order of rows with equal keys may differ. Approximate functions are exact.
NUMERIC is divided with the precision of FLOAT64. Formats of dates and times are constants.
"""


def reference() -> str:
    """Return the page. `python -m dicom_export.adapters.local.bigquery_sql.reference` prints it."""
    return "\n".join([_INTRODUCTION, *_operators(), *_functions()]) + "\n"


def _operators() -> Iterator[str]:
    yield "## Operators"
    yield ""
    yield from (f"- `{each}`" for each in OPERATORS)


def _functions() -> Iterator[str]:
    for group in GROUPS:
        signatures = [each.signature for named in overloads().values() for each in named if each.group == group]
        yield f"\n## {group}\n"
        yield from (f"- `{each}`" for each in sorted([*signatures, *SPECIAL.get(group, ())]))


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201 - the page is what is asked for
