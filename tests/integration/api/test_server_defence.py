"""The server on one machine against pages of the web, and against bytes that are no request of the API."""

from __future__ import annotations

import gzip
import json
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.local_server import BQ_DATASET, STORE, Archive, make_archive, running, serving
from support.raw_http import HOST, answer_of, exchange, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXPORT = f"/v1/{STORE}:export"
JSON = "application/json"
MIB = 1 << 20


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def endpoint(archive: Archive) -> Iterator[str]:
    with running(archive) as endpoint:
        yield endpoint


def sent(endpoint: str, data: bytes) -> tuple[int, Any]:
    status, headers, body = answer_of(exchange(endpoint, data))
    assert headers["content-type"] == "application/json; charset=UTF-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers
    if status != 200:
        assert body["error"]["code"] == status
    return status, body


def export_body(table: str) -> bytes:
    destination = {"tableUri": f"bq://{BQ_DATASET}.{table}", "writeDisposition": "WRITE_TRUNCATE"}
    return json.dumps({"bigqueryDestination": destination}).encode()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "localhost", "LOCALHOST:8080", "[::1]", "[::1]:9", "127.9.9.9"]
)
def test_names_of_this_machine_are_answered(endpoint: str, host: str) -> None:
    assert sent(endpoint, request("GET", "/healthz", Host=host)) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.2", ""),
        *(
            "[::2]",
            "::1",
            "127.0.0.1:x",
            "127.0.0.1, evil.example",
            "user@127.0.0.1",
            "10.0.0.1",
            "127.0.0.1/x",
            "xn--localhost",
        ),
    ],
)
def test_a_foreign_host_is_not_answered(endpoint: str, host: str) -> None:
    for path in ("/healthz", f"/v1/{STORE}", "/nothing"):
        status, body = sent(endpoint, request("GET", path, Host=host))
        assert (status, body["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_a_request_without_a_host_or_for_another_server_is_not_answered(endpoint: str) -> None:
    assert sent(endpoint, b"GET /healthz HTTP/1.1\r\n\r\n")[0] == 403
    assert sent(endpoint, b"GET http://evil.example/healthz HTTP/1.1\r\n" + HOST + b"\r\n")[0] == 403
    assert sent(endpoint, b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n")[0] == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://evil.example:8080", "null", "file://", "http://localhost:1", "x"]
)
def test_a_page_of_another_origin_starts_nothing(endpoint: str, archive: Archive, origin: str) -> None:
    port = endpoint.rsplit(":", 1)[1].strip("/")
    data = request("POST", EXPORT, export_body("foreign"), Host=f"127.0.0.1:{port}", Origin=origin, Content_Type=JSON)
    status, body = sent(endpoint, data)
    assert (status, body["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert "bq://my-project.dicom.foreign" not in archive.log.read_text()


def test_a_page_of_the_server_itself_is_answered(endpoint: str) -> None:
    port = endpoint.rsplit(":", 1)[1].strip("/")
    for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}", f"http://[::1]:{port}"):
        assert sent(endpoint, request("GET", f"/v1/{STORE}", Host=f"127.0.0.1:{port}", Origin=origin))[0] == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "TEXT/PLAIN; charset=utf-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
def test_a_body_of_a_type_that_any_page_may_send_starts_nothing(
    endpoint: str, archive: Archive, content_type: str
) -> None:
    status, body = sent(endpoint, request("POST", EXPORT, export_body("simple"), Content_Type=content_type))
    assert status == 400
    assert "expected application/json" in body["error"]["message"]
    assert "bq://my-project.dicom.simple" not in archive.log.read_text()


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON", ""])
def test_json_is_taken_with_and_without_its_type(endpoint: str, content_type: str) -> None:
    headers = {"Content_Type": content_type} if content_type else {}
    status, body = sent(endpoint, request("POST", EXPORT, b"{}", **headers))
    assert (status, "destination is required" in body["error"]["message"]) == (400, True)


def test_a_compressed_or_chunked_body_is_read(endpoint: str) -> None:
    packed = gzip.compress(b"{}")
    status, body = sent(endpoint, request("POST", EXPORT, packed, Content_Encoding="gzip", Content_Type=JSON))
    assert (status, "destination is required" in body["error"]["message"]) == (400, True)
    chunk = f"{len(packed):x}\r\n".encode() + packed + b"\r\n0\r\n\r\n"
    chunked = request("POST", EXPORT, chunk, Content_Encoding="gzip", Transfer_Encoding="chunked", Content_Length="")
    status, body = sent(endpoint, chunked.replace(b"Content-Length: \r\n", b""))
    assert (status, "destination is required" in body["error"]["message"]) == (400, True)


TOO_LARGE = "Request payload size exceeds the limit: 1048576 bytes."


def test_a_body_has_at_most_a_mebibyte_also_after_inflation(endpoint: str) -> None:
    plain = b"[" + b" " * MIB + b"]"
    bomb = gzip.compress(b" " * (64 * MIB))
    for data in (
        request("POST", EXPORT, plain, Content_Type=JSON),
        request("POST", EXPORT, bomb, Content_Type=JSON, Content_Encoding="gzip"),
        request("POST", EXPORT, plain, Content_Type=JSON, Expect="100-continue"),
    ):
        status, body = sent(endpoint, data)
        assert (status, body["error"]["message"]) == (400, TOO_LARGE)


MALFORMED = {
    "no line": b"\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "one word": b"GET?access_token=SECRET\r\n\r\n",
    "a space in the query": b"GET /v1?access_token=SECRET x HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown version": b"GET /v1?access_token=SECRET HTTP/9.9\r\n" + HOST + b"\r\n",
    "no version": b"GET /healthz?access_token=SECRET\r\n\r\n",
    "a long line": b"GET /v1?access_token=SECRET" + b"x" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "many headers": b"GET /v1?access_token=SECRET HTTP/1.1\r\n" + b"X: SECRET\r\n" * 200 + b"\r\n",
    "a long header": b"GET /v1?access_token=SECRET HTTP/1.1\r\nX: " + b"SECRET" * 20_000 + b"\r\n\r\n",
    "a URL that is none": b"GET http://[SECRET/?access_token=SECRET HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control character": b"GET /\x01?access_token=SECRET HTTP/1.1\r\n" + HOST + b"\r\n",
    "no length": request("POST", f"{EXPORT}?access_token=SECRET", b"{}", Content_Length="-5"),
    "an endless length": request("POST", f"{EXPORT}?access_token=SECRET", b"{}", Content_Length="9" * 5_000),
    "a short body": request("POST", f"{EXPORT}?access_token=SECRET", b"{}", Content_Length="500"),
    "a wrong chunk": request("POST", f"{EXPORT}?access_token=SECRET", b"zz\r\n{}", Transfer_Encoding="chunked"),
    "an encoding that is none": request("POST", f"{EXPORT}?key=SECRET", b"{}", Content_Encoding="gzip"),
    "a cut encoding": request("POST", f"{EXPORT}?key=SECRET", gzip.compress(b"{}")[:-3], Content_Encoding="gzip"),
    "another encoding": request("POST", f"{EXPORT}?key=SECRET", b"{}", Content_Encoding="br"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_answered_and_its_query_is_in_no_log(endpoint: str, archive: Archive, data: bytes) -> None:
    status, _ = sent(endpoint, data)
    assert 400 <= status < 500
    log = archive.log.read_text()
    assert "SECRET" not in log
    assert "Traceback" not in log


NAMES = st.text(st.sampled_from("aZ0é𐀀.%/\\\0 ~:@{}[]'\"?#;&=+"), max_size=300)
PATHS = st.one_of(
    st.text(),
    st.builds("/v1/projects/{}/locations/{}/datasets/{}/{}/{}{}".format, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES),
    st.builds(
        "/v1/{}{}".format,
        st.sampled_from((str(STORE), f"{STORE}:export", f"{STORE.parent}/operations", f"{STORE.parent}/dicomStores")),
        st.sampled_from(
            ("", "/", "?", "?pageSize=", "?pageToken=", "?filter=", "?fields=", "?$alt=", "?access_token=")
        ).flatmap(lambda begin: st.builds(begin.__add__, st.text() | NAMES)),
    ),
)
BODIES = (
    st.binary()
    | st.text().map(str.encode)
    | st.sampled_from((b"[" * 30_000, b'{"a":' * 30_000, b'\\"' * 16_000, b"{'a'" * 9))
)


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(min_size=1).map(lambda data: data + b"\r\n\r\n"),
        st.builds(
            lambda method, path, body, headers: (
                f"{method} ".encode()
                + path.encode("utf-8", "surrogatepass")
                .replace(b" ", b"%20")
                .replace(b"\n", b"%0A")
                .replace(b"\r", b"%0D")
                + b" HTTP/1.1\r\n"
                + HOST
                + b"".join(name.encode() + b": " + value.encode() + b"\r\n" for name, value in headers.items())
                + f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            ),
            st.sampled_from(("GET", "POST", "HEADS", "DELETE", "OPTIONS", "PATCH")),
            PATHS,
            BODIES,
            st.dictionaries(
                st.sampled_from(
                    ("Content-Type", "Content-Encoding", "X-HTTP-Method-Override", "Origin", "X-Cloud-Trace-Context")
                ),
                st.sampled_from(
                    (JSON, "gzip", "GET", "application/x-www-form-urlencoded", "é", "", "identity", "http://127.0.0.1")
                ),
            ),
        ),
    )
)
@example(b"GET # HTTP/1.1\r\n" + HOST + b"\r\n")  # a page of the console
def test_any_bytes_get_json_or_a_page_and_never_an_internal_error(endpoint: str, data: bytes) -> None:
    received = exchange(endpoint, data)
    if received:  # nothing comes back for a HEAD, or where the bytes say that there is more
        status, _, _ = answer_of(received)
        assert status < 500, received


URIS = st.builds(
    "{}://{}{}{}{}{}".format,
    st.sampled_from(("bq", "gs", "", "file")),
    NAMES | st.just("my-project") | st.just("filters"),
    st.sampled_from((".", "/", ":")),
    NAMES | st.just("dicom") | st.just("../../x"),
    st.sampled_from((".", "/", "")),
    NAMES | st.just("x" * 1024),
)
FIELDS = st.sampled_from(
    (
        "bigqueryDestination",
        "table_uri",
        "tableUri",
        "force",
        "writeDisposition",
        "filterConfig",
        "schemaJson",
        "resourcePathsGcsUri",
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | URIS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS | st.text(), inner, max_size=4),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries(
    {
        "bigqueryDestination": st.fixed_dictionaries(
            {"tableUri": URIS | st.just(f"bq://{BQ_DATASET}.t"), "force": st.booleans()}
        )
    },
    optional={
        "filterConfig": st.fixed_dictionaries({"resourcePathsGcsUri": URIS}),
        "writeDisposition": VALUES,
        "x": VALUES,
    },
)


@settings(max_examples=150)
@given(REQUESTS | VALUES)
def test_any_json_is_answered_and_never_by_an_internal_error(endpoint: str, value: Any) -> None:
    status, _ = sent(endpoint, request("POST", EXPORT, json.dumps(value).encode(), Content_Type=JSON))
    assert status < 500


def test_connections_wait_while_the_server_is_busy(tmp_path: Path) -> None:
    """More than 128 at once were reset, however soon the server would have taken them."""
    with serving(make_archive(tmp_path)) as (endpoint, process), ExitStack() as stack:
        process.send_signal(signal.SIGSTOP)
        stack.callback(process.send_signal, signal.SIGCONT)
        address = "127.0.0.1", urlsplit(endpoint).port
        connections = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(500)]
        for connection in connections:
            connection.sendall(request("GET", "/healthz", Connection="close"))
        process.send_signal(signal.SIGCONT)
        answers = [connection.makefile("rb").read() for connection in connections]
    assert {answer_of(answer)[0] for answer in answers} == {200}


def test_the_server_of_these_tests_logged_no_traceback(endpoint: str, archive: Archive) -> None:
    assert sent(endpoint, request("GET", "/healthz"))[0] == 200
    log = archive.log.read_text()
    assert "Traceback" not in log
    assert '"severity": "ERROR"' not in log
