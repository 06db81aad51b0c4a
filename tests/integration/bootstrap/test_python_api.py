"""`import dicom_export`, as notebooks and scripts use it."""

from __future__ import annotations

import inspect
import json
import re
import signal
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dicom_export
from dicom_export.errors import (
    Cancelled,
    Code,
    DicomExportError,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MissingUid,
    NotDicom,
    NotFound,
    TruncatedInstance,
    error_of,
)
from support.command_line import SMALL_MESSAGES, make_folder, operation_ids, rows, run, wait_for
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.emulators.s3 import S3

# An export of more instances than are decoded in this process: no guard of `__main__`, as in a user's first script.
SCRIPT = """
import dicom_export
print(dicom_export.export({folder!r}, to={file!r}).counters.success)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two instances, one that is cut short, and a text."""
    made = make_folder(tmp_path / "scans")
    (made / "cut.dcm").write_bytes(make_instance(SOPInstanceUID="1.9")[:300])
    (made / "notes.txt").write_text("These are notes about the scans.\n")
    return made


def test_a_bucket_takes_the_place_of_the_folder(tmp_path: Path, s3_server: S3) -> None:
    bucket = s3_server.make_bucket()
    for path in make_folder(tmp_path / "scans").iterdir():
        s3_server.put(bucket, path.name, path.read_bytes())
    done = dicom_export.export(f"s3://{bucket}", to=tmp_path / "s3.duckdb", endpoint_url=s3_server.url)
    assert done.counters.success == 2
    with pytest.raises(NotFound, match="Bucket 'no-such-bucket' was not found"):
        dicom_export.export("s3://no-such-bucket", to=tmp_path / "s3.duckdb")


def test_a_row_is_what_an_export_writes(folder: Path, tmp_path: Path) -> None:
    row = dicom_export.read_row(folder / "000001.dcm")
    assert row["PatientID"] == "P1"
    assert row["StudyDate"] == date(2026, 1, 2)
    assert row["SOPInstanceUID"] == "1.2.3.4.1000000000001"
    assert (row["Type"], row["BlobStorageSize"]) == ("CREATE", (folder / "000001.dcm").stat().st_size)
    file = tmp_path / "scans.duckdb"
    dicom_export.export(folder, to=file)
    printed = run(
        "query", "SELECT * FROM dicom ORDER BY SOPInstanceUID DESC LIMIT 1", "--from", file, "--format", "json"
    )
    (written,) = json.loads(printed.stdout)
    assert {name for name, value in row.items() if value not in (None, [])} == {
        name for name, value in written.items() if value not in (None, [])
    }


def test_a_row_of_the_json_schema_has_the_model_as_text(folder: Path) -> None:
    row = dicom_export.read_row(str(folder / "000000.dcm"), schema="json")
    assert json.loads(row["Metadata"])["00100020"] == {"vr": "LO", "Value": ["P1"]}


def test_who_changes_a_row_changes_no_other(tmp_path: Path) -> None:
    sequence = tmp_path / "a.dcm"
    sequence.write_bytes(make_instance(ImageType=["ORIGINAL", "PRIMARY"]))
    first = dicom_export.read_row(sequence)
    first["ImageType"].append("CHANGED")
    assert dicom_export.read_row(sequence)["ImageType"] == ["ORIGINAL", "PRIMARY"]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("none.dcm", None, NotFound, "none.dcm' does not exist"),
        (
            "a.txt",
            b"Only a text, and longer than it has to be.\n" * 9,
            NotDicom,
            "a.txt' is .*: expected a DICOM instance",
        ),
        ("cut.dcm", make_instance()[:300], TruncatedInstance, "ends"),
        ("nobody.dcm", make_instance(StudyInstanceUID=None), MissingUid, "StudyInstanceUID"),
    ],
)
def test_a_file_without_a_row_is_an_error_that_says_why(
    tmp_path: Path, name: str, content: bytes | None, error: type[DicomExportError], message: str
) -> None:
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        dicom_export.read_row(tmp_path / name)


def test_an_export_says_what_it_did(folder: Path, tmp_path: Path) -> None:
    result = dicom_export.export(folder, to=tmp_path / "scans.duckdb", table="scans")
    assert (result.counters.found, result.counters.success, result.counters.failure) == (3, 2, 1)
    assert [failure.object for failure in result.failures] == ["cut.dcm"]
    assert result.failures[0].code is Code.DATA_LOSS
    assert [each.object for each in result.passed_over] == ["notes.txt"]
    assert result.unlisted == ()
    assert rows(result.file, f"SELECT COUNT(*) FROM {result.table}") == [(2,)]  # noqa: S608 - the test's own table
    assert operation_ids(result.file) == [result.operation]


