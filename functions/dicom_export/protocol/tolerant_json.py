"""JSON as Google's API front end accepts it.

It may have single quotes, names without quotes, and a comma after the last value. The curl commands
in Google's documentation are written like this.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING

import pyjson5

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEFORE = "Invalid JSON payload received."
# The deepest request has three levels.
_MAX_DEPTH = 32
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLACE = re.compile(r"near (\d+)")


def parse_json(body: bytes) -> object:
    """Return the value of a request's body; an empty body is an empty message.

    Takes time in proportion to its length. Raises InvalidArgument, which quotes nothing of it.
    """
    try:
        # Windows PowerShell's `Out-File -Encoding utf8` writes a byte order mark.
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{_BEFORE} It is not UTF-8 at byte {error.start}.") from error
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _parse_tolerantly(text)
    _check_plain(value)
    return value


def _parse_tolerantly(text: str) -> object:
    try:
        return pyjson5.decode(text, maxdepth=_MAX_DEPTH)
    except pyjson5.Json5NestingTooDeep as error:
        raise _too_deep() from error
    except pyjson5.Json5DecoderException as error:
        place = _PLACE.search(str(error.args[0]))
        raise InvalidArgument(f"{_BEFORE} It is not JSON{f' near character {place[1]}' if place else ''}.") from error


def _check_plain(value: object) -> None:
    """Raise InvalidArgument if values are nested too deeply, or a text is not Unicode."""
    level = [value]
    for _ in range(_MAX_DEPTH + 1):
        if not all(map(_is_unicode, level)):
            raise InvalidArgument(f"{_BEFORE} A text in it has one half of a surrogate pair, which is not Unicode.")
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return
    raise _too_deep()


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return chain(value, value.values())
    return value if isinstance(value, list) else ()


def _is_unicode(value: object) -> bool:
    return not (isinstance(value, str) and _SURROGATE.search(value))


def _too_deep() -> InvalidArgument:
    return InvalidArgument(f"{_BEFORE} It is nested more than {_MAX_DEPTH} levels deep.")
