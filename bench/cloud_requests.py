"""Requests and bytes of an export from Cloud Storage to BigQuery, counted on the emulators, and what a million instances of it cost.

    python bench/cloud_requests.py '{"STORAGE_EMULATOR_HOST": …}'

exports the store that the variables describe, and prints what it did as JSON: so that each export is a process of its own.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from dicom_export.adapters.gcp.bigquery.table_catalog import rest_client
from dicom_export.bootstrap.cloud import cloud_ports
from dicom_export.bootstrap.wiring import handlers_on, service_on
from dicom_export.decoding.threads import DecodeAhead
from dicom_export.messages import ExportStudy, decode, encode
from dicom_export.names import TableName
from dicom_export.operations.request import ExportRequest
from dicom_export.settings import cloud
from support.archive import Archive
from support.clouds import PROJECT, STORE
from support.emulators import bigquery, storage
from tables import print_section, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from dicom_export.messages import Message

STUDIES, PIXEL_BYTES = 40, 128 << 10
TABLE = TableName(PROJECT, "bench", "dicom")
PREFIX = "dicom/"
HEAD = ("of an export", "of {instances:,} instances", "bytes", "list price, USD", "a million instances, USD")
NOTE = """\
An export of {instances:,} instances in {studies} studies, CT and MR with {kilobytes} KB of pixels, from fake-gcs-server to the BigQuery
emulator. The handlers and adapters of the functions run in one process, with the limits of an installation. In the first run, a proxy counts the requests to Cloud
Storage; the CPU time is that of a second run without the proxy. The cost of a million instances is the counts times the [list prices](reference/prices.md) of
us-central1, without free tiers: check the prices before you rely on them. We assume that a worker waits half as long as it computes. An instance of it has 1 vCPU
and 2 GiB."""

# As docs/reference/prices.md has them.
CLASS_A, CLASS_B = 0.005 / 1_000, 0.0004 / 1_000
PUBSUB_BYTE = 40 / 2**40
WRITE_BYTE = 0.025 / 2**30
WORKER_SECOND = 0.000024 + 2 * 0.0000025
INVOCATION = 0.40 / 1_000_000
WAIT = 1.5

STATE_CHANGES = ("list", "create", "replace")


def print_cloud_requests(instances: int) -> None:
    """Print the section for an export of so many instances."""
    kilobytes = PIXEL_BYTES >> 10
    print_section(
        "Requests and cost on Google Cloud", NOTE.format(instances=instances, studies=STUDIES, kilobytes=kilobytes)
    )
    if storage.binary() is None or bigquery.python() is None:
        print("missing: the emulators are not installed; `make test` installs them\n")
        return
    print_table([each.format(instances=instances) for each in HEAD], _rows(instances))


class Line(NamedTuple):
    """What an export used of one product: how often, how many bytes of it, and what that costs, in USD."""

    name: str
    times: str
    size: str
    price: str
    cost: float = 0.0


def _rows(instances: int) -> Iterator[tuple[str, ...]]:
    requests, counted, timed = _measured(instances)
    lines = [
        _requests("store, range reads", CLASS_B, requests["store", "read"], requests["store", "read bytes"]),
        _requests("store, lists", CLASS_A, requests["store", "list"]),
        _requests("state, reads", CLASS_B, requests["state", "read"], requests["state", "read bytes"]),
        _requests("state, lists and writes", CLASS_A, sum(requests["state", each] for each in STATE_CHANGES)),
        _requests("functions, calls by Pub/Sub", INVOCATION, counted["messages"]),
        _sent("Pub/Sub, in and out", 2 * counted["message bytes"], PUBSUB_BYTE, "40 per TiB"),
        _sent("Storage Write API", counted["row bytes"], WRITE_BYTE, "0.025 per GiB"),
        _time("workers, seconds", timed["worker seconds"] * WAIT),
        Line("BigQuery, write streams", f"{counted['open_stream']:,}", "", "0"),
        Line("BigQuery, appends", f"{counted['append']:,}", "", "0"),
    ]
    million = 1_000_000 / instances
    for line in lines:
        yield *line[:-1], f"{line.cost * million:.3f}" if line.cost else ""
    yield "**together**", "", "", "", f"**{sum(line.cost for line in lines) * million:.2f}**"


def _requests(name: str, price: float, count: float, size: float = 0) -> Line:
    return Line(name, f"{count:,}", f"{size:,}" if size else "", f"{price * 1000:.4f} per 1,000", count * price)


def _sent(name: str, size: float, price: float, shown: str) -> Line:
    return Line(name, "", f"{size:,}", shown, size * price)


def _time(name: str, seconds: float) -> Line:
    return Line(name, f"{seconds:.2f}", "", f"{WORKER_SECOND:.6f} a second", seconds * WORKER_SECOND)


def _measured(instances: int) -> tuple[Counter[tuple[str, str]], dict[str, float], dict[str, float]]:
    """Return the requests to Cloud Storage by bucket and kind, what the counted export did, and what the timed one did."""
    made = Archive(studies=STUDIES, series=1, instances=-(-instances // STUDIES), pixel_bytes=PIXEL_BYTES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dicom-export-bench-")))
        binary, python = storage.binary(), bigquery.python()
        if binary is None or python is None:
            raise SystemExit("The emulators are not installed")
        objects = stack.enter_context(storage.emulator(binary, folder / "storage.log", folder / "objects"))
        warehouse = stack.enter_context(bigquery.emulator(python, folder / "bigquery.log"))
        bucket, states = objects.make_bucket(), [objects.make_bucket(), objects.make_bucket()]
        objects.put_all(bucket, ((f"{PREFIX}{made.name(number)}", made.data(number)) for number in range(instances)))
        requests: Counter[tuple[str, str]] = Counter()
        proxy = stack.enter_context(counting_proxy(objects.url, {bucket: "store", states[0]: "state"}, requests))
        done = [
            _exported(instances, {
                bigquery.HOST_VARIABLE: warehouse.url,
                storage.HOST_VARIABLE: url,
                "DICOM_EXPORT_PROJECT": PROJECT,
                "DICOM_EXPORT_STORES": json.dumps({str(STORE): {"bucket": bucket, "prefix": PREFIX}}),
                "DICOM_EXPORT_STATE": f"gs://{state}",
                "DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT": warehouse.write_endpoint,
            })
            for url, state in zip((proxy, objects.url), states, strict=True)
        ]  # fmt: skip
    return requests, done[0], done[1]


def _exported(instances: int, environment: Mapping[str, str]) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__)), json.dumps(environment)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    done: dict[str, float] = json.loads(run.stdout)
    if done["success"] != instances:
        raise SystemExit(f"{done['success']} of {instances} instances were exported")
    return done


def export(environment: Mapping[str, str]) -> dict[str, float]:
    """Export the store that the environment describes into a new table; return how often and how long what was done."""
    os.environ.update(environment)
    settings = cloud.parse(environment)
    rest_client(PROJECT, is_emulated=True).create_dataset(f"{TABLE.project}.{TABLE.dataset}", exists_ok=True)
    post, ports = Post(), cloud_ports(settings)
    tables = CountedTables(ports.tables, post.counted)
    ports = replace(ports, publisher=post, tables=tables)
    handlers = handlers_on(ports, settings.limits, DecodeAhead(settings.readers))
    service = service_on(ports)
    table = replace(TABLE, table=f"dicom_{settings.state.bucket}".replace("-", "_"))
    operation = service.create_export(ExportRequest(STORE, table))
    while post.waiting:
        topic, data = post.waiting.pop(0)
        begin = time.process_time()
        handlers[topic](decode(topic, data))
        if topic == ExportStudy.topic:
            post.counted["worker seconds"] += time.process_time() - begin
    counters = service.journal.operations.load(operation.name).counters
    return {**post.counted, "success": counters.success if counters else 0}


class Post:
    """A Publisher whose messages wait to be taken, and are counted."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, bytes]] = []
        self.counted: defaultdict[str, float] = defaultdict(int)

    def publish(self, messages: Sequence[Message]) -> None:
        """Take the messages."""
        for message in messages:
            data = encode(message)
            self.waiting.append((message.topic, data))
            self.counted["messages"] += 1
            self.counted["message bytes"] += len(data)


