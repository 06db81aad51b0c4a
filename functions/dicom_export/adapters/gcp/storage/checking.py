"""Check that a person may list a bucket, and say what to do if not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from google.api_core.exceptions import RetryError
from google.auth.exceptions import DefaultCredentialsError, MutualTLSChannelError, RefreshError

from dicom_export.adapters.gcp.calls import RETRY, translated
from dicom_export.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable
from dicom_export.stores import not_public

if TYPE_CHECKING:
    from dicom_export.adapters.gcp.storage.store import BucketStore
    from dicom_export.errors import DicomExportError

# Somebody waits for the answer.
_SHORT = RETRY.with_timeout(10.0)
# Cloud Storage writes: "Bucket is a requester pays bucket but no user project provided."
_REQUESTER_PAYS = "requester pays"


def check_store(store: BucketStore, *, is_anonymous: bool) -> None:
    """List one object, with retries of 10 s. Raises NotFound, PermissionDenied, FailedPrecondition, InvalidArgument and Unavailable."""
    try:
        store.client()
    except (DefaultCredentialsError, MutualTLSChannelError) as error:
        raise FailedPrecondition(
            f"{store.uri('')} cannot be read without Google credentials ({_first_sentence(error)}): run `gcloud auth"
            " application-default login`, set GOOGLE_APPLICATION_CREDENTIALS to a file with credentials, or add --anonymous if"
            " the bucket is public"
        ) from error
    try:
        next(replace(store, page_size=1).listed("name", retry=_SHORT), None)
    except PermissionDenied as error:
        if is_anonymous:
            raise PermissionDenied(not_public(store.uri(""))) from error
        raise PermissionDenied(
            f"{error.message.rstrip('.')}: expected credentials with the role roles/storage.objectViewer on the bucket, or"
            " --anonymous if the bucket is public"
        ) from error
    except Unavailable as error:
        raise _unavailable(store.uri(""), error) from error
    except InvalidArgument as error:
        if _REQUESTER_PAYS not in error.message:
            raise
        raise InvalidArgument(
            f"{error.message.rstrip('.')}: add --user-project PROJECT, with a project of yours that pays for the requests"
        ) from error


def _unavailable(uri: str, error: Unavailable) -> DicomExportError:
    """Return the error with the last reason in place of the time that was spent with retries."""
    cause = error.__cause__
    if isinstance(cause, RetryError) and isinstance(cause.cause, Exception):
        cause = cause.cause
    if isinstance(cause, RefreshError):
        return FailedPrecondition(
            f"{uri} cannot be read, because the Google credentials are refused ({_first_sentence(cause)}): run `gcloud auth"
            " application-default login`, or add --anonymous if the bucket is public"
        )
    return translated(f"Listing {uri}", cause) if isinstance(cause, Exception) else error


def _first_sentence(error: Exception) -> str:
    return str(error.args[0] if error.args else error).partition(". ")[0].rstrip(".")
