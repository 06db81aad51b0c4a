"""Calls of Google's REST APIs that the installation has no client library for, and of its own API with an ID token."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import google.auth
import requests
from google.api_core import exceptions
from google.auth.credentials import CredentialsWithQuotaProject
from google.auth.transport.requests import AuthorizedSession

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS, google_errors
from dicom_export.adapters.gcp.identity import identity_token
from dicom_export.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_BRIEF = RETRY.with_timeout(25.0)


class GoogleRest:
    """Google's REST APIs, as the caller. The credentials are looked up at the first call.

    `project` is charged for the quota of the calls: without one, some APIs refuse the credentials of users.
    """

    def __init__(self, project: str, session: requests.Session | None = None) -> None:
        self._project = project
        self._given = session

    def get(self, url: str, parameters: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of the answer. Raises errors of this system."""
        return self.call("GET", url, parameters)

    def call(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, Any] | None = None,
        body: Any = None,  # noqa: ANN401 - JSON
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of the answer to a request with a body of JSON. Raises errors of this system."""
        with google_errors(f"{method} {url}"):
            return _BRIEF(partial(self._called, method, url, parameters, body))()

    def _called(self, method: str, url: str, parameters: Mapping[str, Any] | None, body: Any) -> Any:  # noqa: ANN401
        answer = self._session.request(method, url, params=parameters, json=body, timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise exceptions.from_http_response(answer)
        return answer.json()

    @cached_property
    def _session(self) -> requests.Session:
        if self._given:
            return self._given
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        if isinstance(credentials, CredentialsWithQuotaProject) and credentials.quota_project_id is None:
            credentials = credentials.with_quota_project(self._project)
        return AuthorizedSession(credentials)


class ApiCaller:
    """The API of the installation. A call to an `https` address has an ID token of the caller."""

    def __init__(self, session: requests.Session | None = None) -> None:
        self._session = session or requests.Session()
        self._tokens: dict[str, str] = {}

    def call(
        self, method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """Return the answer, whatever its status is. Raises Unavailable if there is none."""
        try:
            return self._session.request(
                method, url, data=data, headers={**self._authorization(url), **(headers or {})}, timeout=TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise Unavailable(f"{method} {url}: {type(error).__name__}") from error

    def _authorization(self, url: str) -> dict[str, str]:
        parts = urlsplit(url)
        if parts.scheme != "https":
            return {}
        audience = f"https://{parts.netloc}"
        if audience not in self._tokens:
            self._tokens[audience] = identity_token(audience)
        return {"Authorization": f"Bearer {self._tokens[audience]}"}
