"""Select the fields of partial responses, by the system parameter `fields`.

The parameter is a selector, such as `operations(name,metadata/counter),nextPageToken`, or a field mask, such as
`name,metadata.counter`.

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

# Enough for every field of every response. It also limits the nesting.
_MAX_TOKENS = 200
# The fields without a schema in the discovery document, because operations of other methods may have others.
_ANY = {"metadata": "OperationMetadata", "response": "Empty"}
_UNDERSCORE = re.compile(r"_([a-z])")
_TOKEN = re.compile(r"[\w@$*-]+|[(),/.]")


def parse_fields(fields: str) -> Mask:
    """Return the fields that a selector names, each with the fields below it. An empty mask stands for all fields.

    Raises InvalidArgument for a malformed selector.
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
    """Raise InvalidArgument if a selector names fields that a response of this schema cannot have."""
    violations = Violations()
    for path in _unknown(mask, schemas[response], schemas, ""):
        violations.add(path, f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'.")
    violations.check()


def _unknown(mask: Mask, schema: Mapping[str, Any], schemas: Mapping[str, Any], above: str) -> Iterator[str]:
    """Yield the paths of the mask that are not in the schema."""
    while "$ref" in schema or "items" in schema:
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema["items"]
    if "additionalProperties" in schema:
        return
    inside = _properties(schema, schemas)
    for name, below in mask.items():
        if name == "*":
            unknown = [list(_unknown(below, each, schemas, f"{above}*.")) for each in inside.values()]
            # It is enough if one of the properties has the fields below.
            yield from min(unknown, key=len, default=[f"{above}*"])
        elif name in inside:
            yield from _unknown(below, inside[name], schemas, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _properties(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of an object by their names, also those that the document does not describe."""
    if "properties" not in schema:
        return {}
    known = {
        name: schemas[kind]
        for name, kind in _ANY.items()
        if "additionalProperties" in schema["properties"].get(name, {})
    }
    return {"@type": {}, **schema["properties"], **known}


def select_fields(body: Mapping[str, Any], mask: Mask) -> Mapping[str, Any]:
    """Return the fields of a response that the mask names. Fields that the response lacks are left out."""
    return dict(_selected(body, mask))


def _union(tokens: list[str]) -> Mask:
    """Consume `PATH,PATH…` from the tokens, and return its mask."""
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
    """Return a field's name in JSON. A selector may also write it with underscores."""
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
    message = (
        f"Invalid fields {fields[:_MAX_TOKENS]!r}; expected a selector such as name,metadata/counter(success,failure)."
    )
    return InvalidArgument(message, (FieldViolation("fields", message),))
