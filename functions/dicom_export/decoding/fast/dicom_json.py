"""The row of the JSON schema of a header that was scanned: that of `dicom_json.dicom_json`, made the short way.

Every element is a piece of the text; the pieces of a run of elements are kept with the run, as one.
"""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from dicom_export.decoding.bulk import MAX_NUMBERS, is_binary
from dicom_export.decoding.context import Context, item_context, top_context
from dicom_export.decoding.fast.conversions import check_switches
from dicom_export.decoding.fast.kinds import RUN, Unusual
from dicom_export.decoding.fast.one_element import data_set_of
from dicom_export.decoding.fast.runs import elements_of
from dicom_export.decoding.notes import Notes, name_of
from dicom_export.decoding.reference.dicom_json import (
    Writer,
    columns,
    dumped,
    excess,
    room_of,
    values_of,
    without,
)
from dicom_export.decoding.values import NUMBERS, SIZES, WORD_SIZES, Misfit
from dicom_export.dicom.dictionary import is_group_length
from dicom_export.dicom.text import TEXT_VRS, split
from dicom_export.rows.layout import MAX_ROW_BYTES, SchemaKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.decoding.fast.header import ScannedHeader
    from dicom_export.decoding.fast.kinds import Kind
    from dicom_export.decoding.fast.runs import Element, Item, Run

_MANY_NAMES = 1_000
_PLAIN_TEXT = TEXT_VRS - {"PN", "DS", "IS"}


def json_of_scanned(header: ScannedHeader) -> dict[str, Any]:
    """Return the columns that an instance's elements make. Raises Unusual for a header that has to be read by pydicom."""
    context = top_context(SchemaKind.JSON, header.kept)
    dropped: list[str] = []
    metadata = f"{{{','.join(_pieces(header.elements, context, dropped))}}}"
    row = columns(header.uids, metadata, dropped)
    size = row["StructuredStorageSize"]  # measured once: to encode the text again shows in the time per instance
    is_large = 4 * size > MAX_ROW_BYTES or len(dropped) > _MANY_NAMES  # the text has the UIDs, so they are not larger
    if is_large and size > room_of(header.uids, dropped):
        row = columns(header.uids, *_fitting(header, context))
    return row


def _fitting(header: ScannedHeader, context: Context) -> tuple[str, list[str]]:
    """Return the text of the model as far as a row takes it, and the names of what is left out of it."""
    dropped: list[str] = []
    members: dict[int, str] = {}
    for element in elements_of(header.elements):
        for text in _pieces([element], context, dropped):
            if len(text) > MAX_ROW_BYTES:
                dropped.append(name_of(element[0].tag))
            else:
                members[element[0].tag] = text
    return without(excess(members, header.uids, dropped), members, dropped)


def _pieces(entries: Sequence[Element], context: Context, dropped: list[str]) -> list[str]:
    """Return the members of the model that the elements make; what is left out of it at the top is added to `dropped`."""
    pieces: list[str] = []
    for kind, value, _ in entries:
        if kind is RUN:
            text, left_out = _made(value, context)
            dropped += left_out
            if text:
                pieces.append(text)
            continue
        if not is_group_length(kind.tag):
            _add(pieces, dropped, kind, value, context)
    return pieces


def _made(run: Run, context: Context) -> tuple[str, list[str]]:
    """Return what became of the run's elements: what it was before, if that was in the same context."""
    made = run.made
    if made is not None and made[0] is context:
        return made[1]  # type: ignore[no-any-return]
    dropped: list[str] = []
    result = ",".join(_pieces(run.elements, context, dropped)), dropped
    run.made = context, result
    return result


def _add(pieces: list[str], dropped: list[str], kind: Kind, value: Any, context: Context) -> None:
    vr = kind.vr
    if vr in TEXT_VRS and value:
        check_switches(value)
    if vr in _PLAIN_TEXT and value is not None:
        pieces.append(_text(kind, split(vr, value, context.encodings) if value else []))
    elif value is None or (vr not in WORD_SIZES and vr != "US or SS" and is_binary(vr)):
        if not context.depth:
            dropped.append(name_of(kind.tag))
    elif vr == "SQ":
        items = ",".join([_item(item, context) for item in value])
        pieces.append(
            f'"{kind.tag:08X}":{{"vr":"SQ","Value":[{items}]}}' if items else f'"{kind.tag:08X}":{{"vr":"SQ"}}'
        )
    elif isinstance(value, bytes) and (vr in TEXT_VRS or (vr in NUMBERS and len(value) <= MAX_NUMBERS * SIZES[vr])):
        _add_values(pieces, dropped, kind, value, context)
    else:
        _add_uncommon(pieces, dropped, kind, value, context)


def _add_values(pieces: list[str], dropped: list[str], kind: Kind, value: bytes, context: Context) -> None:
    try:
        values = values_of(kind.tag, kind.vr, value, context.encodings, is_little_endian=True)
    except Misfit:
        _add_uncommon(pieces, dropped, kind, value, context)
        return
    text = f',"Value":{dumped(values)}' if values else ""
    pieces.append(f'"{kind.tag:08X}":{{"vr":"{kind.vr}"{text}}}')


def _text(kind: Kind, texts: list[str]) -> str:
    head = f'"{kind.tag:08X}":{{"vr":"{kind.vr}"'
    if not texts or texts == [""]:
        return head + "}"
    return f'{head},"Value":[{",".join([encode_basestring(text) if text else "null" for text in texts])}]}}'


def _item(item: Item, context: Context) -> str:
    entries, kept = item
    return f"{{{','.join(_pieces(entries, item_context(context, kept), []))}}}"


def _add_uncommon(pieces: list[str], dropped: list[str], kind: Kind, value: object, context: Context) -> None:
    """Add an element as `Writer` does."""
    if not isinstance(value, bytes):
        raise Unusual
    writer = Writer(Notes())
    members = writer.write(data_set_of(kind, value, context))
    if members:
        pieces.append(dumped(members)[1:-1])
    dropped += writer.dropped
