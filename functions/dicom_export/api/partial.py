"""Partial responses: the system parameter `fields`, as in `operations(name,metadata/counter),nextPageToken`.

Source: https://cloud.google.com/apis/docs/system-parameters and the discovery documents' "Selector specifying which
fields to include in a partial response".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    Mask = dict[str, Any]

# Enough for every field of every answer; it bounds the nesting too.
_MAX_TOKENS = 200
_TOKEN = re.compile(r"[\w@$.*-]+|[(),/]")


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
    name = tokens.pop(0)
    if name in "(),/":
        raise IndexError
    below: Mask = {}
    if tokens and tokens[0] in "/(":
        is_group = tokens.pop(0) == "("
        below = _union(tokens) if is_group else _path(tokens)
        if is_group and tokens.pop(0) != ")":
            raise IndexError
    return {name: below}


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
    return InvalidArgument(
        f"fields is {fields[:_MAX_TOKENS]!r}; it would be like name,metadata/counter(success,failure)."
    )
