"""Requests, byte by byte, as real clients send them: each was seen in a client, in a sample of Google's, or in its front end's source."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from support.local_server import BQ_DATASET, BROKEN_STORE, FILTER_URI, STORE, make_archive, running
from support.raw_http import answer_of, exchange, request

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = STORE.parent
PROJECT, LOCATION = f"projects/{PARENT.project}", f"projects/{PARENT.project}/locations/{PARENT.location}"
JSON = "application/json; charset=UTF-8"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


@dataclass(frozen=True)
class Server:
    endpoint: str

    def __call__(self, sent: bytes) -> tuple[int, Any]:
        status, _, body = answer_of(exchange(self.endpoint, sent))
        return status, body

    def get(self, path: str, **query: str) -> Any:
        status, body = self(request("GET", f"/v1/{path}?{urlencode(query)}" if query else f"/v1/{path}"))
        assert status == 200, body
        return body

    def refused(self, path: str, **query: str) -> Any:
        """Return the error of a GET."""
        status, body = self(request("GET", f"/v1/{path}?{urlencode(query)}"))
        assert status == body["error"]["code"]
        return body["error"]

    def export(self, body: bytes, version: str = "v1", store: object = STORE, **headers: str) -> str:
        """Return the name of the operation that a body starts."""
        status, answer = self(request("POST", f"/{version}/{store}:export", body, Content_Type=JSON, **headers))
        assert status == 200, answer
        return str(answer["name"])

    def ended(self, name: str, version: str = "v1") -> Any:
        while not (operation := self(request("GET", f"/{version}/{name}"))[1]).get("done"):
            time.sleep(0.05)
        return operation


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(make_archive(tmp_path_factory.mktemp("archive"))) as endpoint:
        yield Server(endpoint)


def body_of(table: str, disposition: str = "WRITE_APPEND", **beside: Any) -> bytes:
    destination = {"tableUri": f"bq://{BQ_DATASET}.{table}", "writeDisposition": disposition}
    return json.dumps({"bigqueryDestination": destination, **beside}).encode()


def test_googles_java_client_sends_chunks_of_gzip(server: Server) -> None:
    packed = gzip.compress(body_of("java"))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (packed[:10], packed[10:], b""))
    head = (
        f"POST /v1/{STORE}:export HTTP/1.1\r\nAccept-Encoding: gzip\r\n"
        "User-Agent: Java-test Google-API-Java-Client/1.27.1 Google-HTTP-Java-Client/1.42.0 (gzip)\r\n"
        f"Content-Type: {JSON}\r\nContent-Encoding: gzip\r\nHost: 127.0.0.1:8080\r\n"
        "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    status, answer = server(head.encode() + chunks)
    assert status == 200
    assert server.ended(answer["name"])["metadata"]["counter"] == {"success": "2", "secondarySuccess": "2"}


TABLE = f"bq://{BQ_DATASET}.tolerant".encode()
TOLERATED = {
    "single quotes": b"{ 'bigqueryDestination': { 'tableUri': '%s' }, 'writeDisposition': 'WRITE_APPEND' }",
    "names without quotes": b'{bigqueryDestination: {tableUri: "%s", writeDisposition: "WRITE_APPEND"}}',
    "trailing commas": b'{"bigqueryDestination": {"tableUri": "%s", "writeDisposition": "WRITE_APPEND",},}',
    "snake_case": b'{"bigquery_destination": {"table_uri": "%s", "write_disposition": "WRITE_APPEND", "schema_json": null}}',
    "an enum's number": b'{"bigqueryDestination": {"tableUri": "%s", "writeDisposition": 3}}',
    "an enum's number in quotes": b'{"bigqueryDestination": {"tableUri": "%s", "writeDisposition": "3"}}',
    "a boolean in quotes": b'{"bigqueryDestination": {"tableUri": "%s", "force": "TRUE", "includeSourceStore": "False"}}',
    "a boolean with a capital": b"{'bigqueryDestination': {'tableUri': '%s', 'force': 'True'}}",
    "a byte order mark": b'\xef\xbb\xbf{"bigqueryDestination": {"tableUri": "%s", "writeDisposition": "WRITE_APPEND"}}',
    "all at once": b"\xef\xbb\xbf{bigquery_destination: {'table_uri': '%s', 'write_disposition': '3', force: 'fALSE',},}",
}


@pytest.mark.parametrize("body", TOLERATED.values(), ids=TOLERATED)
def test_json_is_read_as_googles_parser_reads_it(server: Server, body: bytes) -> None:
    assert "error" not in server.ended(server.export(body % TABLE))


def test_every_field_that_is_wrong_is_named(server: Server) -> None:
    body = {
        "bigqueryDestination": {
            "tableUri": "dicom",
            "writeDisposition": "WRITE_NOTHING",
            "force": "yes",
            "color": "red",
        },
        "filterConfig": {"resourcePathsGcsUri": "/studies/1.2"},
        "size": 5,
    }
    sent = request("POST", f"/v1/{STORE}:export", json.dumps(body).encode(), Content_Type=JSON)
    status, answer = server(sent)
    error = answer["error"]
    assert (status, error["status"]) == (400, "INVALID_ARGUMENT")
    (detail,) = error["details"]
    assert detail["@type"] == BAD_REQUEST
    described = {each.get("field", ""): each["description"] for each in detail["fieldViolations"]}
    assert set(described) == {
        *("", "bigquery_destination", "bigquery_destination.table_uri", "bigquery_destination.write_disposition"),
        *("bigquery_destination.force", "filter_config.resource_paths_gcs_uri"),
    }
    assert described[""] == 'Invalid JSON payload received. Unknown name "size": Cannot find field.'
    assert all(description in error["message"] for description in described.values())


def test_every_parameter_that_is_wrong_is_named(server: Server) -> None:
    error = server.refused(
        f"{PARENT}/operations", pageSize="x", pageToken="y", filter="z", returnPartialSuccess="maybe"
    )
    fields = [violation["field"] for violation in error["details"][0]["fieldViolations"]]
    assert sorted(fields) == ["filter", "page_size", "page_token", "return_partial_success"]
    error = server.refused(f"{PARENT}/operations", colour="red", shape="round")
    assert [violation["description"].split('"')[1] for violation in error["details"][0]["fieldViolations"]] == [
        "colour",
        "shape",
    ]


def test_an_error_without_details_has_no_such_member(server: Server) -> None:
    error = server.refused(f"{PARENT}/operations/none")
    assert (error["status"], sorted(error)) == ("NOT_FOUND", ["code", "message", "status"])


def test_v1alpha2_is_v1beta1_by_another_name(server: Server) -> None:
    body = body_of("alpha", filterConfig={"resourcePathsGcsUri": FILTER_URI})
    name = server.export(body, version="v1alpha2")
    operation = server.ended(name, version="v1alpha2")
    assert operation["metadata"]["counter"]["success"] == "1"
    assert operation["metadata"]["@type"] == "type.googleapis.com/google.cloud.healthcare.v1beta1.OperationMetadata"
    status, answer = server(request("POST", f"/v1alpha2/{name}:cancel", b"{}", Content_Type=JSON))
    assert (status, answer["error"]["message"]) == (400, "operation has already completed")


def test_an_operation_is_of_the_version_that_started_it_and_its_response_is_empty(server: Server) -> None:
    for version in ("v1", "v1beta1"):
        name = server.export(body_of("versions"), version=version)
        server.ended(name)
        for read_by in ("v1", "v1beta1", "v1alpha2"):
            _, operation = server(request("GET", f"/{read_by}/{name}"))
            assert operation["metadata"]["@type"].endswith(f".{version}.OperationMetadata")
            assert f".{version}." in operation["metadata"]["apiMethodName"]
            assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}


def test_an_operation_that_has_ended_cannot_be_cancelled(server: Server) -> None:
    name = server.export(body_of("completed"))
    before = server.ended(name)
    for body in (b"", b"{}"):
        status, answer = server(request("POST", f"/v1/{name}:cancel", body, Content_Type=JSON))
        error = {"code": 400, "message": "operation has already completed", "status": "FAILED_PRECONDITION"}
        assert (status, answer) == (400, {"error": error})
    assert server.get(name) == before


def test_locations_and_datasets_are_those_of_the_stores(server: Server) -> None:
    location = {"name": LOCATION, "locationId": PARENT.location, "displayName": PARENT.location}
    assert server.get(f"{PROJECT}/locations") == {"locations": [location]}
    assert server.get(LOCATION) == location
    assert server.get(f"{LOCATION}/datasets") == {"datasets": [{"name": str(PARENT)}]}
    assert server.get(f"{PROJECT}/locations/-/datasets") == {"datasets": [{"name": str(PARENT)}]}
    assert server.get(str(PARENT)) == {"name": str(PARENT)}
    assert server.get(f"{PROJECT}/locations", filter="displayName=tokyo") == {"locations": []}
    assert server.get(f"{PROJECT}/locations", filter="locationId:us-", extraLocationTypes="x") == {
        "locations": [location]
    }


@pytest.mark.parametrize(
    "path",
    [
        *(
            "projects/other/locations",
            "projects/my-project/locations/europe",
            "projects/my-project/locations/europe/datasets",
        ),
        *("projects/my-project/locations/us-central1/datasets/other", "projects/other/locations/-/datasets"),
        "projects/my-project/locations/us-central1/datasets/other/dicomStores",
        "projects/my-project/locations/us-central1/datasets/other/operations",
    ],
)
def test_what_no_store_is_in_is_not_found(server: Server, path: str) -> None:
    assert server.refused(path)["status"] == "NOT_FOUND"


def test_googles_python_client_sends_a_long_url_as_a_form(server: Server) -> None:
    name = server.export(body_of("form"))
    server.ended(name)
    form = urlencode({"filter": " AND ".join(["done=true"] * 250), "pageSize": "1", "alt": "json"}).encode()
    headers = {"Content_Type": "application/x-www-form-urlencoded", "X_HTTP_Method_Override": "GET"}
    status, answer = server(request("POST", f"/v1/{PARENT}/operations", form, **headers))
    assert (status, len(answer["operations"])) == (200, 1)


@pytest.mark.parametrize(
    ("method", "meant", "content_type", "body"),
    [
        ("POST", "DELETE", "application/x-www-form-urlencoded", b"a=b"),
        ("POST", "PUT", JSON, b"{}"),
        ("GET", "POST", JSON, b"{}"),
        ("POST", "GET", JSON, b"{}"),
        ("POST", "GET", "application/x-www-form-urlencoded", b"a=b&" * 1_000),
        ("POST", "GET", "application/x-www-form-urlencoded", b"\xff"),
    ],
)
def test_a_method_is_overridden_by_get_alone(
    server: Server, method: str, meant: str, content_type: str, body: bytes
) -> None:
    for path in (f"/v1/{PARENT}/operations", f"/v1/{STORE}:export"):
        sent = request(method, path, body, Content_Type=content_type, X_HTTP_Method_Override=meant)
        status, answer = server(sent)
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_form_starts_no_export(server: Server) -> None:
    """The override makes a read call of it, and there is none of that path."""
    headers = {"Content_Type": "application/x-www-form-urlencoded", "X_HTTP_Method_Override": "GET"}
    status, _ = server(request("POST", f"/v1/{STORE}:export", b"", **headers))
    assert status == 400


def test_lists_are_filtered(server: Server) -> None:
    name = server.export(body_of("filtered"))
    server.ended(name)
    for text in ("done=true", "done:true", 'done="true" AND name:operations', f"name:{name}"):
        page = server.get(f"{PARENT}/operations", filter=text, returnPartialSuccess="true")
        assert name in [operation["name"] for operation in page["operations"]]
    assert server.get(f"{PARENT}/operations", filter="done=false", return_partial_success="False") == {"operations": []}
    assert server.get(f"{PARENT}/dicomStores", filter="labels.ward=icu") == {"dicomStores": []}
    stores = {"dicomStores": [{"name": str(STORE)}, {"name": str(BROKEN_STORE)}]}
    assert server.get(f"{PARENT}/dicomStores", filter="") == stores
    assert "labels.KEY=VALUE" in server.refused(f"{PARENT}/dicomStores", filter="name=x")["message"]


def test_fields_are_a_selector_or_a_mask(server: Server) -> None:
    name = server.export(body_of("masked"))
    server.ended(name)
    expected = {"name": name, "metadata": {"counter": {"success": "2"}}}
    for fields in (
        *("name,metadata.counter.success", "name,metadata/counter/success", "metadata(counter(success)),name"),
        *("name,metadata.counter(success)", "name, metadata . counter . success"),
    ):
        assert server.get(name, fields=fields) == expected
        assert server.get(name, **{"$fields": fields}) == expected
    page = server.get(f"{PARENT}/operations", fields="operations.name,next_page_token", pageSize="1")
    assert page["operations"] == [{"name": name}]
    assert list(page) == ["operations", "nextPageToken"]


@pytest.mark.parametrize(
    ("fields", "unknown"),
    [
        ("nope", ["nope"]),
        ("name,metadata.nope", ["metadata.nope"]),
        ("metadata.counter.nope,done/x", ["metadata.counter.nope", "done.x"]),
        ("operations.name", ["operations"]),
        ("response(typeUrl)", ["response.typeUrl"]),
        ("name.@type,done/*", ["name.@type", "done.*"]),
        ("*.nope", ["*.nope"]),
    ],
)
def test_an_unknown_field_in_a_mask_is_refused(server: Server, fields: str, unknown: list[str]) -> None:
    error = server.refused(f"{PARENT}/operations/1", fields=fields)
    assert error["status"] == "INVALID_ARGUMENT"
    assert [violation["field"] for violation in error["details"][0]["fieldViolations"]] == unknown
    assert f"Cannot find matching fields for path '{unknown[0]}'" in error["message"]


def test_a_partial_failure_leads_to_its_failures(server: Server) -> None:
    name = server.export(body_of("broken"), store=BROKEN_STORE)
    message = server.ended(name)["error"]["message"]
    assert message.startswith("1 of 1 instances failed.")
    assert f"dicom-export operations failures {name}" in message
    url = message.rpartition("GET ")[2]
    status, _, body = answer_of(exchange(server.endpoint, request("GET", "/" + url.split("/", 3)[3])))
    assert (status, [failure["object"] for failure in body["failures"]]) == (200, ["notes.txt"])


def test_numbers_of_64_bits_are_text(server: Server) -> None:
    name = server.export(body_of("numbers"), store=BROKEN_STORE)
    assert server.ended(name)["metadata"]["counter"] == {"failure": "1"}
    (failure,) = server.get(f"{name}/failures")["failures"]
    assert failure["generation"].isdecimal()
