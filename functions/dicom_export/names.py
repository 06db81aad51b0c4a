"""Resource names: frozen values with `parse` and `__str__` in one place.

Source: the API's reference pages, and `bq://` and `gs://` as the Cloud Healthcare API writes them.
"""

import re
from dataclasses import dataclass
from typing import Self

from dicom_export.errors import InvalidArgument

MAX_TABLE_URI_LENGTH = 2000
# In UTF-8. Each part of a resource name becomes a folder name, and file systems allow no longer one.
_MAX_PART_BYTES = 255
# The project becomes a file name, and two suffixes are added to it.
_MAX_PROJECT_LENGTH = 200

# These become parts of paths, so `.` and `..` are excluded.
_SEGMENT = r"(?!\.{1,2}(?:/|$))[\w.:@%+~-]{1,200}"
_ID = r"(?!\.{1,2}$)[\w.@%+~-]{1,200}"
_DATASET = rf"projects/(?P<project>{_SEGMENT})/locations/(?P<location>{_SEGMENT})/datasets/(?P<dataset>{_SEGMENT})"
_DATASET_NAME = re.compile(_DATASET)
_STORE_NAME = re.compile(rf"{_DATASET}/dicomStores/(?P<store>{_ID})")
_OPERATION_NAME = re.compile(rf"{_DATASET}/operations/(?P<operation>{_ID})")
# A domain-scoped project (`example.com:name`) has dots too, so dataset and table are split off from the right.
_TABLE_URI = re.compile(
    r"bq://(?P<project>(?:[a-z0-9.-]+:)?[A-Za-z0-9_-]+)\.(?P<dataset>[A-Za-z0-9_]{1,1024})\.(?P<table>[^.]+)"
)
# Letters, marks, numbers, connectors, dashes and spaces, at most 1024 bytes of UTF-8:
# https://cloud.google.com/bigquery/docs/tables#table_naming
_TABLE_ID = re.compile(r"[\w\- ]+")
_DATASET_ID = re.compile(r"[A-Za-z0-9_]+")
_MAX_TABLE_BYTES = 1024
_QUOTED = 100
_GCS_URI = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,221})/(?P<object>.+)", re.DOTALL)
_GCS_FOLDER = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,221})(?:/(?P<prefix>.*))?", re.DOTALL)
# Old buckets, and those of other servers, have capitals and underscores:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_S3_FOLDER = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(?P<prefix>.*))?", re.DOTALL)
# A bucket's object cannot be named so, or a file system takes it for another folder.
_NOT_IN_FOLDER = re.compile(r"[\0\r\n]|(?:^|/)\.{0,2}/")
# The names of objects have 1,024 bytes; three UIDs and a generation follow.
_MAX_FOLDER_BYTES = 700


def _parts(pattern: re.Pattern[str], text: str, kind: str, right: str) -> dict[str, str]:
    """Return the named parts of a resource name. Raises InvalidArgument."""
    match = pattern.fullmatch(text)
    if not match:
        raise InvalidArgument(f"{text[:MAX_TABLE_URI_LENGTH]!r} is not {kind}; expected {right}")
    for name, part in match.groupdict().items():
        if len(part.encode()) > _MAX_PART_BYTES:
            raise InvalidArgument(
                f"The {name} in {kind} has {len(part.encode())} bytes; expected at most {_MAX_PART_BYTES}"
            )
    return match.groupdict()


@dataclass(frozen=True, slots=True, order=True)
class DatasetName:
    """`projects/P/locations/L/datasets/D`, a Healthcare dataset."""

    project: str
    location: str
    dataset: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise InvalidArgument if the text is not a dataset's name."""
        return cls(**_parts(_DATASET_NAME, text, "a dataset name", "projects/P/locations/L/datasets/D"))

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/datasets/{self.dataset}"


@dataclass(frozen=True, slots=True, order=True)
class StoreName:
    """`projects/P/locations/L/datasets/D/dicomStores/S`."""

    parent: DatasetName
    store: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise InvalidArgument if the text is not a DICOM store's name."""
        right = "projects/P/locations/L/datasets/D/dicomStores/S"
        parts = _parts(_STORE_NAME, text, "a DICOM store name", right)
        store = parts.pop("store")
        return cls(DatasetName(**parts), store)

    def __str__(self) -> str:
        return f"{self.parent}/dicomStores/{self.store}"


