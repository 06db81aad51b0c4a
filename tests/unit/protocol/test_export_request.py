from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.api import HttpRequest, answer
from dicom_export.errors import DicomExportError, InvalidArgument, Unimplemented
from dicom_export.names import DatasetName, GcsFolder, GcsUri, StoreName, TableName
from dicom_export.operations.request import (
    ExportRequest,
    FilesRequest,
    RepairRequest,
    WriteDisposition,
    request_from_json,
)
from dicom_export.protocol.export_request import export_request_to_json, parse_export_request
from dicom_export.protocol.tolerant_json import parse_json
from dicom_export.protocol.verify_request import parse_verify_request
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.partitioning import Partitioning, PartitionType
from support.exports import STORE, InMemoryExports

URI = "bq://my-project.my_dataset.dicom"
ENUM = "type.googleapis.com/google.cloud.healthcare.v1.dicom.BigQueryDestination.WriteDisposition"
SEEDS = Path(__file__).parents[4] / "shared" / "seeds"


def parse(destination: dict[str, Any] | None = None, *, api_version: str = "v1", **beside: Any) -> ExportRequest:
    body = {"bigqueryDestination": {"tableUri": URI} | (destination or {})} | beside
    request = parse_export_request(STORE, body, api_version=api_version)
    assert isinstance(request, ExportRequest)
    return request


def refusal(body: Any, *, api_version: str = "v1", error: type[DicomExportError] = InvalidArgument) -> str:
    with pytest.raises(DicomExportError) as raised:
        parse_export_request(STORE, body, api_version=api_version)
    assert type(raised.value) is error
    return raised.value.message


def test_a_table_uri_alone_is_a_flattened_export_into_an_empty_table() -> None:
    assert parse() == ExportRequest(
        STORE, TableName("my-project", "my_dataset", "dicom"), WriteDisposition.WRITE_EMPTY, SchemaKind.FLATTENED
    )


def test_every_field_is_read() -> None:
    request = parse(
        {"writeDisposition": "WRITE_APPEND", "includeSourceStore": True, "includeSourceObject": True, "schemaJson": {}},
        filterConfig={"resourcePathsGcsUri": "gs://bucket/path/to/filter.txt"},
    )
    assert request.write_disposition is WriteDisposition.WRITE_APPEND
    assert request.schema is SchemaKind.JSON
    assert request.include_source_store
    assert request.include_source_object
    assert request.filter_uri == GcsUri("bucket", "path/to/filter.txt")


@pytest.mark.parametrize("name", ["_allowColdReads", "_allow_cold_reads"])
@pytest.mark.parametrize(("value", "expected"), [(True, True), ("TRUE", True), (False, False), (None, False)])
def test_our_own_field_allows_cold_reads(name: str, *, value: Any, expected: bool) -> None:
    request = parse(**{name: value})
    assert request.allow_cold_reads is expected
    assert request_from_json(json.loads(json.dumps(request.to_json()))) == request
    verify = {"tableUri": URI, "reportTableUri": f"{URI}_report"}
    verification = parse_verify_request(STORE, {"verify": verify, name: value})
    assert verification.allow_cold_reads is expected
    assert request_from_json(verification.to_json()) == verification
    repair = RepairRequest(STORE, request.table, request.table, allow_cold_reads=expected)
    assert request_from_json(repair.to_json()) == repair


def test_our_own_field_is_a_boolean() -> None:
    assert "'_allow_cold_reads' (TYPE_BOOL), \"yes\"" in refusal(
        {"bigqueryDestination": {"tableUri": URI}, "_allowColdReads": "yes"}
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05.678901234+02:00", datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC)),
        ("", None),
    ],
)
def test_since_is_an_instant(text: str, expected: datetime | None) -> None:
    assert parse(_since=text).since == expected


@pytest.mark.parametrize(
    "value", ["2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "7d", "0001-01-01T00:00:00+14:00", 5]
)
def test_anything_else_as_since_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"RFC 3339|TYPE_STRING") as caught:
        parse(_since=value)
    assert caught.value.violations[0].field == "_since"


