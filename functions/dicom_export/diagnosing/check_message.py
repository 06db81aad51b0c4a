"""The check message: it asks a function to test what its own account may do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from dicom_export.errors import InvalidArgument

CHECK_ATTRIBUTE = "dicom-export-check"
"""The message attribute, or the header of a request, that holds the id of the check."""

CHECK_PATH = "/check"
"""The path at which the API takes a check: it has no topic."""

_ID = re.compile(r"[a-z0-9]{8,64}")
_DATASET = re.compile(r"(?:[a-z0-9.-]+:)?[A-Za-z0-9_-]+\.[A-Za-z0-9_]{1,1024}")
_MOST_DATASETS = 100
_MOST_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Check:
    """A request for an answer under the id. `datasets` and `staging` are those to test, as PROJECT.DATASET.

    `is_probe` marks a message that a function sends to test whether it may: it needs no answer.
    """

    id: str
    datasets: tuple[str, ...] = ()
    staging: tuple[str, ...] = ()
    is_probe: bool = False

    def encode(self) -> bytes:
        """Return the data of the message."""
        return json.dumps(
            {"datasets": self.datasets, "staging": self.staging, "isProbe": self.is_probe}, separators=(",", ":")
        ).encode()

    @classmethod
    def decode(cls, check_id: str, data: bytes) -> Check:
        """Return the check. Raises InvalidArgument, which quotes nothing of the message, if it is malformed."""
        try:
            content = json.loads(data[:_MOST_BYTES])
            found = cls(
                check_id,
                tuple(map(str, content["datasets"])),
                tuple(map(str, content["staging"])),
                bool(content["isProbe"]),
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidArgument(
                f"A check message of {len(data)} bytes is malformed ({type(error).__name__}); `dicom-export doctor` sends them"
            ) from error
        named = (*found.datasets, *found.staging)
        if not _ID.fullmatch(check_id) or len(named) > _MOST_DATASETS or not all(map(_DATASET.fullmatch, named)):
            raise InvalidArgument("A check message has a malformed id or dataset; `dicom-export doctor` sends them")
        return found
