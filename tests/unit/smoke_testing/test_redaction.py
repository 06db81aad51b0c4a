"""The output of a smoke test has no names of the user."""

from __future__ import annotations

import pytest

from dicom_export.smoke_testing.redaction import Redaction

REDACTION = Redaction(
    {"acme-radiology": "PROJECT", "acme-radiology.dicom": "DATASET"}, {"scans": "BUCKET", "dicom": "DATASET"}
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Not found: Table acme-radiology.dicom.instances", "Not found: Table DATASET.instances"),
        ("acme-radiology:dicom.x", "PROJECT:DATASET.x"),
        ("acme-radiology-dicom-state", "PROJECT-dicom-state"),
        ("the bucket scans is closed", "the bucket BUCKET is closed"),
        ("prescans and dicom_export stay", "prescans and dicom_export stay"),
        ("jane.doe+x@example.co.uk may not", "ACCOUNT may not"),
        ("service-1234567890@gcp-sa.iam.gserviceaccount.com", "ACCOUNT"),
        ("projects/other/datasets/d", "projects/PROJECT/datasets/d"),
        ("see https://console.cloud.google.com/x?project=y.", "see URL"),
        ("gs://other/path/file.dcm is gone", "gs://BUCKET is gone"),
        ("project 123456789012", "project NUMBER"),
        ("Bad\n\nLocation: US\nJob ID: 995f27ea-93ef\n", "Bad"),
        ("dicom_export_smoke_0a1b failed", "JOB failed"),
        ("3 rows in 12.5 s", "3 rows in 12.5 s"),
    ],
)
def test_names_are_replaced_and_nothing_else(text: str, shown: str) -> None:
    assert REDACTION.text(text) == shown


def test_values_and_keys_of_json_are_replaced() -> None:
    found = REDACTION.value({"acme-radiology": ["in scans", {"n": 1, "t": ("scans", None, True)}]})
    assert found == {"PROJECT": ["in BUCKET", {"n": 1, "t": ["BUCKET", None, True]}]}


def test_an_empty_name_replaces_nothing() -> None:
    assert Redaction({"": "X"}, {"": "Y"}).text("as it is") == "as it is"
