"""google-api-python-client against the API."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build  # type: ignore[import-untyped]  # it has no types
from googleapiclient.errors import HttpError  # type: ignore[import-untyped]  # as above

from dicom_export.names import StoreName
from support.local_server import BQ_DATASET, BROKEN_STORE, CT_STUDY, FILTER_URI, STORE, Archive, make_archive, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def endpoint(archive: Archive) -> Iterator[str]:
    with running(archive) as endpoint:
        yield endpoint


def make_locations(endpoint: str, version: str, **options: Any) -> Any:
    credentials = AnonymousCredentials()
    client = build("healthcare", version, client_options={"api_endpoint": endpoint}, credentials=credentials, **options)
    return client.projects().locations()


def make_datasets(endpoint: str, version: str, **options: Any) -> Any:
    return make_locations(endpoint, version, **options).datasets()


@pytest.fixture(params=["v1", "v1beta1"])
def datasets(endpoint: str, request: pytest.FixtureRequest) -> Any:
    """Return the client that Google ships, for each version of the API."""
    return make_datasets(endpoint, request.param)


def export(datasets: Any, table: str, store: StoreName = STORE, **body: Any) -> Any:
    destination = {"tableUri": f"bq://{BQ_DATASET}.{table}", "writeDisposition": "WRITE_APPEND"}
    return datasets.dicomStores().export(name=str(store), body={"bigqueryDestination": destination, **body}).execute()


def ended(datasets: Any, name: str) -> Any:
    """Return the operation as it is when it is done."""
    while not (operation := datasets.operations().get(name=name).execute()).get("done"):
        time.sleep(0.05)
    return operation


def test_an_export_is_followed_to_its_end(datasets: Any) -> None:
    started = export(datasets, "followed")
    assert list(started) == ["name"]
    operation = ended(datasets, started["name"])
    assert "error" not in operation
    assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert operation["metadata"]["counter"] == {"success": "2", "secondarySuccess": "2"}


def test_a_filter_chooses_what_is_exported(datasets: Any) -> None:
    started = export(datasets, "filtered", filterConfig={"resourcePathsGcsUri": FILTER_URI})
    assert ended(datasets, started["name"])["metadata"]["counter"]["success"] == "1"


def test_files_are_exported(datasets: Any, archive: Archive, request: pytest.FixtureRequest) -> None:
    folder = f"lung-{request.node.callspec.id}"
    destination = {"uriPrefix": f"gs://filters/{folder}", "mimeType": "application/dicom"}
    config = {"resourcePathsGcsUri": FILTER_URI}
    body = {"gcsDestination": destination, "filterConfig": config}
    operation = ended(datasets, datasets.dicomStores().export(name=str(STORE), body=body).execute()["name"])
    assert "error" not in operation
    assert operation["metadata"]["apiMethodName"].endswith("DicomService.ExportDicomData_gcs")
    (copy,) = (archive.folder / "filters" / folder).rglob("*.dcm")
    assert copy.parents[1].name == CT_STUDY
    assert copy.read_bytes() == (archive.folder / "store" / "CT_small.dcm").read_bytes()


def test_what_cannot_be_exported_is_refused_at_once(datasets: Any, archive: Archive) -> None:
    for prefix, mime_type, status in (
        ("gs://elsewhere/a", "", 404),
        ("gs://filters/../store", "", 400),
        ("gs://filters/a", "image/png", 501),
    ):
        body = {"gcsDestination": {"uriPrefix": prefix, "mimeType": mime_type}}
        with pytest.raises(HttpError) as raised:
            datasets.dicomStores().export(name=str(STORE), body=body).execute(num_retries=0)
        assert raised.value.resp.status == status
    assert not (archive.folder / "filters" / "a").exists()


def test_both_schemas_are_written(datasets: Any, request: pytest.FixtureRequest) -> None:
    for schema in ("schemaFlattened", "schemaJson"):
        table = f"{schema}_{request.node.callspec.id}"
        destination = {"tableUri": f"bq://{BQ_DATASET}.{table}", schema: {}, "includeSourceStore": True}
        started = datasets.dicomStores().export(name=str(STORE), body={"bigqueryDestination": destination}).execute()
        assert "error" not in ended(datasets, started["name"])


def test_operations_are_listed_and_filtered(datasets: Any) -> None:
    name = export(datasets, "listed")["name"]
    ended(datasets, name)
    request, names = datasets.operations().list(name=str(STORE.parent), filter="done:true", pageSize=2), []
    while request is not None:
        page = request.execute()
        names += [operation["name"] for operation in page["operations"]]
        request = datasets.operations().list_next(request, page)
    assert names.count(name) == 1
    assert len(names) == len(set(names))


def cancelled(datasets: Any, name: str) -> Any:
    """Return the answer to a cancellation, or the message that refuses it."""
    try:
        return datasets.operations().cancel(name=name, body={}).execute()
    except HttpError as error:
        return error.reason


def test_a_cancelled_operation_ends(datasets: Any) -> None:
    name = export(datasets, "cancelled")["name"]
    # Two instances may be exported before the request arrives.
    assert cancelled(datasets, name) in ({}, "operation has already completed")
    operation = ended(datasets, name)
    assert operation["error"]["code"] == 1 if operation["metadata"].get("cancelRequested") else operation["response"]


def test_what_has_ended_cannot_be_cancelled(datasets: Any) -> None:
    name = export(datasets, "ended")["name"]
    before = ended(datasets, name)
    with pytest.raises(HttpError, match="operation has already completed") as raised:
        datasets.operations().cancel(name=name, body={}).execute()
    assert raised.value.resp.status == 400
    assert datasets.operations().get(name=name).execute() == before


def test_stores_are_got_and_listed(datasets: Any) -> None:
    assert datasets.dicomStores().get(name=str(STORE)).execute() == {"name": str(STORE)}
    stores = datasets.dicomStores().list(parent=str(STORE.parent)).execute()
    assert stores == {"dicomStores": [{"name": str(STORE)}, {"name": str(BROKEN_STORE)}]}


def test_locations_and_datasets_are_found(endpoint: str) -> None:
    for version in ("v1", "v1beta1"):
        locations = make_locations(endpoint, version)
        project = f"projects/{STORE.parent.project}"
        (location,) = locations.list(name=project).execute()["locations"]
        assert locations.get(name=location["name"]).execute() == location
        assert locations.datasets().list(parent=location["name"]).execute() == {
            "datasets": [{"name": str(STORE.parent)}]
        }
        assert locations.datasets().get(name=str(STORE.parent)).execute() == {"name": str(STORE.parent)}


def test_a_long_filter_is_sent_as_a_form(datasets: Any) -> None:
    name = export(datasets, "long")["name"]
    ended(datasets, name)
    listed = datasets.operations().list(
        name=str(STORE.parent), filter=" AND ".join([f"name:{name}", *["done=true"] * 300])
    )
    assert len(listed.uri) > 2048
    assert [operation["name"] for operation in listed.execute()["operations"]] == [name]


def test_an_error_reaches_the_client_whole(datasets: Any) -> None:
    elsewhere = StoreName(STORE.parent, "elsewhere")
    with pytest.raises(HttpError) as raised:
        export(datasets, "never", elsewhere)
    assert raised.value.resp.status == 404
    assert str(elsewhere) in raised.value.reason


def test_a_client_is_made_of_the_served_discovery_document(endpoint: str) -> None:
    address = f"{endpoint}$discovery/rest?version={{apiVersion}}"
    datasets = make_datasets(endpoint, "v1", discoveryServiceUrl=address, static_discovery=False)
    assert ended(datasets, export(datasets, "discovered")["name"])["done"]


def test_a_token_in_a_query_is_not_logged(archive: Archive, endpoint: str) -> None:
    with urlopen(f"{endpoint}v1/{STORE}?access_token=SECRET&key=SECRET") as answer:  # noqa: S310 - our own server
        assert json.load(answer) == {"name": str(STORE)}
    log = archive.log.read_text()
    assert f"GET /v1/{STORE}: 200" in log
    assert "SECRET" not in log


def test_operations_outlive_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    archive = make_archive(tmp_path_factory.mktemp("restarted"))
    with running(archive) as endpoint:
        datasets = make_datasets(endpoint, "v1")
        before = ended(datasets, export(datasets, "kept")["name"])
    with running(archive) as endpoint:
        datasets = make_datasets(endpoint, "v1")
        assert datasets.operations().get(name=before["name"]).execute() == before
