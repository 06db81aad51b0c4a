"""Create the S3 client of this process, and call it.

Credentials, profile, region and endpoint are those of the AWS command line: environment variables, configuration files,
SSO, containers and virtual machines.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore import UNSIGNED, exceptions
from botocore.config import Config
from botocore.session import get_session

from dicom_export.errors import (
    DicomExportError,
    FailedPrecondition,
    InstanceError,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_SECONDS = 30.0
"""The timeout of one attempt of a call."""

ATTEMPTS = 5
"""The attempts of a call, with pauses that double up to 20 s in between: the `standard` retries of AWS."""

POOL_SIZE = 64
"""The number of connections that a client keeps open; further reads open a new one each."""

# Credentials that are missing or out of date are a fault of the environment, not of an object: a retry keeps the message's
# instances from counting as failed.
_CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_ARCHIVED = "InvalidObjectState"
_THROTTLED = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"})

_MAKING = Lock()


@dataclass(frozen=True, slots=True)
class Connection:
    """How a client reaches S3. `endpoint_url` is that of another server; None for the configured one, or Amazon's."""

    endpoint_url: str | None = None
    is_anonymous: bool = False


def shared_client(connection: Connection) -> Any:  # noqa: ANN401 - botocore makes the client's class when it runs
    """Return the client of this process, for all its threads; the first call creates it. Raises FailedPrecondition."""
    with _MAKING:
        return _client_of_this_process(connection)


@cache
def _client_of_this_process(connection: Connection) -> Any:  # noqa: ANN401 - as above
    config = Config(
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        max_pool_connections=POOL_SIZE,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        # A range has no checksum of its own, and servers other than Amazon's know none.
        response_checksum_validation="when_required",
        **({"signature_version": UNSIGNED} if connection.is_anonymous else {}),
    )
    try:
        return get_session().create_client("s3", endpoint_url=connection.endpoint_url, config=config)
    except (exceptions.BotoCoreError, ValueError) as error:
        raise FailedPrecondition(f"The settings of the environment for AWS cannot be used: {error}") from error


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Raise the library's error as an error of this system, whose message begins with `doing`."""
    try:
        yield
    except (exceptions.ClientError, exceptions.BotoCoreError) as error:
        raise _translated(doing, error) from error


def code_of(error: exceptions.ClientError) -> tuple[int, str]:
    """Return status and code of S3's answer. The answer to a HEAD has no code of its own."""
    answer = error.response
    return answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), str(answer.get("Error", {}).get("Code", ""))


def _translated(doing: str, error: exceptions.ClientError | exceptions.BotoCoreError) -> DicomExportError:
    if not isinstance(error, exceptions.ClientError):
        is_wrong = isinstance(error, (exceptions.ParamValidationError, exceptions.ProfileNotFound))
        return (InvalidArgument if is_wrong else Unavailable)(f"{doing}: {error}")
    status, code = code_of(error)
    message = f"{doing}: {error.response.get('Error', {}).get('Message') or error} ({code or status})"
    if code == _ARCHIVED:
        return InstanceError(f"{doing}: the object is archived; restore it first ({code})")
    if code in _CREDENTIALS | _THROTTLED or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(message)
    return _BY_STATUS.get(status, Internal)(message)


_BY_STATUS: dict[int, type[DicomExportError]] = {
    HTTPStatus.BAD_REQUEST: InvalidArgument,
    HTTPStatus.UNAUTHORIZED: PermissionDenied,
    HTTPStatus.FORBIDDEN: PermissionDenied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.MOVED_PERMANENTLY: FailedPrecondition,
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
}
