"""Each query in `queries` gives what it says, on synthetic instances."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from support.command_line import run
from support.dicom_files import make_instance
from support.infra_files import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"


def code(value: str, meaning: str) -> list[Dataset]:
    return [data_set(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)]


def data_set(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def dose(value: str, meaning: str, number: str, unit: str) -> Dataset:
    measured = data_set(NumericValue=number, MeasurementUnitsCodeSequence=code(unit, unit))
    return data_set(
        RelationshipType="CONTAINS",
        ValueType="NUM",
        ConceptNameCodeSequence=code(value, meaning),
        MeasuredValueSequence=[measured],
    )


def instances() -> dict[str, bytes]:
    ct: dict[str, Any] = {
        "StudyInstanceUID": "1.1",
        "SeriesInstanceUID": "1.1.1",
        "StudyDate": "20240203",
        "SeriesDate": "20240204",
        "PatientID": "P1",
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "SeriesDescription": "Thorax",
        "ContrastBolusAgent": "Iohexol",
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "PixelSpacing": ["0.5", "0.75"],
        "Rows": 512,
        "Columns": 256,
    }
    slices = {
        f"ct{number}": make_instance(SOPInstanceUID=f"1.1.1.{number}", SliceLocation=str(2.5 * number), **ct)
        for number in range(3)
    }
    totals = [dose("113813", "CT Dose Length Product Total", "120.5", "mGy.cm"), dose("113812", "Events", "2", "1")]
    report = make_instance(
        SOPClassUID=DOSE_REPORT,
        SOPInstanceUID="1.1.2.1",
        StudyInstanceUID="1.1",
        SeriesInstanceUID="1.1.2",
        StudyDate="20240203",
        PatientID="P1",
        Modality="SR",
        ContentSequence=[data_set(ConceptNameCodeSequence=code("113811", "CT Accumulated"), ContentSequence=totals)],
    )
    return {**slices, "copy-of-ct0": slices["ct0"], "report": report}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, file = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("out") / "dicom.duckdb"
    for name, content in instances().items():
        (folder / name).write_bytes(content)
    assert run("export", folder, "--to", file).exit_code == 0
    return file


def answer(name: str, file: Path) -> list[dict[str, str]]:
    sql = (ROOT / "queries" / f"{name}.sql").read_text()
    result = run("query", "-", "--from", file, "--format", "csv", stdin=sql)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_series_geometry(exported: Path) -> None:
    assert answer("series-geometry", exported) == [
        {
            "SeriesInstanceUID": "1.1.1",
            "Modality": "CT",
            "SeriesDescription": "Thorax",
            "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
            "PixelSpacing": "0.5\\0.75",
            "PixelRows": "512",
            "PixelColumns": "256",
            "Slices": "3",
            "MeanDistance": "2.5",
        }
    ]


def test_dose_per_study(exported: Path) -> None:
    quantity = {"Quantity": "CT Dose Length Product Total", "Total": "120.5", "Unit": "mGy.cm"}
    assert answer("dose-per-study", exported) == [{"StudyInstanceUID": "1.1", **quantity}]


def test_contrast_studies(exported: Path) -> None:
    found = {"StudyInstanceUID": "1.1", "StudyDate": "2024-02-03", "Agents": "Iohexol", "SeriesWithContrast": "1"}
    assert answer("contrast-studies", exported) == [found]


def test_omop_image_occurrence(exported: Path) -> None:
    ct, report = answer("omop-image-occurrence", exported)

    assert ct == {
        "image_occurrence_id": "1",
        "person_source_value": "P1",
        "image_study_UID": "1.1",
        "image_series_UID": "1.1.1",
        "image_occurrence_date": "2024-02-04",
        "modality_source_value": "CT",
        "anatomic_site_source_value": "CHEST",
        "wadors_uri": "/dicomWeb/studies/1.1/series/1.1.1",
    }
    assert (report["image_occurrence_id"], report["image_occurrence_date"]) == ("2", "2024-02-03")


def test_storage_by_modality_and_year(exported: Path) -> None:
    found = answer("storage-by-modality-and-year", exported)
    assert [(each["Modality"], each["StudyYear"], each["Instances"]) for each in found] == [
        ("CT", "2024", "3"),
        ("SR", "2024", "1"),
    ]


def test_duplicates(exported: Path) -> None:
    found = answer("duplicates", exported)

    assert [each["SOPInstanceUID"] for each in found] == ["1.1.1.0", "1.1.1.0"]
    assert [each["SourceObject"].rpartition("/")[2] for each in found] == ["copy-of-ct0", "ct0"]


def test_every_query_is_on_the_page_and_has_a_test() -> None:
    page = (ROOT / "docs" / "how-to" / "query.md").read_text()
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "integration").rglob("test_*.py"))
    for path in (ROOT / "queries").glob("*.sql"):
        assert f"queries/{path.name}" in page, path.name
        assert f'"{path.stem}"' in tests or f"queries/{path.name}" in tests or path.read_text().strip() in page, (
            path.name
        )
