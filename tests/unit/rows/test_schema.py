"""What schemas have in common, what one lacks, and their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.errors import FailedPrecondition
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import (
    Field,
    FieldType,
    Mode,
    Schema,
    columns_of,
    common_columns,
    covers,
    from_json,
    merge,
    ordered,
    to_json,
)
from support.dicom_files import element, make_file, row_of, sequence

KEYWORDS = ["PatientName", "Modality", "Rows", "StudyDate", "ImageType", "OverlayRows", "OtherElements", "DroppedTags"]
SEQUENCES = ["ContentSequence", "ProcedureCodeSequence", "Tag_00091001"]

rows = st.recursive(
    st.dictionaries(st.sampled_from(KEYWORDS), st.none(), min_size=1),
    lambda items: st.dictionaries(st.sampled_from(SEQUENCES), st.lists(items, min_size=1, max_size=2), min_size=1),
    max_leaves=8,
)
schemas = rows.map(lambda row: columns_of(row, SchemaKind.FLATTENED))


def names(schema: Schema) -> list[str]:
    return [field.name for field in schema]


@given(schemas, schemas, schemas)
def test_merge_gives_the_same_columns_in_every_order(a: Schema, b: Schema, c: Schema) -> None:
    assert ordered(merge(merge(a, b), c)) == ordered(merge(a, merge(c, b)))


@given(schemas, schemas)
def test_merge_keeps_the_firsts_order_and_covers_both(a: Schema, b: Schema) -> None:
    merged = merge(a, b)
    assert names(merged)[: len(a)] == names(a)
    assert covers(merged, a)
    assert covers(merged, b)


@given(schemas, schemas)
def test_covered_means_that_merging_adds_nothing(a: Schema, b: Schema) -> None:
    assert covers(a, b) == (merge(a, b) == a)


@given(schemas)
def test_json_gives_the_schema_back(schema: Schema) -> None:
    assert from_json(to_json(schema)) == schema


@given(schemas)
def test_columns_of_a_row_are_in_canonical_order(schema: Schema) -> None:
    assert ordered(schema) == schema


@pytest.mark.parametrize(
    "other",
    [Field("Rows", FieldType.STRING), Field("Rows", FieldType.INTEGER, Mode.REPEATED)],
)
def test_column_of_another_type_or_mode_is_named(other: Field) -> None:
    rows = (Field("Rows", FieldType.INTEGER),)
    assert not covers(rows, (other,))
    nested = [(Field("A", FieldType.RECORD, Mode.REPEATED, fields),) for fields in (rows, (other,))]
    with pytest.raises(FailedPrecondition, match=r"A\.Rows"):
        merge(*nested)


def test_standard_elements_come_by_tag_then_private_sequences_then_the_rest() -> None:
    private = sequence(0x00091001, element(0x00080100, "SH", b"1 "))
    data = make_file(element(0x60000010, "US", b"\1\0"), private, element(0x00091002, "LO", b"x "))
    assert names(columns_of(row_of(data), SchemaKind.FLATTENED)) == [
        "TransferSyntaxUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "OverlayRows",
        "Tag_00091001",
        "OtherElements",
        "DroppedTags",
        "Type",
        "LastUpdated",
        "StorageClass",
        "BlobStorageSize",
    ]


def test_record_of_a_sequence_is_the_union_of_its_items() -> None:
    row = {"ContentSequence": [{"TextValue": "a"}, {}, {"ValueType": "b", "ContentSequence": [{"Modality": None}]}]}
    (content,) = columns_of(row, SchemaKind.FLATTENED)
    assert names(content.fields) == ["ValueType", "TextValue", "ContentSequence"]
    assert names(content.fields[2].fields) == ["Modality"]


def test_sequence_without_any_element_has_no_column() -> None:
    assert columns_of({"ContentSequence": [{}, {"ContentSequence": []}]}, SchemaKind.FLATTENED) == ()


def test_type_that_no_column_of_ours_has_is_named() -> None:
    with pytest.raises(FailedPrecondition, match="GEOGRAPHY"):
        from_json([{"name": "place", "type": "GEOGRAPHY"}])


DOCUMENTED = [
    *(
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "SourceDicomStore",
        "SourceObject",
        "SourceGeneration",
        "Metadata",
        "StructuredStorageSize",
    ),
    *("DroppedTags", "StorageClass", "LastUpdated", "BlobStorageSize", "Type"),
]


@given(
    st.permutations(common_columns(SchemaKind.JSON, has_source_store=True, has_source_object=True)), st.integers(0, 13)
)
def test_columns_of_the_json_schema_are_in_the_documented_order(columns: list[Field], at: int) -> None:
    beside = Field("MyColumn", FieldType.STRING)
    assert [field.name for field in ordered((*columns[:at], beside, *columns[at:]))] == [*DOCUMENTED, "MyColumn"]
    kept_latest = [field for field in columns if field.name != "Type"]
    assert [field.name for field in ordered(tuple(kept_latest))] == DOCUMENTED[:-1]
