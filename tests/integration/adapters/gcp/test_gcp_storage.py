"""What only the deployment on Google Cloud does with Cloud Storage: which requests it makes, and what it makes of the answers."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
import urllib3
from google.auth.credentials import Credentials
from google.auth.exceptions import TransportError
from requests.adapters import HTTPAdapter

from dicom_export.adapters.gcp.calls import TIMEOUT_SECONDS
from dicom_export.adapters.gcp.storage import ranges
from dicom_export.adapters.gcp.storage.client import POOL_SIZE, new_client, shared_client
from dicom_export.adapters.gcp.storage.ranges import Ranges
from dicom_export.adapters.gcp.storage.state import BucketState
from dicom_export.adapters.gcp.storage.store import BucketStore, existing_bucket
from dicom_export.errors import DicomExportError, InstanceGone, PermissionDenied, TransientError, Unavailable
from dicom_export.ports import StateEntry, StateObject
from dicom_export.stored_object import StoredObject
from support.emulators.storage import HOST_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from google.cloud.storage import Client  # type: ignore[import-untyped]  # it says nothing of its types

    from support.emulators.storage import Storage

STORED = StoredObject("a/1", generation=17, size=10, updated=datetime(2026, 1, 2, tzinfo=UTC))
FOUND = {
    "name": "a/1",
    "generation": "17",
    "size": "10",
    "timeCreated": "2026-01-02T00:00:00Z",
    "storageClass": "STANDARD",
}


@dataclass(frozen=True)
class Answer:
    """What the service answers. A body that breaks off is shorter than `length` says."""

    status: int = 200
    body: bytes = b"{}"
    length: int | None = None
    generation: int = 17


@dataclass(frozen=True)
class Asked:
    """A request as it leaves the client."""

    method: str
    path: str
    query: dict[str, str]
    byte_range: str | None
    timeout: object
    token: str | None = None


class Service(HTTPAdapter):
    """Takes the place of the network: gives each request the next answer, and the last one over and over."""

    def __init__(self, answers: Iterable[Answer | Exception]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[Asked] = []

    def send(self, request: requests.PreparedRequest, *_: object, **options: Any) -> requests.Response:
        self.asked.append(asked(request, options["timeout"]))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        headers = {
            "Content-Length": str(len(answer.body) if answer.length is None else answer.length),
            "Content-Type": "application/json",
            "X-Goog-Generation": str(answer.generation),
        }
        raw = urllib3.HTTPResponse(
            BytesIO(answer.body), headers, answer.status, preload_content=False, request_method=request.method
        )
        return self.build_response(request, raw)


class Recorder(HTTPAdapter):
    """Passes requests on, and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self.asked.append(asked(request, options["timeout"]))
        return super().send(request, *args, **options)


def asked(request: requests.PreparedRequest, timeout: object) -> Asked:
    url = urlsplit(str(request.url))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    byte_range, token = (str(request.headers.get(name, "")) or None for name in ("range", "authorization"))
    return Asked(str(request.method), unquote(url.path), query, byte_range, timeout, token)


@dataclass(frozen=True)
class Connection:
    """A client, and what it asks for."""

    client: Callable[[], Client]
    asked: list[Asked]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Connection]:
    """Return what makes a client that gets the given answers."""

    def connect(*answers: Answer | Exception) -> Connection:
        service = Service(answers)
        monkeypatch.setenv(HOST_VARIABLE, "http://storage.invalid")
        return Connection(connected(service), service.asked)

    return connect


@pytest.fixture
def recorded(storage_emulator: Storage) -> Connection:
    """Return a client of the emulator."""
    assert storage_emulator
    recorder = Recorder()
    return Connection(connected(recorder), recorder.asked)


class Connections:
    """Takes the place of the connections that ranges are read by: sends each request by the adapter."""

    def __init__(self, adapter: HTTPAdapter) -> None:
        self._adapter = adapter

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        request = requests.Request("GET", url, headers).prepare()
        response = self._adapter.send(request, stream=True, timeout=TIMEOUT_SECONDS)
        content = response.raw.read(decode_content=False)
        if len(content) != int(response.headers.get("Content-Length", len(content))):
            raise requests.exceptions.ConnectionError("broken off")
        return response.status_code, content


