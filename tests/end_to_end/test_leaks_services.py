"""Nothing of a patient leaves the table by the server or by a deployed function, whatever they are sent."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import logging
import time
from base64 import b64encode
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from functions_framework import create_app

from dicom_export import bootstrap, logs, messages
from dicom_export.bootstrap.wiring import dead_letters_on, lost_changes_on
from dicom_export.handlers.start_export import give_up_batch_export, start_batch_export
from dicom_export.messages import ExportStudy, InstanceChanged, PlanExport, StudyExported
from dicom_export.pubsub.notifications import Notification, instance_changed
from dicom_export.pubsub.push import BatchRequest
from dicom_export.rows.layout import SchemaKind
from dicom_export.stored_object import StoredObject
from dicom_export.streaming.config import StreamConfig
from support.factories import STORE, TABLE
from support.local_server import BQ_DATASET, Archive, running
from support.local_server import STORE as SERVED
from support.marked_files import damaged_files, elements, file_of, good_files, other_files, uids
from support.markers import SIGN, found_below, found_in, marker
from support.pushes import notification_body, push_body
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dicom_export.messages import Message
    from dicom_export.pubsub.push import UndeliveredMessage

FAILURES = replace(TABLE, table="failures")
STREAMS = (
    StreamConfig(replace(TABLE, table="flat")),
    StreamConfig(replace(TABLE, table="latest"), SchemaKind.JSON, tracks_changes=True),
)
RECEIVERS = {
    PlanExport.topic: "plan_export",
    ExportStudy.topic: "export_study",
    StudyExported.topic: "record_result",
    InstanceChanged.topic: "stream_instance",
}
DEAD = {"dead-letters": "record_dead_letter", "dead-instance-changes": "report_lost_instance"}


def write_few(folder: Path) -> None:
    for name, content in (*good_files(), *other_files(), *list(damaged_files())[::7]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return what all loggers of the process wrote, at all levels, as the functions write it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give an installation on local adapters, which the entry points find as theirs."""
    (tmp_path / "store").mkdir()
    (tmp_path / "filters").mkdir()
    write_few(tmp_path / "store")
    opened = World(tmp_path, tmp_path / "store", failures_table=FAILURES, streams=STREAMS)
    ports = opened.ports

    def change(found: Notification | InstanceChanged) -> InstanceChanged | None:
        return found if isinstance(found, InstanceChanged) else instance_changed(found, {STORE: ("images", "dicom/")})

    def stream(found: Notification | InstanceChanged) -> None:
        if changed := change(found):
            opened.handlers[InstanceChanged.topic](changed)

    def bury(letter: UndeliveredMessage) -> None:
        if isinstance(letter.message, BatchRequest):
            give_up_batch_export(letter.message.data, letter.message.job, letter.reason, opened.service)
        elif not isinstance(letter.message, Notification):
            dead_letters_on(ports)(letter.message, letter.reason)

    def lose(letter: UndeliveredMessage) -> None:
        if not isinstance(letter.message, BatchRequest) and (changed := change(letter.message)):  # type: ignore[arg-type]
            lost_changes_on(ports)(changed, letter.reason)

    monkeypatch.setattr(logs, "configure", lambda: None)
    for name, value in {
        "service": opened.service,
        "handlers": opened.handlers,
        "batch_requests": partial(start_batch_export, service=opened.service),
        "instance_changes": stream,
        "dead_letters": bury,
        "lost_changes": lose,
    }.items():
        monkeypatch.setattr(bootstrap, name, partial(_same, value))
    yield opened
    opened.close()


def _same(value: Any) -> Any:
    return value


@pytest.fixture
def post(root: Path) -> Callable[..., Any]:
    """Post a body to an entry point, and return the answer."""
    clients: dict[str, Any] = {}

    def call(target: str, body: bytes, path: str = "/", method: str = "POST") -> Any:
        if target not in clients:
            app = create_app(target=target, source=str(root / "functions" / "main.py"))  # type: ignore[no-untyped-call]
            clients[target] = app.test_client()
        return clients[target].open(path, method=method, data=body, content_type="application/json")

    return call


def deliver(world: World, post: Callable[..., Any]) -> None:
    """Push the messages that wait, and look for markers in them."""
    while world.mailbox.waiting:
        topic, data = world.mailbox.waiting.pop(0)
        assert found_in(data) == []
        assert post(RECEIVERS[topic], push_body(messages.decode(topic, data))).status_code == 204


def assert_nothing_leaked(world: World, log: io.StringIO, tmp_path: Path) -> None:
    assert found_in(log.getvalue().encode()) == []
    tables = [tmp_path / "store", tmp_path / "filters", world.file, world.file.with_name(f"{world.file.name}.wal")]
    assert found_below(tmp_path, tables) == []
    assert found_in(json.dumps(world.rows(FAILURES), default=str).encode()) == []


