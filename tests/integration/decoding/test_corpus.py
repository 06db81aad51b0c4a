"""Every real file at hand: the corpus, and the files that come inside pydicom."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom.data.data_manager import DATA_ROOT
from pydicom.dataset import Dataset

from dicom_export.decoding.decoded import DecodedInstance, Skipped
from dicom_export.decoding.instance import decode_instance
from dicom_export.errors import InstanceError, MissingUid, NotDicom, TruncatedInstance
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from dicom_export.rows.schema import columns_of
from dicom_export.stored_object import FIRST_RANGE
from support.dicom_files import MemoryStore, make_stored
from support.reference import assert_same, flattened_row, read

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
PYDICOM = Path(DATA_ROOT)
ADMINISTRATIVE = {"Type", "LastUpdated", "StorageClass", "BlobStorageSize"}


def _manifest() -> dict[str, dict[str, Any]]:
    manifest = CORPUS / "manifest.jsonl"
    lines = manifest.read_text().splitlines() if manifest.exists() else []
    return {line["path"]: line for line in map(json.loads, lines)}


_MANIFEST = _manifest()


def _corpus() -> list[Any]:
    needed = pytest.mark.requires_shared("corpus")
    return [pytest.param(CORPUS / path, id=path, marks=needed) for path in _MANIFEST or ["manifest.jsonl"]]


def _wheel() -> list[Any]:
    """Return the files inside pydicom that are not in the corpus as well."""
    known = {line["sha256"] for line in _MANIFEST.values()}
    files = [path for path in sorted(PYDICOM.rglob("*")) if path.suffix in {"", ".dcm"} and path.is_file()]
    return [
        pytest.param(path, id=str(path.relative_to(PYDICOM)))
        for path in files
        if hashlib.sha256(path.read_bytes()).hexdigest() not in known
    ]


def _decode(path: Path, kind: SchemaKind) -> DecodedInstance | Skipped:
    data = path.read_bytes()
    return decode_instance(MemoryStore({"a": data}), make_stored("a", data), RowLayout(kind))


def _instance(path: Path, kind: SchemaKind) -> DecodedInstance | None:
    """Return the decoded instance, or None for a file that is none by pydicom's own reading."""
    try:
        decoded = _decode(path, kind)
    except InstanceError:
        decoded = Skipped("no instance")
    if isinstance(decoded, DecodedInstance):
        return decoded
    data_set = read(path)
    uids = [data_set.get(keyword) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
    assert path.name in _NOT_DICOM | _ENDS_EARLY or not all(uids)
    return None


def _readable(model: dict[str, Any]) -> dict[str, Any]:
    """Return the model with DS and IS that are not numbers as LO: the standard has them in JSON, pydicom does not read them."""
    return {tag: _readable_element(dict(element)) for tag, element in model.items()}


def _readable_element(element: dict[str, Any]) -> dict[str, Any]:
    values = element.get("Value", [])
    if element["vr"] == "SQ":
        element["Value"] = [_readable(item) for item in values]
    elif element["vr"] in {"DS", "IS"} and not all(map(_is_number, values)):
        element["vr"] = "LO"
        element["Value"] = [None if value is None else str(value) for value in values]
    return element


def _is_number(value: Any) -> bool:
    try:
        float(value or 0)
    except ValueError:
        return False
    return not isinstance(value, str) or value.isascii()


def _comparable(value: Any) -> Any:
    """Return the value with NaN equal to itself."""
    if isinstance(value, dict):
        return {key: _comparable(nested) for key, nested in value.items()}
    if isinstance(value, list):
        return [_comparable(nested) for nested in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


@pytest.mark.parametrize("path", _corpus() + _wheel())
def test_every_element_of_a_real_file_is_what_pydicom_reads(path: Path) -> None:
    decoded = _instance(path, SchemaKind.FLATTENED)
    if decoded is None:
        return
    row = {name: value for name, value in decoded.row.items() if name not in ADMINISTRATIVE}
    expected = flattened_row(read(path))
    assert set(row) == set(expected)
    for name, value in expected.items():
        assert _comparable(row[name]) == _comparable(value), name


@pytest.mark.parametrize("path", _corpus() + _wheel())
def test_metadata_of_a_real_file_reads_back_as_pydicom_reads_the_file(path: Path) -> None:
    decoded = _instance(path, SchemaKind.JSON)
    if decoded is None:
        return
    metadata = decoded.row["Metadata"]
    assert decoded.row["StructuredStorageSize"] == len(metadata.encode())
    json.loads(metadata, parse_constant=_refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dropped = assert_same(Dataset.from_json(_readable(json.loads(metadata))), read(path))
    assert decoded.row["DroppedTags"] == dropped


@pytest.mark.parametrize("path", _corpus() + _wheel())
@pytest.mark.parametrize("kind", TABLE_SCHEMAS)
def test_row_of_a_real_file_survives_arrow(path: Path, kind: SchemaKind) -> None:
    decoded = _instance(path, kind)
    if decoded is None:
        return
    row = decoded.row
    schema = columns_of(row, kind)
    returned = record_batch([row], schema).to_pylist()[0]
    assert [field.name for field in schema] == list(returned)
    assert _comparable(_without_nulls(returned)) == _comparable(_without_nulls(row))


@pytest.mark.parametrize("path", _corpus())
def test_real_file_that_is_no_instance_fails_for_the_right_reason(path: Path) -> None:
    line = _MANIFEST[str(path.relative_to(CORPUS))]
    expected = _outcome(path, line)
    if not issubclass(expected, InstanceError):
        assert type(_decode(path, SchemaKind.FLATTENED)) is expected
        return
    with pytest.raises(InstanceError) as caught:
        _decode(path, SchemaKind.FLATTENED)
    assert type(caught.value) is expected
    if expected is MissingUid:
        assert str(caught.value) == "Missing StudyInstanceUID (0020,000D)"
    if line["SOPInstanceUID"]:
        assert caught.value.uids
        assert caught.value.uids.instance == line["SOPInstanceUID"]


def test_header_of_a_large_file_is_read_without_its_pixels() -> None:
    path = PYDICOM / "test_files" / "examples_palette.dcm"
    data = path.read_bytes()
    store = MemoryStore({"a": data})
    decode_instance(store, make_stored("a", data), RowLayout(SchemaKind.FLATTENED))
    assert sum(length for _, _, length in store.reads) <= FIRST_RANGE < len(data)


_TEXT = "filter_multiple_rule_innerop_true.dicom"
_NOT_DICOM = {"no_meta.dcm", _TEXT}  # the first starts one byte before its data
_ENDS_EARLY = {"rtplan_truncated.dcm", "empty_charset_LEI.dcm", "no_meta_group_length.dcm"}


def _outcome(path: Path, line: dict[str, Any]) -> type:
    if "DICOMDIR" in path.name:
        return Skipped
    if path.name == _TEXT:
        return Skipped
    if path.name in _NOT_DICOM:
        return NotDicom
    if path.name in _ENDS_EARLY:
        return TruncatedInstance
    return DecodedInstance if line["StudyInstanceUID"] else MissingUid


def _without_nulls(value: Any) -> Any:
    """Return the value without what a table cannot tell from absent: NULLs, empty lists, items without any element."""
    if isinstance(value, dict):
        kept = {key: _without_nulls(nested) for key, nested in value.items()}
        return {key: nested for key, nested in kept.items() if nested is not None and not _is_blank(nested)}
    if isinstance(value, list):
        return [_without_nulls(nested) for nested in value]
    return value


def _is_blank(value: Any) -> bool:
    return isinstance(value, list) and all(item == {} for item in value)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")
