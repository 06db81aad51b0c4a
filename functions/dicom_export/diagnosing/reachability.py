"""Check that the caller reaches the API with a token of their own."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Subject, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.diagnosing.facts import ApiAnswer
    from dicom_export.diagnosing.findings import Finding

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def check_api(url: str, found: ApiAnswer | Unreadable) -> Iterator[Finding]:
    """Yield the finding about the answer of the API's health path."""
    subject = Subject("api", url)
    if isinstance(found, Unreadable):
        yield subject.wrong(
            f"cannot be reached: {found.reason}",
            "sign in with `gcloud auth login`. If `api_ingress` is not ALLOW_ALL, run this inside the network",
        )
    elif found.status == HTTPStatus.OK:
        yield subject.ok("answers the caller")
    elif found.status in _REFUSED:
        yield subject.wrong(
            f"refuses the caller with {found.status}",
            "add yourself to the Terraform input `api_callers` and run `terraform apply`; a grant takes 2 to 7 minutes, or more",
        )
    elif found.status == HTTPStatus.NOT_FOUND:
        yield subject.wrong(
            "answers 404: the address is wrong, or `api_ingress` keeps this network out",
            "compare it with `terraform output -raw api_url`, and `api_ingress` with the network that you call from",
        )
    else:
        yield subject.wrong(f"answers {found.status}: {found.text}", "read the log of the function export_api")
