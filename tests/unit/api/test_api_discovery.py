from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from googleapiclient import discovery_cache  # type: ignore[import-untyped]  # it has no types

from dicom_export.api import HttpRequest, answer
from support.api_calls import make_client
from support.exports import DATASET, STORE, InMemoryExports, make_operation


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_googles_python_client_is_made_of_the_document(version: str) -> None:
    service = InMemoryExports()
    datasets = make_client(service, version)
    body = {"bigqueryDestination": {"tableUri": "bq://p.d.t"}}
    operation = datasets.dicomStores().export(name=str(STORE), body=body).execute()
    assert service.requests[0][1] == version
    assert datasets.operations().get(name=operation["name"]).execute()["name"] == operation["name"]
    assert datasets.operations().cancel(name=operation["name"], body={}).execute() == {}
    assert service.operations[0].cancel_requested
    assert datasets.dicomStores().get(name=str(STORE)).execute() == {"name": str(STORE)}


@pytest.mark.parametrize("collection", ["dicomStores", "operations"])
def test_the_client_pages_through_lists(collection: str) -> None:
    service = InMemoryExports(operations=[make_operation(number) for number in (3, 2, 1)])
    lister = getattr(make_client(service), collection)()
    parent = "parent" if collection == "dicomStores" else "name"
    request, count = lister.list(**{parent: str(DATASET)}, pageSize=1), 0
    while request is not None:
        page = request.execute()
        count += len(page[collection])
        request = lister.list_next(request, page)
    assert count == (1 if collection == "dicomStores" else 3)


def document(version: str = "v1") -> dict[str, Any]:
    request = HttpRequest("GET", "/$discovery/rest", {"version": version}, host_url="https://api.example/")
    response = answer(request, InMemoryExports())
    return dict(json.loads(response.encode()))


def test_the_document_says_where_it_was_fetched_from() -> None:
    assert (document()["rootUrl"], document()["baseUrl"]) == ("https://api.example/", "https://api.example/")


def test_every_schema_that_is_referred_to_is_there() -> None:
    text = json.dumps(document())
    referred = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert referred <= set(document()["schemas"])


OURS = {"ListFailuresResponse", "Failure", "Differences", "CancelOperationRequest"}
FIELDS_OF_OURS = {
    "differences",
    "includeSourceObject",
    "lastUpdatedPartitionConfig",
    "unchangedObjects",
    "_allowColdReads",
    "_since",
}


def googles_document(version: str) -> dict[str, Any]:
    """Return the document that Google's library ships."""
    return dict(
        json.loads((Path(discovery_cache.__file__).parent / "documents" / f"healthcare.{version}.json").read_text())
    )


def methods_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the methods of all resources by their id."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [document]
    while waiting:
        resource = waiting.pop()
        found |= {method["id"]: method for method in resource.get("methods", {}).values()}
        waiting += resource.get("resources", {}).values()
    return found


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_methods_and_their_parameters_are_those_of_google(version: str) -> None:
    ours, googles = methods_of(document(version)), methods_of(googles_document(version))
    failures = ours.pop("healthcare.projects.locations.datasets.operations.failures.list")
    assert failures["flatPath"].endswith("/operations/{operationsId}/failures")
    assert len(ours) == 10
    for name, method in ours.items():
        expected = googles[name]
        for member in ("flatPath", "path", "httpMethod", "parameterOrder", "response", "scopes"):
            assert method[member] == expected[member], name
        assert method.get("request") == expected.get("request")
        assert set(method["parameters"]) == set(expected["parameters"])
        for parameter, content in method["parameters"].items():
            for member in ("type", "format", "location", "required", "repeated"):
                assert content.get(member) == expected["parameters"][parameter].get(member), (name, parameter)
            assert content.get("pattern") == expected["parameters"][parameter].get("pattern")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_schemas_are_part_of_those_of_google(version: str) -> None:
    ours, googles = document(version)["schemas"], googles_document(version)["schemas"]
    for name in ours.keys() - OURS:
        for field, content in ours[name]["properties"].items():
            if field in FIELDS_OF_OURS:
                continue
            expected = googles[name]["properties"][field]
            for member in ("type", "format", "$ref", "items", "enum"):
                if field in ("metadata", "response", "details"):
                    break
                assert content.get(member) == expected.get(member), (name, field)


def test_only_v1beta1_has_change_data_capture() -> None:
    assert "changeDataCapture" not in json.dumps(document("v1"))
    assert "changeDataCaptureConfig" in json.dumps(document("v1beta1"))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_what_the_document_lists_is_served(version: str) -> None:
    """Each of its methods is called, with a name of the right form: none is answered as one that is not served."""
    service = InMemoryExports(operations=[make_operation()])
    values = {
        "projectsId": "p",
        "locationsId": "us-central1",
        "datasetsId": "d",
        "dicomStoresId": "s",
        "operationsId": "o1",
    }
    for name, method in methods_of(document(version)).items():
        path = "/" + method["flatPath"].format(**values)
        body = {"bigqueryDestination": {"tableUri": "bq://p.d.t"}} if name.endswith("export") else {}
        content = json.dumps(body).encode() if method["httpMethod"] == "POST" else b""
        assert answer(HttpRequest(method["httpMethod"], path, {}, content), service).status == 200, name


def test_an_unknown_version_has_no_document() -> None:
    response = answer(HttpRequest("GET", "/$discovery/rest", {"version": "v3"}), InMemoryExports())
    assert response.status == 400
