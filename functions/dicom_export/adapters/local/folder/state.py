"""Keep the state of operations as files in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_export.adapters.local.folder.files import (
    NO_SUCH_NAME,
    create_file,
    disk_errors,
    exclusive,
    remove_leftovers,
    replace_file,
)
from dicom_export.adapters.local.folder.walk import path_of_name, walk
from dicom_export.errors import InvalidArgument
from dicom_export.ports import StateEntry, StateObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class FolderState:
    r"""Objects as files below `root/objects`, safe to use from several threads and processes at once.

    A file is one line of JSON, with its generation and metadata, and then the object's content. It appears complete: a
    process that dies leaves at most a file in `root/temporary`, which nobody reads.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / "objects"
        self._temporary = root / "temporary"
        self._lock = root / "lock"
        with disk_errors(root):
            self._objects.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self._temporary)

    def create(self, path: str, content: bytes, metadata: Mapping[str, str] | None = None) -> bool:
        file = self._file(path)
        header = _header(1, metadata or {})
        with disk_errors(self._root):
            if file.exists():
                return False
            return create_file(file, (header, content), temporary=self._temporary, lock=self._lock)

    def read(self, path: str) -> StateObject | None:
        loaded = self._load(path)
        return StateObject(loaded[1], str(loaded[0]["generation"])) if loaded else None

    def replace(self, path: str, content: bytes, version: str) -> bool:
        with disk_errors(self._root), exclusive(self._lock):
            loaded = self._load(path)
            if loaded is None or str(loaded[0]["generation"]) != version:
                return False
            header = _header(loaded[0]["generation"] + 1, loaded[0]["metadata"])
            replace_file(self._file(path), (header, content), temporary=self._temporary)
            return True

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[StateEntry]:
        for path, _ in walk(self._objects, prefix=prefix, start_after=start_after):
            with self._file(path).open("rb") as stored:
                yield StateEntry(path, json.loads(stored.readline())["metadata"])

    def _load(self, path: str) -> tuple[dict[str, Any], bytes] | None:
        """Return header and content."""
        try:
            stored = self._file(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            if error.errno in NO_SUCH_NAME:
                return None
            raise
        header, _, content = stored.partition(b"\n")
        return json.loads(header), content

    def _file(self, path: str) -> Path:
        file = path_of_name(self._objects, path)
        if file is None:
            raise InvalidArgument(f"{path!r} is not the path of an object: it has an empty part, or one of dots")
        return Path(file)


def _header(generation: int, metadata: Mapping[str, str]) -> bytes:
    return json.dumps({"generation": generation, "metadata": dict(metadata)}, separators=(",", ":")).encode() + b"\n"