class Tokens(Credentials):
    """Credentials whose token says how often one was asked for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.times = 0
        self.refresh(None)

    def refresh(self, _: object) -> None:
        self.times += 1
        self.token = f"token {self.times}"


def connected(adapter: HTTPAdapter, credentials: Credentials | None = None) -> Callable[[], Client]:
    """Return a client that sends all by the adapter. Its credentials can be refreshed, which those for an emulator cannot."""
    client = new_client()
    client._http.credentials = credentials or Tokens()
    client._http.mount("http://", adapter)
    endpoint = client._connection.get_api_base_url_for_mtls()
    ranges._RANGES[client] = Ranges(endpoint, client._http.credentials, Connections(adapter).get)
    return lambda: client


class Refusing(HTTPAdapter):
    """Takes every token but the first."""

    def send(self, request: requests.PreparedRequest, *_: object, **options: Any) -> requests.Response:
        is_first = request.headers["authorization"] == "Bearer token 1"
        return Service([Answer(401) if is_first else Answer(206, b"0123")]).send(request, **options)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between attempts, in seconds, which take no time."""
    pauses: list[float] = []
    clock = SimpleNamespace(sleep=pauses.append, monotonic=lambda: sum(pauses))
    for module in ("retry_unary", "retry_base"):
        monkeypatch.setattr(f"google.api_core.retry.{module}.time", clock)
    return pauses


def listing(*names: str, following: str = "") -> Answer:
    items = [{**FOUND, "name": name} for name in names]
    return Answer(body=json.dumps({"items": items, **({"nextPageToken": following} if following else {})}).encode())


CALLS: dict[str, Callable[[Connection], object]] = {
    "list": lambda to: list(BucketStore("bucket", client=to.client).list()),
    "get": lambda to: BucketStore("bucket", client=to.client).get("a/1"),
    "read": lambda to: BucketStore("bucket", client=to.client).read(STORED, 0, 4),
    "state list": lambda to: list(BucketState("bucket", client=to.client).list("a/")),
    "state create": lambda to: BucketState("bucket", client=to.client).create("a/1", b"{}"),
    "state read": lambda to: BucketState("bucket", client=to.client).read("a/1"),
    "state replace": lambda to: BucketState("bucket", client=to.client).replace("a/1", b"{}", "17"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401), PermissionDenied),
        (Answer(403, b'{"error": {"message": "storage.objects.get denied"}}'), PermissionDenied),
        (Answer(408), TransientError),
        (Answer(429), TransientError),
        (Answer(500), TransientError),
        (Answer(502), TransientError),
        (Answer(503), TransientError),
        (Answer(504), TransientError),
        (requests.exceptions.ConnectTimeout("no answer"), Unavailable),
        (requests.exceptions.ReadTimeout("no answer"), Unavailable),
        (requests.exceptions.ConnectionError("reset"), Unavailable),
        (Answer(200, b"{}", length=100), Unavailable),
    ],
    ids=lambda value: str(getattr(value, "status", None) or getattr(value, "__name__", None) or type(value).__name__),
)
def test_what_goes_wrong_is_an_error_of_this_system_in_time(
    serve: Callable[..., Connection],
    pauses: list[float],
    call: str,
    answer: Answer | Exception,
    error: type[DicomExportError],
) -> None:
    with pytest.raises(error, match="gs://bucket/"):
        CALLS[call](serve(answer))
    assert bool(pauses) == issubclass(error, TransientError)
    assert sum(pauses) <= 90


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    "fault", [Answer(503), Answer(429), Answer(408), requests.exceptions.ReadTimeout(), Answer(length=9)]
)
def test_what_passes_is_tried_again(serve: Callable[..., Connection], fault: Answer | Exception) -> None:
    assert BucketStore("bucket", client=serve(fault, Answer(206, b"0123")).client).read(STORED, 0, 4) == b"0123"
    assert [each.name for each in BucketStore("bucket", client=serve(fault, listing("a")).client).list()] == ["a"]
    assert BucketState("bucket", client=serve(fault, Answer(body=b"x")).client).read("a") == StateObject(b"x", "17")
    assert BucketState("bucket", client=serve(fault, Answer()).client).create("a", b"x") is True


@pytest.mark.usefixtures("pauses")
def test_a_creation_whose_answer_got_lost_finds_the_object_there(serve: Callable[..., Connection]) -> None:
    to = serve(requests.exceptions.ReadTimeout(), Answer(412))
    assert BucketState("bucket", client=to.client).create("a", b"x") is False
    assert [each.query["ifGenerationMatch"] for each in to.asked] == ["0", "0"]


