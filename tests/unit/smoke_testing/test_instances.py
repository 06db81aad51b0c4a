"""The synthetic instances are DICOM files that become rows."""

from __future__ import annotations

import io

import pydicom

from dicom_export.smoke_testing.instances import STUDY_TIME, SyntheticInstance


def test_an_instance_is_a_file_with_its_uids_and_values() -> None:
    instance = SyntheticInstance(7, 1, 2)
    found = pydicom.dcmread(io.BytesIO(instance.encode()))
    assert (found.SOPInstanceUID, found.StudyInstanceUID) == (instance.uid, instance.study_uid)
    assert found.AccessionNumber == instance.accession_number
    assert found.StudyTime == STUDY_TIME.strftime("%H%M%S.%f")
    item = found.ContentSequence[0].ContentSequence[0].ContentSequence[0].ContentSequence[0]
    assert item.TextValue == "level 1"


def test_instances_of_two_runs_have_no_uid_and_no_name_in_common() -> None:
    one, other = SyntheticInstance(1, 0, 0), SyntheticInstance(11, 0, 0)
    assert not one.uid.startswith(other.study_uid)
    assert not other.name.startswith(f"{one.study_uid}/")
    assert one.uid != other.uid


def test_a_uid_is_as_short_as_uids_have_to_be() -> None:
    assert len(SyntheticInstance(9_999_999_999_999, 9, 99).uid) <= 64