def request(**changes: Any) -> bytes:
    destination = {"tableUri": str(TABLE), "writeDisposition": "WRITE_APPEND"}
    return json.dumps({"name": str(STORE), "bigqueryDestination": destination} | changes).encode()


def test_exports_and_verifications_by_functions_tell_nothing(
    world: World, post: Callable[..., Any], log: io.StringIO, tmp_path: Path
) -> None:
    assert post("start_export", push_body(request(), message_id="71")).status_code == 204
    deliver(world, post)
    (tmp_path / "store/swallowed0.dcm").unlink()
    (tmp_path / "store/new.dcm").write_bytes(file_of([*elements("new"), *uids(marker("newUID"), "1.2.9", "1.2.9.1")]))
    verify = {"tableUri": str(TABLE), "reportTableUri": str(replace(TABLE, table="report")), "repair": True}
    body = json.dumps({"name": str(STORE), "verify": verify}).encode()
    assert post("start_export", push_body(body, message_id="72")).status_code == 204
    deliver(world, post)
    assert sum(SIGN in str(row) for row in world.rows()) > 5
    assert len(world.rows(FAILURES)) > 10
    parent = f"/v1/{STORE.parent}/operations"
    for path in (parent, *(f"{parent}/{each}{part}" for each in (71, 72, "72-repair") for part in ("", "/failures"))):
        answer = post("export_api", b"", path, "GET")
        assert answer.status_code == 200
        assert found_in(answer.data) == []
    assert_nothing_leaked(world, log, tmp_path)


@pytest.mark.parametrize("line", [f"/studies/1.2.3,{marker('line')}", marker("line"), f"/studies/{marker('line')}/x"])
def test_a_filter_by_functions_tells_nothing(
    line: str, world: World, post: Callable[..., Any], log: io.StringIO, tmp_path: Path
) -> None:
    (tmp_path / "filters/f.txt").write_text(f"/studies/{marker('good')}\n{line}\n")
    body = request(filterConfig={"resourcePathsGcsUri": "gs://filters/f.txt"})
    assert post("start_export", push_body(body, message_id="71")).status_code == 204
    deliver(world, post)
    answer = post("export_api", b"", f"/v1/{STORE.parent}/operations/71", "GET")
    assert "Line 2 of the filter is malformed" in answer.text
    assert found_in(answer.data) == []
    assert_nothing_leaked(world, log, tmp_path)


def test_uploads_and_deletions_tell_nothing(
    world: World, post: Callable[..., Any], log: io.StringIO, tmp_path: Path
) -> None:
    store = world.ports.stores[STORE].objects
    found = list(store.list())
    for stored in found:
        message = InstanceChanged(STORE, messages.ObjectEvent.WRITTEN, stored)
        assert post("stream_instance", push_body(message)).status_code == 204
        assert post("report_lost_instance", push_body(message)).status_code == 204
    for stored in found:
        (tmp_path / "store" / stored.name).unlink()
        message = InstanceChanged(STORE, messages.ObjectEvent.DELETED, stored)
        assert post("stream_instance", push_body(message)).status_code == 204
    assert any(SIGN in str(row) for row in world.rows(STREAMS[0].table))
    assert any(row["Type"] == "DELETE" for row in world.rows(STREAMS[0].table))
    assert_nothing_leaked(world, log, tmp_path)


def malformed() -> Iterator[bytes]:
    """Yield pushes that are no push, no message or no message of ours, with markers wherever a text can be."""
    text = marker("pushed")
    yield text.encode()
    yield json.dumps({"message": text}).encode()
    yield json.dumps({text: {"data": text}}).encode()
    yield json.dumps({"message": {"data": text, "messageId": "1"}, "subscription": "s"}).encode()
    yield json.dumps({"message": {"data": b64encode(text.encode()).decode()}, "subscription": "s"}).encode()
    for data in (text, f'"{text}"', f'{{"{text}": 1}}', f'{{"name": "{text}"}}', f'{{"name": {{"{text}": 1}}}}'):
        yield push_body(data.encode())
    for field in ("operation", "page", "store", "event", "object", "objects", "task"):
        whole = {"operation": f"{STORE.parent}/operations/1", "page": 0, "task": 0, "objects": [], "store": str(STORE)}
        for kind in RECEIVERS:
            for wrong in (text, [text], {text: text}):
                pushed = json.dumps({**whole, field: wrong}).encode()
                yield push_body(pushed, attributes={messages.KIND_ATTRIBUTE: kind})
    yield notification_body(data=text.encode())
    yield notification_body(data=json.dumps({"name": text, "size": text, "timeCreated": text}).encode())


