"""Decode objects in a separate process if one of them may kill the process, until that one is known."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, TypeVar

from dicom_export.decoding.spawning import DecodingContext
from dicom_export.errors import LimitExceeded, Unavailable
from dicom_export.stores import WrappedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from ctypes import c_long

    from dicom_export.ports import DicomStore
    from dicom_export.rows.layout import RowLayout
    from dicom_export.stored_object import StoredObject

    Objects = Sequence[StoredObject]
    Decode = Callable[[DicomStore, Objects, RowLayout], "T"]

log = logging.getLogger(__name__)

T = TypeVar("T")


class Isolation:
    """A process that works for one caller at a time and notes which object it reads, so that the one that kills it is known.

    `begin` is called in the process when it starts.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._pool: ProcessPoolExecutor | None = None
        self._context = DecodingContext()
        self._position = self._context.RawValue("l", 0)  # without a lock, which a killed process could hold
        self._turn = threading.Lock()

    def decode(
        self, decode: Decode[T], store: DicomStore, objects: Objects, layout: RowLayout
    ) -> Iterator[tuple[Objects, T]]:
        """Yield the objects, in one part or several, with the result of each part.

        An object that kills the process again when it is alone fails with LimitExceeded. Raises Unavailable if the process dies
        before it has work.
        """
        parts = [objects] if objects else []
        while parts:
            part = parts.pop()
            with self._turn:
                results, killer = self._attempt(decode, store, part, layout)
            if results:
                yield part, results[0]
            elif len(part) == 1:
                yield part, decode(_Unreadable(store), part, layout)
            else:
                parts += [each for each in (part[killer + 1 :], part[killer : killer + 1], part[:killer]) if each]

    def close(self) -> None:
        """End the process."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def _attempt(
        self, decode: Decode[T], store: DicomStore, objects: Objects, layout: RowLayout
    ) -> tuple[list[T], int]:
        """Return a list with the result of the objects; an empty list, with a position, if that object killed the process."""
        pool = self._started()
        positions = {stored.name: position for position, stored in enumerate(objects)}
        try:
            return [pool.submit(_decode, decode, store, objects, layout, positions).result()], 0
        except BrokenProcessPool:
            self._pool = None
            killer = self._position.value
            log.warning("A process was killed while it decoded %r", objects[killer].name)
            return [], killer

    def _started(self) -> ProcessPoolExecutor:
        self._position.value = 0
        if self._pool is None:
            arguments = self._begin, self._position
            self._pool = ProcessPoolExecutor(1, self._context, initializer=_begin_noting, initargs=arguments)
            try:
                self._pool.submit(_do_nothing).result()
            except BrokenProcessPool as error:
                self._pool = None
                raise Unavailable("A process that decodes was killed before it began") from error
        return self._pool


class _Noted(WrappedStore):
    """A store that notes the position of each object that is read, among those that are to be decoded."""

    def __init__(self, store: DicomStore, positions: dict[str, int]) -> None:
        super().__init__(store)
        self._positions = positions

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        _noted[0].value = self._positions[stored.name]
        return self._store.read(stored, start, length)


class _Unreadable(WrappedStore):
    """The store of an object that kills the process that decodes it: reading the object fails."""

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:  # noqa: ARG002 - nothing is read
        raise LimitExceeded("Decoding this object ends its process, probably because it takes too much memory")


_noted: list[c_long] = []
"""In the process: where the position of the object that it reads is noted."""


def _begin_noting(begin: Callable[[], None], position: c_long) -> None:
    begin()
    _noted.append(position)


def _decode(decode: Decode[T], store: DicomStore, objects: Objects, layout: RowLayout, positions: dict[str, int]) -> T:
    return decode(_Noted(store, positions), objects, layout)


def _do_nothing() -> None:
    """Show that the process lives."""
