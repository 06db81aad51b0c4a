"""The lines of filter files from people, BigQuery and spreadsheets.

A file is text or gzip, with or without a byte order mark.
"""

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
"""Maximum length of a line; three UIDs of 64 KB, percent-encoded, are shorter."""
LONGEST_FILE = 4 << 30
"""Maximum length of a file; it names some 20 million instances."""

_BUFFER = 64 << 10
_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def lines(chunks: Iterable[bytes], name: str = "the filter", *, longest_file: int = LONGEST_FILE) -> Iterator[str]:
    r"""Yield the lines of a file that is read in chunks; errors call the file `name`.

    Memory holds one chunk and one line. Raises InvalidArgument if the file is damaged or not text,
    and if a line or the file has no end, as in a small gzip file that expands without limit.
    """
    try:
        with _text(chunks) as text:
            read = 0
            while line := text.readline(LONGEST_LINE + 1):
                read += len(line)
                if len(line) > LONGEST_LINE:
                    raise InvalidArgument(
                        f"A line of {name} is longer than {LONGEST_LINE} characters; expected one path per line"
                    )
                if read > longest_file:
                    raise InvalidArgument(
                        f"{name[0].upper()}{name[1:]} has more than {longest_file} characters; name studies instead"
                        " of instances"
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
    """Chunks as a file. A read returns the requested length, unless the end comes first."""

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
