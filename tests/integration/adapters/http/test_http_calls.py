"""Addresses and tokens of an installation's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.auth import exceptions as auth
from werkzeug import Response

from dicom_export.adapters.http.address import Address
from dicom_export.adapters.http.calls import Api
from dicom_export.bootstrap import libraries
from dicom_export.bootstrap.served import served_exports
from dicom_export.errors import ConfigurationError, InvalidArgument, PermissionDenied, Unavailable
from support.exports import DATASET, InMemoryExports, make_operation
from support.served import Scripted, listening, served

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = Response("{}", 200)
REFUSED = Response("<html>", 401)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://x.run.app/", Address("https://x.run.app", is_encrypted=True, is_local=False)),
        ("https://r-p.cloudfunctions.net/api", Address("https://r-p.cloudfunctions.net/api", is_encrypted=True, is_local=False)),
        ("http://127.0.0.1:8080/", Address("http://127.0.0.1:8080", is_encrypted=False, is_local=True)),
        ("http://localhost:8080", Address("http://localhost:8080", is_encrypted=False, is_local=True)),
        ("http://[::1]:8080", Address("http://[::1]:8080", is_encrypted=False, is_local=True)),
        ("http://localhost.example.com", Address("http://localhost.example.com", is_encrypted=False, is_local=False)),
    ],
)  # fmt: skip
def test_an_address_says_what_may_be_sent_there(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text", ["", "x", "https://", "https:///x", "file:///etc/passwd", "https://x:port", "https://x:0", "https://x/?a=1",
             "https://x#a", "https://u@x", "https://[x", "https://x\n", "https://x y"],
)  # fmt: skip
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="expected https://HOST"):
        Address.parse(text)


def tokens(*found: str) -> Iterator[str]:
    return iter(found)


def test_a_token_that_has_expired_is_replaced_once() -> None:
    script = Scripted([OK, REFUSED, OK, REFUSED])
    with listening(script) as url:
        found = tokens("first", "second", "third")
        api = Api(Address.parse(url), lambda: next(found))
        assert api.get("a") == api.get("b") == {}
        with pytest.raises(PermissionDenied, match="refuses the identity token"):
            api.get("c")
    assert [(path, token) for _, path, token in script.asked] == [
        ("/v1/a", "Bearer first"),
        ("/v1/b", "Bearer first"),
        ("/v1/b", "Bearer second"),
        ("/v1/c", "Bearer second"),
        ("/v1/c", "Bearer third"),
    ]


def test_a_token_that_was_given_is_not_sent_twice() -> None:
    script = Scripted([REFUSED])
    with listening(script) as url:
        exports = served_exports(url, "given")
        with pytest.raises(PermissionDenied):
            next(exports.newest_first(DATASET))
    assert len(script.asked) == 1


def test_an_address_of_this_machine_is_not_called_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    operation = make_operation()
    with served(InMemoryExports(operations=[operation])) as url:
        assert served_exports(url).get_operation(operation.name).name == operation.name


def test_the_audience_of_a_token_is_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    audiences = []

    def fetch(_request: object, audience: str) -> str:
        audiences.append(audience)
        return "a-token"

    monkeypatch.setattr("google.oauth2.id_token.fetch_id_token", fetch)
    exports = served_exports("https://127.0.0.2.invalid/")
    assert audiences == []
    with pytest.raises(Unavailable, match=r"https://127\.0\.0\.2\.invalid cannot be reached: ") as raised:
        next(exports.newest_first(DATASET))
    assert audiences == ["https://127.0.0.2.invalid"]
    assert "a-token" not in str(raised.value)


def test_who_cannot_have_a_token_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> str:
        raise auth.DefaultCredentialsError("none")

    monkeypatch.setattr("google.oauth2.id_token.fetch_id_token", nobody)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        Unavailable, match=r"gcloud is not on the PATH.*Or set DICOM_EXPORT_TOKEN to a token for https://x"
    ):
        next(served_exports("https://x").newest_first(DATASET))


def test_without_googles_library_a_token_has_to_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dicom-export\[cloud\]', or set DICOM_EXPORT_TOKEN"):
        served_exports("https://x")
    served_exports("https://x", "given")
    served_exports("http://127.0.0.1:8080")
