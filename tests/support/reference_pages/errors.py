"""The page of the errors, from errors.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export import errors
from dicom_export.errors import DicomExportError, InstanceError, PermanentError, TransientError
from support.reference_pages.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterator

_GROUPS = (PermanentError, TransientError, InstanceError)
_HEADER = ("error", "code", "HTTP", "retried", "meaning")
_BEGINNING = """\
# Errors

An operation or a failure has one of the codes of google.rpc.Code. A transient error is retried: the message is delivered again.
`make reference` writes this page.

"""


def error_table() -> str:
    """Return the page of the errors: code, HTTP status, and whether a retry helps."""
    return _BEGINNING + table(_HEADER, map(_row, _errors(DicomExportError)))


def _row(error: type[DicomExportError]) -> tuple[str, ...]:
    meaning = (error.__doc__ or "").partition("\n")[0]
    retried = "yes" if issubclass(error, TransientError) else "no"
    return error.__name__, error.code.name, str(error.code.http_status), retried, meaning


def _errors(error: type[DicomExportError]) -> Iterator[type[DicomExportError]]:
    """Yield the errors that the package raises, in the order of their definition: not the classes that only group them."""
    for each in error.__subclasses__():
        if each.__module__ == errors.__name__:
            if each not in _GROUPS:
                yield each
            yield from _errors(each)
