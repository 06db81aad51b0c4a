"""The entry points that Pub/Sub pushes to, under functions-framework, with an installation that does as the test says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from functions_framework import create_app

from dicom_export import bootstrap, logs
from dicom_export.diagnosing.check_message import CHECK_ATTRIBUTE, CHECK_PATH, Check
from dicom_export.errors import ConfigurationError, NotFound, PermissionDenied, Unavailable
from dicom_export.messages import ExportStudy, InstanceChanged, Message, ObjectEvent, PlanExport, StudyExported
from dicom_export.pubsub import push
from dicom_export.pubsub.push import BatchRequest, UndeliveredMessage
from support.emulators.functions import Function
from support.factories import make_object, make_operation, make_request
from support.pushes import notification_body, push_body
from support.written_logs import written_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from werkzeug.test import TestResponse

NAME = make_operation().name
MESSAGES: dict[str, Message] = {
    "plan_export": PlanExport(NAME, 0),
    "export_study": ExportStudy(NAME, 0, 1, (make_object(),)),
    "record_result": StudyExported(NAME, 0),
}
CHANGE = InstanceChanged(make_request().store, ObjectEvent.WRITTEN, make_object())
NOTIFICATION = push.change(push.parse(notification_body()))
CONTENTS: dict[str, Message] = {
    **MESSAGES,
    "record_dead_letter": MESSAGES["plan_export"],
    "stream_instance": CHANGE,
    "report_lost_instance": CHANGE,
}
RECEIVERS = [*CONTENTS, "start_export", "refuse_export"]
TRACE = "105445aa7843bc8bf206b12000100000"


@dataclass
class Installation:
    """Keeps what its handlers get. They raise what `errors` says: those of messages, and that of dead letters."""

    received: list[Any] = field(default_factory=list)
    letters: list[UndeliveredMessage] = field(default_factory=list)
    error: Exception | None = None
    letter_error: Exception | None = None
    opening_error: Exception | None = None

    def handlers(self) -> dict[str, Callable[[Message], None]]:
        self._open()
        return {message.topic: self._handle for message in MESSAGES.values()}

    def batch_requests(self) -> Callable[[bytes, str], None]:
        self._open()
        return lambda data, job: self._handle((data, job))

    def instance_changes(self) -> Callable[[object], None]:
        self._open()
        return self._handle

    def lost_changes(self) -> Callable[[UndeliveredMessage], None]:
        self._open()
        return self._bury

    def dead_letters(self) -> Callable[[UndeliveredMessage], None]:
        self._open()
        return self._bury

    def check_answers(self) -> Callable[[Check, str], None]:
        self._open()
        return lambda check, function: self._handle((check, function))

    def _open(self) -> None:
        if self.opening_error:
            raise self.opening_error

    def _handle(self, received: object) -> None:
        self.received.append(received)
        if self.error:
            raise self.error

    def _bury(self, letter: UndeliveredMessage) -> None:
        self.letters.append(letter)
        if self.letter_error:
            raise self.letter_error


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Installation:
    made = Installation()
    for name in ("handlers", "batch_requests", "dead_letters", "instance_changes", "lost_changes", "check_answers"):
        monkeypatch.setattr(bootstrap, name, getattr(made, name))
    return made


@pytest.fixture(name="entries")
def _entries() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function that returns the entries that were written so far."""
    with written_entries() as entries:
        yield entries


