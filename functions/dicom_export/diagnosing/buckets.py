"""Check the buckets: that of the state, and those of the stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable
from dicom_export.diagnosing.locations import has_region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.diagnosing.facts import BucketFacts

_COLD = ("NEARLINE", "COLDLINE", "ARCHIVE")


def check_state_bucket(bucket: str, region: str, found: BucketFacts | Unreadable | None) -> Iterator[Finding]:
    """Yield the findings about the bucket of the state."""
    subject = Subject("buckets", f"gs://{bucket}")
    if isinstance(found, Unreadable):
        yield subject.unknown(found)
    elif found is None:
        yield subject.wrong("the bucket of the state does not exist", "terraform apply")
    elif found.keeps_versions:
        yield subject.notice(
            "keeps old versions of the state, which nothing reads",
            f"gcloud storage buckets update gs://{bucket} --no-versioning",
        )
    elif not has_region(found.location, found.regions, region):
        yield subject.notice(f"is in {found.location}, the functions are in {region}", _move(region))
    else:
        yield subject.ok(f"exists in {found.location}")


def check_store_bucket(bucket: str, region: str, found: BucketFacts | Unreadable | None) -> Iterator[Finding]:
    """Yield the findings about the bucket of a store: that it exists, and what reading it costs."""
    subject = Subject("buckets", f"gs://{bucket}")
    if isinstance(found, Unreadable):
        yield subject.unknown(found)
        return
    if found is None:
        yield subject.wrong("the bucket of a store does not exist", "correct `bucket` in the Terraform input `stores`")
        return
    costs = list(_costs(subject, region, found))
    yield from costs
    if not costs:
        yield subject.ok(f"exists in {found.location}")


def _costs(subject: Subject, region: str, found: BucketFacts) -> Iterator[Finding]:
    if not has_region(found.location, found.regions, region):
        yield subject.notice(
            f"is in {found.location}, the functions are in {region}: each read costs egress", _move(region)
        )
    if found.requester_pays:
        yield subject.notice(
            "the requester pays: a request that names no project for the bill is refused with UserProjectMissing",
            f"gcloud storage buckets update {subject.name} --no-requester-pays, or have the store's settings name the"
            " project that pays",
        )
    if found.terminal_class:
        yield subject.notice(
            f"has Autoclass (down to {found.terminal_class}): an export moves each cold object of 128 KiB or more back to STANDARD",
            "export soon after the upload, or export automatically with `stream_configs` in the Terraform input `stores`",
        )
    elif found.storage_class in _COLD:
        yield subject.notice(
            f"new objects are {found.storage_class}: an export pays for retrieval",
            f"gcloud storage buckets update {subject.name} --default-storage-class=STANDARD, if objects are exported often",
        )


def _move(region: str) -> str:
    return f"set the Terraform input `region` to that of the buckets, or move the bucket to {region}"
