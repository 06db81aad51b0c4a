"""Partial responses: the system parameter `fields`.

It is a selector, as in `operations(name,metadata/counter),nextPageToken`, or a field mask, as in `name,metadata.counter`.

Source: https://cloud.google.com/apis/docs/system-parameters and the discovery documents' "Selector specifying which
fields to include in a partial response".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dicom_export.errors import FieldViolation, InvalidArgument
from dicom_export.protocol.violations import Violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Mask = dict[str, Any]

# Enough for every field of every answer; it bounds the nesting too.
_MAX_TOKENS = 200
# What a discovery document has no schema for: an operation of another API could have another one.
_ANY = {"metadata": "OperationMetadata", "response": "Empty"}
_UNDERSCORE = re.compile(r"_([a-z])")
_TOKEN = re.compile(r"[\w@$*-]+|[(),/.]")


def parse_fields(fields: str) -> Mask:
    """Return which fields a selector names, each with those below it; an empty mask names everything.

    Raises InvalidArgument for a selector that is malformed.
    """
    if not fields:
        return {}
    tokens = _TOKEN.findall(fields)
    if "".join(tokens) != fields.replace(" ", "") or len(tokens) > _MAX_TOKENS:
        raise _invalid(fields)
    try:
        mask = _union(tokens)
    except IndexError as error:
        raise _invalid(fields) from error
    if tokens:
        raise _invalid(fields)
    return mask


def check_fields(mask: Mask, response: str, schemas: Mapping[str, Any]) -> None:
    """Raise InvalidArgument for each field that a selector names and a response of this schema cannot have."""
    violations = Violations()
    for path in _unknown(mask, schemas[response], schemas, ""):
        violations.add(path, f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'.")
    violations.check()


def _unknown(mask: Mask, schema: Mapping[str, Any], schemas: Mapping[str, Any], above: str) -> Iterator[str]:
    """Yield the paths in the mask that the schema does not have."""
    while "$ref" in schema or "items" in schema:
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema["items"]
    if "additionalProperties" in schema:
        return
    inside = _properties(schema, schemas)
    for name, below in mask.items():
        if name == "*":
            unknown = [list(_unknown(below, each, schemas, f"{above}*.")) for each in inside.values()]
            # One that has what is named below is enough.
            yield from min(unknown, key=len, default=[f"{above}*"])
        elif name in inside:
            yield from _unknown(below, inside[name], schemas, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _properties(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of an object, by their names, with what is known of those that the document leaves open."""
    if "properties" not in schema:
        return {}
    known = {
        name: schemas[kind]
        for name, kind in _ANY.items()
        if "additionalProperties" in schema["properties"].get(name, {})
    }
    return {"@type": {}, **schema["properties"], **known}


def select_fields(body: Mapping[str, Any], mask: Mask) -> Mapping[str, Any]:
    """Return what the mask names of an answer. What it names and the answer lacks is not there in the result."""
    return dict(_selected(body, mask))


def _union(tokens: list[str]) -> Mask:
    """Take `PATH,PATH…` off the tokens."""
    mask = _path(tokens)
    while tokens and tokens[0] == ",":
        del tokens[0]
        mask = _merged(mask, _path(tokens))
    return mask


def _path(tokens: list[str]) -> Mask:
    name = _json_name(tokens.pop(0))
    if name in "(),/.":
        raise IndexError
    below: Mask = {}
    if tokens and tokens[0] in "/.(":
        is_group = tokens.pop(0) == "("
        below = _union(tokens) if is_group else _path(tokens)
        if is_group and tokens.pop(0) != ")":
            raise IndexError
    return {name: below}


def _json_name(name: str) -> str:
    """Return a field's name in JSON: a selector may have its own, with underscores."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)


def _merged(one: Mask, other: Mask) -> Mask:
    if not (one and other):
        return {}
    both = {name: _merged(one[name], other[name]) for name in one.keys() & other.keys()}
    return one | other | both


def _selected(value: Any, mask: Mask) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, list):
        return [_selected(each, mask) for each in value]
    if not (mask and isinstance(value, dict)):
        return value
    masks = {name: _mask_of(name, mask) for name in value}
    return {name: _selected(value[name], below) for name, below in masks.items() if below is not None}


def _mask_of(name: str, mask: Mask) -> Mask | None:
    found = [mask[key] for key in (name, "*") if key in mask]
    if not found:
        return None
    return found[0] if len(found) == 1 else _merged(found[0], found[1])


def _invalid(fields: str) -> InvalidArgument:
    message = f"fields is {fields[:_MAX_TOKENS]!r}; expected like name,metadata/counter(success,failure)."
    return InvalidArgument(message, (FieldViolation("fields", message),))
