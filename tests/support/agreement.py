"""The two ways to a row, side by side: both must tell a caller the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.decoding.decoded import Skipped
from dicom_export.decoding.explain import explain_instance
from dicom_export.decoding.instance import decode_instance
from dicom_export.errors import InstanceError
from dicom_export.rows.layout import RowLayout, SchemaKind
from support.dicom_files import MemoryStore, make_stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.decoding.fast.memory import Memory


def outcome(decode: Callable[[], Any]) -> Any:
    """Return all that a caller learns of an instance, so that what is different shows, and NaN does not."""
    try:
        decoded = decode()
    except InstanceError as error:
        return type(error), error.message, error.uids
    if isinstance(decoded, Skipped):
        return decoded
    return repr(in_order(decoded.row)), decoded.uids, decoded.header_bytes


def in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in sorted(value)}
    return [in_order(nested) for nested in value] if isinstance(value, list) else value


def assert_same(data: bytes, kind: SchemaKind, memory: Memory) -> Any:
    """Assert that both ways agree, without knowing the series and knowing it; return the outcome."""
    store, stored, layout = MemoryStore({"a": data}), make_stored("a", data), RowLayout(kind)
    expected = outcome(lambda: explain_instance(store, stored, layout))
    assert outcome(lambda: decode_instance(store, stored, layout)) == expected
    assert outcome(lambda: decode_instance(store, stored, layout, memory)) == expected
    return expected