def test_a_replacement_is_tried_again_only_if_it_was_refused(
    serve: Callable[..., Connection], pauses: list[float]
) -> None:
    found = Answer(body=json.dumps(FOUND).encode())
    assert BucketState("bucket", client=serve(found, Answer(429), Answer()).client).replace("a", b"x", "17") is True
    assert len(pauses) == 1
    to = serve(found, requests.exceptions.ReadTimeout())
    with pytest.raises(Unavailable, match="Replacing gs://bucket/a"):
        BucketState("bucket", client=to.client).replace("a", b"x", "17")
    assert [each.method for each in to.asked] == ["GET", "POST"]


def test_a_replaced_version_is_found_out_before_anything_is_sent(serve: Callable[..., Connection]) -> None:
    to = serve(Answer(404))
    assert BucketState("bucket", client=to.client).replace("a", b"x", "17") is False
    assert [(each.method, each.query["generation"]) for each in to.asked] == [("GET", "17")]


def test_a_read_asks_once_for_a_range_of_its_generation(serve: Callable[..., Connection]) -> None:
    to = serve(Answer(206, b"3456"))
    assert BucketStore("bucket", "dicom/", client=to.client).read(STORED, 3, 4) == b"3456"
    (request,) = to.asked
    assert (request.method, request.path) == ("GET", "/download/storage/v1/b/bucket/o/dicom/a/1")
    assert (request.query["generation"], request.byte_range) == ("17", "bytes=3-6")


def test_who_knows_no_ranges_is_cut_to_them(serve: Callable[..., Connection]) -> None:
    assert BucketStore("bucket", client=serve(Answer(200, b"0123456789")).client).read(STORED, 3, 4) == b"3456"


@pytest.mark.parametrize(("start", "length"), [(8, 100), (10, 5), (50, 5)])
def test_who_knows_no_ranges_has_nothing_behind_the_end(
    serve: Callable[..., Connection], start: int, length: int
) -> None:
    to = serve(Answer(200, b"0123456789"))
    assert BucketStore("bucket", client=to.client).read(STORED, start, length) == b"0123456789"[start:]


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    "fault",
    [
        requests.exceptions.ConnectionError("reset"),
        TransportError("no token"),
        Answer(206, b"01", length=4),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_read_whose_connection_fails_is_tried_again(
    serve: Callable[..., Connection], fault: Answer | Exception
) -> None:
    to = serve(fault, Answer(206, b"0123"))
    assert BucketStore("bucket", client=to.client).read(STORED, 0, 4) == b"0123"
    assert len(to.asked) == 2


@pytest.mark.usefixtures("pauses")
def test_a_body_that_breaks_off_is_no_content(broken_off: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_VARIABLE, broken_off)
    client = new_client()
    with pytest.raises(Unavailable, match="Reading gs://bucket/a/1"):
        BucketStore("bucket", client=lambda: client).read(STORED, 0, 4)


@pytest.fixture
def broken_off() -> Iterator[str]:
    """Run a server that sends half of what it says it does, and return its address."""

    class Half(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(206)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"01")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Half) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_refused_token_is_asked_for_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "http://storage.invalid")
    service = Service([Answer(401), Answer(206, b"0123")])
    store = BucketStore("bucket", client=connected(service, Tokens()))
    assert [store.read(STORED, 0, 4) for _ in range(2)] == [b"0123"] * 2
    assert [each.token for each in service.asked] == [f"Bearer token {number}" for number in (1, 2, 2)]


def test_many_threads_whose_token_is_refused_ask_for_the_next_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "http://storage.invalid")
    tokens, together = Tokens(), threading.Barrier(16)
    store = BucketStore("bucket", client=connected(Refusing(), tokens))

    def read(_: int) -> bytes:
        together.wait()
        return store.read(STORED, 0, 4)

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(read, range(16))) == [b"0123"] * 16
    assert tokens.times == 2


def test_the_reason_of_a_refusal_is_told_in_short(serve: Callable[..., Connection]) -> None:
    refusal = Answer(403, b"reader@example.com does not have\nstorage.objects.get " + b"x" * 10_000)
    with pytest.raises(PermissionDenied, match=r"does not have storage\.objects\.get x+$") as raised:
        BucketStore("bucket", client=serve(refusal).client).read(STORED, 0, 4)
    assert len(str(raised.value)) < 400


