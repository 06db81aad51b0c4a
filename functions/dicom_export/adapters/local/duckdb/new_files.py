"""Create DuckDB files that appear complete. If DuckDB is killed, or the disk is full, while it creates one, nobody can open the file."""

from __future__ import annotations

from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from dicom_export.adapters.local.folder.files import disk_errors, link_or_rename, sync_folder

if TYPE_CHECKING:
    from pathlib import Path


# DuckDB's own choice is its newest version, which no older client reads. A file keeps the version that it was created with.
_STORAGE_VERSION = "v1.2.0"


def literal(text: str) -> str:
    """Return the text as SQL."""
    return "'{}'".format(text.replace("'", "''"))


def create_database(file: Path) -> None:
    """Create an empty DuckDB file unless there is one. Raises ResourceExhausted if the disk is full, PermissionDenied."""
    # Where DuckDB itself has its temporary files for this one, which is not part of a store.
    folder = file.absolute().with_name(f"{file.name}.tmp")
    with disk_errors(file.parent):
        folder.mkdir(exist_ok=True)
        try:
            with TemporaryDirectory(prefix="new-", dir=folder) as unfinished:
                path = f"{unfinished}/duckdb"
                with duckdb.connect(":memory:") as connection:
                    connection.execute(
                        f"ATTACH {literal(path)} AS new (TYPE duckdb, STORAGE_VERSION '{_STORAGE_VERSION}')"
                    )
                if link_or_rename(path, file, lock=folder / "lock"):
                    sync_folder(file.parent)
        finally:
            (folder / "lock").unlink(missing_ok=True)
            with suppress(OSError):  # somebody else has files there
                folder.rmdir()