@pytest.fixture
def post(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], TestResponse]:
    """Post a body to an entry point."""
    monkeypatch.setattr(logs, "configure", lambda: None)

    def call(target: str, body: bytes, method: str = "POST") -> TestResponse:
        app = create_app(target=target, source=str(root / "functions" / "main.py"))  # type: ignore[no-untyped-call]
        answer: TestResponse = app.test_client().open(
            "/", method=method, data=body, headers={"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}
        )
        return answer

    return call


@pytest.mark.parametrize("target", MESSAGES)
def test_a_message_goes_to_the_handler_of_its_entry_point(
    target: str, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    answer = post(target, push_body(MESSAGES[target]))
    assert (answer.status_code, answer.data) == (204, b"")
    assert installation.received == [MESSAGES[target]]
    assert installation.letters == []


def test_a_batch_request_comes_with_the_id_of_its_message(
    installation: Installation, post: Callable[..., TestResponse]
) -> None:
    assert post("start_export", push_body(b"as it was sent", message_id="77")).status_code == 204
    assert installation.received == [(b"as it was sent", "77")]


@pytest.mark.parametrize(("body", "change"), [(notification_body(), NOTIFICATION), (push_body(CHANGE), CHANGE)])
def test_a_change_is_what_a_bucket_says_or_what_we_say(
    body: bytes, change: object, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    assert post("stream_instance", body).status_code == 204
    assert installation.received == [change]
    assert post("report_lost_instance", body).status_code == 204
    (letter,) = installation.letters
    assert letter.message == change
    assert "attempts to handle the message" in letter.reason.message


@pytest.mark.parametrize("content", [*MESSAGES.values(), b"a batch request"])
def test_a_dead_letter_of_any_kind_is_recorded(
    content: Message | bytes, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    target = "refuse_export" if isinstance(content, bytes) else "record_dead_letter"
    assert post(target, push_body(content, message_id="9")).status_code == 204
    (letter,) = installation.letters
    assert letter.message == (BatchRequest(content, "9") if isinstance(content, bytes) else content)


@pytest.mark.parametrize("target", RECEIVERS)
def test_only_a_post_is_a_push(target: str, installation: Installation, post: Callable[..., TestResponse]) -> None:
    answer = post(target, b"", method="GET")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert installation.received == installation.letters == []


@pytest.mark.parametrize("target", RECEIVERS)
def test_a_malformed_request_is_acknowledged_and_not_quoted(
    target: str,
    installation: Installation,
    post: Callable[..., TestResponse],
    entries: Callable[[], list[dict[str, Any]]],
) -> None:
    assert post(target, b'{"message": "Doe^John"}').status_code == 204
    assert installation.received == installation.letters == []
    (entry,) = entries()
    assert entry["severity"] == "ERROR"
    assert "Doe" not in json.dumps(entry)


@pytest.mark.parametrize("target", [*MESSAGES, "stream_instance", "report_lost_instance"])
def test_a_malformed_message_is_acknowledged_and_not_quoted(
    target: str,
    installation: Installation,
    post: Callable[..., TestResponse],
    entries: Callable[[], list[dict[str, Any]]],
) -> None:
    assert post(target, push_body(b'{"operation": "Doe^John"}')).status_code == 204
    assert installation.received == installation.letters == []
    (entry,) = entries()
    assert entry["severity"] == "ERROR"
    assert "Doe" not in json.dumps(entry)


@pytest.mark.parametrize("target", [*MESSAGES, "start_export", "stream_instance"])
def test_a_permanent_error_is_a_dead_letter_at_once(
    target: str, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    installation.error = NotFound("no such dataset")
    content = CONTENTS.get(target, b"a request")
    assert post(target, push_body(content, message_id="7")).status_code == 204
    message = BatchRequest(content, "7") if isinstance(content, bytes) else content
    assert installation.letters == [UndeliveredMessage(message, installation.error)]


@pytest.mark.parametrize("target", [*MESSAGES, "start_export", "stream_instance"])
@pytest.mark.parametrize(
    ("error", "status", "severity"),
    [(Unavailable("not now"), 503, "WARNING"), (ZeroDivisionError("Doe^John"), 500, "ERROR")],
)
def test_any_other_error_has_the_message_delivered_again(
    target: str,
    error: Exception,
    status: int,
    severity: str,
    installation: Installation,
    post: Callable[..., TestResponse],
    entries: Callable[[], list[dict[str, Any]]],
) -> None:
    installation.error = error
    assert post(target, push_body(CONTENTS.get(target, b"a request"), message_id="7")).status_code == status
    assert installation.letters == []
    (entry,) = entries()
    assert entry["severity"] == severity
    assert entry["logging.googleapis.com/trace"] == f"projects/log-project/traces/{TRACE}"
    labels = {"message_id": "7", "subscription": "projects/my-project/subscriptions/any"}
    assert entry["logging.googleapis.com/labels"] == labels
    assert ("ZeroDivisionError" in entry.get("stack_trace", "")) == (status == 500)
    assert "Doe" not in json.dumps(entry)


@pytest.mark.parametrize("target", RECEIVERS)
def test_an_installation_that_cannot_be_opened_loses_no_message(
    target: str, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    installation.opening_error = ConfigurationError("DICOM_EXPORT_STATE is not set")
    assert post(target, push_body(CONTENTS.get(target, b"a request"))).status_code == 500


@pytest.mark.parametrize("target", RECEIVERS)
@pytest.mark.parametrize(("error", "status"), [(Unavailable("not now"), 503), (NotFound("its operation"), 500)])
def test_a_dead_letter_that_cannot_be_recorded_comes_again(
    target: str, error: Exception, status: int, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    installation.error = NotFound("no such dataset")
    installation.letter_error = error
    assert post(target, push_body(CONTENTS.get(target, b"a request"))).status_code == status
    assert len(installation.letters) == 1


COLD = """
import json, sys, time
begin = time.monotonic()
import functions_framework
framework = time.monotonic()
functions_framework.create_app(target=sys.argv[1], source="functions/main.py")
heavy = ("duckdb", "pyarrow", "pydicom", "numpy", "sqlglot", "google.cloud.bigquery", "google.cloud.bigquery_storage_v1",
         "google.cloud.pubsub_v1", "google.cloud.storage", "grpc")
print(json.dumps([name for name in heavy if name in sys.modules]), framework - begin, time.monotonic() - framework)
"""


def test_a_function_starts_without_what_its_first_request_may_not_need(root: Path) -> None:
    command = [sys.executable, "-c", COLD, "export_api"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ")


def test_a_function_that_is_killed_can_be_started_again(tmp_path: Path) -> None:
    """The test stack's own: `Function` as the end-to-end tests use it."""
    function = Function("plan_export", tmp_path / "log", environment={"THREADS": "2"})
    with function:
        assert post_to(function.url, push_body(MESSAGES["plan_export"])) == 500
        function.kill()
        with pytest.raises(URLError, match="refused"):
            post_to(function.url, b"")
        function.start()
        assert post_to(function.url, b"") == 204
    assert "The message will be delivered again" in function.output()
    assert "A message was dropped" in function.output()


def post_to(url: str, body: bytes) -> int:
    try:
        with urlopen(Request(url, body), timeout=30) as answer:  # noqa: S310 - http, to the function
            return int(answer.status)
    except HTTPError as error:
        return error.code


CHECK = Check("0123456789abcdef", ("p.d",))


@pytest.mark.parametrize("target", RECEIVERS)
def test_a_check_message_is_answered_by_the_entry_point_that_gets_it(
    target: str, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    answer = post(target, push_body(CHECK.encode(), attributes={CHECK_ATTRIBUTE: CHECK.id}))
    assert answer.status_code == 204
    assert installation.received == [(CHECK, target)]
    assert installation.letters == []


@pytest.mark.parametrize("target", RECEIVERS)
def test_a_malformed_check_message_is_dropped(
    target: str, installation: Installation, post: Callable[..., TestResponse]
) -> None:
    assert post(target, push_body(b"x", attributes={CHECK_ATTRIBUTE: "../x"})).status_code == 204
    assert installation.received == []


@pytest.fixture
def api(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client of the deployed API."""
    monkeypatch.setattr(logs, "configure", lambda: None)
    app = create_app(target="export_api", source=str(root / "functions" / "main.py"))  # type: ignore[no-untyped-call]
    return app.test_client()


def test_the_api_answers_a_check_that_is_posted(api: Any, installation: Installation) -> None:
    headers = {CHECK_ATTRIBUTE: CHECK.id, "Authorization": "Bearer a-token", "X-Forwarded-Proto": "https"}
    answer = api.post(CHECK_PATH, data=CHECK.encode(), headers=headers)
    assert answer.status_code == 200
    assert answer.json["headers"] == {
        "X-Forwarded-Proto": "https",
        "Host": "another",
        "Authorization": "present",
        "X-Serverless-Authorization": "absent",
    }
    assert installation.received == [(CHECK, "export_api")]


@pytest.mark.parametrize(
    ("method", "headers", "status"), [("GET", {CHECK_ATTRIBUTE: CHECK.id}, 405), ("POST", {}, 400)]
)
def test_the_api_refuses_what_is_not_a_check(
    method: str, headers: dict[str, str], status: int, api: Any, installation: Installation
) -> None:
    answer = api.open(CHECK_PATH, method=method, data=CHECK.encode(), headers=headers)
    assert answer.status_code == status
    assert answer.json["error"]["message"]
    assert installation.received == []


def test_the_api_says_why_it_could_not_answer_a_check(api: Any, installation: Installation) -> None:
    installation.error = PermissionDenied("the state may not be written")
    answer = api.post(CHECK_PATH, data=CHECK.encode(), headers={CHECK_ATTRIBUTE: CHECK.id})
    assert (answer.status_code, answer.json["error"]["message"]) == (403, "the state may not be written")