def test_reading_nothing_asks_for_nothing(serve: Callable[..., Connection]) -> None:
    to = serve(Answer())
    assert BucketStore("bucket", client=to.client).read(STORED, 3, 0) == b""
    assert to.asked == []


def test_a_bucket_that_is_gone_has_lost_its_objects(serve: Callable[..., Connection]) -> None:
    with pytest.raises(InstanceGone, match="'a/1' was deleted"):
        BucketStore("bucket", client=serve(Answer(404)).client).read(STORED, 0, 4)


@pytest.mark.parametrize("name", ["", "a" * 1025, "é" * 513, "a\nb", "a\r", "a\0", ".", "..", "\udcff"])
def test_a_name_that_no_object_can_have_is_not_asked_for(serve: Callable[..., Connection], name: str) -> None:
    to = serve(Answer())
    store = BucketStore("bucket", client=to.client)
    assert store.get(name) is None
    with pytest.raises(InstanceGone, match="is not in the store"):
        store.read(StoredObject(name, 1, 1, STORED.updated), 0, 1)
    assert to.asked == []


def test_a_listing_asks_page_by_page_for_the_fields_it_needs(serve: Callable[..., Connection]) -> None:
    to = serve(listing("dicom/a/1", "dicom/a/2", following="next"), listing("dicom/a/3"))
    store = BucketStore("bucket", "dicom/", page_size=2, client=to.client)
    objects = store.list(prefix="a/", start_after="a/1")
    assert to.asked == []
    assert next(objects).name == "a/2"
    assert len(to.asked) == 1
    assert [each.name for each in objects] == ["a/3"]
    first, second = (each.query for each in to.asked)
    assert {name: first[name] for name in ("prefix", "startOffset", "maxResults", "fields")} == {
        "prefix": "dicom/a/",
        "startOffset": "dicom/a/1",
        "maxResults": "2",
        "fields": "items(name,generation,size,timeCreated,storageClass,contentEncoding),nextPageToken",
    }
    assert second == {**first, "pageToken": "next"}


def test_an_empty_page_does_not_end_a_listing(serve: Callable[..., Connection]) -> None:
    to = serve(listing(following="next"), listing("a/1"))
    assert [each.name for each in BucketStore("bucket", client=to.client).list()] == ["a/1"]


@pytest.mark.parametrize(
    ("stored", "told"),
    [("ARCHIVE", "ARCHIVE"), ("COLDLINE", "COLDLINE"), ("NEARLINE", "NEARLINE"), ("MULTI_REGIONAL", "STANDARD")],
)
def test_a_storage_class_is_one_of_four(serve: Callable[..., Connection], stored: str, told: str) -> None:
    answer = Answer(body=json.dumps({**FOUND, "storageClass": stored}).encode())
    found = BucketStore("bucket", client=serve(answer).client).get("a/1")
    assert found
    assert found.storage_class == told


@pytest.mark.parametrize(
    ("stored", "told"),
    [("gzip", "gzip"), (" BR ", "br"), ("identity", ""), ("", ""), ("x" * 8_000, "x" * 40)],
)
def test_a_content_encoding_is_listed(serve: Callable[..., Connection], stored: str, told: str) -> None:
    to = serve(Answer(body=json.dumps({"items": [FOUND | {"contentEncoding": stored}]}).encode()))
    assert [each.content_encoding for each in BucketStore("bucket", client=to.client).list()] == [told]


def test_an_emulated_object_has_its_content_encoding(storage_emulator: Storage) -> None:
    bucket = storage_emulator.make_bucket()
    storage_emulator.put(bucket, "a", gzip.compress(b"x"), content_encoding="gzip")
    storage_emulator.put(bucket, "b", b"x")
    assert [each.content_encoding for each in BucketStore(bucket).list()] == ["gzip", ""]


