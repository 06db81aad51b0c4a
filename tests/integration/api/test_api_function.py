"""The function under functions-framework, in a process of its own: importing it configures the process' logs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dicom_export.api.local_server import serve
from dicom_export.errors import FailedPrecondition
from dicom_export.settings import LOCAL_SETTINGS
from support.raw_http import exchange

CLIENT = """
import functions_framework, json, sys
client = functions_framework.create_app(target="export_api", source="functions/main.py").test_client()
heavy = [name for name in ("duckdb", "pyarrow", "pydicom", "sqlglot") if name in sys.modules]
answers = []
for method, path, headers in json.loads(sys.argv[1]):
    answer = client.open(path, method=method, headers=headers)
    answers.append([answer.status_code, dict(answer.headers), answer.get_data(as_text=True)])
print(json.dumps({"heavy": heavy, "answers": answers}), file=sys.stderr)
"""


def call_function(root: Path, *requests: tuple[str, str, dict[str, str]], settings: str | None = None) -> Any:
    """Return what the function answers, and its log entries, with these settings of the installation."""
    environment = {name: value for name, value in os.environ.items() if name != LOCAL_SETTINGS}
    if settings is not None:
        environment[LOCAL_SETTINGS] = settings
    command = [sys.executable, "-c", CLIENT, json.dumps(requests)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    return json.loads(done.stderr.splitlines()[-1]) | {"entries": entries}


def test_an_installation_without_settings_answers_what_is_missing(root: Path) -> None:
    result = call_function(root, ("GET", "/healthz", {}), ("HEAD", "/healthz", {}))
    (status, headers, body), (head_status, _, head_body) = result["answers"]
    assert status == head_status == 400
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(body)["error"]["status"] == "FAILED_PRECONDITION"
    assert "DICOM_EXPORT_PROJECT" in json.loads(body)["error"]["message"]
    assert head_body == ""


def test_importing_the_function_imports_no_table_engine(root: Path) -> None:
    assert call_function(root)["heavy"] == []


def test_an_unexpected_failure_is_logged_with_the_requests_trace(root: Path, tmp_path: Path) -> None:
    settings = {"data": str(tmp_path / "file" / "data"), "stores": {}, "buckets": {}, "databases": {}, "datasets": []}
    (tmp_path / "file").write_text("in the way of the folder")
    content = json.dumps(settings | {"ignore": [], "workers": 1, "limits": {}})
    trace = {"X-Cloud-Trace-Context": "105445aa7843bc8bf206b12000100000/1;o=1"}
    result = call_function(root, ("GET", "/healthz", trace), settings=content)
    assert result["answers"][0][0] == 500
    assert str(tmp_path) not in result["answers"][0][2]
    (entry,) = result["entries"]
    assert entry["severity"] == "ERROR"
    assert entry["logging.googleapis.com/trace"] == "105445aa7843bc8bf206b12000100000"
    assert "NotADirectoryError" in entry["stack_trace"]


def test_a_taken_port_is_told_instead_of_ending_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FailedPrecondition, match=f"Port {port} of 127.0.0.1"):
            serve(port)


REQUESTS = (
    b"GET?access_token=SECRET\r\n\r\n",
    b"GET /v1?access_token=SECRET x HTTP/1.1\r\n\r\n",
    b"GET /v1?access_token=SECRET HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v1?access_token=SECRET HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /v1?access_token=SECRET HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
)


def test_the_deployed_server_answers_what_is_malformed_and_logs_no_query(root: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("functions-framework")), "--target=export_api", f"--port={port}"]
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen([*command, f"--source={root}/functions/main.py"], stdout=output, stderr=output) as server,
    ):
        try:
            wait_for(port)
            for sent in REQUESTS:
                assert b" 400 " in exchange(f"http://127.0.0.1:{port}/", sent).partition(b"\r\n")[0]
        finally:
            server.terminate()
    assert "SECRET" not in log.read_text()
    assert "Traceback" not in log.read_text()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError("The server did not start")
