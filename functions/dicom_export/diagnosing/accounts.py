"""Check what the functions' own accounts may do, by their answers to a check message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable
from dicom_export.diagnosing.needs import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.diagnosing.answering import Answer

_MENDS = {
    Place.STATE: "terraform apply, which grants the role on the bucket of the state",
    Place.STORES: "terraform apply, or have the owner of the bucket grant roles/storage.objectViewer",
    Place.BUCKETS: "terraform apply, or have the owner of the bucket grant roles/storage.legacyBucketReader",
    Place.DATASETS: "terraform apply, or have the owner of the dataset grant roles/bigquery.dataEditor"
    " (export_api and start_export: roles/bigquery.metadataViewer)",
    Place.STAGING: "terraform apply, which replaces the access list of the staging dataset",
    Place.JOBS: "terraform apply, which grants the custom role for jobs in the project",
    Place.TOPICS: "terraform apply, which grants roles/pubsub.publisher on the topic",
}
_WAIT = "A grant takes 2 to 7 minutes, or more. "


def check_account(function: str, deployed: str, answers: Sequence[Answer] | Unreadable | None) -> Iterator[Finding]:
    """Yield one finding per test that failed, or one for all. `deployed` is the function's name in Google Cloud."""
    subject = Subject("accounts", function)
    if isinstance(answers, Unreadable):
        yield subject.unknown(answers)
        return
    if answers is None:
        yield subject.wrong(
            "did not answer the check message: it was not delivered, the function failed, or it may not write the state",
            f"gcloud functions logs read {deployed}; the subscriptions above, and `terraform apply`",
        )
        return
    failed = [answer for answer in answers if answer.error]
    for answer in failed:
        yield subject.wrong(f"{answer.place.value}, {answer.subject}: {answer.error}", f"{_WAIT}{_MENDS[answer.place]}")
    if not failed:
        yield subject.ok(f"its account may do what it needs ({len(answers)} calls)")
