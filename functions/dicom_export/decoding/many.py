"""Decode many objects. A broken object never affects the row of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.decoding.budget import DEFAULT_LIMITS, Limits
from dicom_export.decoding.fast.memory import Memory
from dicom_export.decoding.instance import decode_instance
from dicom_export.decoding.read_ahead import read_ahead
from dicom_export.errors import DicomExportError, Internal, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.ahead import Ahead
    from dicom_export.decoding.decoded import Decoded
    from dicom_export.ports import DicomStore
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject


def decode_in_turn(
    store: DicomStore,
    objects: Sequence[StoredObject],
    layout: RowLayout,
    memory: Memory | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    following: int = 0,  # noqa: ARG001 - there is nothing to start
    ahead: Ahead | None = None,
) -> Iterator[Decoded]:
    """Yield what each object holds, in order: an instance, a reason to skip it, or the error that it fails with.

    With `ahead`, the next objects are read while one is decoded, if the store is slow.
    """
    memory = memory or Memory()
    if ahead is None:
        for stored in objects:
            yield decode_one(store, stored, layout, memory, limits)
        return
    for stored, begun in read_ahead(store, objects, memory.series.first_range, ahead):
        yield decode_one(begun, stored, layout, memory, limits)


def decode_one(store: DicomStore, stored: StoredObject, layout: RowLayout, memory: Memory, limits: Limits) -> Decoded:
    """Return what one object holds, or the error that it fails with. Raises TransientError."""
    try:
        return decode_instance(store, stored, layout, memory, limits)
    except PermanentError as error:
        return error
    except (DicomExportError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a defect that one instance shows must not cost the others their rows
        # Neither the exception's text nor its traceback: either may quote a value.
        return Internal(f"{type(error).__name__} while decoding; please report this with the object's transfer syntax")
