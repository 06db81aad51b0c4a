"""What Cloud Storage tells of a bucket's objects by Pub/Sub, and which instance of which store it is about.

Source: https://cloud.google.com/storage/docs/pubsub-notifications#format
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dicom_export.errors import InvalidArgument
from dicom_export.messages import Event, InstanceChanged
from dicom_export.ports import StoredObject
from dicom_export.stores import storage_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.names import StoreName

# In a bucket with versions a deletion of the live one archives it. https://cloud.google.com/storage/docs/object-versioning
_EVENTS = {"OBJECT_FINALIZE": Event.WRITTEN, "OBJECT_DELETE": Event.DELETED, "OBJECT_ARCHIVE": Event.DELETED}
# Where gcloud and gsutil put the parts of an upload, for moments.
# https://cloud.google.com/storage/docs/parallel-composite-uploads
_PARTS_OF_UPLOADS = "/tmp/parallel_composite_uploads/"  # noqa: S108 - no folder of ours


@dataclass(frozen=True, slots=True)
class Notification:
    """One event of a bucket. `stored.name` is the object's whole name.

    `event` is None for one that changes no content; `is_overwrite` says that another generation took this one's place.
    """

    bucket: str
    event: Event | None
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
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"A message of {len(data)} bytes is no notification of Cloud Storage with the payload JSON_API_V1"
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
    return StoredObject(
        attributes["objectId"],
        int(attributes["objectGeneration"]),
        int(resource["size"]),
        datetime.fromisoformat(resource["updated"]),
        storage_class(resource["storageClass"]),
    )
