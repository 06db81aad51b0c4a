"""The synthetic archives are DICOM, always the same, and laid out by study and series."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from support.archive import Archive, Kind
from support.dicom_files import row_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", Kind)
def test_an_instance_is_read_by_pydicom_and_has_the_uids_of_its_name(kind: Kind) -> None:
    archive = Archive(studies=2, series=2, instances=3, kinds=(kind,), frames=3)
    for number in range(len(archive)):
        found = dcmread(BytesIO(archive.data(number)))
        uids = (found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID)
        assert archive.name(number) == f"{'/'.join(uids)}.dcm"
        assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
        assert [element.tag for element in found] == sorted(element.tag for element in found)


@pytest.mark.parametrize("kind", Kind)
def test_a_row_loses_nothing_but_bulk_data(kind: Kind) -> None:
    row = row_of(Archive(kinds=(kind,), frames=3).data(7))
    assert {each["TagName"] for each in row["DroppedTags"]} <= {"PixelData", "Tag_00291010"}
    assert row["Modality"] == ("MR" if kind is Kind.ENHANCED_MR else kind.value)
    assert row["InstanceNumber"] == "8"


def test_the_same_numbers_give_the_same_files_and_others_do_not() -> None:
    archive = Archive(studies=3, series=2, instances=2)
    files = [archive.data(number) for number in range(len(archive))]
    assert files == [Archive(studies=3, series=2, instances=2).data(number) for number in range(len(archive))]
    assert len(set(files)) == len(archive) == 12


def test_series_take_turns_in_the_kinds() -> None:
    archive = Archive(studies=2, series=2, instances=1, kinds=(Kind.CT, Kind.SR))
    assert [row_of(archive.data(number))["Modality"] for number in range(4)] == ["CT", "SR", "CT", "SR"]


def test_all_instances_are_written_below_a_folder(tmp_path: Path) -> None:
    archive = Archive(studies=2, series=1, instances=2)
    archive.write(tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.dcm")) == sorted(
        archive.name(number) for number in range(4)
    )
