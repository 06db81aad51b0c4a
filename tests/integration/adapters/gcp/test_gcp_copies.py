"""What only the deployment on Google Cloud does with copies: its requests, and what it makes of the answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import urllib3
from requests.adapters import HTTPAdapter

from dicom_export.adapters.gcp.storage import client as storage
from dicom_export.adapters.gcp.storage.copies import BucketCopies
from dicom_export.errors import InstanceGone, NotFound, PermissionDenied
from dicom_export.ports import CopyResult, UnfinishedCopy
from dicom_export.stored_object import StoredObject
from support.emulators.storage import HOST_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests
    from google.cloud.storage import Client  # type: ignore[import-untyped]  # it has no types

STORED = StoredObject("a/1", generation=17, size=10, updated=datetime(2026, 1, 2, tzinfo=UTC))
SOURCE = "gs://archive/dicom/a/1"
NAME = "1.2/1.3/1.4.dcm"
REWRITE = "/storage/v1/b/archive/o/dicom/a/1/rewriteTo/b/cohorts/o/lung/1.2/1.3/1.4.dcm"
TARGET = "/storage/v1/b/cohorts/o/lung/1.2/1.3/1.4.dcm"
ORIGINAL = "/storage/v1/b/archive/o/dicom/a/1"

Answer = tuple[int, dict[str, Any]]

MISSING: Answer = (404, {"error": {"code": 404, "message": "No such object"}})
TAKEN: Answer = (412, {"error": {"code": 412, "message": "At least one of the pre-conditions did not hold"}})


def rewritten(token: str = "") -> Answer:
    sizes = {"totalBytesRewritten": "5" if token else "10", "objectSize": "10"}
    return 200, {**sizes, "done": not token, **({"rewriteToken": token} if token else {"resource": {"name": "x"}})}


def found(crc32c: str, size: int = 10) -> Answer:
    return 200, {"name": "x", "generation": "5", "size": str(size), "crc32c": crc32c}


@dataclass
class Service(HTTPAdapter):
    """Takes the place of the network: each path has its answers, the last one over and over."""

    answers: dict[str, list[Answer]]
    asked: list[tuple[str, dict[str, str], Any, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def send(self, request: requests.PreparedRequest, *_: object, **options: Any) -> requests.Response:
        url = urlsplit(str(request.url))
        path = unquote(url.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = (
            json.loads(str(request.body, "utf-8") if isinstance(request.body, bytes) else str(request.body))
            if request.body
            else None
        )
        self.asked.append((path, query, body, options["timeout"]))
        answers = self.answers[path]
        status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        headers = {"Content-Type": "application/json"}
        raw = urllib3.HTTPResponse(BytesIO(json.dumps(content).encode()), headers, status, preload_content=False)
        return self.build_response(request, raw)

    def queries(self, path: str) -> list[dict[str, str]]:
        return [query for asked, query, _, _ in self.asked if asked == path]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[BucketCopies, Service]]:
    """Return what makes a folder of copies that gets the given answers."""

    def connect(
        *rewrites: Answer, target: list[Answer] | None = None, original: Answer = MISSING, **payers: str
    ) -> Any:
        service = Service({REWRITE: list(rewrites), TARGET: target or [MISSING], ORIGINAL: [original]})
        monkeypatch.setenv(HOST_VARIABLE, "http://storage.invalid")
        client: Client = storage.new_client()
        for scheme in ("https://", "http://"):
            client._http.mount(scheme, service)
        return BucketCopies("cohorts", "lung/", client=lambda: client, payers=payers), service

    return connect


Serve = Any


def test_the_service_copies_exactly_this_generation_if_nothing_has_the_name(serve: Serve) -> None:
    folder, service = serve(rewritten())
    assert folder.copy(SOURCE, STORED, NAME) is CopyResult.MADE
    ((_, query, body, timeout),) = [each for each in service.asked if each[0] == REWRITE]
    assert query["sourceGeneration"] == "17"
    assert query["ifGenerationMatch"] == "0"
    assert "rewriteToken" not in query
    assert body["contentType"] == "application/dicom"
    assert timeout > 30


def test_a_copy_that_takes_several_calls_is_continued_by_its_token(serve: Serve) -> None:
    folder, service = serve(rewritten("one"), rewritten("two"), rewritten())
    assert folder.copy(SOURCE, STORED, NAME) == UnfinishedCopy("one")
    assert folder.copy(SOURCE, STORED, NAME, "one") == UnfinishedCopy("two")
    assert folder.copy(SOURCE, STORED, NAME, "two") is CopyResult.MADE
    assert [query.get("rewriteToken") for query in service.queries(REWRITE)] == [None, "one", "two"]
    assert {query["ifGenerationMatch"] for query in service.queries(REWRITE)} == {"0"}


def test_the_project_of_a_store_whose_requester_pays_pays_for_the_copy(serve: Serve) -> None:
    folder, service = serve(MISSING, original=found("AAAA"), archive="our-project")
    with pytest.raises(NotFound):
        folder.copy(SOURCE, STORED, NAME)
    assert [query["userProject"] for path in (REWRITE, ORIGINAL) for query in service.queries(path)] == [
        "our-project"
    ] * 2
    assert "userProject" not in service.queries(TARGET)[0]


@pytest.mark.parametrize("status", [410, 400])
def test_after_a_token_that_has_expired_the_copy_begins_again(serve: Serve, status: int) -> None:
    refused = (status, {"error": {"code": status, "message": "The rewrite token has expired"}})
    folder, service = serve(refused, rewritten())
    assert folder.copy(SOURCE, STORED, NAME, "old") is CopyResult.MADE
    assert [query.get("rewriteToken") for query in service.queries(REWRITE)] == ["old", None]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (found("AAAA"), CopyResult.PRESENT),
        (found("BBBB"), CopyResult.NAME_TAKEN),
        (found("AAAA", 9), CopyResult.NAME_TAKEN),
    ],
)
def test_what_another_worker_wrote_meanwhile_is_compared(serve: Serve, there: Answer, expected: CopyResult) -> None:
    folder, _ = serve(TAKEN, target=[MISSING, there], original=found("AAAA"))
    assert folder.copy(SOURCE, STORED, NAME) is expected


def test_what_is_there_is_compared_by_its_checksum_and_not_read(serve: Serve) -> None:
    folder, service = serve(rewritten(), target=[found("AAAA")], original=found("AAAA"))
    assert folder.copy(SOURCE, STORED, NAME) is CopyResult.PRESENT
    assert {path for path, *_ in service.asked} == {TARGET, ORIGINAL}
    assert {query.get("alt") for _, query, *_ in service.asked} <= {None, "json"}
    assert service.queries(ORIGINAL) == [service.queries(ORIGINAL)[0] | {"generation": "17"}]


def test_a_source_of_another_size_needs_no_look_at_the_source(serve: Serve) -> None:
    folder, service = serve(target=[found("AAAA", 9)])
    assert folder.copy(SOURCE, STORED, NAME) is CopyResult.NAME_TAKEN
    assert service.queries(ORIGINAL) == []


def test_a_missing_source_is_gone_and_a_missing_bucket_is_not_found(serve: Serve) -> None:
    folder, _ = serve(MISSING)
    with pytest.raises(InstanceGone, match="generation 17 is gone"):
        folder.copy(SOURCE, STORED, NAME)
    folder, _ = serve(MISSING, original=found("AAAA"))
    with pytest.raises(NotFound):
        folder.copy(SOURCE, STORED, NAME)


def test_what_vanishes_after_it_was_in_the_way_is_tried_again(serve: Serve) -> None:
    folder, _ = serve(TAKEN, rewritten())
    assert folder.copy(SOURCE, STORED, NAME) == UnfinishedCopy("")
    assert folder.copy(SOURCE, STORED, NAME) is CopyResult.MADE


def test_a_right_that_is_missing_is_named_with_both_objects(serve: Serve) -> None:
    folder, _ = serve((403, {"error": {"code": 403, "message": "no storage.objects.create"}}))
    with pytest.raises(
        PermissionDenied, match=r"Copying gs://archive/dicom/a/1 to gs://cohorts/lung/1.2.*objects.create"
    ):
        folder.copy(SOURCE, STORED, NAME)


def test_a_busy_service_is_asked_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    busy = (503, {"error": {"code": 503, "message": "Service Unavailable"}})
    folder, service = serve(busy, rewritten())
    assert folder.copy(SOURCE, STORED, NAME) is CopyResult.MADE
    assert len(service.queries(REWRITE)) == 2
