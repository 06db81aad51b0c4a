"""What nobody handles is shown with its kind and place, and without what it says: a library quotes the value that it stumbled over."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dicom_export.crashes import stack_trace
from dicom_export.errors import Unavailable
from support.command_line import make_folder, run
from support.markers import found_in, marker

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).parents[2] / "functions"
SECRET = marker("crash")


def fail_of_a_value() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise Unavailable("Not now") from error


def test_a_stack_trace_has_the_messages_of_our_errors_alone() -> None:
    with pytest.raises(Unavailable) as caught:
        fail_of_a_value()
    trace = stack_trace(caught.value)
    assert "ValueError\n" in trace
    assert trace.endswith("Unavailable: Not now")
    assert not found_in(trace.encode())


WAYS_OUT = {
    "of the program": "raise ValueError(secret)",
    "of a thread": "import threading; thread = threading.Thread(target=int, args=[secret]); thread.start(); thread.join()",
    "of a destructor": "class A:\n    def __del__(self): int(secret)\nA()",
    "of a log entry": "import logging\ntry: int(secret)\nexcept ValueError: logging.getLogger('any').exception('Failed')",
    "of an inner exception": "try: int(secret)\nexcept ValueError as error: raise KeyError(secret) from error",
}


@pytest.mark.parametrize("set_up", ["crashes.keep_values_back()", "logs.configure()"])
@pytest.mark.parametrize("way", WAYS_OUT.values(), ids=WAYS_OUT)
def test_an_exception_leaves_the_process_without_its_message(way: str, set_up: str) -> None:
    code = f"import sys; from dicom_export import crashes, logs; {set_up}; secret = sys.argv[1]\n{way}"
    done = subprocess.run(
        [sys.executable, "-c", code, SECRET], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, check=False
    )
    output = done.stdout + done.stderr
    assert b"Error" in output
    assert b"Traceback" in output
    assert not found_in(output)


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), OSError(f"Conversion Error: '{SECRET}'")])
@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("dump FILE", "dicom_export.decoding.explain.explain_instance"),
        ("verify FOLDER --from TABLE", "dicom_export.verifying.verify.record_batch"),
        ("watch FOLDER --to TABLE --once", "dicom_export.adapters.local.duckdb.watched.record_batch"),
        ("query SELECT_1 --from TABLE", "dicom_export.cli.query.rendered"),
        ("columns --from TABLE", "dicom_export.adapters.local.duckdb.table_columns.read_columns"),
        ("operations list --from TABLE", "dicom_export.cli.operations.timestamp"),
    ],
)
def test_a_defect_ends_a_command_with_its_place_and_no_value(
    command: str, place: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, table = make_folder(tmp_path / "store"), tmp_path / "table.duckdb"
    assert run("export", folder, "--to", table).exit_code == 0
    (folder / "new.dcm").write_bytes((folder / "000000.dcm").read_bytes())
    monkeypatch.setattr(place, raising(error))
    names = {"FILE": folder / "new.dcm", "FOLDER": folder, "TABLE": table, "SELECT_1": "SELECT 1"}
    result = run(*(names.get(word, word) for word in command.split()))
    assert result.exit_code == 1
    assert "This is a defect of dicom-export" in result.stderr
    assert type(error).__name__ in result.stderr
    assert not found_in(result.output.encode())


def test_what_the_system_refuses_is_told_in_one_line_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_folder(tmp_path / "store", 1) / "000000.dcm"
    error = OSError(errno.EROFS, "Read-only file system", "/some/file")
    monkeypatch.setattr("dicom_export.decoding.explain.explain_instance", raising(error))
    result = run("dump", file)
    assert (result.exit_code, result.stderr) == (1, "Error: /some/file: Read-only file system\n")