@pytest.mark.parametrize("kind", ["DAY", "MONTH", "YEAR", 2, "4"])
@pytest.mark.parametrize(
    "names", [("lastUpdatedPartitionConfig", "expirationMs"), ("last_updated_partition_config", "expiration_ms")]
)
@pytest.mark.parametrize("expiration", ["86400000", 86400000, 8.64e7, None])
def test_a_new_table_may_have_partitions_with_an_expiration(kind: Any, names: tuple[str, str], expiration: Any) -> None:
    found = parse({names[0]: {"type": kind, names[1]: expiration}}).partitioning
    expected = {2: "DAY", "4": "YEAR"}.get(kind, kind)
    assert found == Partitioning(PartitionType(expected), 86_400_000 if expiration else None)


def test_no_partitions_are_asked_for_by_default() -> None:
    assert parse().partitioning is None
    assert parse({"lastUpdatedPartitionConfig": None}).partitioning is None


@pytest.mark.parametrize(
    ("config", "field", "said"),
    [
        ({"type": "HOUR"}, "type", "10,000 partitions"),
        ({"type": 1}, "type", "expected DAY, MONTH or YEAR"),
        ({}, "type", "is required; expected DAY, MONTH or YEAR"),
        ({"type": "PARTITION_TYPE_UNSPECIFIED"}, "type", "is required"),
        ({"expirationMs": "1"}, "type", "is required"),
        ({"type": "WEEK"}, "type", "one of PARTITION_TYPE_UNSPECIFIED, HOUR, DAY"),
        ({"type": "DAY", "expirationMs": "0"}, "expiration_ms", "expected a positive number"),
        ({"type": "DAY", "expirationMs": -5}, "expiration_ms", "expected a positive number"),
        ({"type": "DAY", "expirationMs": "30d"}, "expiration_ms", '(TYPE_INT64), "30d"; expected an integer'),
        ({"type": "DAY", "expirationMs": 1.5}, "expiration_ms", "TYPE_INT64"),
        ({"type": "DAY", "expirationMs": True}, "expiration_ms", "TYPE_INT64"),
        ({"type": "DAY", "expirationMs": str(2**63)}, "expiration_ms", "TYPE_INT64"),
        ({"type": "DAY", "field": "StudyDate"}, "", 'Unknown name "field"'),
        ("DAY", "", "TimePartitioning"),
    ],
)
def test_other_partitions_are_refused_by_name(config: Any, field: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse({"lastUpdatedPartitionConfig": config})
    (violation,) = caught.value.violations
    path = "bigquery_destination.last_updated_partition_config"
    assert violation.field == (f"{path}.{field}" if field else path)
    assert said in violation.description


def test_names_of_the_protocol_buffer_fields_are_accepted_too() -> None:
    body = {
        "bigquery_destination": {
            "table_uri": URI,
            "write_disposition": "WRITE_TRUNCATE",
            "include_source_store": True,
            "include_source_object": "true",
            "schema_json": {},
        },
        "filter_config": {"resource_paths_gcs_uri": "gs://bucket/filter.txt"},
    }
    request = parse_export_request(STORE, body, api_version="v1beta1")
    assert isinstance(request, ExportRequest)
    assert request.write_disposition is WriteDisposition.WRITE_TRUNCATE
    assert request.include_source_store
    assert request.include_source_object
    assert request.filter_uri == GcsUri("bucket", "filter.txt")


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ({}, WriteDisposition.WRITE_EMPTY),
        ({"force": None}, WriteDisposition.WRITE_EMPTY),
        ({"force": True}, WriteDisposition.WRITE_TRUNCATE),
        ({"force": "true"}, WriteDisposition.WRITE_TRUNCATE),
        ({"force": False}, WriteDisposition.CREATE_NEW),
        ({"force": True, "writeDisposition": "WRITE_DISPOSITION_UNSPECIFIED"}, WriteDisposition.WRITE_TRUNCATE),
        ({"force": False, "writeDisposition": "WRITE_EMPTY"}, WriteDisposition.WRITE_EMPTY),
        ({"force": True, "writeDisposition": "WRITE_APPEND"}, WriteDisposition.WRITE_APPEND),
        ({"force": False, "writeDisposition": "WRITE_TRUNCATE"}, WriteDisposition.WRITE_TRUNCATE),
        ({"writeDisposition": 3}, WriteDisposition.WRITE_APPEND),
        ({"writeDisposition": 0, "force": False}, WriteDisposition.CREATE_NEW),
    ],
)
def test_force_counts_only_where_no_disposition_is_given(
    destination: dict[str, Any], expected: WriteDisposition
) -> None:
    assert parse(destination).write_disposition is expected