@pytest.mark.parametrize("target", [*RECEIVERS.values(), *DEAD.values(), "start_export", "refuse_export"])
def test_malformed_pushes_are_quoted_nowhere(
    target: str, world: World, post: Callable[..., Any], log: io.StringIO, tmp_path: Path
) -> None:
    for body in malformed():
        assert found_in(post(target, body).data) == []
    assert log.getvalue()
    assert_nothing_leaked(world, log, tmp_path)


def test_a_defect_in_a_function_tells_nothing(
    world: World, post: Callable[..., Any], log: io.StringIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError(marker("defect"))

    operation = world.export()
    stored = StoredObject("a.dcm", 1, 1, operation.create_time)
    pushed: list[Message] = [ExportStudy(operation.name, 0, 0, (stored,)), PlanExport(operation.name, 0)]
    for message in pushed:
        monkeypatch.setitem(world.handlers, message.topic, fail)
        assert post(RECEIVERS[message.topic], push_body(message)).status_code == 500
    for name in ("service", "batch_requests"):
        monkeypatch.setattr(bootstrap, name, fail)
    assert post("export_api", b"", f"/v1/{operation.name}", "GET").status_code == 500
    assert post("start_export", push_body(request())).status_code == 500
    assert "ValueError" in log.getvalue()
    assert_nothing_leaked(world, log, tmp_path)


def test_a_server_tells_nothing(tmp_path: Path) -> None:
    write_few(tmp_path / "store")
    (tmp_path / "broken").mkdir()
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters/bad.txt").write_text(f"/studies/1.2.3\n/studies/1.2.3,{marker('line')}\n")
    archive = Archive(tmp_path)
    with running(archive) as endpoint:
        ask = partial(_ask, endpoint)
        for path in _readable(_export_all(ask)):
            status, answer = ask("GET", path)
            assert status == 200, answer
            assert found_in(answer) == [], path
        for body in _bad_bodies():
            assert ask("POST", f"/v1/{SERVED}:export", body)[0] >= 400
        ask("POST", f"/v1/{SERVED}:export?{marker('query')}=1", _body(), Origin=f"http://{marker('origin')}")
        ask("GET", f"/v1/{SERVED}?access_token={marker('token')}", Cookie=marker("cookie"))
        ask("GET", f"/healthz?fields={marker('fields')}", Authorization=f"Bearer {marker('bearer')}")
    assert "/healthz: " in archive.log.read_text()
    assert found_in(archive.log.read_bytes()) == []
    database = tmp_path / "data/my-project.duckdb"
    assert database.exists()
    assert found_below(tmp_path / "data", [database, database.with_name(f"{database.name}.wal")]) == []


def _body(table: str = "flat", **changes: Any) -> bytes:
    return json.dumps({"bigqueryDestination": {"tableUri": f"bq://{BQ_DATASET}.{table}"}} | changes).encode()


def _ask(endpoint: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=60)
    connection.request(method, path, body or None, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _export_all(ask: Callable[..., tuple[int, bytes]]) -> list[str]:
    """Export with each schema, and with a filter that is malformed; return the names of the operations once they have ended."""
    uri = {"resourcePathsGcsUri": "gs://filters/bad.txt"}
    json_schema = {"tableUri": f"bq://{BQ_DATASET}.json", "schemaJson": {}, "force": True}
    names = []
    for body in (_body(), _body(bigqueryDestination=json_schema), _body("none", filterConfig=uri)):
        status, answer = ask("POST", f"/v1/{SERVED}:export", body)
        assert status == 200, answer
        names.append(json.loads(answer)["name"])
    for name in names:
        while not json.loads(ask("GET", f"/v1/{name}")[1]).get("done"):
            time.sleep(0.1)
    return names


def _readable(names: list[str]) -> list[str]:
    paths = [f"/v1/{name}{part}" for name in names for part in ("", "/failures")]
    parent, location = SERVED.parent, "/v1/projects/my-project/locations/us-central1"
    lists = [f"/v1/{parent}/dicomStores", f"/v1beta1/{parent}/operations", f"{location}/datasets"]
    return [*paths, *lists, f"/v1/{SERVED}", f"/v1/{parent}", location, "/healthz"]


def _bad_bodies() -> list[bytes]:
    text = marker("body")
    return [
        text.encode(),
        f'{{"{text}": "{text}"}}'.encode(),
        f'{{"bigqueryDestination": "{text}"}}'.encode(),
        _body(filterConfig={"resourcePathsGcsUri": f"gs://filters/{text}"}),
        _body(name=text),
        gzip.compress(text.encode()),
        text.encode("utf-16"),
    ]
