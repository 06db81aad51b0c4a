"""Check that the buckets of automatic exports report their changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.diagnosing.facts import BucketFacts, NotificationFacts
    from dicom_export.diagnosing.installation import Notified

_PAYLOAD = "JSON_API_V1"
_DELETED, _ARCHIVED = "OBJECT_DELETE", "OBJECT_ARCHIVE"
_MEND = "terraform apply -replace='google_storage_notification.stores[\"STORE\"]', with the id of the store"


def check_notifications(
    expected: Notified,
    topic: str,
    found: Sequence[NotificationFacts] | Unreadable,
    bucket: BucketFacts | Unreadable | None,
) -> Iterator[Finding]:
    """Yield the findings about one bucket and prefix. `topic` is the resource name of the topic `instance-changed`."""
    subject = Subject("notifications", f"gs://{expected.bucket}/{expected.prefix}")
    if isinstance(found, Unreadable):
        yield subject.unknown(found)
        return
    ours = [each for each in found if each.topic == topic]
    covering = [each for each in ours if expected.prefix.startswith(each.prefix)]
    if not ours:
        others = f"; it notifies {', '.join(sorted({each.topic for each in found}))}" if found else ""
        yield subject.wrong(f"the bucket does not notify {topic}{others}", "terraform apply")
    elif not covering:
        prefixes = ", ".join(repr(each.prefix) for each in ours)
        yield subject.wrong(f"only objects with the prefix {prefixes} are reported", _MEND)
    else:
        yield from _check_content(subject, expected, covering)
    if bucket and not isinstance(bucket, Unreadable) and bucket.keeps_versions:
        yield from _check_versions(subject, expected, covering)


def _check_content(subject: Subject, expected: Notified, covering: Sequence[NotificationFacts]) -> Iterator[Finding]:
    usable = [each for each in covering if each.payload_format == _PAYLOAD]
    if not usable:
        yield subject.wrong(f"the payload is {covering[0].payload_format}, expected {_PAYLOAD}", _MEND)
        return
    missing = sorted(expected.event_types - _events(usable)) if all(each.event_types for each in usable) else []
    if missing:
        yield subject.wrong(f"{', '.join(missing)} is not reported", _MEND)
    elif len(usable) > 1:
        yield subject.notice(
            f"{len(usable)} configurations report each change: each costs a message and may add a row",
            f"gcloud storage buckets notifications list gs://{expected.bucket}, and delete those that Terraform did not create",
        )
    else:
        yield subject.ok(f"reports {', '.join(sorted(_events(usable))) or 'all events'}")


def _check_versions(subject: Subject, expected: Notified, covering: Sequence[NotificationFacts]) -> Iterator[Finding]:
    """Yield a finding if deletions should be reported and a bucket with versions reports none: it archives first."""
    wants_deletions = _DELETED in expected.event_types
    if wants_deletions and all(each.event_types and _ARCHIVED not in each.event_types for each in covering):
        yield subject.wrong(
            f"the bucket keeps versions, and {_ARCHIVED} is not reported: deletions make no rows", _MEND
        )


def _events(found: Sequence[NotificationFacts]) -> frozenset[str]:
    return frozenset().union(*(each.event_types for each in found))
