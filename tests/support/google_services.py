"""Answers of those services of Google that no emulator has, for commands that run in this process."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import requests
from google.auth.credentials import AnonymousCredentials
from requests.adapters import BaseAdapter

from dicom_export import bootstrap
from dicom_export.adapters.gcp import rest
from dicom_export.adapters.gcp.storage import client as storage_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest


class ScriptedServices(BaseAdapter):
    """Answers each request whose URL has a key of `answers` in it with its value, else with 403. It keeps the requests.

    A value may be a function of the request.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__()
        self.answers = dict(answers)
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.requests.append(request)
        response = requests.Response()
        found = next((answer for part, answer in self.answers.items() if part in str(request.url)), None)
        found = found(request) if callable(found) else found
        content = {"error": {"code": 403, "message": "denied"}} if found is None else found
        response.status_code = 403 if found is None else 200
        response.raw = io.BytesIO(json.dumps(content).encode())
        response.headers["Content-Type"] = "application/json"
        response.url, response.request = str(request.url), request
        return response

    def close(self) -> None:
        """Nothing is open."""


def answering(patch: pytest.MonkeyPatch, answers: Mapping[str, Any]) -> ScriptedServices:
    """Have REST calls of Google's APIs answered until the patch is undone."""
    services = ScriptedServices(answers)
    session = requests.Session()
    session.mount("https://", services)
    patch.setattr(rest, "AuthorizedSession", lambda _: session)
    patch.setattr("google.auth.default", lambda **_: (AnonymousCredentials(), None))
    return services


def installed_here(patch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> Iterator[None]:
    """Have commands in this process work with the installation that the environment describes, until the generator ends."""
    for name, value in environment.items():
        patch.setenv(name, value)
    _forget()
    yield
    _forget()


def _forget() -> None:
    for each in (bootstrap._cloud, bootstrap._service, storage_client._client_of_this_process):
        each.cache_clear()
