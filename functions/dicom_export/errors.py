"""Every error of the system, and whether a retry helps.

DicomExportError
├── PermanentError             counted or answered, acknowledged, never retried
│   ├── InvalidArgument        the request, a message or a value is malformed
│   ├── FailedPrecondition     valid, but not allowed in the current state
│   ├── NotFound
│   ├── AlreadyExists
│   ├── PermissionDenied
│   ├── Unimplemented
│   ├── Cancelled
│   ├── RowsRefused            rows of a batch that the table refused
│   ├── Internal               a defect of this system
│   ├── ConfigurationError     the installation's settings are missing or contradict each other
│   └── InstanceError          one DICOM object that cannot become a row
│       ├── NotDicom
│       ├── MissingUid
│       ├── TruncatedInstance
│       ├── LimitExceeded
│       └── InstanceGone       the planned generation of the object is gone
└── TransientError             raised, so that the message is delivered again
    ├── Unavailable
    ├── Aborted                another worker was faster, or too many change the same table
    └── ResourceExhausted      a quota is used up, or a disk is full

An error's message says what is wrong, with the value, and what was expected. It never contains patient data: only UIDs,
object names, tags, VRs, lengths and offsets.
"""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.uids import InstanceUids


DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of the operating system's errors for a full disk."""


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
    """The root: `code` is what an API client or a failure report is told."""

    code: ClassVar[Code] = Code.INTERNAL

    @property
    def message(self) -> str:
        """The sentence for whoever has to act on it."""
        return str(self.args[0]) if self.args else type(self).__name__


class PermanentError(DicomExportError):
    """No retry helps."""


class FieldViolation(NamedTuple):
    """What is wrong with one field of a request. `field` is its path, as in `bigquery_destination.table_uri`, if it has one."""

    field: str
    description: str


class InvalidArgument(PermanentError):
    """The request, a message or a value is malformed. `violations` lists all malformed fields."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, violations: Sequence[FieldViolation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class FailedPrecondition(PermanentError):
    """The request is valid, but the current state of the system does not allow it."""

    code = Code.FAILED_PRECONDITION


class InUse(FailedPrecondition):
    """Another process uses the file at the moment."""


class NotFound(PermanentError):
    """The request names something that does not exist."""

    code = Code.NOT_FOUND


class AlreadyExists(PermanentError):
    """The request creates something that exists already."""

    code = Code.ALREADY_EXISTS


class PermissionDenied(PermanentError):
    """The installation has no right to read or write something that the request names."""

    code = Code.PERMISSION_DENIED


class Unimplemented(PermanentError):
    """The managed service supports this, and this system does not yet."""

    code = Code.UNIMPLEMENTED


class Cancelled(PermanentError):
    """A client cancelled the operation."""

    code = Code.CANCELLED


class RowsRefused(PermanentError):
    """The table refused some rows of a batch, so none of the batch was written. `indices` are their positions, from 0."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, indices: tuple[int, ...]) -> None:
        super().__init__(message)
        self.indices = indices


class TooManyColumns(PermanentError):
    """The table accepts no more columns, although it is below the limit: BigQuery still counts columns that were dropped."""

    code = Code.INVALID_ARGUMENT


class Internal(PermanentError):
    """A defect of this system."""

    code = Code.INTERNAL


class ConfigurationError(PermanentError):
    """Settings of the installation are missing, or contradict each other."""

    code = Code.FAILED_PRECONDITION


class InstanceError(PermanentError):
    """One DICOM object that cannot become a row; `uids` says which instance it is as far as that could be read."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, uids: InstanceUids | None = None) -> None:
        super().__init__(message)
        self.uids = uids


class NotDicom(InstanceError):
    """The object is not DICOM."""


class MissingUid(InstanceError):
    """The header is complete, but has no Study, Series or SOP Instance UID."""


class TruncatedInstance(InstanceError):
    """The object ends before the end of its header."""

    code = Code.DATA_LOSS


class LimitExceeded(InstanceError):
    """The header exceeds a limit, such as the depth of nesting or the number of elements, or its row is too large."""


class InstanceGone(InstanceError):
    """The generation of the object was deleted or replaced after it was planned."""

    code = Code.NOT_FOUND


class TransientError(DicomExportError):
    """A retry helps: the message has to be delivered again."""

    code = Code.UNAVAILABLE


class Unavailable(TransientError):
    """A service did not answer in time."""


class Aborted(TransientError):
    """Another worker was faster, or too many workers change the same table at the same time."""

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
    """Return the error with which an operation ended, by the code that it was recorded with."""
    return _BY_CODE.get(code, Internal)(message)