def test_a_write_disposition_beside_the_destination_counts() -> None:
    assert parse(writeDisposition="WRITE_APPEND").write_disposition is WriteDisposition.WRITE_APPEND
    assert parse({"force": True}, writeDisposition="WRITE_EMPTY").write_disposition is WriteDisposition.WRITE_EMPTY
    same = parse({"writeDisposition": "WRITE_APPEND"}, writeDisposition="WRITE_APPEND")
    assert same.write_disposition is WriteDisposition.WRITE_APPEND


def test_two_different_write_dispositions_contradict_each_other() -> None:
    body = {
        "bigqueryDestination": {"tableUri": URI, "writeDisposition": "WRITE_APPEND"},
        "writeDisposition": "WRITE_TRUNCATE",
    }
    assert "WRITE_APPEND" in refusal(body)


def test_a_name_in_the_body_has_to_be_that_of_the_store() -> None:
    assert parse(name=str(STORE)).store == STORE
    assert "projects/x" in refusal({"name": "projects/x", "bigqueryDestination": {"tableUri": URI}})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"x": 1}, 'Invalid JSON payload received. Unknown name "x": Cannot find field.'),
        (
            {"bigqueryDestination": {"x": 1}},
            "Invalid JSON payload received. Unknown name \"x\" at 'bigquery_destination': Cannot find field.",
        ),
        (
            {"bigqueryDestination": {"tableUri": URI, "schemaJson": {"x": 1}}},
            "Invalid JSON payload received. Unknown name \"x\" at 'bigquery_destination.schema_json': Cannot find field.",
        ),
        ([], 'Invalid JSON payload received. Unknown name "": Root element must be a message.'),
        ("text", 'Invalid JSON payload received. Unknown name "": Root element must be a message.'),
    ],
)
def test_unknown_names_are_refused_in_googles_words(body: Any, message: str) -> None:
    assert refusal(body) == message


@pytest.mark.parametrize(
    ("destination", "beginning"),
    [
        ({"tableUri": 5}, "Invalid value at 'bigquery_destination.table_uri' (TYPE_STRING), 5"),
        ({"force": "yes"}, "Invalid value at 'bigquery_destination.force' (TYPE_BOOL), \"yes\""),
        ({"force": 1}, "Invalid value at 'bigquery_destination.force' (TYPE_BOOL), 1"),
        ({"includeSourceStore": []}, "Invalid value at 'bigquery_destination.include_source_store' (TYPE_BOOL), []"),
        (
            {"writeDisposition": "WRITE_NOTHING"},
            f"Invalid value at 'bigquery_destination.write_disposition' ({ENUM}), \"WRITE_NOTHING\"",
        ),
        ({"writeDisposition": 4}, "Invalid value at 'bigquery_destination.write_disposition'"),
        ({"writeDisposition": True}, "Invalid value at 'bigquery_destination.write_disposition'"),
        ({"schemaJson": True}, "Invalid value at 'bigquery_destination.schema_json'"),
    ],
)
def test_values_of_another_type_are_refused_with_their_place(destination: dict[str, Any], beginning: str) -> None:
    message = refusal({"bigqueryDestination": {"tableUri": URI} | destination})
    assert message.startswith(beginning)
    assert "; expected " in message


def test_a_long_value_is_not_repeated_whole() -> None:
    assert len(refusal({"bigqueryDestination": {"tableUri": ["x" * 10_000]}})) < 500
    assert len(refusal({"x" * 10_000: 1})) < 500


@pytest.mark.parametrize("body", [{}, {"bigqueryDestination": None}, {"filterConfig": {}}])
def test_a_destination_is_required(body: dict[str, Any]) -> None:
    assert "bigqueryDestination" in refusal(body)


@pytest.mark.parametrize("uri", [None, "", "dicom", "bq://p.d", "bq://p.d.t.x", "gs://b/o", f"bq://p.d.{'t' * 2000}"])
def test_a_table_uri_has_a_project_a_dataset_and_a_table(uri: str | None) -> None:
    assert "table" in refusal({"bigqueryDestination": {"tableUri": uri}})


def test_one_destination_and_one_schema_at_most() -> None:
    both = {"bigqueryDestination": {"tableUri": URI}, "gcsDestination": {"uriPrefix": "gs://b/p"}}
    assert "(oneof), oneof field 'destination' is already set" in refusal(both)
    schemas = {"bigqueryDestination": {"tableUri": URI, "schemaFlattened": {}, "schemaJson": {}}}
    assert "at 'bigquery_destination' (oneof), oneof field 'schema' is already set" in refusal(schemas)


