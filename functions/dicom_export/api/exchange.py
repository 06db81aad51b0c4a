"""Define an HTTP request and its response as values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_export.errors import Code, FieldViolation


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A decoded request.

    `path` has no query and no escapes, `body` no encoding. `host_url` is the server's URL as the
    client sees it. The names of `headers` are in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    host_url: str = "http://127.0.0.1:8080/"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A status and a JSON object."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    is_indented: bool = True

    def encode(self) -> bytes:
        """Return the body as bytes of JSON."""
        return json.dumps(self.body, indent=2 if self.is_indented else None).encode() + b"\n"


def error_response(
    code: Code,
    message: str,
    *,
    violations: Sequence[FieldViolation] = (),
    headers: Mapping[str, str] | None = None,
    status: int | None = None,
) -> HttpResponse:
    """Return an error in the form of https://cloud.google.com/apis/design/errors#http_mapping.

    `violations` are its details. `status` is the HTTP status if it is more specific than the
    code's.
    """
    http_status = status or code.http_status
    error = {"code": http_status, "message": message, "status": code.name}
    details = {"details": [_bad_request(violations)]} if violations else {}
    return HttpResponse(http_status, {"error": error | details}, headers or {})


def _bad_request(violations: Sequence[FieldViolation]) -> dict[str, Any]:
    found = [{name: text for name, text in each._asdict().items() if text} for each in violations]
    return {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": found}
