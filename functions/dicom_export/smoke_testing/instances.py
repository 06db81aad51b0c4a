"""Synthetic instances. Nothing in them is from a person."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import time

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

import dicom_export.dicom  # noqa: F401 - silences pydicom

STUDY_TIME = time(3, 4, 5, 250_000)
"""The Study Time of all instances."""

_ROOT = "1.2.826.0.1.3680043.10.999"
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class SyntheticInstance:
    """One instance of a run: its UIDs follow from the numbers. `run` makes them differ between runs."""

    run: int
    study: int
    number: int

    @property
    def study_uid(self) -> str:
        return f"{_ROOT}.{self.run}.{self.study}"

    @property
    def uid(self) -> str:
        return f"{self.study_uid}.1.{self.number}"

    @property
    def name(self) -> str:
        """The name of the object below the prefix of the store."""
        return f"{self.study_uid}/{self.study_uid}.1/{self.uid}.dcm"

    @property
    def accession_number(self) -> str:
        return f"SMOKE{self.study}"

    def encode(self) -> bytes:
        """Return the file."""
        data = Dataset()
        data.SpecificCharacterSet = "ISO_IR 192"
        data.SOPClassUID = _CT_IMAGE
        data.SOPInstanceUID = self.uid
        data.StudyInstanceUID = self.study_uid
        data.SeriesInstanceUID = f"{self.study_uid}.1"
        data.StudyDate = "20260102"
        data.StudyTime = STUDY_TIME.strftime("%H%M%S.%f")
        data.AccessionNumber = self.accession_number
        data.Modality = "CT" if self.study else "MR"
        data.PatientName = "Synthetic^Subject"
        data.PatientID = f"SMOKE-{self.study}"
        data.InstanceNumber = self.number
        data.SliceThickness = "1.25"
        data.ContentSequence = [_nested(_DEPTH)]
        data.Rows = data.Columns = 4
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit = 7
        data.SamplesPerPixel = 1
        data.PixelRepresentation = 0
        data.PhotometricInterpretation = "MONOCHROME2"
        data.PixelData = bytes(16)
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = io.BytesIO()
        data.save_as(file, enforce_file_format=True)
        return file.getvalue()


def _nested(depth: int) -> Dataset:
    """Return an item with so many levels of items below it."""
    item = Dataset()
    item.ValueType = "TEXT"
    item.TextValue = f"level {depth}"
    if depth > 1:
        item.ContentSequence = [_nested(depth - 1)]
    return item
