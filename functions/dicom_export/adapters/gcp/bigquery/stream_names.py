"""Names of tables and write streams in the Storage Write API."""

from __future__ import annotations

from dicom_export.names import TableName


def table_path(table: TableName) -> str:
    """Return the name of the table, which begins the names of its streams."""
    return f"projects/{table.project}/datasets/{table.dataset}/tables/{table.table}"


def default_stream(table: TableName) -> str:
    """Return the name of the stream whose rows are visible at once."""
    return f"{table_path(table)}/streams/_default"


def table_of(stream: str) -> TableName:
    """Return the table of a stream."""
    _, project, _, dataset, _, table, *_ = stream.split("/")
    return TableName(project, dataset, table)
