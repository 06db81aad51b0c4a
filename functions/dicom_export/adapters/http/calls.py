"""Calls of an installation's HTTP API, with an identity token, and the errors of this system for its refusals."""

from __future__ import annotations

import json
import ssl
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from dicom_export.errors import Code, DicomExportError, NotFound, PermissionDenied, Unavailable, error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.adapters.http.address import Address

_SECONDS = 120
_LONGEST_MESSAGE = 4_000


class _NoRedirects(HTTPRedirectHandler):
    """Makes an error of a redirection: what is elsewhere is not this API, and must not receive the token."""

    def redirect_request(self, *_: object) -> None:
        return None


class Api:
    """The API at an address. `token` returns an identity token, or None if none is to be sent.

    It is called for the first request, and again when the API refuses the token: one lasts an hour.
    """

    def __init__(self, address: Address, token: Callable[[], str | None]) -> None:
        self._address = address
        self._new_token = token
        self._token: str | None = None
        self._has_token = False
        # What is on this machine is not behind the proxy that the environment names.
        handlers = [_NoRedirects, ProxyHandler({})] if address.is_local else [_NoRedirects]
        self._open = build_opener(*handlers).open

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return self._address.url

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the answer. Raises what the API says, PermissionDenied, NotFound, and Unavailable if it does not answer."""
        return self._call("GET", path, parameters or {}, None)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer. Raises the same errors as `get`."""
        return self._call("POST", path, {}, json.dumps(body).encode())

    def _call(self, method: str, path: str, parameters: Mapping[str, str], body: bytes | None) -> dict[str, Any]:
        status, answer = self._answer(method, path, parameters, body)
        if status == HTTPStatus.UNAUTHORIZED and self._is_renewed():
            status, answer = self._answer(method, path, parameters, body)
        found = _json(answer)
        if status == HTTPStatus.OK and isinstance(found, dict):
            return found
        raise self._refusal(status, found)

    def _answer(self, method: str, path: str, parameters: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        url = f"{self.url}/v1/{quote(path, safe='/:')}{'?' if parameters else ''}{urlencode(parameters)}"
        request = Request(url, body, {"Content-Type": "application/json"} if body else {}, method=method)  # noqa: S310 - http or https
        if token := self._current_token():
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        try:
            with self._open(request, timeout=_SECONDS) as response:
                return response.status, response.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()
        except URLError as error:
            raise Unavailable(f"{self.url} cannot be reached: {_reason(error.reason)}") from error
        except (OSError, HTTPException) as error:
            what_else = "; the request may have arrived all the same" if body else ""
            raise Unavailable(f"{self.url} did not answer: {_reason(error)}{what_else}") from error

    def _current_token(self) -> str | None:
        if not self._has_token:
            self._token, self._has_token = self._new_token(), True
        return self._token

    def _is_renewed(self) -> bool:
        """Get another token; return whether it is another one."""
        refused, self._token = self._token, self._new_token()
        return self._token != refused

    def _refusal(self, status: int, found: object) -> DicomExportError:
        error = found.get("error") if isinstance(found, dict) else None
        if (
            isinstance(error, dict)
            and error.get("status") in Code.__members__
            and isinstance(error.get("message"), str)
        ):
            code = Code[error["status"]]
            # A failure of the service may pass. One line, whatever it quotes.
            return error_of(Code.UNAVAILABLE if code is Code.INTERNAL else code, _one_line(error["message"]))
        if status == HTTPStatus.UNAUTHORIZED:
            given = (
                "refuses the identity token: it has expired, or is for another audience" if self._token else _NO_TOKEN
            )
            return PermissionDenied(f"{self.url} {given} (HTTP 401)")
        if status == HTTPStatus.FORBIDDEN:
            return PermissionDenied(
                f"{self.url} {'refuses this account' if self._token else _NO_TOKEN} (HTTP 403): the accounts that may call the"
                " API are `api_callers` of the Terraform"
            )
        if status == HTTPStatus.NOT_FOUND:
            return NotFound(
                f"{self.url} is not the API of dicom-export (HTTP 404): expected the output `api_url` of the Terraform"
            )
        return Unavailable(
            f"{self.url} does not answer as the API of dicom-export does (HTTP {status}): a proxy or a sign-in page may be in between"
        )


_NO_TOKEN = "needs an identity token"  # noqa: S105 - a sentence


def _json(answer: bytes) -> object:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return None


def _reason(error: object) -> str:
    """Return why there is no connection or no answer, in the words of the operating system."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return f"no answer within {_SECONDS} s"
    return _one_line(getattr(error, "strerror", None) or (error if isinstance(error, str) else type(error).__name__))


def _one_line(text: str) -> str:
    """Return the text without line breaks and control characters: it comes from elsewhere."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))[:_LONGEST_MESSAGE]