@pytest.mark.parametrize("project", ["payer", "example.com:payer", None])
def test_every_request_to_a_bucket_names_who_pays(serve: Callable[..., Connection], project: str | None) -> None:
    calls: list[tuple[Answer, Callable[[BucketStore], object]]] = [
        (listing("a/1"), lambda store: list(store.list())),
        (Answer(body=json.dumps(FOUND).encode()), lambda store: store.get("a/1")),
        (Answer(206, b"0123"), lambda store: store.read(STORED, 0, 4)),
        (Answer(404), lambda store: store._gone(STORED)),
        (Answer(body=b'{"autoclass": {"enabled": true}}'), lambda store: store.has_autoclass()),
        (listing("a/1"), lambda store: existing_bucket("bucket", store.client, store.user_project)),
    ]
    for answer, call in calls:
        to = serve(answer)
        call(BucketStore("bucket", user_project=project, client=to.client))
        assert to.asked
        assert {each.query.get("userProject") for each in to.asked} == {project}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(body=b'{"autoclass": {"enabled": true, "terminalStorageClass": "ARCHIVE"}}'), True),
        (Answer(body=b'{"autoclass": {"enabled": false}}'), False),
        (Answer(body=b'{"name": "bucket", "storageClass": "NEARLINE"}'), False),
        (Answer(403), None),
    ],
)
def test_a_bucket_tells_whether_it_has_autoclass(
    serve: Callable[..., Connection], *, answer: Answer, told: bool | None
) -> None:
    assert BucketStore("bucket", client=serve(answer).client).has_autoclass() is told


def test_an_emulated_bucket_has_no_autoclass(storage_emulator: Storage) -> None:
    assert BucketStore(storage_emulator.make_bucket()).has_autoclass() is False


def test_a_bucket_is_known_by_its_listing(storage_emulator: Storage) -> None:
    name = storage_emulator.make_bucket()
    assert existing_bucket(name) == BucketStore(name)
    storage_emulator.put(name, "a", b"x")
    assert existing_bucket(name) == BucketStore(name)
    assert existing_bucket("no-such-bucket") is None


@pytest.mark.parametrize("name", ["", "ab", "a/b/o", "Bucket", "-bucket", "a" * 223])
def test_a_name_that_no_bucket_can_have_is_not_asked_for(serve: Callable[..., Connection], name: str) -> None:
    to = serve(Answer())
    assert existing_bucket(name, to.client) is None
    assert to.asked == []


def test_a_bucket_that_may_not_be_listed_is_there(serve: Callable[..., Connection]) -> None:
    assert existing_bucket("bucket", serve(Answer(403)).client) is not None


def test_every_call_has_a_timeout_and_makes_the_requests_it_needs(
    storage_emulator: Storage, recorded: Connection
) -> None:
    bucket = storage_emulator.make_bucket()
    for name in ("a/1", "a/2", "a/3"):
        storage_emulator.put(bucket, name, b"0123456789")
    store = BucketStore(bucket, page_size=2, client=recorded.client)
    state = BucketState(bucket, "state/", client=recorded.client)

    def requests_of(call: Callable[[], object]) -> dict[str, int]:
        recorded.asked.clear()
        call()
        assert {each.timeout for each in recorded.asked} == {TIMEOUT_SECONDS}
        return dict(Counter(each.method for each in recorded.asked))

    (first, *_) = store.list()
    assert requests_of(lambda: list(store.list(prefix="a/"))) == {"GET": 2}
    assert requests_of(lambda: store.get("a/1")) == {"GET": 1}
    assert requests_of(lambda: store.get("a/9")) == {"GET": 1}
    assert requests_of(lambda: store.read(first, 0, 4)) == {"GET": 1}
    assert requests_of(lambda: existing_bucket(bucket, recorded.client)) == {"GET": 1}
    assert requests_of(lambda: state.create("o", b"{}", {"success": "1"})) == {"POST": 1}
    assert requests_of(lambda: state.create("o", b"{}")) == {"POST": 1}
    assert requests_of(lambda: state.read("o")) == {"GET": 1}
    assert requests_of(lambda: state.read("p")) == {"GET": 1}
    assert requests_of(lambda: list(state.list(""))) == {"GET": 1}
    version = state.read("o")
    assert version
    assert requests_of(lambda: state.replace("o", b"{}", version.version)) == {"GET": 1, "POST": 1}
    assert requests_of(lambda: state.replace("o", b"{}", version.version)) == {"GET": 1}
    storage_emulator.delete(bucket, "a/1")
    with pytest.raises(InstanceGone, match="'a/1' was deleted"):
        store.read(first, 0, 4)


def test_listings_in_pages_of_any_size_are_the_same(storage_emulator: Storage) -> None:
    bucket = storage_emulator.make_bucket()
    names = [f"a/{number:02d}" for number in range(11)]
    state = BucketState(bucket)
    for name in names:
        assert state.create(name, b"", {"name": name})
    for page_size in (1, 2, 5, 11, 12):
        store = BucketStore(bucket, page_size=page_size)
        assert [each.name for each in store.list(start_after="a/03")] == names[4:]
        entries = BucketState(bucket, page_size=page_size).list("a/", start_after="a/03")
        assert list(entries) == [StateEntry(name, {"name": name}) for name in names[4:]]


