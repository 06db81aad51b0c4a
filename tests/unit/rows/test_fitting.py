"""What becomes of rows that need more columns than a table may have."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.decoding.budget import ColumnLimits
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.fitting import ColumnBudget, admitted, fitted
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import FIXED_COLUMNS, columns_of, count_fields, merge, ordered
from support.dicom_files import element, make_file, row_of

NAME = {
    "Alphabetic": {"FamilyName": "A", "GivenName": "B", "MiddleName": None, "NamePrefix": None, "NameSuffix": "Jr"},
    "Ideographic": None,
    "Phonetic": {"FamilyName": "P", "GivenName": None, "MiddleName": None, "NamePrefix": None, "NameSuffix": None},
}


def columns(row: dict[str, Any]) -> Any:
    return columns_of(row, SchemaKind.FLATTENED)


def wide(sequences: int) -> dict[str, Any]:
    """Return the row of an instance with so many private sequences, as a poisonous file has."""
    item = element(0xFFFEE000, None, element(0x00080060, "CS", b"MR"))
    return row_of(make_file(*[element(0x00110000 + 0x1000 + n, "SQ", item) for n in range(sequences)]))


def test_one_instance_adds_a_thousand_columns_at_most_and_lists_the_sequences_that_it_loses() -> None:
    row = wide(2_000)
    budget = ColumnBudget(())
    assert not budget.admit(columns(row))
    row = fitted(row, budget.columns)
    own = [field for field in budget.columns if field.name not in FIXED_COLUMNS]
    assert count_fields(tuple(own)) <= 1_000
    kept = [name for name in row if name.startswith("Tag_0011")]
    dropped = [each["TagName"] for each in row["DroppedTags"]]
    assert len(kept) + len(dropped) == 2_000
    assert row["StudyInstanceUID"] == "1.2.3"
    record_batch([row], columns(row))


def test_instance_that_needs_no_new_column_keeps_all_of_its_values_in_a_table_that_is_full() -> None:
    row = wide(10)
    budget = ColumnBudget(columns(row), ColumnLimits(table=1))
    assert budget.admit(columns(row))
    assert fitted(row, budget.columns) == row


@pytest.mark.parametrize(
    ("keyword", "value", "tag", "texts"),
    [
        ("Modality", "MR", "00080060", ["MR"]),
        ("ImageType", ["ORIGINAL", "PRIMARY"], "00080008", ["ORIGINAL", "PRIMARY"]),
        ("StudyDate", date(33, 1, 2), "00080020", ["00330102"]),
        ("StudyTime", time(1, 2, 3, 4), "00080030", ["010203.000004"]),
        ("AcquisitionDateTime", datetime(2026, 1, 2, tzinfo=UTC), "0008002A", ["20260102000000.000000+0000"]),
        ("Rows", 512, "00280010", ["512"]),
        ("PatientName", NAME, "00100010", ["A^B^^^Jr==P"]),
        ("OverlayRows", [{"Id": "6002", "Value": 4}], "60020010", ["4"]),
    ],
)
def test_standard_element_without_a_column_is_text_in_other_elements(
    keyword: str, value: Any, tag: str, texts: list[str]
) -> None:
    row = {keyword: value, "OtherElements": [{"Tag": "Tag_00090010", "Data": ["A"]}]}
    assert fitted(row, columns({"OtherElements": []})) == {
        "OtherElements": [{"Tag": "Tag_00090010", "Data": ["A"]}, {"Tag": f"Tag_{tag}", "Data": texts}]
    }


def test_value_in_a_sequence_goes_to_the_other_elements_of_its_item_where_these_have_a_column() -> None:
    item = {"CodeValue": "1", "CodeMeaning": "one", "OtherElements": []}
    known = columns({"ProcedureCodeSequence": [{"CodeValue": "1", "OtherElements": []}], "OtherElements": []})
    row = fitted({"ProcedureCodeSequence": [item], "OtherElements": []}, known)
    assert row["ProcedureCodeSequence"] == [
        {"CodeValue": "1", "OtherElements": [{"Tag": "Tag_00080104", "Data": ["one"]}]}
    ]


NAMES = ("Modality", "PatientName", "StudyDate", "ProcedureCodeSequence", "Tag_00111001", "ContentSequence", "Rows")


@st.composite
def rows(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = {} if depth else {"OtherElements": [], "DroppedTags": []}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        if name in {"ProcedureCodeSequence", "Tag_00111001", "ContentSequence"}:
            row[name] = draw(st.lists(rows(depth + 1), max_size=2)) if depth < 2 else []
        else:
            row[name] = {"Modality": "MR", "PatientName": NAME, "StudyDate": date(2026, 1, 2), "Rows": 5}[name]
    return row


@given(st.lists(rows(), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_table_never_exceeds_its_budget_and_every_row_fits_it(found: list[Any], table: int, instance: int) -> None:
    limits = ColumnLimits(table, instance)
    budget = ColumnBudget((), limits)
    for row in found:
        before = budget.columns
        budget.admit(columns(row))
        fixed = count_fields(tuple(field for field in budget.columns if field.name in FIXED_COLUMNS))
        added = count_fields(budget.columns) - count_fields(before)
        assert added <= max(0, min(instance, table - count_fields(before))) + fixed
        assert count_fields(budget.columns) <= max(table, fixed, count_fields(before))
        fit = fitted(row, budget.columns)
        assert merge(budget.columns, columns(fit)) == budget.columns
        record_batch([fit], budget.columns)


@given(rows())
def test_columns_that_are_admitted_are_among_those_that_are_wanted(row: dict[str, Any]) -> None:
    wanted = columns(row)
    for room in range(count_fields(wanted) + 1):
        part = admitted((), wanted, ColumnLimits(table=room))
        assert merge(wanted, part) == wanted
    assert ordered(admitted((), wanted, ColumnLimits(table=count_fields(wanted)))) == wanted