def test_the_options_are_those_of_the_command(folder: Path, tmp_path: Path) -> None:
    file, paths = tmp_path / "scans.duckdb", tmp_path / "paths.txt"
    dicom_export.export(folder, to=file, ignore="cut.*", include_source_object=False)
    study, *_ = rows(file, "SELECT DISTINCT StudyInstanceUID FROM dicom")[0]
    paths.write_text(f"/studies/{study}\n")
    again: dict[str, Any] = {"to": str(file), "filter_file": str(paths), "include_source_store": True}
    dicom_export.export(str(folder), write_disposition="write-append", **again)
    assert rows(file, "SELECT COUNT(*), COUNT(SourceDicomStore) FROM dicom") == [(4, 2)]
    replaced = dicom_export.export(folder, write_disposition="write-truncate", ignore=["cut.*", "*.txt"], **again)
    assert (replaced.failures, replaced.passed_over) == ((), ())
    assert rows(file, "SELECT COUNT(*), COUNT(SourceObject) FROM dicom") == [(2, 2)]
    unchanged = dicom_export.export(folder, write_disposition="write-append", ignore="cut.*", **again)
    assert (unchanged.counters.success, unchanged.counters.unchanged) == (0, 2)
    later: dict[str, Any] = {"since": datetime(2100, 1, 1, tzinfo=UTC), "to": file, "table": "later"}
    assert dicom_export.export(folder, **later).counters.found == 0
    bare = dicom_export.export(folder, to=file, table="bare", include_source_object=False)
    assert "SourceObject" not in {name for name, *_ in rows(bare.file, "DESCRIBE bare")}


def test_the_rows_of_an_earlier_export_are_not_overwritten_unasked(folder: Path, tmp_path: Path) -> None:
    dicom_export.export(folder, to=tmp_path / "scans.duckdb")
    with pytest.raises(FailedPrecondition, match=r'has 2 rows\. To add rows, use write_disposition="write-append"'):
        dicom_export.export(folder, to=tmp_path / "scans.duckdb")


WRONG: dict[str, tuple[dict[str, Any], type[DicomExportError], str]] = {
    "no folder": ({"folder": "none"}, NotFound, "'none' does not exist"),
    "a file for a folder": ({"folder": "scans/notes.txt"}, InvalidArgument, "is a file"),
    "a number for a folder": ({"folder": 7}, InvalidArgument, "Invalid folder 7: expected a path"),
    "a Parquet file": ({"to": "scans.parquet"}, InvalidArgument, "not a DuckDB file"),
    "no folder of the file": ({"to": "none/scans.duckdb"}, FailedPrecondition, "'none' of the destination"),
    "no table": ({"table": "a.b"}, InvalidArgument, "a.b"),
    "no schema": ({"schema": "flat"}, InvalidArgument, "Invalid schema 'flat': expected one of 'flattened', 'json'"),
    "no disposition": ({"write_disposition": "WRITE_EMPTY"}, InvalidArgument, "expected one of 'write-empty'"),
    "no filter": ({"filter_file": "none.txt"}, NotFound, "'none.txt' does not exist"),
    "no filter matches": ({"filter_file": "none-*.txt"}, NotFound, "No file matches 'none-*.txt'"),
}


@pytest.mark.parametrize(("wrong", "error", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_an_error_and_nothing_is_made(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    error: type[DicomExportError],
    message: str,
) -> None:
    monkeypatch.chdir(folder.parent)
    before = set(folder.parent.rglob("*"))
    with pytest.raises(error) as raised:
        dicom_export.export(**({"folder": "scans", "to": "scans.duckdb"} | wrong))
    assert message in raised.value.message
    assert set(folder.parent.rglob("*")) == before


def test_a_script_without_a_guard_exports_once_by_processes(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "scans", 1_500)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(folder), file=str(tmp_path / "scans.duckdb")))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1500\n", "")
    assert len(operation_ids(tmp_path / "scans.duckdb")) == 1


