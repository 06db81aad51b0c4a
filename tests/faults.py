"""Faults at the ports, where no emulator has them: a process that dies before or after any call, in any order.

A Crash is no Exception, so nothing but the end of the process can catch it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from dicom_export import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dicom_export.messages import Message


class Crash(BaseException):
    """The process died here."""


@dataclass
class Faults:
    """Crashes behind the effects whose numbers are given; before the next effect nothing else has changed.

    `on_effect` is what others do at that moment.
    """

    at: frozenset[int] = frozenset()
    log: list[str] = field(default_factory=list)
    on_effect: Callable[[str], None] = lambda _: None

    def reach(self, effect: str) -> None:
        self.log.append(effect)
        self.on_effect(effect)
        if len(self.log) - 1 in self.at:
            raise Crash(effect)


_WITHOUT_EFFECT = {"read", "list", "describe"}


class Faulty:
    """A port whose calls may be the last thing that a process does: the effect is there, the answer never came."""

    def __init__(self, port: Any, faults: Faults) -> None:
        self._port = port
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in _WITHOUT_EFFECT:
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self._faults.reach(name)
            return result

        return call


class Mailbox:
    """A Publisher that delivers in the order that the test chooses; a crash may leave a publish half done."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.waiting: list[tuple[str, bytes]] = []

    def publish(self, published: Sequence[Message]) -> None:
        encoded = [(message.topic, messages.encode(message)) for message in published]
        half = len(encoded) // 2
        self.waiting += islice(encoded, half)
        self._faults.reach("half of publish")
        self.waiting += encoded[half:]
        self._faults.reach("publish")

    def deliver(self, handlers: Mapping[str, Callable[..., None]], index: int, *, again: bool = False) -> None:
        """Deliver a waiting message. It stays if the handler raises, or if it is to be delivered `again`."""
        topic, data = self.waiting[index % len(self.waiting)]
        handlers[topic](messages.decode(topic, data))
        if not again:
            self.waiting.remove((topic, data))
