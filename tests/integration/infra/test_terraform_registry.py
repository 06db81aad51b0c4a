"""Terraform with the registry's providers: when it is used, and how it does without credentials."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from support.terraform import Registry, registry_answers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A program that notes how it is called, and which files it sees, and passes every test.
_PROGRAM = """#!/bin/sh
echo "$*" >> "$CALLS"
[ "$1" = "$FAILS" ] && { echo "Error: made up" >&2; exit 1; }
[ "$1" = test ] && { cat ./*.tftest.hcl >> "$CALLS"; echo "Success! 1 passed, 0 failed."; }
exit 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of Terraform."""
    made = tmp_path / "infra"
    made.mkdir()
    return made


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Return the file of the calls of the program."""
    return tmp_path / "calls"


def registry(tmp_path: Path, calls: Path, fails: str = "") -> Registry:
    program = tmp_path / "terraform"
    program.write_text(_PROGRAM)
    program.chmod(0o700)
    return Registry(str(program), tmp_path / "cache", {"CALLS": str(calls), "FAILS": fails})


def test_a_plan_mocks_the_providers_of_google(tmp_path: Path, folder: Path, calls: Path) -> None:
    registry(tmp_path, calls).check_plan(folder, "-var-file=a.tfvars")
    called = calls.read_text()
    assert [line.partition(" ")[0] for line in called.splitlines()[:4]] == ["fmt", "init", "validate", "test"]
    assert "test -filter=planned.tftest.hcl -no-color -var-file=a.tfvars" in called
    assert 'mock_provider "google" {}\nmock_provider "google-beta" {}' in called
    assert list(folder.iterdir()) == []


def test_the_tests_of_a_folder_are_run(tmp_path: Path, folder: Path, calls: Path) -> None:
    (folder / "own.tftest.hcl").write_text("# its own tests\n")
    registry(tmp_path, calls).check_tests(folder)
    assert calls.read_text().endswith("test -no-color\n# its own tests\n")


@pytest.mark.parametrize("step", ["fmt", "init", "validate", "test"])
def test_what_a_step_reports_is_shown(tmp_path: Path, folder: Path, calls: Path, step: str) -> None:
    with pytest.raises(AssertionError, match="Error: made up"):
        registry(tmp_path, calls, fails=step).check_plan(folder)
    assert list(folder.iterdir()) == []


class _Silent(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(30)
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """Run a server that answers `/`, does not have `/none`, and never answers `/slow` in time."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_registry_answers_if_all_of_its_hosts_do(host: str) -> None:
    assert registry_answers((f"{host}/", f"{host}/"))
    assert not registry_answers((f"{host}/", f"{host}/none"))


def test_a_registry_that_is_too_slow_does_not_answer(host: str) -> None:
    began = time.monotonic()
    assert not registry_answers((f"{host}/slow",))
    assert time.monotonic() - began < 10
