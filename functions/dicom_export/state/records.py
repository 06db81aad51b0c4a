"""The common part of the repositories: JSON objects, read one by one or ahead."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from dicom_export.errors import Internal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_export.ports import OperationStore

_READS_AHEAD = 32


class Records:
    """JSON objects of the state."""

    def __init__(self, store: OperationStore) -> None:
        self._store = store

    def _read_all(self, found: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Yield the paths with their contents, in order.

        The first two are read on demand, the others ahead.
        """
        remaining = iter(found)
        for path in islice(remaining, 2):
            yield path, self._read(path) or vanished(path)
        with ThreadPoolExecutor(_READS_AHEAD, "read-ahead") as pool:
            reads = deque((path, pool.submit(self._read, path)) for path in islice(remaining, _READS_AHEAD))
            while reads:
                path, read = reads.popleft()
                reads.extend((each, pool.submit(self._read, each)) for each in islice(remaining, 1))
                yield path, read.result() or vanished(path)

    def _read(self, path: str) -> Any:  # noqa: ANN401 - JSON
        state = self._store.read(path)
        return json.loads(state.content) if state else None


def encode(data: object) -> bytes:
    """Return the data as compact JSON."""
    return json.dumps(data, separators=(",", ":")).encode()


def vanished(path: str) -> NoReturn:
    """Raise Internal: an object that was listed or created a moment ago is gone."""
    raise Internal(f"State object {path} is gone; expected it to exist while its operation runs. Do not delete state.")
