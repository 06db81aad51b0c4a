"""What only the store on S3 does: generations, orders, storage classes, and the errors of S3."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from botocore import exceptions

from dicom_export.adapters.aws import calls, store
from dicom_export.adapters.aws.calls import Connection, aws_errors, shared_client
from dicom_export.adapters.aws.store import S3Store
from dicom_export.errors import (
    DicomExportError,
    FailedPrecondition,
    InstanceError,
    InstanceGone,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from dicom_export.stored_object import StoredObject

if TYPE_CHECKING:
    from support.emulators.s3 import S3

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Client:
    """A client with scripted answers: a content, or an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.ranges: list[str] = []

    def get_object(self, **asked: str) -> dict[str, Any]:
        self.ranges.append(asked["Range"])
        answer = self.answers.pop(0)
        if isinstance(answer, exceptions.ClientError):
            raise answer
        return {"LastModified": MOMENT, "ETag": '"e"', "Body": answer}

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        return {"Contents": [entry(key) for key in self.answers]}


class Broken(BytesIO):
    """An answer that breaks off."""

    def read(self, *_: Any) -> bytes:
        raise exceptions.ResponseStreamingError(error="broken")


def entry(key: str, **values: Any) -> dict[str, Any]:
    return {"Key": key, "Size": 1, "LastModified": MOMENT, "ETag": '"e"', **values}


def with_client(patch: pytest.MonkeyPatch, client: Client) -> S3Store:
    patch.setattr(store, "shared_client", lambda _connection: client)
    return S3Store("bucket")


def stored(size: int = 10) -> StoredObject:
    return StoredObject("a", store._generation(MOMENT, '"e"'), size, MOMENT)


def test_a_generation_is_a_positive_number_that_grows_with_time_and_differs_by_content() -> None:
    moments = [MOMENT, MOMENT + timedelta(seconds=1), MOMENT + timedelta(days=365), datetime(2105, 1, 1, tzinfo=UTC)]
    for earlier, later in pairwise(moments):
        for etags in (("a", "b"), ("b", "a")):
            assert 0 < store._generation(earlier, etags[0]) < store._generation(later, etags[1]) < 1 << 63
    assert store._generation(MOMENT, "a") != store._generation(MOMENT, "b")


def test_milliseconds_which_only_a_listing_has_do_not_count() -> None:
    assert store._generation(MOMENT + timedelta(milliseconds=999), "a") == store._generation(MOMENT, '"a"')


def test_a_server_that_lists_in_another_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FailedPrecondition, match="does not list objects in the order of their names"):
        list(with_client(monkeypatch, Client("b", "a")).list())


def test_a_server_that_ignores_ranges_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(BytesIO(b"0123456789"))
    assert with_client(monkeypatch, client).read(stored(), 3, 4) == b"3456"
    assert client.ranges == ["bytes=3-6"]


def test_an_answer_that_breaks_off_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_client(monkeypatch, Client(Broken(), BytesIO(b"0123456789"))).read(stored(), 0, 2) == b"01"
    always = with_client(monkeypatch, Client(*[Broken()] * calls.ATTEMPTS))
    with pytest.raises(Unavailable, match="Reading s3://bucket/a: "):
        always.read(stored(), 0, 2)


def test_nothing_is_requested_after_the_end_of_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    assert with_client(monkeypatch, client).read(stored(10), 10, 4) == b""
    assert client.ranges == []


def test_an_object_that_became_shorter_than_the_range_is_gone(s3_server: S3) -> None:
    found = S3Store(s3_server.make_bucket())
    s3_server.put(found.bucket, "a", b"0123456789")
    (before,) = found.list()
    s3_server.put(found.bucket, "a", b"0")
    with pytest.raises(InstanceGone, match="'a' was replaced"):
        found.read(before, 5, 4)


@pytest.mark.parametrize(
    ("storage_class", "expected"),
    [
        ("STANDARD", "STANDARD"),
        ("INTELLIGENT_TIERING", "STANDARD"),
        ("STANDARD_IA", "NEARLINE"),
        ("ONEZONE_IA", "NEARLINE"),
        ("GLACIER_IR", "COLDLINE"),
        ("GLACIER", "ARCHIVE"),
        ("DEEP_ARCHIVE", "ARCHIVE"),
    ],
)
def test_a_storage_class_is_the_one_of_cloud_storage_that_costs_alike(
    s3_server: S3, storage_class: str, expected: str
) -> None:
    found = S3Store(s3_server.make_bucket())
    s3_server.put(found.bucket, "a", b"0", storage_class=storage_class)
    (listed,) = found.list()
    assert listed.storage_class == expected
    assert found.get("a") == listed


def test_an_archived_object_is_a_failure_of_its_own(s3_server: S3) -> None:
    found = S3Store(s3_server.make_bucket())
    s3_server.put(found.bucket, "a", b"0123", storage_class="GLACIER")
    (listed,) = found.list()
    with pytest.raises(InstanceError, match="the object is archived; restore it first"):
        found.read(listed, 0, 4)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "InvalidArgument", InvalidArgument),
        (400, "ExpiredToken", Unavailable),
        (400, "RequestTimeout", Unavailable),
        (301, "PermanentRedirect", FailedPrecondition),
        (401, "Unauthorized", PermissionDenied),
        (403, "AccessDenied", PermissionDenied),
        (403, "InvalidAccessKeyId", PermissionDenied),
        (404, "NoSuchKey", NotFound),
        (418, "Teapot", Internal),
        (429, "TooManyRequests", Unavailable),
        (500, "InternalError", Unavailable),
        (503, "SlowDown", Unavailable),
    ],
)
def test_an_error_of_s3_is_one_of_ours(status: int, code: str, expected: type[DicomExportError]) -> None:
    answer: Any = {"Error": {"Code": code, "Message": "reason"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(expected, match=rf"^Reading: reason \({code}\)$"), aws_errors("Reading"):
        raise exceptions.ClientError(answer, "GetObject")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.EndpointConnectionError(endpoint_url="https://s3"), Unavailable),
        (exceptions.NoCredentialsError(), Unavailable),
        (exceptions.ParamValidationError(report="bad"), InvalidArgument),
    ],
)
def test_an_error_without_an_answer_is_one_of_ours(error: Exception, expected: type[DicomExportError]) -> None:
    with pytest.raises(expected, match=r"^Reading: "), aws_errors("Reading"):
        raise error


def test_a_profile_that_is_not_configured_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(FailedPrecondition, match="no-such-profile"):
        shared_client(Connection("http://localhost:1"))
