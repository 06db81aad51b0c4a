"""Commands that work with an installation at an address: `serve`, a service in this process, and servers that answer as others do."""

from __future__ import annotations

import json
import re
import signal
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from werkzeug import Request, Response

from dicom_export.api.exchange import error_response
from dicom_export.api.wsgi import encoded, respond
from dicom_export.errors import Code, FieldViolation
from dicom_export.operations.counters import Counters
from dicom_export.operations.failure import Status
from support.command_line import make_folder, run, start
from support.exports import CREATED, InMemoryExports, make_operation
from support.exports import STORE as MEMORY_STORE
from support.local_server import BQ_DATASET, BROKEN_STORE, FILTER_URI, STORE, Archive, make_archive, running
from support.served import Scripted, listening, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from dicom_export.names import OperationName
    from dicom_export.operations.operation import Operation

TOKEN = "a.secret.token"  # noqa: S105 - nobody's
TABLE = f"bq://{BQ_DATASET}.instances"
ENDED = CREATED + timedelta(minutes=1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def endpoint(archive: Archive) -> Iterator[str]:
    """Return the address of `serve`, which ends with a slash."""
    with running(archive) as url:
        yield url


def export(endpoint: str, table: str, *options: object, store: object = STORE) -> Result:
    return run("export", store, "--to", f"bq://{BQ_DATASET}.{table}", "--endpoint", endpoint, *options)


def operations(endpoint: str, *words: object) -> Result:
    return run("operations", *words, "--endpoint", endpoint)


def started(result: Result) -> str:
    """Return the name of the operation that `--async` printed."""
    (name,) = re.findall(r"^Started (\S+)$", result.stdout, re.MULTILINE)
    return str(name)


# With `serve`


def test_a_store_is_exported_and_summarised_as_a_folder_is(endpoint: str) -> None:
    result = export(endpoint, "first")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"2 of 2 instances (2 studies) exported to table bq://{BQ_DATASET}.first in ")
    refused = export(endpoint, "first")
    assert refused.exit_code == 2
    assert f"Table bq://{BQ_DATASET}.first has 2 rows; WRITE_EMPTY takes" in refused.stderr
    again = export(endpoint, "first", "--write-disposition", "write-append")
    assert again.exit_code == 0
    assert "\n2 objects have a row in the table already and did not change since\n" in again.stdout
    replaced = export(endpoint, "first", "--write-disposition", "write-truncate", "--no-source-object", "-q")
    assert (replaced.exit_code, replaced.output) == (0, "")


def test_a_filter_and_a_time_select_objects_of_the_store(endpoint: str) -> None:
    filtered = export(endpoint, "filtered", "--filter", FILTER_URI, "--schema", "json", "--include-source-store")
    assert "1 of 1 instances (1 study) exported" in filtered.stdout
    later = export(endpoint, "later", "--since", "2126-01-02")
    assert f"No object in {STORE} was modified after the time of --since: nothing was exported." in later.stdout
    missing = export(endpoint, "missing", "--filter", "gs://filters/none.txt")
    assert missing.exit_code == 2
    assert "gs://filters/none.txt" in missing.stderr


def test_failed_instances_are_listed_by_the_command_that_the_summary_prints(endpoint: str) -> None:
    result = export(endpoint, "broken", store=BROKEN_STORE)
    assert result.exit_code == 1
    assert "Finished, but 1 failed:" in result.stdout
    command = result.stdout.splitlines()[-1].split()
    assert command[:3] == ["dicom-export", "operations", "failures"]
    assert "Not DICOM" in run(*command[1:]).stdout
    described = operations(endpoint, "describe", command[3])
    assert "state:             finished with failures: 0 exported, 1 failed" in described.stdout
    waited = operations(endpoint, "wait", command[3])
    assert (waited.exit_code, waited.stdout) == (1, described.stdout)


def test_an_export_is_started_without_waiting_and_waited_for_later(endpoint: str) -> None:
    result = export(endpoint, "background", "--async")
    assert result.exit_code == 0
    command = result.stdout.splitlines()[-1].split()
    assert command == f"dicom-export operations wait {started(result)} --endpoint {endpoint}".split()
    waited = run(*command[1:])
    assert waited.exit_code == 0
    assert "state:             done: 2 exported, 0 failed" in waited.stdout
    printed = json.loads(
        export(endpoint, "background", "--async", "--write-disposition", "write-append", "--format", "json").stdout
    )
    assert list(printed) == ["name"]
    assert operations(endpoint, "wait", printed["name"], "--quiet").output == ""


