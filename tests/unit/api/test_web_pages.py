"""Which pages of the web may call the API: those of this server, and of a proxy of this machine before it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from dicom_export.api import HttpRequest, answer
from dicom_export.api.web_pages import check_content_type, check_host, check_origin
from dicom_export.errors import InvalidArgument, PermissionDenied
from support.exports import STORE, InMemoryExports

REFUSED = pytest.raises(PermissionDenied, match="may not call this API")


@pytest.mark.parametrize(
    ("origin", "host", "is_answered"),
    [
        ("", "anything", True),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://localhost:8080", "127.0.0.1:8080", True),
        ("http://[::1]:8080", "LocalHost:8080", True),
        ("http://[::ffff:127.0.0.1]:8080", "localhost:8080", True),
        ("http://localhost", "localhost:80", True),
        ("https://api.example", "api.example", True),
        ("https://API.example:443", "api.example", True),
        ("http://localhost:8080", "api-xyz.a.run.app", True),
        ("http://localhost:8081", "localhost:8080", False),
        ("http://localhost", "localhost:8080", False),
        ("https://evil.example", "api.example", False),
        ("https://evil.example", "localhost:8080", False),
        ("http://api.example", "api.example:443", False),
        ("https://api.example.evil.example", "api.example", False),
        ("null", "localhost:8080", False),
        ("null", "", False),
        ("localhost:8080", "localhost:8080", False),
        ("http://localhost:8080/", "localhost:8080", False),
        ("http://user@localhost:8080", "localhost:8080", False),
        ("file://", "localhost:8080", False),
        ("http://127.0.0.1:8080, http://evil.example", "127.0.0.1:8080", False),
    ],
)
def test_a_page_is_of_this_server_or_refused(origin: str, host: str, is_answered: bool) -> None:  # noqa: FBT001 - a table
    with nullcontext() if is_answered else REFUSED:
        check_origin(origin, host)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]:1", "[::ffff:127.0.0.1]", "localhost:65535", "127.255.0.1"])
def test_a_name_that_is_always_this_machines_is_a_host(host: str) -> None:
    check_host(host)


@pytest.mark.parametrize(
    "host", ["", "::1", "localhost.", "[::1", "[::1%lo]", "127.1", "0x7f000001", "localhost:", "localhost:99999999"]
)
def test_any_other_name_is_none(host: str) -> None:
    with pytest.raises(PermissionDenied, match="is not served"):
        check_host(host)


@pytest.mark.parametrize("content_type", ["text/plain", "Text/Plain;x=y", "multipart/form-data", " text/plain "])
def test_a_type_that_needs_no_asking_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidArgument, match="expected application/json"):
        check_content_type(content_type)


def test_the_deployed_function_is_as_strict() -> None:
    service = InMemoryExports()
    body = b'{"bigqueryDestination": {"tableUri": "bq://p.d.t"}}'
    host = {"host": "api.example"}
    for headers, status in (
        ({"origin": "https://evil.example", "content-type": "application/json"}, 403),
        ({"origin": "https://api.example", "content-type": "text/plain"}, 400),
        ({"origin": "https://api.example", "content-type": "application/json"}, 200),
        ({"content-type": "application/json"}, 200),
        ({}, 200),
    ):
        request = HttpRequest("POST", f"/v1/{STORE}:export", {}, body, headers={**host, **headers})
        assert answer(request, service).status == status
    assert len(service.requests) == 3
