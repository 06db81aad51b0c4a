"""The key that signs the forms of the console: one for all processes of an installation.

console/form-key    32 random bytes, create-once
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dicom_export.state.records import vanished

if TYPE_CHECKING:
    from dicom_export.ports import OperationStore

_PATH = "console/form-key"


def form_key(store: OperationStore) -> bytes:
    """Return the key; the first call creates it."""
    found = store.read(_PATH)
    if found is None:
        store.create(_PATH, secrets.token_bytes(32))
        found = store.read(_PATH) or vanished(_PATH)
    return found.content