@pytest.fixture
def script(tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Return what starts a program that exports 2,000 instances in small messages."""
    folder = make_folder(tmp_path / "scans", 2_000)
    text = SMALL_MESSAGES + SCRIPT.format(folder=str(folder), file=str(tmp_path / "scans.duckdb"))

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def is_under_way(tmp_path: Path) -> bool:
    return any((tmp_path / "scans.duckdb.state").glob("state/objects/**/claims/**/*.json"))


def test_ctrl_c_cancels_and_the_next_call_begins_anew(
    tmp_path: Path, script: Callable[[], subprocess.Popen[str]]
) -> None:
    process = script()
    wait_for(lambda: is_under_way(tmp_path), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    (cancelled,) = operation_ids(tmp_path / "scans.duckdb")
    described = run("operations", "describe", cancelled, "--from", tmp_path / "scans.duckdb")
    assert "CANCELLED" in described.stdout
    with pytest.raises(FailedPrecondition):  # the table has rows, so this is not the cancelled export
        dicom_export.export(tmp_path / "scans", to=tmp_path / "scans.duckdb")


def test_a_killed_export_is_resumed_by_the_same_call(
    tmp_path: Path, script: Callable[[], subprocess.Popen[str]]
) -> None:
    process = script()
    wait_for(lambda: is_under_way(tmp_path), process)
    process.kill()
    process.communicate()
    result = dicom_export.export(tmp_path / "scans", to=tmp_path / "scans.duckdb")
    assert result.counters.success == 2_000
    assert operation_ids(result.file) == [result.operation]
    assert rows(result.file, "SELECT COUNT(*), COUNT(DISTINCT SOPInstanceUID) FROM dicom") == [(2_000, 2_000)]


def test_an_export_that_ends_with_an_error_raises_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "paths.txt").write_text("/studies/1.2.3\nnot a path\n")
    with pytest.raises(InvalidArgument, match="Line 2 of the filter"):
        dicom_export.export(folder, to=tmp_path / "scans.duckdb", filter_file=tmp_path / "paths.txt")


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_an_error_is_of_the_class_of_its_code(code: Code) -> None:
    error = error_of(code, "why")
    assert error.message == "why"
    assert error.code is code or isinstance(error, Internal)
    assert isinstance(error_of(Code.CANCELLED, ""), Cancelled)


HEAVY = ("click", "duckdb", "pyarrow", "pydicom", "numpy", "rich", "werkzeug", "google.cloud.storage", "grpc")


def test_importing_the_package_loads_nothing_else() -> None:
    program = "import sys; import dicom_export; print([n for n in sys.modules if n.startswith('dicom_export.')], [n for n in {!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program.format(HEAVY)], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


def test_nothing_else_is_public() -> None:
    assert sorted(dicom_export.__all__) == ["ExportResult", "errors", "export", "read_row"]
    assert set(dicom_export.__all__) <= set(dir(dicom_export))
    for name in dicom_export.__all__:
        assert getattr(dicom_export, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'import_table'"):
        dicom_export.import_table  # noqa: B018 - it is to raise


def test_another_system_gets_a_sentence(tmp_path: Path) -> None:
    program = "import sys; sys.modules['fcntl'] = None; import dicom_export; dicom_export.{}"
    for call in ("read_row('a.dcm')", "export('.', to='a.duckdb')"):
        command = [sys.executable, "-c", program.format(call)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "FailedPrecondition: dicom-export needs the file locks of Linux or macOS" in done.stderr


PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "python.md").read_text()


def test_the_examples_of_the_reference_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(tmp_path / "scans")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(example, names)  # noqa: S102 - the documentation's own
    printed = capsys.readouterr().out
    assert "2 of 2 instances" in printed
    assert re.search(r"^[\d.]+ 2026-01-02$", printed, re.MULTILINE)
    assert "has 2 rows" in printed


def test_the_reference_has_each_argument_with_its_default() -> None:
    section = PAGE.split("## export(")[1].split("## ExportResult")[0]
    described = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \|", section, re.MULTILINE))
    parameters = inspect.signature(dicom_export.export).parameters.values()
    assert described == {
        each.name: "required" if each.default is each.empty else repr(each.default).replace("'", '"')
        for each in parameters
    }


def test_the_reference_has_each_attribute_of_a_result() -> None:
    section = PAGE.split("## ExportResult")[1].split("## Errors")[0]
    first_column = " ".join(re.findall(r"^\|([^|]*)\|", section, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", first_column)) == {each.name for each in fields(dicom_export.ExportResult)}


def test_each_error_of_the_reference_is_one() -> None:
    section = PAGE.split("## Errors")[1]
    for name in re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE):
        assert issubclass(getattr(dicom_export.errors, name), DicomExportError)
