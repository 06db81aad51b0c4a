"""DICOM stores: declared in the settings, not created by the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_export.ports import DicomStore


@dataclass(frozen=True, slots=True)
class DeclaredStore:
    """A store's objects, and the patterns (`fnmatch`, on the name below the store) of those that are no instances."""

    objects: DicomStore
    ignore: tuple[str, ...] = ()
