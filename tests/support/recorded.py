"""An installation on local adapters that notes which function makes which call of which port."""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from dicom_export import messages
from dicom_export.bootstrap.wiring import Ports, dead_letters_on, handlers_on, lost_changes_on, service_on
from dicom_export.errors import TransientError, Unavailable
from dicom_export.messages import ExportStudy, InstanceChanged, PlanExport, StudyExported
from dicom_export.names import TableName
from support.factories import STORE
from support.slow_copies import SlowCopies
from support.worlds import ONE_OUTSTANDING, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dicom_export.messages import Message
    from dicom_export.names import GcsFolder

FUNCTIONS = {
    PlanExport.topic: "plan_export",
    ExportStudy.topic: "export_study",
    StudyExported.topic: "record_result",
    InstanceChanged.topic: "stream_instance",
}

_OF_STAGING = re.compile(r"dicom_export_(staging|inventory)_")
_WRITES = frozenset({"create", "replace"})


class Recorded:
    """A world that records what each function does.

    By function, `calls` has the methods of ports that it called; those of tables are called "tables" or, on a table that on Google
    Cloud is in a staging dataset, "staging". By function, `topics` the topics that it published to. By path, `written` has
    the functions that wrote the object of the state, each with the method: create or replace.
    """

    def __init__(self, root: Path, store: Path, **options: Any) -> None:
        self.world = World(root, store, **options)
        self.calls: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self.topics: defaultdict[str, set[str]] = defaultdict(set)
        self.written: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._function = ""
        ports = self.world.ports
        declared = ports.stores[STORE]
        self.ports = Ports(
            self._noted("state", ports.operations),
            {STORE: replace(declared, objects=self._noted("stores", declared.objects), allow_cold_reads=False)},
            self._bucket,
            self._noted("tables", ports.tables),
            cast("Any", self),
            ports.failures_table,
            self._folder,
        )
        self.service = service_on(self.ports)
        self.handlers = handlers_on(self.ports, ONE_OUTSTANDING, copy_seconds=100)
        self.bury = dead_letters_on(self.ports)
        self.lose = lost_changes_on(self.ports)

    @contextmanager
    def function(self, name: str) -> Iterator[None]:
        """Lay all calls to the charge of a function until the block ends."""
        before, self._function = self._function, name
        try:
            yield
        finally:
            self._function = before

    def publish(self, published: Sequence[Message]) -> None:
        for message in published:
            self.topics[self._function].add(message.topic)
            self.calls[self._function].add(("topics", "publish"))
        self.world.mailbox.publish(published)

    def drain(self, losing: tuple[type[Message], ...] = ()) -> None:
        """Deliver until nothing waits; messages of the kinds that it is `losing` become dead letters at once."""
        while self.world.mailbox.waiting:
            topic, data = self.world.mailbox.waiting.pop(0)
            message = messages.decode(topic, data)
            if isinstance(message, losing):
                self.give_up(message)
                continue
            with self.function(FUNCTIONS[topic]):
                try:
                    self.handlers[topic](message)
                except TransientError:
                    self.world.mailbox.waiting.append((topic, data))

    def give_up(self, message: Message) -> None:
        reason = Unavailable("No attempt succeeded")
        if isinstance(message, InstanceChanged):
            with self.function("report_lost_instance"):
                self.lose(message, reason)
        else:
            with self.function("record_dead_letter"):
                self.bury(message, reason)

    def _bucket(self, name: str) -> Any:
        self.calls[self._function].add(("filters", "existing_bucket"))
        found = self.world.ports.buckets(name)
        return self._noted("filters", found) if found else None

    def _folder(self, folder: GcsFolder) -> Any:
        found = self.world.ports.folders(folder)
        return self._noted("copies", SlowCopies(found, calls=4)) if found else None

    def _noted(self, port: str, inner: Any) -> Any:
        return _Noted(inner, partial(self._note, port))

    def _note(self, port: str, method: str, arguments: Sequence[Any]) -> None:
        places = _places(method, arguments) if port == "tables" else {port}
        self.calls[self._function] |= {(place, method) for place in places}
        if port == "state" and method in _WRITES:
            self.written[arguments[0]].add((self._function, method))


def _places(method: str, arguments: Sequence[Any]) -> set[str]:
    """Return where the tables are that a method is called with. A stream has its table in its name."""
    names = [str(each) for each in arguments if isinstance(each, TableName | str)]
    if method == "commit":  # of the stream, which has been opened into the table
        names = names[:1]
    return {"staging" if _OF_STAGING.search(name) else "tables" for name in names}


class _Noted:
    """A port that notes the name and the arguments of each method that is called."""

    def __init__(self, inner: Any, note: Callable[[str, Sequence[Any]], None]) -> None:
        self._inner = inner
        self._note = note

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self._note(name, args)
            return method(*args, **kwargs)

        return call
