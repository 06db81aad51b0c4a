"""Divide a list into pages, with tokens that continue only the list that they came from."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

_LONGEST_POSITION = 2048

T = TypeVar("T")


def page_size(parameters: Mapping[str, str]) -> int:
    """Return the number of entries of a page; 0 stands for the default."""
    text = parameters.get("pageSize", "0")
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > MAX_PAGE_SIZE:
        raise InvalidArgument(f"pageSize is {text!r}; expected a number from 1 to {MAX_PAGE_SIZE}.")
    return int(text) or DEFAULT_PAGE_SIZE


def start_position(parameters: Mapping[str, str], *bound_to: str) -> str:
    """Return the position after which the pageToken continues, or the start without a token.

    Raises InvalidArgument for a token of another list; `bound_to` identifies the list.
    """
    token = parameters.get("pageToken", "")
    if not token:
        return ""
    try:
        digest, position = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError, RecursionError) as error:
        raise _invalid(token) from error
    if digest != _digest(bound_to) or not (isinstance(position, str) and _is_position(position)):
        raise _invalid(token)
    return position


def take_page(items: Iterable[tuple[str, T]], size: int, *bound_to: str) -> tuple[list[T], dict[str, str]]:
    """Return the first items, and `nextPageToken` if there are more. `items` are pairs of a position and an item."""
    page = list(islice(items, size + 1))
    entries = [item for _, item in page[:size]]
    if len(page) <= size:
        return entries, {}
    content = json.dumps([_digest(bound_to), page[size - 1][0]])
    return entries, {"nextPageToken": urlsafe_b64encode(content.encode()).decode().rstrip("=")}


def _is_position(text: str) -> bool:
    """Return whether the text can be a position: the path of an object, which is Unicode without control characters."""
    return len(text) <= _LONGEST_POSITION and text.isprintable()


def _digest(bound_to: tuple[str, ...]) -> str:
    return sha256(json.dumps(bound_to).encode()).hexdigest()[:16]


def _invalid(token: str) -> InvalidArgument:
    return InvalidArgument(
        f"pageToken {token[:100]!r} does not continue this list; expected the nextPageToken of an answer to the same"
        " request, with the same filter."
    )