def test_change_data_capture_needs_v1beta1_and_the_json_schema() -> None:
    capture = {"tableUri": URI, "changeDataCaptureConfig": {}}
    assert "v1beta1" in refusal({"bigqueryDestination": capture | {"schemaJson": {}}}, api_version="v1")
    assert "schemaJson" in refusal({"bigqueryDestination": capture}, api_version="v1beta1")
    assert "schemaJson" in refusal({"bigqueryDestination": capture | {"schemaFlattened": {}}}, api_version="v1beta1")
    valid = {"bigqueryDestination": capture | {"schemaJson": {}}}
    assert "changeDataCaptureConfig" in refusal(valid, api_version="v1beta1", error=Unimplemented)


@pytest.mark.parametrize("config", [{}, {"resourcePathsGcsUri": ""}, {"resourcePathsGcsUri": "/studies/1.2"}])
def test_a_filter_config_names_an_object(config: dict[str, Any]) -> None:
    message = refusal({"bigqueryDestination": {"tableUri": URI}, "filterConfig": config})
    assert "gs://BUCKET/PATH" in message


def test_a_field_given_by_both_of_its_names_is_refused() -> None:
    assert "given twice" in refusal({"bigqueryDestination": {"tableUri": URI, "table_uri": URI}})


def test_single_quotes_are_as_good_as_double_ones() -> None:
    assert parse_json(b"{'a': 'say \"hi\"', \"b\": 'it\\'s', 'c': \"don't\"}") == {
        "a": 'say "hi"',
        "b": "it's",
        "c": "don't",
    }


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"  \r\n"])
def test_no_body_is_an_empty_message(body: bytes) -> None:
    assert parse_json(body) == {}


@pytest.mark.parametrize("body", [b"{", b"{'a': }", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b"{} {}", b"'"])
def test_what_is_no_json_is_an_invalid_argument(body: bytes) -> None:
    with pytest.raises(InvalidArgument, match="Invalid JSON payload received"):
        parse_json(body)


TRAPS = {
    "backslashes": b'\\"' * 16_000,
    "backslashes in a text": b"{'a': '" + b"\\'" * 16_000,
    "quotes": b"'\"" * 16_000,
    "lists": b"[" * 500_000,
    "objects": b"{a:" * 300_000,
    "closed lists": b"[" * 500_000 + b"]" * 500_000,
    "comments": b"/*" * 500_000,
    "slashes": b"//" * 500_000,
    "commas": b"[" + b"," * 1_000_000,
    "digits": b"[" + b"1" * 1_000_000 + b"]",
    "an exponent": b"1e" + b"9" * 1_000_000,
    "spaces": b" " * 1_000_000 + b"'",
    "escapes": b'"' + b"\\u00" * 200_000,
}


@pytest.mark.parametrize("body", TRAPS.values(), ids=TRAPS)
def test_a_trap_for_a_parser_is_refused_in_time_that_grows_with_its_length_only(body: bytes) -> None:
    # The test's own timeout is the bound: what takes the square of the length takes hours for these.
    with suppress(InvalidArgument):
        parse_json(body)


@pytest.mark.parametrize("depth", [32, 33, 900, 100_000])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_nesting_is_bounded_however_the_body_is_written(depth: int, quote: str) -> None:
    body = f"{'[' * (depth - 1)}{{{quote}a{quote}: 1}}{']' * (depth - 1)}".encode()
    if depth == 32:
        assert parse_json(body)
        return
    with pytest.raises(InvalidArgument, match="more than 32 levels deep"):
        parse_json(body)


@pytest.mark.parametrize("body", [b'{"a": "\\ud800"}', b'{"\\udc00": 1}', b'[{"a": ["\\ud800x"]}]'])
def test_text_that_is_not_unicode_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidArgument, match="not Unicode"):
        parse_json(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{a: 1, b_c: 'x', $d: true}", {"a": 1, "b_c": "x", "$d": True}),
        (b'{"a": [1, 2,], "b": {"c": 1,},}', {"a": [1, 2], "b": {"c": 1}}),
        (b"\xef\xbb\xbf{'a': null,}", {"a": None}),
    ],
)
def test_names_without_quotes_and_a_comma_at_the_end_are_taken(body: bytes, value: Any) -> None:
    assert parse_json(body) == value