def test_json_is_what_the_api_returns(endpoint: str) -> None:
    printed = json.loads(export(endpoint, "resource", "--format", "json").stdout)
    with urlopen(f"{endpoint}v1/{printed['name']}") as response:  # noqa: S310 - the test's own server
        served_resource = json.load(response)
    assert printed == served_resource
    assert json.loads(operations(endpoint, "describe", printed["name"], "--format", "json").stdout) == served_resource
    newest = operations(endpoint, "list", "--dataset", STORE, "--limit", 1, "--format", "json")
    assert json.loads(newest.stdout) == [served_resource]


def test_operations_are_listed_described_and_cancelled(endpoint: str) -> None:
    name = started(export(endpoint, "listed", "--async"))
    operations(endpoint, "wait", name)
    newest, *_ = operations(endpoint, "list", "--dataset", STORE.parent).stdout.splitlines()
    assert newest.startswith(name.rpartition("/")[2])
    assert newest.endswith("done: 2 exported, 0 failed")
    described = operations(endpoint, "describe", "--dataset", STORE).stdout
    assert f"name:              {name}\n" in described
    assert operations(endpoint, "cancel", name).stdout == described
    unknown = operations(endpoint, "cancel", "123", "--dataset", STORE)
    assert unknown.exit_code == 2
    assert "operations/123 was not found" in unknown.stderr


def test_the_environment_names_the_installation_of_stores_and_not_of_folders(endpoint: str, tmp_path: Path) -> None:
    environment = {"DICOM_EXPORT_ENDPOINT": endpoint}
    arguments = ("export", STORE, "--to", f"bq://{BQ_DATASET}.by_environment")
    assert run(*arguments, env=environment).exit_code == 0
    assert "done: 2 exported" in run("operations", "list", "--dataset", STORE, env=environment).stdout
    assert "instances: about 2" in run("estimate", STORE, env=environment).stdout
    folder, file = make_folder(tmp_path / "scans"), tmp_path / "scans.duckdb"
    assert run("export", folder, "--to", file, env=environment).exit_code == 0
    assert len(run("operations", "list", "--from", file, env=environment).stdout.splitlines()) == 1
    assert "instances: about 2" in run("estimate", folder, env=environment).stdout


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("export", STORE, "--to", TABLE), "--endpoint URL, or in DICOM_EXPORT_ENDPOINT"),
        (("export", STORE, "--to", "a.duckdb", "--endpoint", "http://127.0.0.1:9"), "bq://PROJECT.DATASET.TABLE"),
        (("export", STORE, "--to", "bq://p.d", "--endpoint", "http://127.0.0.1:9"), "'bq://p.d' is not a BigQuery table"),
        (("export", STORE, "--to", TABLE, "--filter", "FOLDER/000000.dcm"), "is gs://BUCKET/FILE"),
        (("export", STORE, "--to", TABLE, "--filter", "gs://"), "expected gs://BUCKET/PATH"),
        (("export", STORE, "--to", TABLE, "--archives"), "--archives is for the export of a folder or bucket, not of a DICOM store"),
        (("export", STORE, "--to", TABLE, "--no-views"), "--views/--no-views is for the export of a folder"),
        (("export", "projects/p/dicomStores/s", "--to", TABLE), "is not a DICOM store name"),
        (("export", "FOLDER", "--to", TABLE), "a folder or bucket is exported to FILE.duckdb"),
        (("export", "FOLDER", "--to", "a.duckdb", "--filter", "gs://bkt/f"), "the filter of a folder or bucket is a file"),
        (("export", "FOLDER", "--to", "a.duckdb", "--async"), "--async is for the export of a DICOM store"),
        (("export", "FOLDER", "--to", "a.duckdb", "--endpoint", "http://127.0.0.1:9"), "--endpoint is for a DICOM store"),
        (("operations", "list", "--endpoint", "http://127.0.0.1:9"), "Specify --dataset"),
        (("operations", "list", "--data", "FOLDER", "--endpoint", "http://127.0.0.1:9"), "--endpoint excludes --from"),
        (("estimate", STORE, "--endpoint", "ftp://x"), "'ftp://x' is not the address of a service; expected https://"),
        (("estimate", STORE, "--endpoint", "https://a:secret@x"), "has a user"),
        (("estimate", STORE, "--endpoint", "https://a:secret@[x"), "The address is not the address of a service"),
        (("estimate", STORE, "--endpoint", "http://x.example.com", "--token", TOKEN), "A token is not sent to http://x"),
        (("estimate", STORE, "--endpoint", "https://x", "--token", "a secret\n"), "The token has spaces"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "FOLDER")
    result = run(*arguments)
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.split())
    assert "secret" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["FOLDER"]


