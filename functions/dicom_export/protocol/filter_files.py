"""The lines of filter files, as people, BigQuery and spreadsheets write them: text or gzip, with or without a byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_LINE = 1 << 20
"""Three UIDs of 64 KB, percent-encoded, are shorter."""
LONGEST_FILE = 4 << 30
"""Some 20 million instances."""

_BUFFER = 64 << 10
_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def lines(chunks: Iterable[bytes], name: str = "the filter", *, longest_file: int = LONGEST_FILE) -> Iterator[str]:
    r"""Yield the lines of a file that is read in chunks, holding a chunk and a line; `name` is what errors call it.

    Raises InvalidArgument if it is not text, if it is damaged, and for a line or a file without end, as a small gzip file may hold.
    """
    try:
        with _text(chunks) as text:
            read = 0
            while line := text.readline(LONGEST_LINE + 1):
                read += len(line)
                if len(line) > LONGEST_LINE:
                    raise InvalidArgument(
                        f"A line of {name} is longer than {LONGEST_LINE} characters: it is not a filter"
                    )
                if read > longest_file:
                    raise InvalidArgument(
                        f"{name[0].upper()}{name[1:]} has more than {longest_file} characters; name studies instead of instances"
                    )
                yield line
    except UnicodeError as error:
        raise InvalidArgument(f"{name[0].upper()}{name[1:]} is not text in UTF-8 or UTF-16") from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InvalidArgument(f"{name[0].upper()}{name[1:]} is a gzip file that is damaged or cut short") from error


def _text(chunks: Iterable[bytes]) -> io.TextIOWrapper[Any]:
    source = io.BufferedReader(_Chunks(chunks), _BUFFER)
    return _decoded(gzip.GzipFile(fileobj=source) if source.peek(2).startswith(_GZIP) else source)


def _decoded(source: io.BufferedReader[Any] | gzip.GzipFile) -> io.TextIOWrapper[Any]:
    return io.TextIOWrapper(source, encoding="utf-16" if source.peek(2)[:2] in _UTF_16 else "utf-8-sig")


class _Chunks(io.RawIOBase):
    """Chunks as a file. A read gives all that is asked for, unless the end comes first."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader gives
        filled = 0
        while filled < len(buffer):
            if not self._rest:
                self._rest = memoryview(next(filter(None, self._chunks), b""))
                if not self._rest:
                    break
            taken = self._rest[: len(buffer) - filled]
            buffer[filled : filled + len(taken)] = taken
            self._rest = self._rest[len(taken) :]
            filled += len(taken)
        return filled