class CountedTables:
    """Tables whose calls are counted, and the bytes of the rows."""

    def __init__(self, tables: Any, counted: defaultdict[str, float]) -> None:  # noqa: ANN401 - any adapter of the port
        self._tables = tables
        self._counted = counted

    def append(self, stream: str, offset: int, batch: pa.RecordBatch) -> None:
        """Count the append and its bytes."""
        self._counted["append"] += 1
        self._counted["row bytes"] += batch.nbytes
        self._tables.append(stream, offset, batch)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        self._counted[name] += 1
        return getattr(self._tables, name)


@contextmanager
def counting_proxy(target: str, names: Mapping[str, str], requests: Counter[tuple[str, str]]) -> Iterator[str]:
    """Pass requests to the target on, and count those to the buckets that have a name, by kind; yield the proxy's URL."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(urlsplit(target).netloc)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            bucket, kind = _kind(self.command, self.path)
            with lock:
                if bucket in names:
                    requests[names[bucket], kind] += 1
                    requests[names[bucket], f"{kind} bytes"] += len(content)
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - as the server calls them

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

    server = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _kind(method: str, url: str) -> tuple[str, str]:
    """Return the bucket that a request is about, and what it does."""
    path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
    _, _, rest = path.partition("/b/")
    bucket, _, behind = rest.partition("/")
    if method == "GET":
        return bucket, "list" if behind in ("o", "o/") else "read"
    if method == "POST":
        return bucket, "create" if query.get("ifGenerationMatch") == ["0"] else "replace"
    return bucket, method.lower()


if __name__ == "__main__":
    print(json.dumps(export(json.loads(sys.argv[1]))))