@dataclass(frozen=True, slots=True, order=True)
class OperationName:
    """`projects/P/locations/L/datasets/D/operations/O`."""

    parent: DatasetName
    operation: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise InvalidArgument if the text is not an operation's name."""
        right = "projects/P/locations/L/datasets/D/operations/O"
        parts = _parts(_OPERATION_NAME, text, "an operation name", right)
        operation = parts.pop("operation")
        return cls(DatasetName(**parts), operation)

    def __str__(self) -> str:
        return f"{self.parent}/operations/{self.operation}"


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """`bq://PROJECT.DATASET.TABLE`."""

    project: str
    dataset: str
    table: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Raise InvalidArgument if the text is not a BigQuery URI of a table."""
        right = "expected bq://PROJECT.DATASET.TABLE"
        if len(uri) > MAX_TABLE_URI_LENGTH:
            raise InvalidArgument(f"The table URI has {len(uri)} characters; expected at most {MAX_TABLE_URI_LENGTH}")
        match = _TABLE_URI.fullmatch(uri)
        if not match:
            _check_dataset_of(uri)
            raise InvalidArgument(f"{uri!r} is not a BigQuery table URI; {right}")
        if len(match["project"]) > _MAX_PROJECT_LENGTH:
            raise InvalidArgument(
                f"The project ID has {len(match['project'])} characters; expected at most {_MAX_PROJECT_LENGTH}"
            )
        table = match["table"]
        if not _TABLE_ID.fullmatch(table):
            raise InvalidArgument(
                f"{table[:_QUOTED]!r} is not a BigQuery table name; expected letters, digits, underscores, dashes and spaces"
            )
        if (length := len(table.encode())) > _MAX_TABLE_BYTES:
            raise InvalidArgument(f"The table name has {length:,} bytes; expected at most {_MAX_TABLE_BYTES:,}")
        return cls(**match.groupdict())

    def __str__(self) -> str:
        return f"bq://{self.project}.{self.dataset}.{self.table}"


def check_dataset_id(dataset: str) -> str:
    """Return the name of a BigQuery dataset. Raises InvalidArgument if it has a character that no dataset has."""
    if not _DATASET_ID.fullmatch(dataset):
        raise InvalidArgument(
            f"Dataset name {dataset[:_QUOTED]!r} is invalid; expected letters, digits and underscores"
        )
    return dataset


def _check_dataset_of(uri: str) -> None:
    """Raise InvalidArgument if the text is the URI of a table but for the name of its dataset."""
    project, *rest = uri.removeprefix("bq://").rsplit(".", 2)
    if uri.startswith("bq://") and project and len(rest) == 2 and all(rest):  # noqa: PLR2004 - dataset and table
        check_dataset_id(rest[0])


@dataclass(frozen=True, slots=True, order=True)
class GcsUri:
    """`gs://BUCKET/OBJECT`."""

    bucket: str
    object: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Raise InvalidArgument if the text is not a Cloud Storage URI of an object."""
        match = _GCS_URI.fullmatch(uri)
        if not match:
            raise InvalidArgument(
                f"{uri[:MAX_TABLE_URI_LENGTH]!r} is not a Cloud Storage URI; expected gs://BUCKET/PATH"
            )
        return cls(**match.groupdict())

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.object}"


@dataclass(frozen=True, slots=True, order=True)
class GcsFolder:
    """`gs://BUCKET/PREFIX`, the objects of a bucket whose names begin with the prefix.

    The prefix is empty or ends in `/`.
    """

    bucket: str
    prefix: str = ""

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Raise InvalidArgument if the text is not a Cloud Storage URI of a bucket or a folder."""
        return cls(*_folder_parts(_GCS_FOLDER, uri, "a Cloud Storage URI", "gs://BUCKET/FOLDER"))

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True, order=True)
class S3Folder:
    """`s3://BUCKET/PREFIX`, the objects of an S3 bucket whose keys begin with the prefix.

    The prefix is empty or ends in `/`.
    """

    bucket: str
    prefix: str = ""

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Raise InvalidArgument if the text is not an S3 URI of a bucket or a folder."""
        return cls(*_folder_parts(_S3_FOLDER, uri, "an S3 URI", "s3://BUCKET/FOLDER"))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def _folder_parts(pattern: re.Pattern[str], uri: str, kind: str, right: str) -> tuple[str, str]:
    """Return bucket and prefix of a folder's URI. Raises InvalidArgument."""
    shown = f"{uri[:MAX_TABLE_URI_LENGTH]!r}"
    match = pattern.fullmatch(uri)
    if not match:
        raise InvalidArgument(f"{shown} is not {kind}; expected {right}")
    folder = (match["prefix"] or "").removesuffix("/")
    prefix = f"{folder}/" if folder else ""
    if uri.endswith("//") or _NOT_IN_FOLDER.search(prefix) or not _is_text(prefix):
        raise InvalidArgument(
            f"{shown} has an empty part, a part . or .., or a character that no object's name has; expected {right}"
        )
    if len(prefix.encode()) > _MAX_FOLDER_BYTES:
        raise InvalidArgument(
            f"The folder of the URI has {len(prefix.encode())} bytes; expected at most {_MAX_FOLDER_BYTES}"
        )
    return match["bucket"], prefix


def adds_to(folder: str, root: str) -> bool:
    """Say whether `folder/STUDY_UID/…` may be below `root`. Both are addresses that end in `/`."""
    below = root.removeprefix(folder)
    # The name of a copy begins with a UID, which begins with a digit.
    return folder.startswith(root) or (root.startswith(folder) and below[:1].isdecimal())


def _is_text(text: str) -> bool:
    """Say whether the text can be written in UTF-8: JSON may have half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