def test_of_eight_who_create_an_object_one_does_and_its_content_stays(storage_emulator: Storage) -> None:
    state = BucketState(storage_emulator.make_bucket())
    together = threading.Barrier(8)

    def create(number: int, path: str) -> bool:
        together.wait()
        return state.create(path, str(number).encode(), {"number": str(number)})

    with ThreadPoolExecutor(8) as threads:
        for path in map(str, range(20)):
            created = list(threads.map(create, range(8), [path] * 8))
            winner = str(created.index(True))
            stored = state.read(path)
            assert stored
            assert (created.count(True), stored.content) == (1, winner.encode())
            assert next(state.list(path)) == StateEntry(path, {"number": winner})


def test_a_replacement_keeps_the_metadata_and_its_predecessor_is_gone(storage_emulator: Storage) -> None:
    bucket = storage_emulator.make_bucket()
    state, store = BucketState(bucket, "o/"), BucketStore(bucket, "o/")
    state.create("1", b"old", {"Tasks": "3", "ü": "\n"})
    stored, planned = state.read("1"), store.get("1")
    assert stored
    assert planned
    assert stored.version == str(planned.generation)
    assert state.replace("1", b"new", stored.version)
    assert list(state.list("")) == [StateEntry("1", {"Tasks": "3", "ü": "\n"})]
    with pytest.raises(InstanceGone, match="'1' was replaced"):
        store.read(planned, 0, 3)


def test_what_is_stored_compressed_is_read_as_it_is_stored(storage_emulator: Storage) -> None:
    content = gzip.compress(b"x" * 10_000)
    bucket = storage_emulator.make_bucket()
    storage_emulator.put(bucket, "a", content, content_encoding="gzip")
    store = BucketStore(bucket)
    stored = store.get("a")
    assert stored
    assert stored.size == len(content)
    assert store.read(stored, 5, 1000) == content[5:]


def test_the_class_of_an_object_is_listed(storage_emulator: Storage) -> None:
    bucket = storage_emulator.make_bucket()
    storage_emulator.put(bucket, "a", b"x", storage_class="NEARLINE")
    assert [each.storage_class for each in BucketStore(bucket).list()] == ["NEARLINE"]


@pytest.mark.usefixtures("storage_emulator")
def test_all_threads_share_one_client_with_room_for_their_connections() -> None:
    with ThreadPoolExecutor(8) as threads:
        clients = set(threads.map(lambda _: shared_client(), range(64)))
    (client,) = clients
    for scheme in ("http://", "https://"):
        assert client._http.get_adapter(scheme)._pool_maxsize == POOL_SIZE
    assert new_client(7)._http.get_adapter("https://")._pool_maxsize == 7


@pytest.mark.parametrize(("bypassed", "proxy"), [("", "http://proxy.invalid:3128"), ("storage.invalid", None)])
def test_a_client_goes_by_the_proxy_and_the_certificates_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, bypassed: str, proxy: str | None
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "https://storage.invalid")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", bypassed)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ours.pem")
    session = new_client()._http
    found = session.merge_environment_settings("https://storage.invalid/a", {}, None, None, None)
    assert (found["proxies"].get("https"), found["verify"]) == (proxy, "/etc/ours.pem")


@pytest.mark.usefixtures("storage_emulator")
def test_all_threads_read_by_the_same_connections() -> None:
    client = shared_client()
    with ThreadPoolExecutor(8) as threads:
        (readers,) = set(threads.map(lambda _: ranges.ranges_of(client), range(64)))
    assert ranges.ranges_of(new_client()) is not readers


def test_many_reads_at_once_are_each_of_their_object(storage_emulator: Storage) -> None:
    bucket = storage_emulator.make_bucket()
    for number in range(50):
        storage_emulator.put(bucket, f"a/{number:02d}", f"{number:02d}".encode() * 1000)
    store = BucketStore(bucket)
    with ThreadPoolExecutor(32) as threads:
        contents = threads.map(lambda stored: (stored.name, store.read(stored, 0, 3000)), list(store.list()) * 4)
        assert all(content == name[2:].encode() * 1000 for name, content in contents)
