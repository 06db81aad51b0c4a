"""A form is taken only from a page of the console, in the same browser."""

from __future__ import annotations

import pytest

from dicom_export.console import security
from dicom_export.console.exchange import PageRequest
from dicom_export.errors import PermissionDenied

KEY = b"k" * 32
SESSION = security.new_session()


def form(token: str, session: str = SESSION, **headers: str) -> PageRequest:
    return PageRequest("POST", "/", form={"token": token}, cookies={security.COOKIE: session}, headers=headers)


def test_the_form_of_a_page_is_taken() -> None:
    security.check_form(form(security.token_of(SESSION, KEY)), KEY)
    security.check_form(form(security.token_of(SESSION, KEY), **{"sec-fetch-site": "same-origin"}), KEY)


@pytest.mark.parametrize(
    "request_of",
    [
        form(""),
        form("é"),
        form(security.token_of(SESSION, b"another")),
        form(security.token_of(security.new_session(), KEY)),
        form(security.token_of("", KEY), session=""),
        form(security.token_of("short", KEY), session="short"),
        form(security.token_of(SESSION, KEY), **{"sec-fetch-site": "cross-site"}),
        form(security.token_of(SESSION, KEY), **{"sec-fetch-site": "same-site"}),
    ],
)
def test_any_other_form_is_refused(request_of: PageRequest) -> None:
    with pytest.raises(PermissionDenied):
        security.check_form(request_of, KEY)


def test_the_cookie_is_for_this_server_and_not_for_scripts() -> None:
    text = security.cookie_of(SESSION, is_secure=False)
    assert text.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert security.cookie_of(SESSION, is_secure=True).endswith("; Secure")


def test_sessions_differ() -> None:
    assert len({security.new_session() for _ in range(100)}) == 100
