"""Keep other people's pages from using the console, and the console's pages from loading anything of theirs.

A form has a token that belongs to a cookie of the browser. The token is a keyed digest of the cookie, so that every process of
the installation can check it. Source: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING

from dicom_export.errors import PermissionDenied

if TYPE_CHECKING:
    from dicom_export.console.exchange import PageRequest

COOKIE = "dicom_export_console"
TOKEN = "token"  # noqa: S105 - the name of a field
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
NOT_STORED = {"Cache-Control": "no-store"}

_SESSION = re.compile(r"[A-Za-z0-9_-]{43}")
_OWN_PAGES = ("", "same-origin", "none")


def session_of(request: PageRequest) -> str:
    """Return the browser's session, or an empty text without a valid one."""
    found = request.cookies.get(COOKIE, "")
    return found if _SESSION.fullmatch(found) else ""


def new_session() -> str:
    """Return a session that nobody else has."""
    return secrets.token_urlsafe(32)


def cookie_of(session: str, *, is_secure: bool) -> str:
    """Return the header that gives the browser its session. Scripts cannot read it; other sites' requests do not carry it."""
    return f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if is_secure else ''}"


def token_of(session: str, key: bytes) -> str:
    """Return the token of the session's forms."""
    return hmac.new(key, session.encode(), hashlib.sha256).hexdigest()


def check_form(request: PageRequest, key: bytes) -> None:
    """Raise PermissionDenied unless a page of this console sent the form."""
    session = session_of(request)
    is_ours = session and hmac.compare_digest(request.form.get(TOKEN, "").encode(), token_of(session, key).encode())
    if request.headers.get("sec-fetch-site", "") not in _OWN_PAGES or not is_ours:
        raise PermissionDenied(
            "The form was not sent by a page of this console, or its page is too old. Open the page again and send it once more."
        )
