from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.errors import DicomExportError, InvalidArgument, Unimplemented
from dicom_export.names import GcsFolder, GcsUri
from dicom_export.operations.request import FilesRequest, request_from_json
from dicom_export.protocol.export_request import parse_export_request
from support.exports import STORE

PREFIX = "gs://bucket/cohorts/lung"
FOLDER = GcsFolder("bucket", "cohorts/lung/")


def parse(destination: dict[str, Any], **beside: Any) -> object:
    return parse_export_request(STORE, {"gcsDestination": destination} | beside, api_version="v1")


def refusal(destination: Any, error: type[DicomExportError] = InvalidArgument, **beside: Any) -> str:
    with pytest.raises(DicomExportError) as raised:
        parse(destination, **beside)
    assert type(raised.value) is error
    return raised.value.message


def test_a_folder_and_a_filter_are_read() -> None:
    config = {"resourcePathsGcsUri": "gs://filters/lung.csv"}
    request = parse({"uriPrefix": PREFIX}, filterConfig=config)
    assert request == FilesRequest(STORE, FOLDER, GcsUri("filters", "lung.csv"))
    assert request.is_filtered
    assert not FilesRequest(STORE, FOLDER).is_filtered


def test_names_of_the_protocol_buffer_fields_are_accepted_too() -> None:
    body = {"gcs_destination": {"uri_prefix": PREFIX, "mime_type": "application/dicom"}}
    assert parse_export_request(STORE, body, api_version="v1beta1") == FilesRequest(STORE, FOLDER)


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("gs://bucket", GcsFolder("bucket")),
        ("gs://bucket/", GcsFolder("bucket")),
        (f"{PREFIX}/", FOLDER),
        ("gs://bucket/a b#?*ü", GcsFolder("bucket", "a b#?*ü/")),
        ("gs://bucket/..a/b..", GcsFolder("bucket", "..a/b../")),
    ],
)
def test_a_slash_at_the_end_makes_no_difference(uri: str, folder: GcsFolder) -> None:
    assert parse({"uriPrefix": uri}) == FilesRequest(STORE, folder)
    assert GcsFolder.parse(str(folder)) == folder


@pytest.mark.parametrize(
    "uri",
    [
        *(None, "", "bucket/a", "gs://", "gs:///a", "gs://Bucket/a", "/local/folder", "bq://p.d.t", "s3://bucket/a"),
        *("gs://bucket/..", "gs://bucket/../a", "gs://bucket/a/../b", "gs://bucket/./a", "gs://bucket/a/."),
        *("gs://bucket//", "gs://bucket//a", "gs://bucket/a//b", "gs://bucket/a//"),
        *("gs://bucket/a\nb", "gs://bucket/a\0", "gs://bucket/\ud800", f"gs://bucket/{'é' * 351}"),
    ],
)
def test_a_folder_that_no_object_can_be_in_or_that_leads_elsewhere_is_refused(uri: str | None) -> None:
    assert "expected" in refusal({"uriPrefix": uri})


def test_two_destinations_are_refused_as_by_the_managed_service() -> None:
    table = {"tableUri": "bq://p.d.t"}
    assert "oneof field 'destination' is already set" in refusal({"uriPrefix": PREFIX}, bigqueryDestination=table)


@pytest.mark.parametrize(
    "mime_type",
    [
        *(None, "", "application/dicom", "Application/DICOM", " application/dicom ", "application/dicom;"),
        *("application/dicom; transfer-syntax=*", "application/dicom;transfer-syntax=*"),
        'application/dicom ; Transfer-Syntax="*"',
    ],
)
def test_files_as_they_are_stored_are_what_is_exported(mime_type: str | None) -> None:
    assert parse({"uriPrefix": PREFIX, "mimeType": mime_type}) == FilesRequest(STORE, FOLDER)


@pytest.mark.parametrize(
    "mime_type",
    [
        *("image/jpeg", "image/png", "image/jpeg; transfer-syntax=*", "application/octet-stream", "video/mp4"),
        *("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", "application/dicom+json"),
        'application/dicom;transfer-syntax="1.2.840.10008.1.2.4.50"',
    ],
)
def test_what_needs_transcoding_is_not_implemented(mime_type: str) -> None:
    assert "application/dicom; transfer-syntax=*" in refusal(
        {"uriPrefix": PREFIX, "mimeType": mime_type}, Unimplemented
    )


@pytest.mark.parametrize(
    "mime_type", ["dicom", "application/", "application/dicom; charset=utf-8", "application/dicom, image/png", 5, {}]
)
def test_a_malformed_mime_type_is_refused(mime_type: Any) -> None:
    assert "expected" in refusal({"uriPrefix": PREFIX, "mimeType": mime_type})


def test_all_that_is_malformed_is_told_before_that_something_is_not_implemented() -> None:
    message = refusal({"uriPrefix": "x", "mimeType": "image/png", "other": 1}, writeDisposition="WRITE_APPEND")
    assert message.count("\n") == 2
    assert "writeDisposition is for bigqueryDestination" in message


@pytest.mark.parametrize("destination", ["gs://bucket/a", [], 1, True])
def test_a_destination_is_an_object(destination: Any) -> None:
    assert "gcs_destination" in refusal(destination)


@given(st.dictionaries(st.sampled_from(["uriPrefix", "mimeType"]), st.text() | st.just(PREFIX) | st.integers()))
def test_any_destination_is_either_a_folder_or_refused(destination: dict[str, Any]) -> None:
    try:
        request = parse(destination)
    except (InvalidArgument, Unimplemented):
        return
    assert isinstance(request, FilesRequest)
    assert request_from_json(json.loads(json.dumps(request.to_json()))) == request
