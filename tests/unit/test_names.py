from __future__ import annotations

import pytest

from dicom_export.errors import InvalidArgument
from dicom_export.names import DatasetName, GcsUri, OperationName, StoreName, TableName
from dicom_export.uids import InstanceUids

PARENT = "projects/p/locations/l/datasets/d"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (DatasetName, PARENT),
        (StoreName, f"{PARENT}/dicomStores/s"),
        (OperationName, f"{PARENT}/operations/123"),
        (TableName, "bq://my-project.my_dataset.my_table"),
        (TableName, "bq://example.com:my-project.dataset.table"),
        (TableName, "bq://p1234.d.Täglich 2024-01"),
        (GcsUri, "gs://bucket/path/to/filter.txt"),
    ],
)
def test_a_name_is_written_as_it_was_read(
    kind: type[DatasetName | StoreName | OperationName | TableName | GcsUri], text: str
) -> None:
    assert str(kind.parse(text)) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (DatasetName, "projects/p/locations/l"),
        (StoreName, PARENT),
        (StoreName, f"{PARENT}/dicomStores/s/more"),
        (StoreName, f"{PARENT}/dicomStores/s:export"),
        (OperationName, f"{PARENT}/operations/"),
        (TableName, "project.dataset.table"),
        (TableName, "bq://project.dataset"),
        (TableName, "bq://project.data-set.table"),
        (TableName, "bq://project.dataset.table;drop"),
        (TableName, "bq://project.dataset.a.b/c"),
        (GcsUri, "gs://bucket"),
        (GcsUri, "file:///filter.txt"),
    ],
)
def test_what_is_no_such_name_is_refused_with_what_would_be(
    kind: type[DatasetName | StoreName | OperationName | TableName | GcsUri], text: str
) -> None:
    with pytest.raises(InvalidArgument) as error:
        kind.parse(text)
    named = (
        "is not a BigQuery table name",
        "Dataset name 'data-set' is invalid; expected letters, digits and underscores",
    )
    assert repr(text) in error.value.message or any(each in error.value.message for each in named)


def test_a_table_name_that_is_too_long_is_not_quoted() -> None:
    with pytest.raises(InvalidArgument) as error:
        TableName.parse(f"bq://p.d.{'x' * 1100}")
    assert error.value.message == "The table name has 1,100 bytes; expected at most 1,024"
    with pytest.raises(InvalidArgument) as error:
        TableName.parse(f"bq://p.d.{'/' * 1100}")
    assert len(error.value.message) < 250


def test_a_table_uri_has_at_most_2000_characters() -> None:
    with pytest.raises(InvalidArgument, match="2000"):
        TableName.parse("bq://p.d." + "t" * 2000)


@pytest.mark.parametrize("kind", [StoreName, OperationName])
def test_a_part_of_a_name_is_short_enough_for_the_name_of_a_folder(kind: type[StoreName | OperationName]) -> None:
    collection = "dicomStores" if kind is StoreName else "operations"
    assert kind.parse(f"{PARENT}/{collection}/{'é' * 127}")
    with pytest.raises(InvalidArgument, match="256 bytes; expected at most 255"):
        kind.parse(f"{PARENT}/{collection}/{'é' * 128}")


def test_a_project_id_is_short_enough_for_the_name_of_a_file() -> None:
    assert TableName.parse(f"bq://{'p' * 200}.d.t")
    with pytest.raises(InvalidArgument, match="expected at most 200"):
        TableName.parse(f"bq://{'p' * 201}.d.t")


def test_uids_are_shown_as_far_as_they_are_known() -> None:
    assert str(InstanceUids("1.2", "1.3", "1.4")) == "/studies/1.2/series/1.3/instances/1.4"
    assert str(InstanceUids("1.2")) == "/studies/1.2"


@pytest.mark.parametrize("segment", ["..", ".", "a\nb", "a b", "a\0", "", "a" * 201, "a/b"])
def test_what_cannot_be_part_of_a_path_is_no_part_of_a_name(segment: str) -> None:
    for name in (
        f"projects/{segment}/locations/l/datasets/d/dicomStores/s",
        f"projects/p/locations/l/datasets/{segment}/dicomStores/s",
        f"projects/p/locations/l/datasets/d/dicomStores/{segment}",
    ):
        with pytest.raises(InvalidArgument):
            StoreName.parse(name)
    with pytest.raises(InvalidArgument):
        OperationName.parse(f"projects/p/locations/l/datasets/d/operations/{segment}")
