"""What the managed service really wrote: seven schemas and ten rows of public data sets."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from dicom_export.dicom.dictionary import entry_named, named_tag
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import Field, Mode, Schema, columns_of, from_json, ordered
from support.dicom_files import make_instance, make_meta, row_of

ORACLE = Path(__file__).resolve().parents[4] / "shared" / "oracle"
SCHEMAS = ["idc_dicom_all", "tcga_blca", "tcga_brca", "tcga_gbm", "tcga_lgg", "tcga_luad", "tcga_prad"]

# It was VM 1 then and is 1-n now.
CHANGED_SINCE = {"SegmentAlgorithmName"}
LEARNED_SINCE = {0x00080017: "AcquisitionUID", 0x00080019: "PyramidUID"}
ADMINISTRATIVE = {"DroppedTags", "Type", "LastUpdated", "StorageClass", "BlobStorageSize"}


def _schema(name: str) -> Schema:
    return from_json(json.loads((ORACLE / f"{name}.json").read_text()))


def _blank_row(fields: Schema) -> dict[str, Any]:
    """Return a row that has every field, with an item in each sequence."""
    return {field.name: _blank(field) for field in fields}


def _blank(field: Field) -> Any:
    entry = entry_named(field.name)
    if entry and entry.is_repeating_group:
        value = next(nested for nested in field.fields if nested.name == "Value")
        return [{"Id": "6000", "Value": [_blank_row(value.fields)] if value.mode is Mode.REPEATED else None}]
    is_sequence = entry.vr == "SQ" if entry else field.name.startswith("Tag_")
    return [_blank_row(field.fields)] if is_sequence else None


def _relaxed(schema: Schema) -> Any:
    """Return the schema by name, with REQUIRED as NULLABLE: the copies of these tables lost it."""
    return {
        field.name: (
            field.type,
            Mode.NULLABLE if field.mode is Mode.REQUIRED else field.mode,
            _relaxed(field.fields),
        )
        for field in schema
        if field.name not in CHANGED_SINCE
    }


def _order(schema: Schema) -> list[Any]:
    return [(field.name, _order(field.fields)) for field in schema]


@pytest.mark.requires_shared("oracle")
@pytest.mark.parametrize("name", SCHEMAS)
def test_columns_are_named_and_typed_as_in_a_real_export(name: str) -> None:
    real = _schema(name)
    derived = columns_of(_blank_row(real), SchemaKind.FLATTENED)
    assert _relaxed(derived) == _relaxed(real)


@pytest.mark.requires_shared("oracle")
@pytest.mark.parametrize("name", SCHEMAS)
def test_columns_are_ordered_as_in_a_real_export(name: str) -> None:
    real = _schema(name)
    assert _order(ordered(real)) == _order(real)


def _real_rows() -> list[dict[str, Any]]:
    return json.loads((ORACLE / "real_rows.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.requires_shared("oracle")
@pytest.mark.parametrize("number", range(10))
def test_real_row_comes_out_again(number: int) -> None:
    real = _real_rows()[number]
    row = row_of(_file_of(real))
    found = _stripped({name: value for name, value in row.items() if name not in ADMINISTRATIVE - {"DroppedTags"}})
    assert found == _expected(real)


def _file_of(real: dict[str, Any]) -> bytes:
    """Return a file with the elements that the row tells of."""
    meta = {name: value for name, value in real.items() if (named_tag(name) or 0) >> 16 == 2}
    elements = {name: value for name, value in real.items() if name not in meta and name not in ADMINISTRATIVE}
    data_set = _data_set(elements)
    syntax = UID(meta["TransferSyntaxUID"])
    if syntax.is_encapsulated:
        data_set.add_new(0x7FE00010, "OB", encapsulate([b"\0\0"]))
        data_set["PixelData"].is_undefined_length = True
    else:
        data_set.add_new(0x7FE00010, "OW", b"\0\0")
    return make_instance(data_set, syntax=syntax, meta=make_meta(**{"syntax": syntax} | meta))


def _data_set(record: dict[str, Any]) -> Dataset:
    data_set = Dataset()
    for name, value in record.items():
        if name == "OtherElements":
            for other in value:
                tag = named_tag(other["Tag"]) or 0
                data_set.add_new(tag, *_other(tag, other["Data"]))
        elif name != "_source":
            entry = entry_named(name)
            assert entry is not None, name
            data_set.add_new(entry.tag, entry.vr.replace("US or SS", "US"), _written(entry.vr, value))
    return data_set


def _other(tag: int, texts: list[str]) -> tuple[str, Any]:
    if tag == 0x00091002:  # of PixelMed's block: the one number among them
        return "US", [int(text) for text in texts]
    return (dictionary_VR(tag) if dictionary_has_tag(tag) else "LO"), texts


def _written(vr: str, value: Any) -> Any:
    """Return a column's value as an element has it."""
    if vr == "SQ":
        return [_data_set(item) for item in value]
    if vr == "PN":
        return "=".join(_group(value.get(group)) for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    if vr == "DA":
        return value.replace("-", "")
    if vr == "TM":
        return value.replace(":", "")
    if vr == "DT":
        return _moment(value).strftime("%Y%m%d%H%M%S.%f+0000")
    return value


def _group(parts: dict[str, str] | None) -> str:
    names = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
    return "^".join((parts or {}).get(name, "") for name in names).rstrip("^")


def _moment(value: Any) -> datetime:
    micros = value["micros"] if isinstance(value, dict) else value
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def _expected(real: dict[str, Any]) -> dict[str, Any]:
    """Return the real row typed as ours, with the elements as columns that the dictionary has learned since."""
    row = {name: _typed(name, value) for name, value in real.items() if name not in ADMINISTRATIVE - {"DroppedTags"}}
    del row["_source"]
    others = []
    for other in sorted(real["OtherElements"], key=lambda other: other["Tag"]):
        tag = named_tag(other["Tag"]) or 0
        if tag in LEARNED_SINCE:
            row[LEARNED_SINCE[tag]] = other["Data"][0]
        else:
            others.append(other)
    return _stripped(row | {"OtherElements": others})  # type: ignore[no-any-return]


def _typed(name: str, value: Any) -> Any:
    entry = entry_named(name)
    if entry is None:
        return value
    if entry.vr == "SQ":
        return [{nested: _typed(nested, inner) for nested, inner in item.items()} for item in value]
    if entry.vr == "DA":
        return date.fromisoformat(value)
    if entry.vr == "TM":
        return time.fromisoformat(value)
    return _moment(value) if entry.vr == "DT" else value


def _stripped(value: Any) -> Any:
    """Return the value without NULLs and empty lists, as the ten rows are told."""
    if isinstance(value, dict):
        kept = {name: _stripped(nested) for name, nested in value.items()}
        return {name: nested for name, nested in kept.items() if nested not in (None, [])}
    return [_stripped(nested) for nested in value] if isinstance(value, list) else value
