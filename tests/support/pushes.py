"""Push requests as Pub/Sub sends them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from dicom_export import messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.messages import Message


def push_body(
    content: Message | bytes,
    *,
    message_id: str = "1",
    attributes: Mapping[str, str] | None = None,
) -> bytes:
    """Return the body that pushes one of our messages, with our attributes, or data of somebody else."""
    own = {} if isinstance(content, bytes) else messages.attributes(content)
    data = content if isinstance(content, bytes) else messages.encode(content)
    envelope: dict[str, Any] = {
        "message": {
            "attributes": {**own, **(attributes or {})},
            "data": b64encode(data).decode(),
            "messageId": message_id,
            "message_id": message_id,
            "publishTime": "2026-11-23T01:30:08.236Z",
            "publish_time": "2026-11-23T01:30:08.236Z",
        },
        "subscription": "projects/my-project/subscriptions/any",
    }
    return json.dumps(envelope).encode()


def notification_body(
    event: str = "OBJECT_FINALIZE",
    name: str = "dicom/a.dcm",
    *,
    bucket: str = "images",
    generation: int = 1_767_323_045_678_901,
    data: bytes | None = None,
    **attributes: str,
) -> bytes:
    """Return the body that pushes what a bucket says of an object: https://cloud.google.com/storage/docs/pubsub-notifications."""
    resource = {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation}",
        "name": name,
        "bucket": bucket,
        "generation": str(generation),
        "metageneration": "1",
        "contentType": "application/dicom",
        "timeCreated": "2026-01-02T03:04:05.678Z",
        "updated": "2026-03-04T05:06:07.890Z",
        "storageClass": "NEARLINE",
        "size": "1234",
    }
    return push_body(
        json.dumps(resource).encode() if data is None else data,
        attributes={
            "bucketId": bucket,
            "eventTime": "2026-01-02T03:04:06.000000Z",
            "eventType": event,
            "notificationConfig": f"projects/_/buckets/{bucket}/notificationConfigs/1",
            "objectGeneration": str(generation),
            "objectId": name,
            "payloadFormat": "JSON_API_V1",
            **attributes,
        },
    )