FIELDS = st.sampled_from(["bigqueryDestination", "tableUri", "force", "writeDisposition", "filterConfig", "schemaJson"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(URI),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS | st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES | st.fixed_dictionaries({"bigqueryDestination": st.dictionaries(FIELDS, VALUES, max_size=4)}))
def test_any_value_is_either_a_request_or_refused(body: Any) -> None:
    try:
        request = parse_export_request(STORE, parse_json(json.dumps(body).encode()), api_version="v1beta1")
    except (InvalidArgument, Unimplemented):
        return
    assert isinstance(request, ExportRequest)
    assert str(request.table) == URI


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_either_json_or_refused(body: bytes) -> None:
    with suppress(InvalidArgument):
        parse_json(body)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_text_in_single_quotes_is_what_it_is_in_double_ones(value: Any) -> None:
    def single_quoted(value: Any) -> str:
        if isinstance(value, str):
            inside = json.dumps(value)[1:-1].replace('\\"', '"').replace("'", "\\'")
            return f"'{inside}'"
        if isinstance(value, list):
            return f"[{','.join(map(single_quoted, value))}]"
        return f"{{{','.join(f'{single_quoted(name)}:{single_quoted(each)}' for name, each in value.items())}}}"

    assert parse_json(single_quoted([value]).encode()) == [value]


def documented_bodies() -> list[str]:
    """Return the request bodies of Google's how-to page, as its shells and its request.json files have them."""
    bodies: set[str] = set()
    for page in (path.read_text() for path in sorted(SEEDS.glob("*.txt"))):
        bodies.update(re.findall(r'(?:--data|-Body) "(\{.*?\})" (?:"https|`)', page))
        for found in re.finditer(r'\{\s*"bigqueryDestination"', page):
            _, end = json.JSONDecoder().raw_decode(page, found.start())
            bodies.add(page[found.start() : end])
    return [
        body.replace("{WRITE_EMPTY|WRITE_TRUNCATE|WRITE_APPEND}", "WRITE_APPEND")
        .replace('"WRITE_DISPOSITION"', '"WRITE_APPEND"')
        .replace("gs://BUCKET/", "gs://bucket/")
        for body in bodies
    ]


@pytest.mark.requires_shared("seeds")
def test_the_bodies_of_googles_how_to_page_are_requests() -> None:
    bodies = documented_bodies()
    assert len(bodies) >= 6
    assert any(body.startswith("{ 'bigqueryDestination'") for body in bodies)
    store = StoreName(DatasetName("PROJECT_ID", "LOCATION", "DATASET_ID"), "DICOM_STORE_ID")
    service = InMemoryExports(stores=[store])
    for body in bodies:
        response = answer(HttpRequest("POST", f"/v1/{store}:export", {}, body.encode()), service)
        assert response.status == 200, (body, response.body)
    requests = [request for request, _ in service.requests]
    assert {request.write_disposition for request in requests} == {WriteDisposition.WRITE_APPEND}
    assert {request.filter_uri and request.filter_uri.bucket for request in requests} == {None, "bucket"}


REQUESTS = st.builds(
    ExportRequest,
    st.just(STORE),
    st.just(TableName("my-project", "my_dataset", "dicom")),
    st.sampled_from(WriteDisposition),
    st.sampled_from((SchemaKind.FLATTENED, SchemaKind.JSON)),
    st.booleans(),
    st.none() | st.just(GcsUri("bucket", "a/ü*.txt")),
    allow_cold_reads=st.booleans(),
    include_source_object=st.booleans(),
    since=st.none() | st.datetimes(datetime(1, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds have none
    partitioning=st.none()
    | st.builds(
        Partitioning,
        st.sampled_from((PartitionType.DAY, PartitionType.MONTH, PartitionType.YEAR)),
        st.none() | st.integers(1, 2**62),
    ),
) | st.builds(
    FilesRequest,
    st.just(STORE),
    st.sampled_from((GcsFolder("bucket"), GcsFolder("bucket", "a/b/"))),
    st.none() | st.just(GcsUri("bucket", "filter.txt")),
    st.booleans(),
)


@given(REQUESTS)
def test_a_request_that_is_written_is_read_as_it_was(request: ExportRequest | FilesRequest) -> None:
    body = json.loads(json.dumps(export_request_to_json(request)))
    assert parse_export_request(STORE, body, api_version="v1") == request