# What else may answer


def answer(status: int, text: str = "<html>Sign in</html>", **headers: str) -> Response:
    return Response(text, status, headers)


VIOLATIONS = [FieldViolation("a.b", "First is wrong."), FieldViolation("c", "Second is\x1b[31m wrong.")]


@pytest.mark.parametrize(
    ("given", "exit_code", "expected"),
    [
        (encoded(error_response(Code.INVALID_ARGUMENT, "First is wrong.\nSecond is\x1b[31m wrong.", violations=VIOLATIONS)), 2,
         "First is wrong. Second is [31m wrong."),
        (encoded(error_response(Code.FAILED_PRECONDITION, "Not now.")), 2, "Not now."),
        (encoded(error_response(Code.PERMISSION_DENIED, "Not you.")), 2, "Not you."),
        (encoded(error_response(Code.RESOURCE_EXHAUSTED, "Later.")), 1, "Later."),
        (encoded(error_response(Code.INTERNAL, "Internal error encountered.")), 1, "Internal error encountered."),
        (answer(401), 2, "URL refuses the identity token: it has expired, or is for another audience (HTTP 401)"),
        (answer(403), 2, "URL refuses this account (HTTP 403): the accounts that may call the API are `api_callers` of the Terraform"),
        (answer(404), 2, "URL is not the API of dicom-export (HTTP 404): expected the output `api_url` of the Terraform"),
        (answer(404, '{"error": {"status": "UNKNOWN"}}'), 2, "URL is not the API of dicom-export (HTTP 404)"),
        (answer(200), 1, "URL does not answer as the API of dicom-export does (HTTP 200): a proxy or a sign-in page may be in between"),
        (answer(200, "[]"), 1, "URL does not answer as the API of dicom-export does (HTTP 200)"),
        (answer(200, "[" * 100_000), 1, "URL does not answer as the API of dicom-export does (HTTP 200)"),
        (answer(200, '{"name": 1}'), 1, "URL answers in a form that this version of dicom-export does not know"),
        (answer(302, Location="https://elsewhere.example.com/"), 1, "URL does not answer as the API of dicom-export does (HTTP 302)"),
        (answer(502, "upstream \xff"), 1, "URL does not answer as the API of dicom-export does (HTTP 502)"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence_without_the_token(given: Response, exit_code: int, expected: str) -> None:
    with listening(Scripted([given])) as url:
        arguments = ("export", STORE, "--to", TABLE, "--endpoint", url)
        result = run(*arguments, env={"DICOM_EXPORT_TOKEN": TOKEN})
        assert result.stderr.replace(url, "URL").startswith(f"Error: {expected}")
        assert result.stderr.count("\n") == 1
        assert (result.exit_code, result.stdout) == (exit_code, "")
        assert TOKEN not in result.output


def test_without_a_token_the_refusal_says_that_one_is_needed() -> None:
    for status in (401, 403):
        with listening(Scripted([answer(status)])) as url:
            result = operations(url, "list", "--dataset", STORE)
        assert f"needs an identity token (HTTP {status})" in result.stderr


def test_a_service_that_is_not_there_is_told() -> None:
    result = operations("http://127.0.0.1:9", "list", "--dataset", STORE)
    assert (result.exit_code, result.stderr) == (1, "Error: http://127.0.0.1:9 cannot be reached: Connection refused\n")
    result = operations("http://nowhere.invalid", "list", "--dataset", STORE)
    assert result.exit_code == 1
    assert "http://nowhere.invalid cannot be reached: " in result.stderr


def test_an_export_that_may_have_been_started_is_said_to_be() -> None:
    def hang_up(request: Request) -> Response:
        request.environ["werkzeug.socket"].close()
        raise ConnectionResetError

    with listening(hang_up) as url:
        result = run("export", STORE, "--to", TABLE, "--endpoint", url)
    assert result.exit_code == 1
    assert "did not answer" in result.stderr
    assert "the request may have arrived all the same" in result.stderr


# Tokens


def test_the_token_that_is_given_is_sent_and_a_redirection_does_not_get_it() -> None:
    elsewhere = Scripted([answer(200, "{}")])
    with listening(elsewhere) as other:
        script = Scripted([answer(307, Location=f"{other}/v1/x")])
        with listening(script) as url:
            assert operations(url, "list", "--dataset", STORE, "--token", f"{TOKEN}\n").exit_code == 1
    assert script.asked == [("GET", f"/v1/{STORE.parent}/operations?pageSize=50", f"Bearer {TOKEN}")]
    assert elsewhere.asked == []


# Operations that take their time


class Slow(InMemoryExports):
    """Exports that end when the test says so, or when they are cancelled and `ends_cancelled`."""

    ends_cancelled = True

    def __init__(self) -> None:
        super().__init__()
        self.polled = threading.Event()
        self.cancelled = threading.Event()

    def get_operation(self, name: OperationName) -> Operation:
        operation = super().get_operation(name)
        self.polled.set()
        return operation

    def cancel_operation(self, name: OperationName) -> Operation:
        operation = super().cancel_operation(name)
        if self.ends_cancelled:
            self.end(error=Status(Code.CANCELLED, "The export was cancelled: 3 were exported."))
        self.cancelled.set()
        return operation

    def end(self, **changes: Any) -> None:
        counters = Counters(planned=10, success=3, cancelled=7, studies=1)
        self.operations[0] = replace(self.operations[0], end_time=ENDED, counters=counters, **changes)


def start_export(url: str) -> Any:
    return start("export", MEMORY_STORE, "--to", TABLE, "--endpoint", url)


def test_ctrl_c_cancels_the_export_and_says_how_it_ended() -> None:
    service = Slow()
    with served(service) as url:
        process = start_export(url)
        assert service.polled.wait(60)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert service.cancelled.is_set()
    assert stderr == "Cancelling: batches that are being written are completed. Press Ctrl-C again to stop waiting.\n"
    assert "\nCANCELLED: The export was cancelled: 3 were exported.\n" in stdout


def test_a_second_ctrl_c_leaves_the_export_and_says_how_to_cancel_it() -> None:
    service = Slow()
    service.ends_cancelled = False
    with served(service) as url:
        process = start_export(url)
        assert service.polled.wait(60)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("Cancelling")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        command = stderr.splitlines()[-1].split()
        assert (process.returncode, stdout) == (130, "")
        assert "The export may still be running. To cancel it:" in stderr
        assert "state:             cancelling: 0 exported, 0 failed" in run(*command[1:]).stdout


def test_ctrl_c_ends_the_waiting_and_not_the_export() -> None:
    service = Slow()
    service.operations.append(make_operation())
    with served(service) as url:
        process = start("operations", "wait", make_operation().name, "--endpoint", url)
        assert service.polled.wait(60)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "\nInterrupted.\n")
    assert not service.cancelled.is_set()


def test_an_export_is_followed_through_refusals_that_pass() -> None:
    service, refusals = Slow(), [answer(503), answer(502), answer(200)]

    def sometimes(request: Request) -> Response:
        if request.method == "GET" and refusals:
            return refusals.pop()
        if request.method == "GET":
            service.end()
        return respond(request, lambda: service)

    with listening(sometimes) as url:
        result = run("export", MEMORY_STORE, "--to", TABLE, "--endpoint", url)
    assert result.exit_code == 0, result.output
    assert refusals == []


def test_an_export_that_can_no_longer_be_followed_is_said_to_continue() -> None:
    service = Slow()

    def forbidding(request: Request) -> Response:
        return answer(403) if request.method == "GET" else respond(request, lambda: service)

    with listening(forbidding) as url:
        result = run("export", MEMORY_STORE, "--to", TABLE, "--endpoint", url)
    assert result.exit_code == 1
    assert (
        "The export was started and may continue. Follow it with: dicom-export operations wait projects/"
        in result.stderr
    )
