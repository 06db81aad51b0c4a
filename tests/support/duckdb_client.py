"""What any Python client gets of a table: run by the interpreter of another environment, in which nothing of ours is.

.venv-duckdb-lts/bin/python tests/support/duckdb_client.py FILE TABLE
"""

from __future__ import annotations

import json
import sys
from typing import Any

import duckdb


def main() -> None:
    """Print the table as each of DuckDB's methods gives it, as JSON."""
    file, table = sys.argv[1:]
    with duckdb.connect(file, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def rows() -> Any:
            return connection.execute(f'SELECT * FROM "{table}" ORDER BY ALL')  # noqa: S608 - a test's own

        columns = [name for name, *_ in rows().description or ()]
        frame, polars = rows().df(), rows().pl()
        found = {
            "version": duckdb.__version__,
            "columns": columns,
            "fetchall": [dict(zip(columns, row, strict=True)) for row in rows().fetchall()],
            "fetchone": dict(zip(columns, rows().fetchone() or (), strict=True)),
            "df": [{name: frame[name].iloc[number] for name in frame.columns} for number in range(len(frame))],
            "pl": polars.to_dicts(),
        }
    json.dump(found, sys.stdout, default=_plain)


def _plain(value: object) -> object:
    """Return a value that JSON has not: an array of numpy as a list, a date or time as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


if __name__ == "__main__":
    main()
