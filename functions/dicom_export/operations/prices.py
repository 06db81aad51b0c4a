"""List prices in US dollars for us-central1, without free tiers: those of docs/reference/prices.md that an estimate multiplies."""

from __future__ import annotations

LIST_OR_WRITE = 0.005 / 1_000
"""A Class A operation of Cloud Storage, Standard."""

READ = {"STANDARD": 0.0004 / 1_000, "NEARLINE": 0.001 / 1_000, "COLDLINE": 0.01 / 1_000, "ARCHIVE": 0.05 / 1_000}
"""A Class B operation of Cloud Storage, by the class of the object."""

RETRIEVED_BYTE = {"STANDARD": 0.0, "NEARLINE": 0.01 / 2**30, "COLDLINE": 0.02 / 2**30, "ARCHIVE": 0.05 / 2**30}
"""A byte that is read, by the class of the object."""

MESSAGE_BYTE = 40 / 2**40
"""A byte that Pub/Sub takes or delivers."""

WRITTEN_BYTE = 0.025 / 2**30
"""A byte of the Storage Write API."""

WORKER_SECOND = 0.000024 + 2 * 0.0000025
"""A second of an instance with one vCPU and 2 GiB."""

CALL = 0.40 / 1_000_000
"""A request to Cloud Run."""
