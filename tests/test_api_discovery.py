from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped]  # it has no types
from httplib2 import Response  # type: ignore[import-untyped]  # as above

from dicom_export.api import HttpRequest, answer
from exports import DATASET, STORE, InMemoryExports, make_operation

ROOT = "http://127.0.0.1:8080/"


class Loopback:
    """Stands in for httplib2.Http: answers a client's requests without a network."""

    def __init__(self, service: InMemoryExports) -> None:
        self._service = service

    def request(self, uri: str, method: str = "GET", body: str | None = None, **_: Any) -> tuple[Response, bytes]:
        parts = urlsplit(uri)
        request = HttpRequest(method, parts.path, dict(parse_qsl(parts.query)), (body or "").encode(), ROOT)
        response = answer(request, self._service)
        return Response({"status": str(response.status)}), response.encode()


def make_client(service: InMemoryExports, version: str = "v1") -> Any:
    """Return the datasets of the client that Google's library makes of our document."""
    http = Loopback(service)
    _, content = http.request(f"{ROOT}$discovery/rest?version={version}")
    return build_from_document(content.decode(), http=http).projects().locations().datasets()


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


def document() -> dict[str, Any]:
    response = answer(HttpRequest("GET", "/$discovery/rest", host_url="https://api.example/"), InMemoryExports())
    return dict(json.loads(response.encode()))


def test_the_document_says_where_it_was_fetched_from() -> None:
    assert (document()["rootUrl"], document()["baseUrl"]) == ("https://api.example/", "https://api.example/")


def test_every_schema_that_is_referred_to_is_there() -> None:
    text = json.dumps(document())
    referred = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert referred <= set(document()["schemas"])


def test_flat_paths_are_those_of_google() -> None:
    datasets = document()["resources"]["projects"]["resources"]["locations"]["resources"]["datasets"]["resources"]
    parent = "v1/projects/{projectsId}/locations/{locationsId}/datasets/{datasetsId}"
    paths = {m["id"].partition("datasets.")[2]: m["flatPath"] for r in datasets.values() for m in r["methods"].values()}
    assert paths == {
        "dicomStores.export": f"{parent}/dicomStores/{{dicomStoresId}}:export",
        "dicomStores.get": f"{parent}/dicomStores/{{dicomStoresId}}",
        "dicomStores.list": f"{parent}/dicomStores",
        "operations.cancel": f"{parent}/operations/{{operationsId}}:cancel",
        "operations.get": f"{parent}/operations/{{operationsId}}",
        "operations.list": f"{parent}/operations",
    }


def test_an_unknown_version_has_no_document() -> None:
    response = answer(HttpRequest("GET", "/$discovery/rest", {"version": "v3"}), InMemoryExports())
    assert response.status == 400
