"""What Terraform installed, as its output `environment` describes it to the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Receiver:
    """A function and the push subscription through which it gets its messages. Names are resource names.

    `endpoint` is the address that messages are pushed to, and the audience of the token that comes with them.
    """

    function: str
    topic: str
    subscription: str
    endpoint: str
    invoker: str
    dead_letter_topic: str
    max_attempts: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Receiver:
        return cls(
            str(data["function"]),
            str(data["topic"]),
            str(data["subscription"]),
            str(data["endpoint"]),
            str(data["invoker"]),
            str(data["deadLetterTopic"]),
            int(data["maxDeliveryAttempts"]),
        )


@dataclass(frozen=True, slots=True)
class InstalledDataset:
    """A dataset that exports may write to, and the one for overwrites that have not ended, as PROJECT.DATASET."""

    name: str
    staging: str


@dataclass(frozen=True, slots=True)
class Notified:
    """A bucket that reports its changes, below a prefix, with the event types that it has to report."""

    bucket: str
    prefix: str
    event_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class SmokeTestStore:
    """The store of the smoke test: its resource name, its bucket and prefix, and the dataset for its tables."""

    store: str
    bucket: str
    prefix: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Installation:
    """The resources that Terraform created. `receivers` has one entry per function that gets messages, by its entry point."""

    region: str
    runtime: str
    api_url: str
    api_function: str
    ack_deadline_seconds: int
    apis: tuple[str, ...]
    receivers: Mapping[str, Receiver]
    datasets: tuple[InstalledDataset, ...]
    notifications: tuple[Notified, ...]
    lost_letters: str
    smoke_test: SmokeTestStore | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Installation:
        """Return the installation. Raises KeyError, TypeError or ValueError if the data is malformed."""
        smoke_test = data.get("smokeTest")
        return cls(
            region=str(data["region"]),
            runtime=str(data["runtime"]),
            api_url=str(data["apiUrl"]).rstrip("/"),
            api_function=str(data["apiFunction"]),
            ack_deadline_seconds=int(data["ackDeadlineSeconds"]),
            apis=tuple(map(str, data["apis"])),
            receivers={str(name): Receiver.from_json(each) for name, each in data["receivers"].items()},
            datasets=tuple(InstalledDataset(str(each["name"]), str(each["staging"])) for each in data["datasets"]),
            notifications=tuple(
                Notified(str(each["bucket"]), str(each["prefix"]), frozenset(map(str, each["eventTypes"])))
                for each in data["notifications"]
            ),
            lost_letters=str(data["lostLetters"]),
            smoke_test=SmokeTestStore(
                *(str(smoke_test[field]) for field in ("store", "bucket", "prefix", "dataset"))
            ) if smoke_test else None,
        )  # fmt: skip

    @property
    def topics(self) -> tuple[str, ...]:
        """The resource names of all topics, each once."""
        named = (name for each in self.receivers.values() for name in (each.topic, each.dead_letter_topic))
        return tuple(dict.fromkeys(filter(None, named)))
