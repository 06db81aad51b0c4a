"""What an export would take: exact from the listing of a store, estimated from a sample of its headers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING, Any

from dicom_export.operations import prices
from dicom_export.operations.planning import PlanLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LIST_PAGE = 1_000
# Per message and per page, as docs/benchmarks.md counts them.
_STATE_READS = 5
_STATE_CHANGES = 4
_CALLS_PER_MESSAGE = 2
_MESSAGE_BYTES = 440  # of an instance in messages, published and delivered
# A worker also makes columns of the rows and sends them, and waits for the store half as long as it computes.
_WORK_PER_DECODING = 3.0
_WORKERS = 20  # instances of the function, times messages that one takes at once


@dataclass
class Found:
    """What a listing has: objects and bytes by storage class. It is not complete if it took too long."""

    objects: Counter[str] = field(default_factory=Counter)
    stored_bytes: int = 0
    is_complete: bool = True

    @property
    def count(self) -> int:
        """The number of objects."""
        return self.objects.total()


@dataclass(frozen=True, slots=True)
class Sample:
    """What the headers of some objects took. `instances` of the `objects` are instances for an export, including those that fail; `seconds` are of a clock, `cpu_seconds` of a core."""

    objects: int = 0
    instances: int = 0
    reads: int = 0
    read_bytes: int = 0
    row_bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an export takes. Only `found` is exact, if its listing is complete; the rest follows from the sample.

    `price` is in US dollars, None where nothing is paid.
    """

    found: Found
    sample: Sample
    instances: int
    read_bytes: int
    row_bytes: int
    reads: int
    other_requests: int
    seconds: float
    price: float | None

    def to_json(self) -> dict[str, Any]:
        """Return what the API and the command line print. Whole numbers that may be large are strings, as in the API."""
        exact = {
            "objects": str(self.found.count),
            "storedBytes": str(self.found.stored_bytes),
            "storageClasses": {name: str(count) for name, count in sorted(self.found.objects.items())},
            "isComplete": self.found.is_complete,
        }
        estimated: dict[str, Any] = {
            "instances": str(self.instances),
            "readBytes": str(self.read_bytes),
            "rowBytes": str(self.row_bytes),
            "readRequests": str(self.reads),
            "otherRequests": str(self.other_requests),
            "seconds": round(self.seconds, 1),
        }
        if self.price is not None:
            estimated["priceUsd"] = round(self.price, 6)
        return {"exact": exact, "estimated": estimated, "sampledObjects": str(self.sample.objects)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Estimate:
        """Return the estimate that `to_json` wrote, of whose sample only the size is known.

        Raises LookupError, TypeError or ValueError for anything else.
        """
        exact, about = data["exact"], data["estimated"]
        classes = Counter({name: int(count) for name, count in exact["storageClasses"].items()})
        return cls(
            Found(classes, int(exact["storedBytes"]), bool(exact["isComplete"])),
            Sample(int(data["sampledObjects"])),
            instances=int(about["instances"]),
            read_bytes=int(about["readBytes"]),
            row_bytes=int(about["rowBytes"]),
            reads=int(about["readRequests"]),
            other_requests=int(about["otherRequests"]),
            seconds=float(about["seconds"]),
            price=float(about["priceUsd"]) if "priceUsd" in about else None,
        )


def on_one_machine(found: Found, sample: Sample, workers: int) -> Estimate:
    """Return what an export of a folder takes."""
    return _estimate(found, sample, _scaled(sample.seconds, found, sample) * _WORK_PER_DECODING / 2 / workers)


def on_google_cloud(found: Found, sample: Sample, plan: PlanLimits | None = None) -> Estimate:
    """Return what an export of a bucket takes, and costs by list prices without free tiers."""
    plan = plan or PlanLimits()
    messages = ceil(found.count / plan.bundle)
    pages = ceil(found.count / plan.page_objects)
    worker_seconds = _scaled(sample.cpu_seconds, found, sample) * _WORK_PER_DECODING * 1.5
    lists = ceil(found.count / _LIST_PAGE) + pages
    changes, state_reads = _STATE_CHANGES * (messages + pages), _STATE_READS * (messages + pages)
    calls = _CALLS_PER_MESSAGE * messages + pages
    estimate = _estimate(found, sample, worker_seconds / min(_WORKERS, max(messages, 1)), lists + changes + state_reads)
    reading = sum(
        share * (estimate.reads * prices.READ[name] + estimate.read_bytes * prices.RETRIEVED_BYTE[name])
        for name, share in _shares(found)
    )
    price = reading + (lists + changes) * prices.LIST_OR_WRITE + state_reads * prices.READ["STANDARD"]
    price += calls * prices.CALL + 2 * _MESSAGE_BYTES * found.count * prices.MESSAGE_BYTE
    price += estimate.row_bytes * prices.WRITTEN_BYTE + worker_seconds * prices.WORKER_SECOND
    return replace(estimate, price=price)


def _estimate(found: Found, sample: Sample, seconds: float, other_requests: int = 0) -> Estimate:
    return Estimate(
        found,
        sample,
        instances=round(_scaled(sample.instances, found, sample)),
        read_bytes=round(_scaled(sample.read_bytes, found, sample)),
        row_bytes=round(_scaled(sample.row_bytes, found, sample)),
        reads=round(_scaled(sample.reads, found, sample)),
        other_requests=other_requests,
        seconds=seconds,
        price=None,
    )


def _shares(found: Found) -> Iterable[tuple[str, float]]:
    return [(name, count / found.count) for name, count in found.objects.items()]


def _scaled(value: float, found: Found, sample: Sample) -> float:
    """Return for all objects what was measured of the sample."""
    return value * found.count / sample.objects if sample.objects else 0.0
