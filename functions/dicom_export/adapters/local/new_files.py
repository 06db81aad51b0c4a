"""DuckDB files that appear whole: who is killed while DuckDB creates one, or has no space for it, leaves a file that nobody can open."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from dicom_export.adapters.local.files import disk_errors, link_or_rename, sync_folder

if TYPE_CHECKING:
    from pathlib import Path


def create_database(file: Path) -> None:
    """Create an empty DuckDB file unless there is one. Raises ResourceExhausted if the disk is full, PermissionDenied."""
    # Where DuckDB itself has its temporary files for this one: what is left there by a crash is nobody's.
    folder = file.with_name(f"{file.name}.tmp")
    with disk_errors(file.parent):
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        folder.mkdir()
        try:
            # Absolute, because `:memory:` and `sqlite:x` are not files to DuckDB.
            with duckdb.connect(str(folder.absolute() / "new")):
                pass
            if link_or_rename(folder / "new", file, lock=folder / "lock"):
                sync_folder(file.parent)
        finally:
            shutil.rmtree(folder)
