"""Find the places of an export on one machine: a DuckDB file, the state next to it, and the names of folders."""

from __future__ import annotations

import re
from glob import escape
from hashlib import sha256
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition
from dicom_export.names import TableName
from dicom_export.operations.reserved_names import check_table
from dicom_export.settings import local_store

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_export.names import StoreName

PROJECT, DATASET = "local", "main"
FILTER_BUCKET = "filter"

_NOT_IN_STORE_IDS = re.compile(r"[^\w.-]+")


def state_of(file: Path) -> Path:
    """Return the folder of the operations that export into the DuckDB file, or the folder of copies."""
    return file.with_name(f"{file.name}.state")


def check_file(file: Path) -> None:
    """Raise FailedPrecondition if a DuckDB file, with its state next to it, cannot have this path."""
    if not file.resolve().parent.is_dir():
        raise FailedPrecondition(f"Folder {str(file.parent)!r} of the destination does not exist; create it first")
    check_is_file(file)
    state = state_of(file)
    if state.exists() and not state.is_dir():
        raise FailedPrecondition(f"{str(state)!r} is a file; expected the folder of the export's state")


def check_is_file(file: Path) -> None:
    """Raise FailedPrecondition for anything but a file: DuckDB waits for a pipe, and the content of a pipe can be read only once."""
    if file.exists() and not file.is_file():
        raise FailedPrecondition(f"{str(file)!r} is a pipe or a device; expected a file")


def existing_state(file: Path | None, data: Path | None) -> Path:
    """Return the folder with the operations of a DuckDB file, or the data folder of `serve`.

    Raises FailedPrecondition if no export was ever started there.
    """
    folder = state_of(file.resolve() if file.is_dir() else file) if file else data
    if folder is None:
        raise FailedPrecondition("Specify --from FILE.duckdb, or --data DIR with the folder of `serve`")
    if not (folder / "state").is_dir():
        raise FailedPrecondition(f"No export was started here: folder {str(folder / 'state')!r} does not exist")
    return folder


def table_of(name: str) -> TableName:
    """Return the table of this name in the DuckDB file. Raises InvalidArgument if it cannot be one, or is reserved."""
    return check_table(TableName.parse(f"bq://{PROJECT}.{DATASET}.{name}"))


def store_of(folder: Path) -> StoreName:
    """Return the folder's resource name, which differs from those of other folders with the same name."""
    path = folder.resolve()
    digest = sha256(bytes(path)).hexdigest()[:8]
    return local_store(f"{_NOT_IN_STORE_IDS.sub('_', path.name) or 'root'}-{digest}")


def own_files(file: Path, folder: Path) -> tuple[str, ...]:
    """Return patterns of the names that the DuckDB file and its state have, if they are below the folder."""
    path, root = file.resolve(), folder.resolve()
    if not path.is_relative_to(root):
        return ()
    name = escape(path.relative_to(root).as_posix())
    return (name, f"{name}.wal", f"{name}.tmp/*", f"{name}.state/*")
