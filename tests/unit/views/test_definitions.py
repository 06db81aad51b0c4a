"""The definitions of a table's views follow from its columns."""

from __future__ import annotations

import pytest

from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import Field, FieldType, Schema, common_columns
from dicom_export.views.definitions import VIEW_SUFFIXES, views_of
from dicom_export.views.dialect import Dialect, DuckDbSql, GoogleSql

UIDS = tuple(Field(name, FieldType.STRING) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
FLATTENED: Schema = (*UIDS, *common_columns(SchemaKind.FLATTENED, has_source_store=False))
MOST_CHARACTERS = 256 * 1024  # https://cloud.google.com/bigquery/quotas#view_limits

dialects = pytest.mark.parametrize("sql", [GoogleSql(), DuckDbSql()])


def queries(schema: Schema, sql: Dialect) -> dict[str, str]:
    return {view.name: view.query for view in views_of("dicom", "`p.d.dicom`", schema, sql)}


@dialects
def test_a_table_has_a_view_of_its_instances_studies_series_and_private_elements(sql: Dialect) -> None:
    assert list(queries(FLATTENED, sql)) == ["dicomView", "dicomStudies", "dicomSeries", "dicomPrivate"]
    assert [f"dicom{suffix}" for suffix in VIEW_SUFFIXES] == list(queries(FLATTENED, sql))


@dialects
def test_a_view_whose_columns_the_table_lacks_is_left_out(sql: Dialect) -> None:
    without_series = tuple(field for field in FLATTENED if field.name != "SeriesInstanceUID")
    without_private = tuple(field for field in FLATTENED if field.name != "OtherElements")

    assert list(queries(without_series, sql)) == ["dicomView", "dicomStudies", "dicomPrivate"]
    assert "dicomPrivate" not in queries(without_private, sql)
    assert queries(FLATTENED[3:], sql) == {}


@dialects
def test_a_study_has_the_elements_that_the_table_has(sql: Dialect) -> None:
    modality = Field("Modality", FieldType.STRING)

    assert "ModalitiesInStudy" not in queries(FLATTENED, sql)["dicomStudies"]
    assert "ModalitiesInStudy" in queries((*FLATTENED, modality), sql)["dicomStudies"]


@dialects
@pytest.mark.parametrize("kind", [SchemaKind.FLATTENED, SchemaKind.JSON])
def test_every_definition_is_shorter_than_bigquery_allows(kind: SchemaKind, sql: Dialect) -> None:
    schema = (*UIDS, *common_columns(kind, has_source_store=True))

    assert all(len(query) < MOST_CHARACTERS for query in queries(schema, sql).values())


def test_text_is_quoted_in_each_dialect() -> None:
    assert GoogleSql().text("a'b\\c\td\n") == "'a\\'b\\\\c\\td\\n'"
    assert DuckDbSql().text("a'b\\c") == "'a''b\\c'"
