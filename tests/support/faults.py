"""Faults at the ports, where no emulator has them: a process that dies, an answer that is lost, a service that refuses.

A Crash is no Exception, so nothing but the end of the process can catch it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from dicom_export import messages
from dicom_export.errors import ResourceExhausted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dicom_export.messages import Message


class Crash(BaseException):
    """The process died here."""


@dataclass
class Faults:
    """What goes wrong at calls whose numbers are given.

    `at`: behind these effects `error` is raised, a crash or a lost answer; before the next effect nothing else has changed.
    `refused`: these calls, those without effect among them, fail before anything has changed. `denied`: these effects of
    `create` are answered with "somebody else was first", as Cloud Storage answers when a request arrives twice.
    `on_effect` is what others do at that moment, `on_call` what they do before a call.
    """

    at: frozenset[int] = frozenset()
    error: Callable[[str], BaseException] = Crash
    refused: frozenset[int] = frozenset()
    denied: frozenset[int] = frozenset()
    log: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    on_effect: Callable[[str], None] = lambda _: None
    on_call: Callable[[str], None] = lambda _: None

    @contextmanager
    def disarmed(self) -> Iterator[None]:
        """Let nothing go wrong until the block ends."""
        armed = self.at, self.refused, self.denied
        self.at = self.refused = self.denied = frozenset()
        try:
            yield
        finally:
            self.at, self.refused, self.denied = armed

    def enter(self, call: str) -> None:
        self.calls.append(call)
        self.on_call(call)
        if len(self.calls) - 1 in self.refused:
            raise ResourceExhausted(f"{call}: too many requests")

    def reach(self, effect: str) -> bool:
        """Return whether the effect's answer is to be denied."""
        self.log.append(effect)
        self.on_effect(effect)
        number = len(self.log) - 1
        if number in self.at:
            raise self.error(effect)
        return number in self.denied and effect == "create"


_WITHOUT_EFFECT = {
    "read",
    "list",
    "describe",
    "staging_table",
    "await_columns",
    "possible_partitioning",
    "uri",
    "check",
    "adds_to",
}


class Faulty:
    """A port whose calls fail where the faults say."""

    def __init__(self, port: Any, faults: Faults) -> None:
        self._port = port
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self._faults.enter(name)
            result = method(*args, **kwargs)
            if name in _WITHOUT_EFFECT:
                return result
            return False if self._faults.reach(name) else result

        return call


class Mailbox:
    """A Publisher that delivers in the order that the test chooses; a crash may leave a publish half done."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.waiting: list[tuple[str, bytes]] = []

    def publish(self, published: Sequence[Message]) -> None:
        encoded = [(message.topic, messages.encode(message)) for message in published]
        self._faults.enter("publish")
        half = len(encoded) // 2
        self.waiting += islice(encoded, half)
        self._faults.reach("half of publish")
        self.waiting += encoded[half:]
        self._faults.reach("publish")

    def deliver(self, handlers: Mapping[str, Callable[..., None]], index: int, *, again: bool = False) -> None:
        """Deliver a waiting message. It stays if the handler raises, or if it is to be delivered `again`."""
        topic, data = self.waiting[index % len(self.waiting)]
        handlers[topic](messages.decode(topic, data))
        if not again and (topic, data) in self.waiting:  # unless it was delivered once more meanwhile
            self.waiting.remove((topic, data))
