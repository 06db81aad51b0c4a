"""What it costs to read objects in cold storage classes.

docs/reference/prices.md has the prices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dicom_export.errors import FailedPrecondition
from dicom_export.rows.partitioning import Untimely
from dicom_export.stored_object import FIRST_RANGE
from dicom_export.stores import COLD_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.operations.planning import Cursor
    from dicom_export.stored_object import StoredObject

_GIB = 2**30

OPERATION = {"NEARLINE": 0.001 / 1_000, "COLDLINE": 0.01 / 1_000, "ARCHIVE": 0.05 / 1_000}
"""US dollars per read of an object."""
RETRIEVAL = {"NEARLINE": 0.01, "COLDLINE": 0.02, "ARCHIVE": 0.05}
"""US dollars per GiB read."""
TRANSITION = {"NEARLINE": 0.0, "COLDLINE": 0.005 / 1_000, "ARCHIVE": 0.005 / 1_000}
"""US dollars per object that a read moves to the standard class, in a bucket with Autoclass."""
STORAGE = {"STANDARD": 0.02, "NEARLINE": 0.01, "COLDLINE": 0.004, "ARCHIVE": 0.0012}
"""US dollars per GiB and month."""
MONTHS = {"STANDARD": 1, "NEARLINE": 2, "COLDLINE": 9}
"""How long an object that is not read again stays in each class until Autoclass moves it to the next one.

Source: https://cloud.google.com/storage/docs/autoclass.
"""


@dataclass(frozen=True, slots=True)
class ColdObjects:
    """The objects of one storage class that would be read: how many, their bytes, and those to be read."""

    objects: int = 0
    size: int = 0
    read: int = 0

    def and_one(self, stored: StoredObject) -> ColdObjects:
        """Return the sum with one more object, of which one range is read."""
        return ColdObjects(self.objects + 1, self.size + stored.size, self.read + min(stored.size, FIRST_RANGE))


@dataclass(frozen=True, slots=True)
class Survey:
    """The objects of a listing so far that cost more or that the table does not keep, and where it goes on; None after its end.

    `counts` are the cold objects by class.
    """

    counts: Mapping[str, ColdObjects] = field(default_factory=dict)
    next: Cursor | None = None
    untimely: Untimely = field(default_factory=Untimely)


def is_cold(stored: StoredObject) -> bool:
    """Say whether the object would be read from a cold storage class."""
    return stored.storage_class in COLD_CLASSES and not stored.content_encoding


def counted(counts: dict[str, ColdObjects], stored: StoredObject) -> None:
    """Add the object to the counts of its class, if it is cold."""
    if is_cold(stored):
        counts[stored.storage_class] = counts.get(stored.storage_class, ColdObjects()).and_one(stored)


def cost(counts: Mapping[str, ColdObjects], *, has_autoclass: bool) -> float:
    """Return what it costs to read one range of each object, in US dollars."""
    if has_autoclass:
        return sum(
            found.objects * TRANSITION[name] + found.size / _GIB * _dearer_storage(name)
            for name, found in counts.items()
        )
    return sum(found.objects * OPERATION[name] + found.read / _GIB * RETRIEVAL[name] for name, found in counts.items())


def _dearer_storage(name: str) -> float:
    """Return what storage costs more, per GiB, until an object that was read is in its class again."""
    dearer = 0.0
    for each, months in MONTHS.items():
        if each == name:
            break
        dearer += months * (STORAGE[each] - STORAGE[name])
    return dearer


def refuse(counts: Mapping[str, ColdObjects], *, has_autoclass: bool | None) -> None:
    """Raise FailedPrecondition, with the sum, if there are cold objects."""
    if not counts:
        return
    classes = " and ".join(f"{counts[name].objects:,} in {name}" for name in COLD_CLASSES if name in counts)
    dollars = cost(counts, has_autoclass=bool(has_autoclass))
    reason = {
        True: "because the bucket has Autoclass: a read moves an object to STANDARD, which is dearer",
        False: "for operations and retrieval",
        None: "for operations and retrieval; if the bucket has Autoclass, for dearer storage instead, but its settings may not"
        " be read (storage.buckets.get)",
    }[has_autoclass]
    raise FailedPrecondition(
        f"The export would read objects in cold storage classes: {classes}. That costs about {dollars:,.2f} US dollars,"
        f' {reason}. Nothing of them was read. To have them read, set "_allowColdReads": true in the request, or allow_cold_reads'
        " of the store in the settings; on one machine, add --allow-cold-reads"
    )
