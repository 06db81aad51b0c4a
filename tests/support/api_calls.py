"""Requests to the API, without a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped]  # it says nothing of its types
from httplib2 import Response  # type: ignore[import-untyped]  # it has no types

from dicom_export.api import answer
from dicom_export.api.exchange import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from support.exports import InMemoryExports


def get(service: InMemoryExports, path: str, **query: str) -> Any:
    response = call(service, "GET", path, **query)
    assert response.status == 200, response.body
    return json.loads(response.encode())


def make_client(service: InMemoryExports, version: str = "v1") -> Any:
    """Return the datasets of the client that Google's library makes of our document."""
    http = Loopback(service)
    _, content = http.request(f"{ROOT}$discovery/rest?version={version}")
    return build_from_document(content.decode(), http=http).projects().locations().datasets()


ROOT = "http://127.0.0.1:8080/"


def call(service: InMemoryExports, method: str, path: str, body: Any = None, **query: str) -> HttpResponse:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return answer(HttpRequest(method, path, query, content), service)


class Loopback:
    """Stands in for httplib2.Http: answers a client's requests without a network."""

    def __init__(self, service: InMemoryExports) -> None:
        self._service = service

    def request(self, uri: str, method: str = "GET", body: str | None = None, **_: Any) -> tuple[Response, bytes]:
        parts = urlsplit(uri)
        request = HttpRequest(method, parts.path, dict(parse_qsl(parts.query)), (body or "").encode(), ROOT)
        response = answer(request, self._service)
        return Response({"status": str(response.status)}), response.encode()
