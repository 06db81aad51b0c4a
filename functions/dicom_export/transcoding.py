"""JSON as Google's API front end reads it into a protocol buffer message: what it accepts, and its words when it does not.

A field goes by its JSON name (`tableUri`) or its own (`table_uri`), null is as if absent, a bool may be the text
`true`, and an enum may be its number. Text may be in single quotes, as in the documentation's own curl commands, names without
quotes, and a comma may follow the last value.
Source: https://protobuf.dev/programming-guides/json/ and the answers of healthcare.googleapis.com.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import pyjson5

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_BEFORE = "Invalid JSON payload received."
_MAX_SHOWN_LENGTH = 200
# The deepest request has three levels.
_MAX_DEPTH = 32
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLACE = re.compile(r"near (\d+)")


def parse_json(body: bytes) -> object:
    """Return the value of a request's body; none at all is an empty message. Takes time in proportion to its length.

    Raises InvalidArgument, which quotes nothing of it.
    """
    try:
        # Windows PowerShell's `Out-File -Encoding utf8` begins with a byte order mark.
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
    """Raise InvalidArgument if lists and objects are nested too deeply, or a text is not Unicode."""
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


class JsonMessage:
    """A JSON object as a message of the named fields, given by their JSON names.

    `path` says where it is in the request (`bigquery_destination`). Raises InvalidArgument for what is no field of it;
    so does every getter for a value of another type. A getter returns None for a field that is absent or null.
    """

    def __init__(self, value: Mapping[str, Any], fields: Sequence[str], path: str = "") -> None:
        json_names = {name: name for name in fields} | {_own_name(name): name for name in fields}
        self._path = path
        self._values: dict[str, Any] = {}
        for given, content in value.items():
            name = json_names.get(given)
            if name is None:
                shown = given[:_MAX_SHOWN_LENGTH]
                raise InvalidArgument(f'{_BEFORE} Unknown name "{shown}"{self._at()}: Cannot find field.')
            if name in self._values:
                raise InvalidArgument(f'{_BEFORE} The field "{name}"{self._at()} is given twice.')
            if content is not None:
                self._values[name] = content

    @classmethod
    def root(cls, value: object, fields: Sequence[str]) -> Self:
        """Return the message that a whole body is."""
        if not isinstance(value, dict):
            raise InvalidArgument(f'{_BEFORE} Unknown name "": Root element must be a message.')
        return cls(value, fields)

    def message(self, name: str, fields: Sequence[str], type_name: str) -> JsonMessage | None:
        """Return the field as a message of these fields."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._invalid(name, f"type.googleapis.com/{type_name}", value, "an object")
        return JsonMessage(value, fields, self._path_of(name))

    def text(self, name: str) -> str | None:
        """Return the field as a string."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise self._invalid(name, "TYPE_STRING", value, "a string")
        return value

    def boolean(self, name: str) -> bool | None:
        """Return the field as a bool."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        if value not in ("true", "false"):
            raise self._invalid(name, "TYPE_BOOL", value, "true or false")
        return bool(value == "true")

    def enum(self, name: str, values: Sequence[str], type_name: str) -> str | None:
        """Return the field as one of the enum's values, which are in the order of their numbers."""
        value = self._values.get(name)
        if value is None:
            return None
        if value in values:
            return str(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(values):
            return values[value]
        raise self._invalid(name, f"type.googleapis.com/{type_name}", value, f"one of {', '.join(values)}")

    def require_one_of(self, group: str, names: Sequence[str]) -> str | None:
        """Return which of the fields of a oneof is set, if any; two of them are an InvalidArgument."""
        found = [name for name in self._values if name in names]
        if len(found) > 1:
            raise InvalidArgument(
                f"Invalid value{self._at()} (oneof), oneof field '{group}' is already set. Cannot set '{found[1]}'."
                f" Give {' or '.join(names)}, not both."
            )
        return found[0] if found else None

    def _at(self) -> str:
        return f" at '{self._path}'" if self._path else ""

    def _path_of(self, name: str) -> str:
        return f"{self._path}.{_own_name(name)}" if self._path else _own_name(name)

    def _invalid(self, name: str, kind: str, value: object, right: str) -> InvalidArgument:
        shown = json.dumps(value)[:_MAX_SHOWN_LENGTH]
        return InvalidArgument(f"Invalid value at '{self._path_of(name)}' ({kind}), {shown}; it would be {right}.")


def _own_name(json_name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", json_name)
