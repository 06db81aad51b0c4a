"""JSON as Google's API front end reads it into a protocol buffer message.

It accepts the same forms and returns the same error messages. A field has its JSON name
(`tableUri`) or its own (`table_uri`), null means absent, a bool may be the text `true` in any case,
and an enum may be its number, also as text.

Source: https://protobuf.dev/programming-guides/json/ and the answers of healthcare.googleapis.com.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dicom_export.errors import Internal
from dicom_export.protocol.violations import Violations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    T = TypeVar("T")

_BEFORE = "Invalid JSON payload received."
_MAX_SHOWN_LENGTH = 200
_BOOLEANS = {"true": True, "false": False}
_NUMBER = re.compile(r"[0-9]{1,9}")
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_INT64 = 2**63


class JsonMessage:
    """A JSON object as a message of the named fields, given by their JSON names.

    `path` is its path in the request (`bigquery_destination`). A getter returns None for a field
    that is absent, null or malformed. Malformed and unknown fields are added to `violations`:
    `check` raises all of them at once.
    """

    def __init__(self, value: Mapping[str, Any], fields: Sequence[str], violations: Violations, path: str = "") -> None:
        json_names = {name: name for name in fields} | {own_name(name): name for name in fields}
        self._path = path
        self._violations = violations
        self._has_unknown = False
        self._values: dict[str, Any] = {}
        for given, content in value.items():
            name = json_names.get(given)
            if name is None:
                self._has_unknown = True
                shown = given[:_MAX_SHOWN_LENGTH]
                violations.add(path, f'{_BEFORE} Unknown name "{shown}"{self._at()}: Cannot find field.')
            elif name in self._values:
                violations.add(self.path_of(name), f'{_BEFORE} The field "{name}"{self._at()} is given twice.')
            elif content is not None:
                self._values[name] = content

    @classmethod
    def root(cls, value: object, fields: Sequence[str]) -> Self:
        """Return the message of a whole body. Raises InvalidArgument if it is not an object."""
        violations = Violations()
        if not isinstance(value, dict):
            violations.add("", f'{_BEFORE} Unknown name "": Root element must be a message.')
            violations.check()
        return cls(value if isinstance(value, dict) else {}, fields, violations)

    def check(self) -> None:
        """Raise InvalidArgument if this or another message of the same request is malformed."""
        self._violations.check()

    def right(self, value: T | None) -> T:
        """Return a required value. Raises InvalidArgument if the request is malformed."""
        self.check()
        if value is None:
            raise Internal("A request without a required field passed its check")
        return value

    def refuse(self, name: str, description: str) -> None:
        """Record what is wrong with a field, other than its type."""
        self._violations.add(self.path_of(name), description)

    def refuse_absence(self, name: str, description: str) -> None:
        """Record that a field is missing, unless an unknown field may be a misspelling of it."""
        if not self._has_unknown:
            self.refuse(name, description)

    def message(self, name: str, fields: Sequence[str], type_name: str) -> JsonMessage | None:
        """Return the field as a message of these fields."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._refuse_type(name, f"type.googleapis.com/{type_name}", value, "an object")
            return None
        return JsonMessage(value, fields, self._violations, self.path_of(name))

    def has(self, name: str) -> bool:
        """Say whether the field is there and not null, well-formed or not."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return the field as a string."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        self._refuse_type(name, "TYPE_STRING", value, "a string")
        return None

    def required(self, name: str, parse: Callable[[str], T], right: str) -> T | None:
        """Return the result of `parse` for a required string that must not be empty."""
        text = self.text(name)
        if text:
            return self._violations.of(self.path_of(name), lambda: parse(text))
        if self._values.get(name) in (None, ""):
            self.refuse_absence(name, f"{self._json_path_of(name)} is required; expected {right}.")
        return None

    def optional(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the result of `parse` for a string, or None if it is empty or `parse` raises."""
        text = self.text(name)
        return self._violations.of(self.path_of(name), lambda: parse(text)) if text else None

    def boolean(self, name: str) -> bool | None:
        """Return the field as a bool."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        known = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
        if known is None:
            self._refuse_type(name, "TYPE_BOOL", value, "true or false")
        return known

    def int64(self, name: str) -> int | None:
        """Return the field as an int64, which JSON has as a text or as a number."""
        value = self._values.get(name)
        if value is None:
            return None
        number = int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, int) and not isinstance(number, bool) and -_INT64 <= number < _INT64:
            return number
        self._refuse_type(name, "TYPE_INT64", value, "an integer of 64 bits")
        return None

    def enum(self, name: str, values: Sequence[str], type_name: str) -> str | None:
        """Return the field as one of the enum's values, which are in the order of their numbers."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value in values:
            return value
        number = int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(values):
            return values[number]
        self._refuse_type(name, f"type.googleapis.com/{type_name}", value, f"one of {', '.join(values)}")
        return None

    def only_one_of(self, group: str, names: Sequence[str]) -> str | None:
        """Return the name of the field of a oneof that is set, or None.

        If two are set, return the first and record a violation.
        """
        found = [name for name in self._values if name in names]
        if len(found) > 1:
            self._violations.add(
                self._path,
                f"Invalid value{self._at()} (oneof), oneof field '{group}' is already set. Cannot set '{found[1]}'."
                f" Give {' or '.join(names)}, not both.",
            )
        return found[0] if found else None

    def path_of(self, name: str) -> str:
        """Return the path of a field of this message in the request."""
        return f"{self._path}.{own_name(name)}" if self._path else own_name(name)

    def _json_path_of(self, name: str) -> str:
        return ".".join(re.sub(r"_(.)", lambda found: found[1].upper(), part) for part in self.path_of(name).split("."))

    def _at(self) -> str:
        return f" at '{self._path}'" if self._path else ""

    def _refuse_type(self, name: str, kind: str, value: object, right: str) -> None:
        shown = json.dumps(value)[:_MAX_SHOWN_LENGTH]
        self.refuse(name, f"Invalid value at '{self.path_of(name)}' ({kind}), {shown}; expected {right}.")


def own_name(json_name: str) -> str:
    """Return the field name in the protocol buffer message: `table_uri` for `tableUri`."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", json_name)
