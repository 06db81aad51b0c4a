from __future__ import annotations

import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export import errors
from dicom_export.names import DatasetName, StoreName
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.streaming.config import StreamConfig
from support.api_calls import call, get
from support.exports import CREATED, DATASET, STORE, TABLE, InMemoryExports, make_operation

if TYPE_CHECKING:
    from dicom_export.api import HttpResponse

TABLE_URI = "bq://bq-project.bq_dataset.dicom"
EXPORT = f"/v1/{STORE}:export"
BODY = {"bigqueryDestination": {"tableUri": TABLE_URI}}


def details_of(error: Any) -> dict[str, Any]:
    """Return the details of an error, whose only kind says of each field what is wrong with it: the message, in lines."""
    if "details" not in error:
        return {}
    (detail,) = error["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert "\n".join(violation["description"] for violation in detail["fieldViolations"]) == error["message"]
    return {"details": [detail]}


def error_of(response: HttpResponse, status: int, name: str) -> str:
    """Check the shape of an error, and return its message."""
    error = response.body["error"]
    assert response.status == status
    assert error == {"code": status, "message": error["message"], "status": name, **details_of(error)}
    return str(error["message"])


def test_export_answers_with_the_operations_name_alone() -> None:
    service = InMemoryExports()
    response = call(service, "POST", EXPORT, BODY, alt="json")
    assert (response.status, response.body) == (200, {"name": f"{DATASET}/operations/o1"})
    request, api_version = service.requests[0]
    assert isinstance(request, ExportRequest)
    assert (str(request.table), request.store, api_version) == (TABLE_URI, STORE, "v1")


def test_export_under_v1beta1_is_an_operation_of_v1beta1() -> None:
    service = InMemoryExports()
    call(service, "POST", f"/v1beta1/{STORE}:export", BODY)
    assert service.requests[0][1] == "v1beta1"
    resource = get(service, f"/v1beta1/{DATASET}/operations/o1")
    assert resource["metadata"]["@type"] == "type.googleapis.com/google.cloud.healthcare.v1beta1.OperationMetadata"
    assert ".v1beta1." in resource["metadata"]["apiMethodName"]


def test_documented_curl_body_with_single_quotes_is_served() -> None:
    service = InMemoryExports()
    body = b"{ 'bigqueryDestination': { 'tableUri': 'bq://p.d.t' }, 'writeDisposition': 'WRITE_APPEND' }"
    assert call(service, "POST", EXPORT, body).status == 200
    assert service.requests[0][0].write_disposition is WriteDisposition.WRITE_APPEND


def test_a_body_that_is_no_json_is_an_invalid_argument() -> None:
    assert "not JSON" in error_of(call(InMemoryExports(), "POST", EXPORT, b"{"), 400, "INVALID_ARGUMENT")


def test_an_unknown_store_is_not_found() -> None:
    service = InMemoryExports(stores=[])
    assert str(STORE) in error_of(call(service, "POST", EXPORT, BODY), 404, "NOT_FOUND")
    assert str(STORE) in error_of(call(service, "GET", f"/v1/{STORE}"), 404, "NOT_FOUND")


def test_a_store_is_its_name() -> None:
    assert get(InMemoryExports(), f"/v1/{STORE}", alt="json") == {"name": str(STORE)}


def test_a_store_says_where_its_new_instances_go() -> None:
    streams = [StreamConfig(TABLE), StreamConfig(TABLE, SchemaKind.JSON, tracks_changes=True)]
    service = InMemoryExports(streams={STORE: streams})
    uri = f"bq://{TABLE.project}.{TABLE.dataset}.{TABLE.table}"
    latest = {"tableUri": uri, "schemaJson": {}, "changeDataCaptureConfig": {}}
    configs = [{"bigqueryDestination": {"tableUri": uri, "schemaFlattened": {}}}, {"bigqueryDestination": latest}]
    expected = {"name": str(STORE), "streamConfigs": configs}
    assert get(service, f"/v1beta1/{STORE}") == expected
    assert get(service, f"/v1beta1/{DATASET}/dicomStores") == {"dicomStores": [expected]}


def test_change_data_capture_is_not_in_v1() -> None:
    service = InMemoryExports(streams={STORE: [StreamConfig(TABLE, SchemaKind.JSON, tracks_changes=True)]})
    (config,) = get(service, f"/v1/{STORE}")["streamConfigs"]
    assert list(config["bigqueryDestination"]) == ["tableUri", "schemaJson"]


def test_stores_are_listed_in_pages() -> None:
    stores = [StoreName(DATASET, name) for name in "abcde"]
    service = InMemoryExports(stores=[*stores, StoreName(DatasetName("p", "l", "other"), "x")])
    path, found, token = f"/v1/{DATASET}/dicomStores", [], ""
    for _ in range(3):
        page = get(service, path, pageSize="2", pageToken=token)
        found += [store["name"] for store in page["dicomStores"]]
        token = page.get("nextPageToken", "")
    assert found == [str(store) for store in stores]
    assert token == ""


def test_operations_are_listed_newest_first_in_pages_without_repeating_one() -> None:
    service = InMemoryExports(operations=[make_operation(number) for number in (5, 4, 3, 2, 1)])
    path = f"/v1/{DATASET}/operations"
    first = get(service, path, pageSize="2")
    service.operations.append(make_operation(0))
    second = get(service, path, pageSize="3", pageToken=first["nextPageToken"])
    last = get(service, path, pageSize="1", pageToken=second["nextPageToken"])
    names = [each["name"].rpartition("/")[2] for page in (first, second, last) for each in page["operations"]]
    assert names == ["o5", "o4", "o3", "o2", "o1", "o0"]
    assert "nextPageToken" not in last


def test_a_page_is_full_however_few_operations_the_filter_keeps() -> None:
    ended = [make_operation(n, end_time=CREATED + timedelta(hours=1) if n % 10 == 0 else None) for n in range(40)]
    service = InMemoryExports(operations=ended[::-1])
    path, query = f"/v1/{DATASET}/operations", {"filter": "done:true", "pageSize": "2"}
    first = get(service, path, **query)
    second = get(service, path, **query, pageToken=first["nextPageToken"])
    names = [each["name"].rpartition("/")[2] for page in (first, second) for each in page["operations"]]
    assert names == ["o30", "o20", "o10", "o0"]
    assert "nextPageToken" not in second


def test_an_empty_list_has_no_entries_and_no_next_page() -> None:
    assert get(InMemoryExports(), f"/v1/{DATASET}/operations") == {"operations": []}


def test_a_page_has_fifty_entries_unless_the_client_says() -> None:
    service = InMemoryExports(operations=[make_operation(number) for number in range(60)])
    path = f"/v1/{DATASET}/operations"
    assert len(get(service, path)["operations"]) == 50
    assert len(get(service, path, pageSize="0")["operations"]) == 50
    assert len(get(service, path, pageSize="1000")["operations"]) == 60


@pytest.mark.parametrize("size", ["-1", "1001", "x", "", "1.5", "٣"])
@pytest.mark.parametrize("collection", ["operations", "dicomStores"])
def test_a_page_size_is_a_number_from_1_to_1000(size: str, collection: str) -> None:
    response = call(InMemoryExports(), "GET", f"/v1/{DATASET}/{collection}", pageSize=size)
    assert "1 to 1000" in error_of(response, 400, "INVALID_ARGUMENT")


def test_a_page_token_continues_only_the_list_that_it_is_of() -> None:
    other = DatasetName("p", "us-central1", "other")
    stores = [STORE, StoreName(other, "s")]
    service = InMemoryExports(stores=stores, operations=[make_operation(number) for number in (2, 1)])
    path = f"/v1/{DATASET}/operations"
    token = get(service, path, pageSize="1")["nextPageToken"]
    other_parent = f"/v1/{other}/operations"
    for response in (
        call(service, "GET", path, pageToken=token, filter="done:false"),
        call(service, "GET", other_parent, pageToken=token),
        call(service, "GET", path, pageToken=token[:-2]),
        call(service, "GET", path, pageToken="nonsense"),
        call(service, "GET", path, pageToken="W10"),
        call(service, "GET", path, pageToken="é"),
        call(service, "GET", path, pageToken=urlsafe_b64encode(b"[" * 100_000).decode()),
        *(call(service, "GET", path, pageToken=forged(token, position)) for position in ("\ud800", "a\0", "x" * 9_999)),
    ):
        assert "pageToken" in error_of(response, 400, "INVALID_ARGUMENT")


def forged(token: str, position: str) -> str:
    """Return the token with another position."""
    digest, _ = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return urlsafe_b64encode(json.dumps([digest, position]).encode()).decode()


def test_a_malformed_filter_is_an_invalid_argument() -> None:
    response = call(InMemoryExports(), "GET", f"/v1/{DATASET}/operations", filter="done:perhaps")
    assert "done:perhaps" in error_of(response, 400, "INVALID_ARGUMENT")


def test_an_operation_is_shown_with_its_counters() -> None:
    service = InMemoryExports(operations=[make_operation(counters=Counters(planned=3, success=1))])
    resource = get(service, f"/v1/{DATASET}/operations/o1")
    assert resource["metadata"]["counter"] == {"pending": "2", "success": "1"}


@pytest.mark.parametrize("body", [None, {}])
def test_cancel_answers_an_empty_object(body: Any) -> None:
    service = InMemoryExports(operations=[make_operation()])
    response = call(service, "POST", f"/v1/{DATASET}/operations/o1:cancel", body)
    assert (response.status, response.body) == (200, {})
    assert service.operations[0].cancel_requested


def test_cancel_takes_no_fields() -> None:
    service = InMemoryExports(operations=[make_operation()])
    response = call(service, "POST", f"/v1/{DATASET}/operations/o1:cancel", {"force": True})
    assert 'Unknown name "force"' in error_of(response, 400, "INVALID_ARGUMENT")
    assert not service.operations[0].cancel_requested


@pytest.mark.parametrize("verb", [("GET", ""), ("POST", ":cancel")])
def test_an_unknown_operation_is_not_found(verb: tuple[str, str]) -> None:
    method, suffix = verb
    response = call(InMemoryExports(), method, f"/v1/{DATASET}/operations/none{suffix}")
    assert "operations/none" in error_of(response, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", f"/v2/{STORE}", f"/v1alpha1/{STORE}", f"/{STORE}", "/robots.txt", "//v1/projects"],
)
def test_any_other_path_is_not_found_in_json(path: str) -> None:
    assert repr(path) in error_of(call(InMemoryExports(), "GET", path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/projects/p", f"/v1/{STORE}/", f"/v1/{STORE}:import", f"/v1/{STORE}/dicomWeb/studies"),
        *(f"/v1/{DATASET}/fhirStores", f"/v1alpha2/{DATASET}/fhirStores", f"/v1/{STORE}:export\n", "/v1/"),
    ],
)
def test_what_the_healthcare_api_has_and_this_server_has_not_is_said_so(path: str) -> None:
    """Gcloud takes NOT_FOUND for a problem of the login, and UNIMPLEMENTED for one of the network."""
    for method in ("GET", "POST", "DELETE"):
        message = error_of(call(InMemoryExports(), method, path), 400, "FAILED_PRECONDITION")
        assert f"{method} {path!r} is not served: this server exports DICOM metadata" in message


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", EXPORT, "POST, OPTIONS"),
        ("POST", f"/v1/{STORE}", "GET, HEAD, OPTIONS"),
        ("DELETE", f"/v1/{DATASET}/operations/o1", "GET, HEAD, OPTIONS"),
        ("PATCH", f"/v1/{STORE}", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_of_a_path_is_refused_and_told_which_one_is(method: str, path: str, allowed: str) -> None:
    response = call(InMemoryExports(), method, path)
    assert f"{method} {path!r} is not served" in error_of(response, 400, "FAILED_PRECONDITION")
    assert response.headers == {"Allow": allowed}


def test_options_names_the_methods_and_head_is_a_get() -> None:
    service = InMemoryExports()
    options = call(service, "OPTIONS", EXPORT)
    assert (options.status, options.headers) == (200, {"Allow": "POST, OPTIONS"})
    assert call(service, "HEAD", f"/v1/{STORE}").status == 200
    assert call(service, "HEAD", f"/v1/{STORE}x").status == 404


@pytest.mark.parametrize(
    "query",
    [
        *({"alt": "json"}, {"$alt": "json;enum-encoding=int"}, {"fields": "name"}, {"$fields": "name"}, {"key": "k"}),
        *({"prettyPrint": "false"}, {"quotaUser": "u"}, {"$.xgafv": "2"}, {"access_token": "t"}, {"uploadType": ""}),
    ],
)
def test_parameters_of_every_google_api_are_accepted(query: dict[str, str]) -> None:
    assert call(InMemoryExports(), "GET", f"/v1/{STORE}", **query).status == 200


def test_an_unknown_query_parameter_is_refused_in_googles_words() -> None:
    response = call(InMemoryExports(), "GET", f"/v1/{STORE}", view="FULL")
    assert error_of(response, 400, "INVALID_ARGUMENT") == (
        "Invalid JSON payload received. Unknown name \"view\": Cannot bind query parameter. Field 'view' could not be"
        " found in request message."
    )


def test_only_json_is_served() -> None:
    response = call(InMemoryExports(), "GET", f"/v1/{STORE}", alt="proto")
    assert "alt=proto" in error_of(response, 400, "INVALID_ARGUMENT")


class Failing(InMemoryExports):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get_store(self, name: StoreName) -> StoreName:  # noqa: ARG002 - whatever it is
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (errors.InvalidArgument("said"), 400, "INVALID_ARGUMENT"),
        (errors.FailedPrecondition("said"), 400, "FAILED_PRECONDITION"),
        (errors.ConfigurationError("said"), 400, "FAILED_PRECONDITION"),
        (errors.PermissionDenied("said"), 403, "PERMISSION_DENIED"),
        (errors.NotFound("said"), 404, "NOT_FOUND"),
        (errors.AlreadyExists("said"), 409, "ALREADY_EXISTS"),
        (errors.Unimplemented("said"), 501, "UNIMPLEMENTED"),
        (errors.Unavailable("said"), 503, "UNAVAILABLE"),
        (errors.ResourceExhausted("said"), 429, "RESOURCE_EXHAUSTED"),
        (errors.Internal("said"), 500, "INTERNAL"),
    ],
)
def test_an_error_is_answered_with_its_code(error: Exception, status: int, name: str) -> None:
    assert error_of(call(Failing(error), "GET", f"/v1/{STORE}"), status, name) == "said"


def test_an_unexpected_exception_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "dicom_export"):
        response = call(Failing(ValueError("Doe^Jane")), "GET", f"/v1/{STORE}")
    assert "Doe" not in error_of(response, 500, "INTERNAL")
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_health_is_answered_without_asking_anything() -> None:
    for path in ("/health", "/healthz"):
        assert get(Failing(ValueError("not asked")), path) == {"status": "ok"}


def test_text_that_is_no_unicode_is_answered() -> None:
    response = call(InMemoryExports(), "POST", EXPORT, b'{"\\ud800": 1}')
    assert "INVALID_ARGUMENT" in response.encode().decode()
