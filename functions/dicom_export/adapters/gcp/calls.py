"""Give each call to Google Cloud a timeout, a retry and errors of this system.

Pub/Sub delivers a message again after 600 s, so one call and its retries take a small part of that.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests.exceptions
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth import exceptions as auth

from dicom_export.errors import (
    Aborted,
    AlreadyExists,
    DicomExportError,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)
from dicom_export.pubsub.attempts import is_patient

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_SECONDS = 30.0
"""The timeout of one attempt of a call."""

_TRANSIENT = (
    exceptions.BadGateway,
    exceptions.GatewayTimeout,
    exceptions.InternalServerError,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,
    exceptions.Unknown,
    auth.RefreshError,  # an overloaded metadata server causes it too
    auth.TransportError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, _TRANSIENT) or _is_request_timeout(error)


def _is_request_timeout(error: BaseException) -> bool:
    """Return whether the error is a 408, for which the library has no class."""
    return isinstance(error, exceptions.GoogleAPICallError) and error.code == HTTPStatus.REQUEST_TIMEOUT


RETRY = Retry(_may_pass, initial=0.5, maximum=8.0, multiplier=2.0, timeout=90.0)
"""The retry of calls that may be repeated: their attempts and pauses end within 90 s."""

# BigQuery answers quotas with 403: https://cloud.google.com/bigquery/docs/error-messages
_QUOTA_REASONS = frozenset({"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "userRateLimitExceeded"})

_ERRORS: tuple[tuple[type[Exception], type[DicomExportError]], ...] = (
    (exceptions.TooManyRequests, ResourceExhausted),
    (exceptions.Aborted, Aborted),
    (exceptions.NotFound, NotFound),
    (exceptions.AlreadyExists, AlreadyExists),
    (exceptions.Conflict, AlreadyExists),
    (exceptions.PreconditionFailed, FailedPrecondition),
    (exceptions.FailedPrecondition, FailedPrecondition),
    (exceptions.Forbidden, PermissionDenied),
    (exceptions.Unauthorized, PermissionDenied),
    (exceptions.BadRequest, InvalidArgument),
    (exceptions.Cancelled, Unavailable),
    (exceptions.ServerError, Unavailable),
    (exceptions.RetryError, Unavailable),
    (exceptions.GoogleAPICallError, Internal),
    (auth.InvalidOperation, PermissionDenied),  # a 401 for anonymous credentials
    # No request was sent yet. Missing credentials are a fault of the installation: a retry keeps the message's instances
    # from counting as failed.
    (auth.GoogleAuthError, Unavailable),
    (requests.exceptions.RequestException, Unavailable),
)


@contextmanager
def google_errors(doing: str) -> Iterator[None]:
    """Raise a client library's error as an error of this system, whose message begins with `doing`.

    The service's answer follows. Do not use this for calls that send values of elements: the answer
    may quote them.
    """
    try:
        yield
    except tuple(kind for kind, _ in _ERRORS) as error:
        raise translated(doing, error) from error


def translated(doing: str, error: Exception) -> DicomExportError:
    """Return the error of this system for a client library's error."""
    if isinstance(error, exceptions.Forbidden) and _reasons(error) & _QUOTA_REASONS:
        return ResourceExhausted(f"{doing}: {_message(error)}")
    if _is_request_timeout(error):
        return Unavailable(f"{doing}: {_message(error)}")
    ours = next((ours for theirs, ours in _ERRORS if isinstance(error, theirs)), Internal)
    return as_denied(f"{doing}: {_message(error)}") if ours is PermissionDenied else ours(f"{doing}: {_message(error)}")


def as_denied(message: str) -> DicomExportError:
    """Return the error for a call that is not allowed: one that may pass, in the first attempts of a message."""
    if is_patient():
        return Unavailable(f"{message} (a right that was just granted takes minutes to take effect)")
    return PermissionDenied(message)


def _reasons(error: exceptions.GoogleAPICallError) -> set[str]:
    return {str(each.get("reason")) for each in error.errors if isinstance(each, dict)}


def _message(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error)
    return f"{type(error).__name__}: {message}"
