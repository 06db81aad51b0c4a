"""Find the places of an export on one machine: a folder or bucket and its name, a DuckDB file, and the state next to it."""

from __future__ import annotations

import re
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition, InvalidArgument
from dicom_export.names import GcsFolder, S3Folder, TableName
from dicom_export.operations.reserved_names import check_table
from dicom_export.settings import LocalBucket, local_store

if TYPE_CHECKING:
    from dicom_export.names import StoreName
    from dicom_export.settings import Place

PROJECT, DATASET = "local", "main"
FILTER_BUCKET = "filter"

_GOOGLE, _S3 = "gs://", "s3://"
_URL = re.compile(r"https?://[^/\s]+(?:/\S*)?")
# A folder of a bucket may have a longer name than a store.
_MAX_NAME = 60
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


def place_of(
    text: str,
    *,
    is_anonymous: bool = False,
    user_project: str | None = None,
    endpoint_url: str | None = None,
    allows_cold_reads: bool = False,
) -> Place:
    """Return the folder with this path, or the bucket with this address.

    Raises InvalidArgument if the address or an option is invalid, or if an option is not one of such a place.
    """
    is_google, is_s3 = text.startswith(_GOOGLE), text.startswith(_S3)
    if is_anonymous and not (is_google or is_s3):
        raise InvalidArgument(f"--anonymous is for a bucket, and {text!r} is a folder")
    for option, given in (("--user-project", user_project), ("--allow-cold-reads", allows_cold_reads)):
        if given and not is_google:
            raise InvalidArgument(f"{option} is for a bucket of Cloud Storage, gs://BUCKET, and not for {text!r}")
    if endpoint_url and not is_s3:
        raise InvalidArgument(f"--endpoint-url is for an S3 bucket, s3://BUCKET, and not for {text!r}")
    if endpoint_url and not _URL.fullmatch(endpoint_url):
        raise InvalidArgument(f"Invalid --endpoint-url {endpoint_url!r}: expected https://HOST or http://HOST:PORT")
    if is_google:
        return LocalBucket(GcsFolder.parse(text), is_anonymous, user_project, allows_cold_reads=allows_cold_reads)
    if is_s3:
        return LocalBucket(S3Folder.parse(text), is_anonymous, endpoint_url=endpoint_url)
    return Path(text)


def is_bucket(text: str) -> bool:
    """Return whether the text is the address of a bucket."""
    return text.startswith((_GOOGLE, _S3))


def store_of(place: Place) -> StoreName:
    """Return the resource name of the folder or bucket, which differs from those of others with the same name."""
    if isinstance(place, LocalBucket):
        name = place.folder.prefix.removesuffix("/").rpartition("/")[2][:_MAX_NAME] or place.folder.bucket[:_MAX_NAME]
        identity = str(place).encode()
    else:
        path = place.resolve()
        name, identity = path.name, bytes(path)
    digest = sha256(identity).hexdigest()[:8]
    return local_store(f"{_NOT_IN_STORE_IDS.sub('_', name) or 'root'}-{digest}")


def own_files(file: Path, place: Place) -> tuple[str, ...]:
    """Return patterns of the names that the DuckDB file and its state have, if they are below the folder."""
    if isinstance(place, LocalBucket):
        return ()
    path, root = file.resolve(), place.resolve()
    if not path.is_relative_to(root):
        return ()
    name = escape(path.relative_to(root).as_posix())
    return (name, f"{name}.wal", f"{name}.tmp/*", f"{name}.state/*")
