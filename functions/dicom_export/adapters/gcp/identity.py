"""Identity tokens of the caller, which Cloud Run takes."""

from __future__ import annotations

import shutil
import subprocess

from google.auth import exceptions as auth
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from dicom_export.errors import Unavailable

_GCLOUD_SECONDS = 60


def identity_token(audience: str) -> str:
    """Return an ID token of the caller: a service account's for the audience, a user's from gcloud. Raises Unavailable."""
    try:
        return str(id_token.fetch_id_token(Request(), audience))
    except auth.GoogleAuthError:
        return _users_token()


def _users_token() -> str:
    """Return the token of the account that is signed in to gcloud: only gcloud gets one that Cloud Run takes."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise Unavailable(
            "no identity token: gcloud is not on the PATH, and the application default credentials are not a service account's"
        )
    try:
        done = subprocess.run(  # noqa: S603 - gcloud itself
            [gcloud, "auth", "print-identity-token"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GCLOUD_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(
            "no identity token: `gcloud auth print-identity-token` failed; run `gcloud auth login`"
        ) from error
    return done.stdout.strip()
