"""What any call to Google Cloud raises, and which calls are made again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth

from dicom_export.adapters.gcp.calls import RETRY, google_errors, translated
from dicom_export.decoding.threads import DecodeAhead
from dicom_export.errors import (
    DicomExportError,
    InvalidArgument,
    PermanentError,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)
from dicom_export.pubsub.attempts import attempt
from dicom_export.rows.layout import RowLayout, SchemaKind
from support.dicom_files import MemoryStore, make_stored
from support.scripted import Scripted

if TYPE_CHECKING:
    from dicom_export.stored_object import StoredObject

REQUEST_TIMEOUT = exceptions.from_http_status(408, "Request timeout")
# What google-auth makes of a metadata server that answers 500, 503 or 429.
REFRESH = auth.RefreshError(auth.TransportError("Failed to retrieve the service account's token"))
BRIEF = RETRY.with_timeout(5.0)


@pytest.mark.parametrize(
    "error",
    [
        REFRESH,
        auth.DefaultCredentialsError("no metadata server"),
        auth.TransportError(""),
        auth.MutualTLSChannelError(""),
    ],
    ids=lambda error: type(error).__name__,
)
def test_credentials_that_cannot_be_had_now_cost_no_instance(error: Exception) -> None:
    with pytest.raises(Unavailable, match=rf"^Reading x: {type(error).__name__}: "), google_errors("Reading x"):
        raise error


@pytest.mark.parametrize("passing", [REFRESH, REQUEST_TIMEOUT, exceptions.ServiceUnavailable("")], ids=repr)
def test_what_passes_is_called_again(passing: Exception) -> None:
    client = Scripted(call=[passing, "answer"])
    assert client.call(retry=BRIEF) == "answer"
    assert len(client.calls) == 2


@pytest.mark.parametrize("lasting", [exceptions.Forbidden(""), exceptions.BadRequest("")], ids=repr)
def test_what_lasts_is_called_once(lasting: Exception) -> None:
    client = Scripted(call=[lasting])
    with pytest.raises(type(lasting)):
        client.call(retry=BRIEF)
    assert len(client.calls) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (REQUEST_TIMEOUT, Unavailable),
        (exceptions.GatewayTimeout(""), Unavailable),
        (auth.InvalidOperation("Anonymous credentials cannot be refreshed."), PermissionDenied),
        (exceptions.Unauthorized(""), PermissionDenied),
        (exceptions.Forbidden(""), PermissionDenied),
        (exceptions.Forbidden("", errors=[{"reason": "quotaExceeded"}]), ResourceExhausted),
        (exceptions.BadRequest(""), InvalidArgument),
        (exceptions.from_http_status(418, ""), PermanentError),
    ],
    ids=repr,
)
def test_an_answer_is_transient_or_permanent(error: Exception, kind: type[DicomExportError]) -> None:
    assert isinstance(translated("Doing", error), kind)


@pytest.mark.parametrize("refused", [exceptions.Forbidden("no right"), exceptions.Unauthorized("no right")], ids=repr)
def test_what_is_forbidden_is_tried_again_while_rights_may_take_effect(refused: Exception) -> None:
    """Rights take minutes: the first attempts of a message are delivered again, and the last ones end with the reason."""
    with (
        attempt(1),
        pytest.raises(Unavailable, match="a right that was just granted"),
        google_errors("Reading"),
    ):
        raise refused
    for last in (9, None):
        with attempt(last), pytest.raises(PermissionDenied, match="no right"), google_errors("Reading"):
            raise refused


def test_headers_that_are_read_in_threads_know_the_attempt() -> None:
    class Forbidding(MemoryStore):
        def read(self, stored: StoredObject, start: int, length: int) -> bytes:  # noqa: ARG002 - the port's
            with google_errors(f"Reading {stored.name}"):
                raise exceptions.Forbidden("no right")

    store, stored, layout = Forbidding({"a": b"x"}), make_stored("a", b"x"), RowLayout(SchemaKind.FLATTENED)
    with attempt(1), pytest.raises(Unavailable):
        list(DecodeAhead(4)(store, [stored], layout))
    (failed,) = DecodeAhead(4)(store, [stored], layout)
    assert isinstance(failed, PermissionDenied)
