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
