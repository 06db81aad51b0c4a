"""What a bucket says of its objects, and which instance of which store that is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dicom_export.errors import InvalidArgument
from dicom_export.messages import InstanceChanged, ObjectEvent
from dicom_export.names import DatasetName, StoreName
from dicom_export.operations.planning import named_uids
from dicom_export.pubsub import push
from dicom_export.pubsub.notifications import Notification, instance_changed
from dicom_export.stored_object import StoredObject
from dicom_export.uids import InstanceUids
from support.pushes import notification_body

GENERATION = 1_767_323_045_678_901
UPDATED = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
PARENT = DatasetName("p", "us", "d")
OUTER, INNER, OTHER = (StoreName(PARENT, name) for name in ("outer", "inner", "other"))
FOLDERS = {OUTER: ("images", "dicom/"), INNER: ("images", "dicom/inner/"), OTHER: ("others", "")}


def notification(*args: Any, **more: Any) -> Notification:
    found = push.change(push.parse(notification_body(*args, **more)))
    assert isinstance(found, Notification)
    return found


def changed(*args: Any, **more: Any) -> InstanceChanged | None:
    return instance_changed(notification(*args, **more), FOLDERS)


def test_a_notification_is_read_as_it_is_documented() -> None:
    stored = StoredObject("dicom/a.dcm", GENERATION, 1234, UPDATED, "NEARLINE")
    assert notification() == Notification("images", ObjectEvent.WRITTEN, stored)


def test_a_notification_says_how_the_content_is_encoded() -> None:
    resource = {"timeCreated": "2026-01-02T03:04:05Z", "storageClass": "STANDARD", "size": "7"}
    for encoding, expected in (("gzip", "gzip"), ("identity", ""), ("", "")):
        found = changed(data=json.dumps(resource | {"contentEncoding": encoding}).encode())
        assert found
        assert found.stored.content_encoding == expected
    with pytest.raises(InvalidArgument, match="expected a notification of Cloud Storage"):
        changed(data=json.dumps(resource | {"contentEncoding": []}).encode())


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("OBJECT_FINALIZE", ObjectEvent.WRITTEN),
        ("OBJECT_DELETE", ObjectEvent.DELETED),
        ("OBJECT_ARCHIVE", ObjectEvent.DELETED),
    ],
)
def test_an_object_is_written_or_deleted(event: str, expected: ObjectEvent) -> None:
    found = changed(event)
    assert found
    assert (found.event, found.stored.name, found.stored.generation) == (expected, "a.dcm", GENERATION)


@pytest.mark.parametrize("event", ["OBJECT_DELETE", "OBJECT_ARCHIVE"])
def test_an_overwrite_is_no_deletion(event: str) -> None:
    assert changed(event, overwrittenByGeneration=str(GENERATION + 1)) is None


def test_an_overwriting_object_is_written() -> None:
    assert changed("OBJECT_FINALIZE", overwroteGeneration=str(GENERATION - 1))


@pytest.mark.parametrize("event", ["OBJECT_METADATA_UPDATE", "OBJECT_OF_TOMORROW"])
def test_what_changes_no_content_is_passed_over(event: str) -> None:
    assert changed(event) is None


@pytest.mark.parametrize(
    ("bucket", "name", "store"),
    [
        ("images", "dicom/a/b", OUTER),
        ("images", "dicom/inner/a", INNER),
        ("others", "dicom/inner/a", OTHER),
        ("images", "dicomx/a", None),
        ("images", "readme", None),
        ("nobody's", "dicom/a", None),
        ("images", "dicom/", None),
    ],
)
def test_an_object_is_of_the_store_with_the_longest_prefix(bucket: str, name: str, store: StoreName | None) -> None:
    found = changed(name=name, bucket=bucket)
    assert (found.store if found else None) == store


@pytest.mark.parametrize(
    "name",
    [
        "gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/abc_0",
        "gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/abc_1",
        "below/gcloud/tmp/parallel_composite_uploads/abc_1",
    ],
)
@pytest.mark.parametrize("event", ["OBJECT_FINALIZE", "OBJECT_DELETE"])
def test_the_parts_of_an_upload_are_passed_over(name: str, event: str) -> None:
    assert changed(event, name=name, bucket="others") is None


def resource_with(field: str, value: str) -> bytes:
    """Return the data of a notification in which a field has this value, as JSON writes it."""
    fields = {"size": '"1234"', "timeCreated": '"2026-01-02T03:04:05.678Z"', "storageClass": '"STANDARD"', field: value}
    return f"{{{', '.join(f'{json.dumps(name)}: {each}' for name, each in fields.items())}}}".encode()


@pytest.mark.parametrize(
    "body",
    [
        notification_body(data=b"Doe^John"),
        notification_body(data=b"{}"),
        notification_body(data=b"[]"),
        notification_body(data=b""),
        notification_body(objectGeneration="newest"),
        notification_body(data=b"[" * 100_000),
        notification_body(name="\ud800"),
        notification_body(objectGeneration="-1"),
        notification_body(objectGeneration="9" * 19),
        notification_body(objectGeneration="9" * 5_000),
        *(
            notification_body(data=resource_with(field, value))
            for field, values in (
                (
                    "size",
                    (
                        "1e999",
                        "-1",
                        '"-1"',
                        "NaN",
                        "1.5",
                        "[]",
                        "null",
                        "1",
                        '"٣"',
                        f'"{1 << 60}"',
                        '"' + "9" * 5_000 + '"',
                    ),
                ),
                ("timeCreated", ('"2026-01-02T03:04:05"', '"0001-01-01T00:00:00+14:00"', '"now"', "5", "{}")),
                ("storageClass", ("[]", "{}")),
            )
            for value in values
        ),
    ],
)
def test_what_is_no_notification_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(InvalidArgument, match="expected a notification of Cloud Storage") as raised:
        push.change(push.parse(body))
    assert "Doe" not in raised.value.message


@pytest.mark.parametrize(
    ("name", "uids"),
    [
        ("1.2/1.3/1.4.dcm", InstanceUids("1.2", "1.3", "1.4")),
        ("1.2/1.3/1.4", InstanceUids("1.2", "1.3", "1.4")),
        ("studies/1.2/series/1.3/instances/1.4", InstanceUids("1.2", "1.3", "1.4")),
        ("1.2/1.3/IM0001", None),
        ("2024/1.2/1.3/1.4.dcm", None),
        ("1.4.dcm", None),
    ],
)
def test_a_name_tells_the_uids_where_it_is_made_of_them(name: str, uids: InstanceUids | None) -> None:
    assert named_uids(name) == uids
