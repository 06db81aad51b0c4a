"""What Cloud Storage tells of a bucket's objects by Pub/Sub, and which instance of which store it is about.

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
from dicom_export.stores import storage_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.names import StoreName

# In a bucket with versions a deletion of the live one archives it. https://cloud.google.com/storage/docs/object-versioning
_EVENTS = {
    "OBJECT_FINALIZE": ObjectEvent.WRITTEN,
    "OBJECT_DELETE": ObjectEvent.DELETED,
    "OBJECT_ARCHIVE": ObjectEvent.DELETED,
}
# Where gcloud and gsutil put the parts of an upload, for moments.
# https://cloud.google.com/storage/docs/parallel-composite-uploads
_PARTS_OF_UPLOADS = "/tmp/parallel_composite_uploads/"  # noqa: S108 - no folder of ours
_DIGITS = re.compile(r"[0-9]{1,19}")
_MAX_INT64 = (1 << 63) - 1
# Two hundred times what Cloud Storage takes: https://cloud.google.com/storage/quotas#objects
_LARGEST_OBJECT = 1 << 50


@dataclass(frozen=True, slots=True)
class Notification:
    """One event of a bucket. `stored.name` is the object's whole name.

    `event` is None for one that changes no content; `is_overwrite` says that another generation took this one's place.
    """

    bucket: str
    event: ObjectEvent | None
    stored: StoredObject
    is_overwrite: bool = False


def parse_notification(attributes: Mapping[str, str], data: bytes) -> Notification:
    """Return the notification. Raises InvalidArgument, which quotes nothing of it, if it is none, or one without the object."""
    try:
        return Notification(
            attributes["bucketId"],
            _EVENTS.get(attributes["eventType"]),
            _stored(attributes, json.loads(data)),
            "overwrittenByGeneration" in attributes,
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument(
            f"A message of {len(data)} bytes is not a notification of Cloud Storage with the payload JSON_API_V1"
            f" ({type(error).__name__})"
        ) from error


def instance_changed(
    notification: Notification, folders: Mapping[StoreName, tuple[str, str]]
) -> InstanceChanged | None:
    """Return the change of a store's object, or None if it changes no store's.

    `folders` are the stores' buckets and prefixes. Of an overwrite the event that wrote the new generation tells all.
    """
    if notification.event is None or notification.is_overwrite or _is_part_of_upload(notification.stored.name):
        return None
    store = _store_of(notification, folders)
    if store is None:
        return None
    stored, prefix = notification.stored, folders[store][1]
    below = StoredObject(
        stored.name.removeprefix(prefix), stored.generation, stored.size, stored.updated, stored.storage_class
    )
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
    # Half of a surrogate pair, which JSON can hold, is in no name of an object: it could not even be asked for.
    name.encode()
    return StoredObject(
        name,
        _whole_number(attributes["objectGeneration"], _MAX_INT64),
        _whole_number(resource["size"], _LARGEST_OBJECT),
        _moment(resource["timeCreated"]),
        storage_class(resource["storageClass"]),
    )


def _whole_number(value: object, most: int) -> int:
    """Return an int64 that is not negative, which JSON has as text. Raises ValueError."""
    if not (isinstance(value, str) and _DIGITS.fullmatch(value) and int(value) <= most):
        raise ValueError
    return int(value)


def _moment(value: str) -> datetime:
    """Return a time of RFC 3339 in UTC. Raises ValueError, or OverflowError for one outside of the calendar."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)
