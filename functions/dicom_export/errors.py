"""Every error of the system, and whether a retry helps.

DicomExportError
├── PermanentError             counted or answered, acknowledged, never retried
│   ├── InvalidArgument        the request, a message or a value is malformed
│   ├── FailedPrecondition     valid by itself, but not possible in the present state
│   │   ├── TableHasRows       the export needs an empty or a new table
│   │   ├── TableTaken         another export needs the same empty or new table
│   │   └── InUse              another process uses a resource, and may release it
│   ├── NotFound
│   ├── AlreadyExists
│   ├── PermissionDenied
│   ├── Unimplemented
│   ├── Cancelled
│   ├── RowsRefused            the table refuses some rows of a batch
│   ├── Internal               a defect of this system
│   ├── ConfigurationError     the settings are missing or contradict each other
│   └── InstanceError          one DICOM object that cannot become a row
│       ├── NotDicom
│       ├── MissingUid
│       ├── TruncatedInstance
│       ├── LimitExceeded
│       ├── EncodedObject
│       └── InstanceGone       the generation that was planned is gone
└── TransientError             raised, so that the message is delivered again
    ├── Unavailable
    │   └── ColumnsNotKnown    the service does not know new columns of a table yet
    ├── Aborted                others change the same table or file at once
    └── ResourceExhausted      a quota, or a full disk

An error message says what is wrong, with the offending value, then what is expected. It never holds
patient data: only UIDs, object names, tags, VRs, lengths and offsets.
"""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.uids import InstanceUids


DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The operating system's error numbers for a full disk."""


class Code(IntEnum):
    """The codes of google.rpc.Code that this system uses."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15

    @property
    def http_status(self) -> int:
        """The HTTP status that google/rpc/code.proto maps the code to."""
        return _HTTP_STATUS[self]


_HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
}


class DicomExportError(Exception):
    """The base class. API clients and failure reports receive `code`."""

    code: ClassVar[Code] = Code.INTERNAL

    @property
    def message(self) -> str:
        """A sentence for the person who has to act on the error."""
        return str(self.args[0]) if self.args else type(self).__name__


class PermanentError(DicomExportError):
    """No retry helps."""


class FieldViolation(NamedTuple):
    """One field of a request and what is wrong with it.

    `field` is its path, such as `bigquery_destination.table_uri`, or empty if the violation has
    none.
    """

    field: str
    description: str


class InvalidArgument(PermanentError):
    """The request, a message or a value is malformed.

    `violations` lists all malformed fields of a request.
    """

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, violations: Sequence[FieldViolation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class FailedPrecondition(PermanentError):
    """The request is valid by itself, but not possible in the present state."""

    code = Code.FAILED_PRECONDITION


class TableHasRows(FailedPrecondition):
    """The table of an export that needs an empty or a new one has rows. `table` is its name without project and dataset."""

    def __init__(self, message: str, table: str, rows: int) -> None:
        super().__init__(message)
        self.table = table
        self.rows = rows


class TableTaken(FailedPrecondition):
    """Another export, which has not ended, needs the same empty or new table. `operation` is its id."""

    def __init__(self, message: str, table: str, operation: str) -> None:
        super().__init__(message)
        self.table = table
        self.operation = operation


class InUse(FailedPrecondition):
    """Another process uses a resource that this one needs, and may release it."""


class NotFound(PermanentError):
    """The resource that the request names does not exist."""

    code = Code.NOT_FOUND


class AlreadyExists(PermanentError):
    """The resource that the request would create exists already."""

    code = Code.ALREADY_EXISTS


class PermissionDenied(PermanentError):
    """The installation may not read or write what the request names."""

    code = Code.PERMISSION_DENIED


class Unimplemented(PermanentError):
    """The managed service supports this; this system does not yet."""

    code = Code.UNIMPLEMENTED


class Cancelled(PermanentError):
    """A client cancelled the operation."""

    code = Code.CANCELLED


class RowsRefused(PermanentError):
    """The table refuses some rows of a batch. It wrote no row of the batch.

    `indices` are the positions of the refused rows, counted from the first row of the batch.
    """

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, indices: tuple[int, ...]) -> None:
        super().__init__(message)
        self.indices = indices


class TooManyColumns(PermanentError):
    """The table takes no further column, although it has fewer than its limit.

    BigQuery counts dropped columns for a while.
    """

    code = Code.INVALID_ARGUMENT


class Internal(PermanentError):
    """A defect of this system."""

    code = Code.INTERNAL


class ConfigurationError(PermanentError):
    """The settings of the installation are missing or contradict each other."""

    code = Code.FAILED_PRECONDITION


class InstanceError(PermanentError):
    """One DICOM object cannot become a row.

    `uids` says which instance it is, as far as that could be read.
    """

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, uids: InstanceUids | None = None) -> None:
        super().__init__(message)
        self.uids = uids


class NotDicom(InstanceError):
    """The content of the object is not DICOM."""


class MissingUid(InstanceError):
    """The header is complete and lacks the Study, Series or SOP Instance UID."""


class TruncatedInstance(InstanceError):
    """The object ends before its header does."""

    code = Code.DATA_LOSS


class LimitExceeded(InstanceError):
    """The header is nested too deeply, has too many elements, or makes a row that no table takes."""


class EncodedObject(InstanceError):
    """The object is stored with a Content-Encoding, so that ranges of its header cannot be read."""

    code = Code.FAILED_PRECONDITION


class InstanceGone(InstanceError):
    """The planned generation of the object was deleted or replaced."""

    code = Code.NOT_FOUND


class TransientError(DicomExportError):
    """A retry helps: the message has to be delivered again."""

    code = Code.UNAVAILABLE


class Unavailable(TransientError):
    """A service did not answer, or not in time."""


class ColumnsNotKnown(Unavailable):
    """The service does not know new columns of a table yet."""


class Aborted(TransientError):
    """Another writer changed the same table or file at the same time. A retry sees its changes."""

    code = Code.ABORTED


class ResourceExhausted(TransientError):
    """A quota is used up, or a disk is full."""

    code = Code.RESOURCE_EXHAUSTED


_BY_CODE: dict[Code, type[DicomExportError]] = {
    error.code: error
    for error in (
        InvalidArgument,
        FailedPrecondition,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        Unimplemented,
        Cancelled,
        Unavailable,
        Aborted,
        ResourceExhausted,
    )
}


def error_of(code: Code, message: str) -> DicomExportError:
    """Return the error for a code and a message that an operation was recorded with."""
    return _BY_CODE.get(code, Internal)(message)
