"""The views that an export on one machine defines, and that BigQuery's definitions give the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dicom_export.adapters.local.duckdb.query import run_query
from dicom_export.adapters.local.duckdb.table_columns import read_columns
from dicom_export.rows.schema import Field, FieldType
from dicom_export.views.definitions import VIEW_SUFFIXES, views_of
from dicom_export.views.dialect import GoogleSql
from support.archive import Archive, Kind
from support.command_line import rows, run
from support.dicom_files import element, make_file, make_instance, sequence

if TYPE_CHECKING:
    from pathlib import Path

VIEWS = [f"dicom{suffix}" for suffix in VIEW_SUFFIXES]
ARCHIVE = Archive(2, 2, 3, kinds=(Kind.CT, Kind.MR))


def export(folder: Path, file: Path, *options: str) -> None:
    result = run("export", folder, "--to", file, *options)
    assert result.exit_code == 0, result.output


def views(file: Path) -> list[str]:
    return [name for (name,) in rows(file, "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1")]


def private_file() -> bytes:
    return make_file(
        element(0x0020000D, "UI", b"1.2\0"),
        element(0x00430010, "LO", b"GEMS_PARM_01"),
        element(0x00431039, "IS", b"1000\\2"),
        element(0x004310FE, "LO", b"no name "),
        element(0x00450011, "LO", b"Nobody "),
        element(0x00451139, "LO", b"x "),
        sequence(0x00431070, element(0x00080060, "CS", b"MR")),
        element(0x00451201, "LO", b"no creator"),
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    ARCHIVE.write(folder)
    (folder / "private.dcm").write_bytes(private_file())
    return folder


@pytest.fixture(scope="module", params=["flattened", "json"])
def exported(request: pytest.FixtureRequest, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("export") / "scans.duckdb"
    export(archive, file, "--schema", request.param)
    return file


def test_an_export_defines_the_views_of_its_table(exported: Path) -> None:
    assert views(exported) == sorted(VIEWS)


def test_a_study_has_its_series_instances_and_modalities(exported: Path) -> None:
    found = rows(
        exported,
        "SELECT ModalitiesInStudy, NumberOfStudyRelatedSeries, NumberOfStudyRelatedInstances, CAST(StudyDate AS VARCHAR)"
        " FROM dicomStudies WHERE StudyDate IS NOT NULL ORDER BY StudyDate",
    )

    assert found == [(["CT", "MR"], 2, 6, "2010-01-01"), (["CT", "MR"], 2, 6, "2011-02-02")]


def test_a_series_has_its_instances_and_bytes(exported: Path) -> None:
    instances = (
        rows(exported, "SELECT sum(BlobStorageSize) FROM dicom WHERE Modality IS NOT NULL")[0]
        if ("Modality" in [column.name for column in read_columns(exported, "dicom")])
        else None
    )
    found = rows(
        exported,
        "SELECT Modality, NumberOfSeriesRelatedInstances, BlobStorageSize FROM dicomSeries"
        " WHERE Modality IS NOT NULL ORDER BY Modality",
    )

    assert [each[:2] for each in found] == [("CT", 3), ("CT", 3), ("MR", 3), ("MR", 3)]
    assert instances in {None, (sum(each[2] for each in found),)}


def test_private_elements_have_their_creator_and_name(exported: Path) -> None:
    found = rows(
        exported, "SELECT * EXCLUDE SOPInstanceUID FROM dicomPrivate WHERE SOPInstanceUID = '1.2.3.4.5' ORDER BY ALL"
    )

    assert found == [
        ("GEMS_PARM_01", "(0043,xx39)", "Slop_int_6... slop_int_9", ["1000", "2"]),
        ("GEMS_PARM_01", "(0043,xxFE)", None, ["no name"]),
        ("Nobody", "(0045,xx39)", None, ["x"]),
        (None, "(0045,xx01)", None, ["no creator"]),
    ]


@pytest.mark.parametrize("suffix", VIEW_SUFFIXES)
def test_bigquerys_definition_gives_the_same_rows(exported: Path, suffix: str) -> None:
    columns = [column for column in read_columns(exported, "dicom") if len(column.path) == 1]
    schema = tuple(Field(column.name, FieldType(column.type), column.mode) for column in columns)
    (view,) = [each for each in views_of("dicom", "dicom", schema, GoogleSql()) if each.name == f"dicom{suffix}"]

    ours = run_query(f"SELECT * FROM {view.name}", exported)  # noqa: S608 - a name of ours
    theirs = run_query(view.query, exported)

    assert theirs.columns == ours.columns
    assert as_text(theirs.rows) == as_text(ours.rows)


def as_text(found: Any) -> list[str]:
    return sorted(map(str, found))


def test_without_views_none_is_defined(tmp_path: Path, archive: Path) -> None:
    file = tmp_path / "scans.duckdb"
    export(archive, file, "--no-views")
    assert views(file) == []

    export(archive, file, "--write-disposition", "write-append")
    assert views(file) == sorted(VIEWS)


def test_a_view_has_the_columns_that_are_added_later_also_without_views(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / "a").write_bytes(make_instance(SOPInstanceUID="1.2.1"))
    (second / "b").write_bytes(make_instance(SOPInstanceUID="1.2.2", PatientComments="P"))
    file = tmp_path / "scans.duckdb"

    export(first, file)
    export(second, file, "--write-disposition", "write-append", "--no-views")

    assert rows(file, "SELECT PatientComments FROM dicomView ORDER BY SOPInstanceUID") == [(None,), ("P",)]


def test_an_overwrite_with_fewer_columns_leaves_views_that_can_be_read(tmp_path: Path, archive: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a").write_bytes(make_instance(SOPInstanceUID="1.2.9"))
    file = tmp_path / "scans.duckdb"

    export(archive, file)
    export(plain, file, "--write-disposition", "write-truncate", "--no-views")

    assert rows(file, "SELECT SOPInstanceUID FROM dicomView") == [("1.2.9",)]
    assert all(isinstance(rows(file, f"SELECT count(*) FROM {view}")[0][0], int) for view in views(file))  # noqa: S608


def test_a_relation_of_the_user_that_has_the_name_of_a_view_stays(tmp_path: Path, archive: Path) -> None:
    file = tmp_path / "scans.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE VIEW dicomview AS SELECT 1 AS mine")
        connection.execute("CREATE TABLE dicomSeries AS SELECT 2 AS mine")

    export(archive, file)

    assert rows(file, "SELECT mine FROM dicomView") == [(1,)]
    assert rows(file, "SELECT mine FROM dicomSeries") == [(2,)]
    assert rows(file, "SELECT count(*) FROM dicomStudies") == [(3,)]


def test_the_view_shows_the_newest_row_of_an_instance_and_no_deleted_one(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "scans.duckdb"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}").write_bytes(make_instance(SOPInstanceUID=f"1.2.{number}", PatientID="old"))
    assert run("watch", folder, "--to", file, "--once").exit_code == 0
    (folder / "1").write_bytes(make_instance(SOPInstanceUID="1.2.1", PatientID="newer", StudyDescription="added"))
    (folder / "2").unlink()
    assert run("watch", folder, "--to", file, "--once").exit_code == 0

    assert rows(file, "SELECT count(*) FROM dicom") == [(4,)]
    assert rows(file, "SELECT SOPInstanceUID, PatientID, StudyDescription FROM dicomView") == [
        ("1.2.1", "newer", "added")
    ]
    assert rows(
        file, "SELECT comment FROM duckdb_columns() WHERE table_name = 'dicom' AND column_name = 'StudyDescription'"
    ) == [("Study Description (0008,1030), LO, VM 1",)]


def test_every_column_has_its_description_as_a_comment(exported: Path) -> None:
    found = rows(exported, "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'dicom'")

    assert [name for name, comment in found if not comment] == []
    assert dict(found)["SOPInstanceUID"] == "SOP Instance UID (0008,0018), UI, VM 1"
