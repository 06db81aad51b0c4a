"""Notifications of Cloud Storage by Pub/Sub, and the instance and store that each is about.

Source: https://cloud.google.com/storage/docs/pubsub-notifications#format
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dicom_export.errors import InvalidArgument
from dicom_export.messages import InstanceChanged, ObjectEvent
from dicom_export.stored_object import StoredObject
from dicom_export.stores import content_encoding, storage_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.names import StoreName

# In a bucket with versions, deleting the live version archives it:
# https://cloud.google.com/storage/docs/object-versioning
_EVENTS = {
    "OBJECT_FINALIZE": ObjectEvent.WRITTEN,
    "OBJECT_DELETE": ObjectEvent.DELETED,
    "OBJECT_ARCHIVE": ObjectEvent.DELETED,
}
# gcloud and gsutil store the parts of an upload here for a short time.
# https://cloud.google.com/storage/docs/parallel-composite-uploads
_PARTS_OF_UPLOADS = "/tmp/parallel_composite_uploads/"  # noqa: S108 - no folder of ours
_DIGITS = re.compile(r"[0-9]{1,19}")
_MAX_INT64 = (1 << 63) - 1
# Two hundred times the limit of Cloud Storage: https://cloud.google.com/storage/quotas#objects
_LARGEST_OBJECT = 1 << 50


@dataclass(frozen=True, slots=True)
class Notification:
    """One event of a bucket. `stored.name` is the full name of the object.

    `event` is None if the event changes no content. `is_overwrite` says that another generation
    replaced this one.
    """

    bucket: str
    event: ObjectEvent | None
    stored: StoredObject
    is_overwrite: bool = False


def parse_notification(attributes: Mapping[str, str], data: bytes) -> Notification:
    """Return the notification.

    Raises InvalidArgument, which quotes nothing of the message, if it is not a notification or
    lacks the object.
    """
    try:
        return Notification(
            attributes["bucketId"],
            _EVENTS.get(attributes["eventType"]),
            _stored(attributes, json.loads(data)),
            "overwrittenByGeneration" in attributes,
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument(
            f"A message of {len(data)} bytes is malformed ({type(error).__name__}); expected a notification of Cloud"
            " Storage with the payload JSON_API_V1"
        ) from error


def instance_changed(
    notification: Notification, folders: Mapping[StoreName, tuple[str, str]]
) -> InstanceChanged | None:
    """Return the change of an object in a store, or None if no store is affected.

    `folders` are the buckets and prefixes of the stores. For an overwrite, only the event that
    wrote the new generation counts.
    """
    if notification.event is None or notification.is_overwrite or _is_part_of_upload(notification.stored.name):
        return None
    store = _store_of(notification, folders)
    if store is None:
        return None
    stored, prefix = notification.stored, folders[store][1]
    below = stored._replace(name=stored.name.removeprefix(prefix))
    return InstanceChanged(store, notification.event, below)


def _store_of(notification: Notification, folders: Mapping[StoreName, tuple[str, str]]) -> StoreName | None:
    found = [
        (len(prefix), store)
        for store, (bucket, prefix) in folders.items()
        if bucket == notification.bucket
        and notification.stored.name.startswith(prefix)
        and notification.stored.name != prefix
    ]
    return max(found)[1] if found else None


def _is_part_of_upload(name: str) -> bool:
    return _PARTS_OF_UPLOADS in name


def _stored(attributes: Mapping[str, str], resource: dict[str, Any]) -> StoredObject:
    name = attributes["objectId"]
    # JSON can hold half of a surrogate pair. No object name has one, and a request could not name it: raise here.
    name.encode()
    return StoredObject(
        name,
        _whole_number(attributes["objectGeneration"], _MAX_INT64),
        _whole_number(resource["size"], _LARGEST_OBJECT),
        _moment(resource["timeCreated"]),
        storage_class(_text(resource["storageClass"])),
        content_encoding(_text(resource.get("contentEncoding", ""))),
    )


def _text(value: object) -> str:
    """Return the text. Raises ValueError if it is anything else."""
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - malformed JSON, not a wrong argument
    return value


def _whole_number(value: object, most: int) -> int:
    """Return the int64 in a JSON text, which must not be negative. Raises ValueError."""
    if not (isinstance(value, str) and _DIGITS.fullmatch(value) and int(value) <= most):
        raise ValueError
    return int(value)


def _moment(value: str) -> datetime:
    """Return the RFC 3339 time in UTC. Raises ValueError, or OverflowError beyond the calendar."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)
