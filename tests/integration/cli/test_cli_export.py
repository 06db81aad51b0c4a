from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from support.command_line import make_folder, rows, run, start
from support.dicom_files import make_instance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out.duckdb"


def test_a_folder_becomes_a_table_with_a_row_for_each_instance(folder: Path, file: Path) -> None:
    result = run("export", folder, "--to", file)
    assert result.exit_code == 0, result.output
    assert "2 of 2 instances (1 study) exported to table dicom" in result.stdout
    assert rows(file, "SELECT PatientID, count(DISTINCT SOPInstanceUID) FROM dicom GROUP BY ALL") == [("P1", 2)]


def test_failed_instances_are_listed_with_their_reasons_and_the_others_exported(folder: Path, file: Path) -> None:
    (folder / "page.html").write_text("\0<html>")
    (folder / "cut.dcm").write_bytes(make_instance(PatientID="P2")[:-3])
    (folder / "empty.dcm").touch()
    result = run("export", folder, "--to", file)
    assert result.exit_code == 1
    assert "2 of 5 instances" in result.stdout
    assert "Finished, but 3 failed:" in result.stdout
    assert "INVALID_ARGUMENT" not in result.stdout
    for name in ("page.html", "cut.dcm", "empty.dcm"):
        assert name in result.stdout
    listed = run("operations", "failures", "--from", file).stdout.splitlines()
    assert [line.partition(":")[0] for line in listed] == ["cut.dcm", "empty.dcm", "page.html"]
    assert rows(file, "SELECT count(*) FROM dicom") == [(2,)]


def test_many_failures_of_one_reason_are_one_line(folder: Path, file: Path) -> None:
    for number in range(30):
        (folder / f"{number}.txt").write_text("\0not DICOM, whatever its number")
    result = run("export", folder, "--to", file)
    assert "30 × Not DICOM" in result.stdout
    assert result.stdout.count(".txt") == 3


def test_json_output_is_the_operation_and_nothing_else(folder: Path, file: Path) -> None:
    (folder / "page.html").write_text("\0<html>")
    result = run("export", folder, "--to", file, "--format", "json")
    assert result.exit_code == 1
    operation = json.loads(result.stdout)
    assert operation["metadata"]["counter"] == {"success": "2", "failure": "1", "secondarySuccess": "1"}
    assert operation["error"]["code"] == 3


def test_an_empty_folder_is_exported(tmp_path: Path, file: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("export", tmp_path / "empty", "--to", file)
    assert result.exit_code == 0, result.output
    assert "0 of 0 instances" in result.stdout
    assert f"The folder {tmp_path / 'empty'} is empty" in result.stdout


def test_the_json_schema_and_the_source_store_are_options(folder: Path, file: Path) -> None:
    result = run("export", folder, "--to", file, "--table", "t", "--schema", "json", "--include-source-store")
    assert result.exit_code == 0, result.output
    [(store, patient)] = rows(file, "SELECT DISTINCT SourceDicomStore, Metadata->>'$.00100020.Value[0]' FROM t")
    assert store.startswith("projects/local/locations/local/datasets/local/dicomStores/store-")
    assert patient == "P1"
    columns = [name for name, *_ in rows(file, "DESCRIBE t")]
    assert columns == [
        *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SourceDicomStore"),
        *("SourceObject", "SourceGeneration", "Metadata"),
        *("StructuredStorageSize", "DroppedTags", "StorageClass", "LastUpdated", "BlobStorageSize", "Type"),
    ]


def test_each_row_tells_its_file_and_which_version_of_it_unless_asked_not_to(folder: Path, file: Path) -> None:
    awkward = folder / "a b" / "50%#ü.dcm"
    awkward.parent.mkdir()
    awkward.write_bytes(make_instance(SOPInstanceUID="1.2.3"))
    assert run("export", folder / ".." / folder.name, "--to", file).exit_code == 0
    found = rows(file, "SELECT SourceObject, SourceGeneration, BlobStorageSize FROM dicom ORDER BY SourceObject")
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.as_uri())
    assert found == [(path.as_uri(), path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    assert f"{folder.resolve().as_uri()}/a%20b/50%25%23%C3%BC.dcm" in [uri for uri, *_ in found]
    assert run("export", folder, "--to", file, "--table", "bare", "--no-source-object").exit_code == 0
    assert not {"SourceObject", "SourceGeneration"} & {name for name, *_ in rows(file, "DESCRIBE bare")}


@pytest.mark.parametrize("option", [(), ("--no-source-object",)])
def test_the_same_command_again_adds_only_what_is_new(folder: Path, file: Path, option: tuple[str, ...]) -> None:
    run("export", folder, "--to", file)
    command = ("export", folder, "--to", file, "--write-disposition", "write-append", *option)
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "0 of 0 instances" in result.stdout
    assert "2 files have a row in the table already and did not change since" in result.stdout
    (folder / "new.dcm").write_bytes(make_instance(SOPInstanceUID="1.9", PatientComments="a new column"))
    shown = json.loads(run(*command, "--format", "json").stdout)["metadata"]
    assert (shown["counter"]["success"], shown["unchangedObjects"]) == ("1", "2")
    assert "3 files have a row" in run(*command).stdout
    assert rows(file, "SELECT count(*), count(DISTINCT SourceObject) FROM dicom") == [(3, 3)]
    tables = [name for (name,) in rows(file, "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'")]
    assert tables == ["dicom"]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-01-02T00:00:01Z", ["1.3"]),
        ("2026-01-02T01:00:00.999999+01:00", ["1.2", "1.3"]),
        ("2026-01-02", ["1.1", "1.2", "1.3"]),
        ("2026-01-03", []),
    ],
)
def test_only_files_after_a_time_are_exported(tmp_path: Path, file: Path, since: str, expected: list[str]) -> None:
    for number, second in ((0, -1), (1, 0), (2, 1), (3, 2)):
        path = tmp_path / "store" / f"{number}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(make_instance(SOPInstanceUID=f"1.{number}"))
        moment = datetime(2026, 1, 2, tzinfo=UTC).timestamp() + second
        os.utime(path, (moment, moment))
    result = run("export", tmp_path / "store", "--to", file, "--since", since)
    assert result.exit_code == 0, result.output
    found = rows(file, "SELECT SOPInstanceUID FROM dicom ORDER BY 1") if expected else []
    assert found == [(uid,) for uid in expected]
    assert f"{len(expected)} of {len(expected)} instances" in result.stdout


def test_a_table_that_lacks_the_columns_of_the_source_gets_them(folder: Path, file: Path) -> None:
    run("export", folder, "--to", file, "--no-source-object")
    assert run("export", folder, "--to", file, "--write-disposition", "write-append").exit_code == 0
    assert rows(file, "SELECT count(*), count(SourceObject), count(SourceGeneration) FROM dicom") == [(4, 2, 2)]


def test_two_folders_of_one_name_are_two_stores(tmp_path: Path, file: Path) -> None:
    for parent in ("a", "b"):
        make_folder(tmp_path / parent / "store")
        arguments = ("--include-source-store", "--write-disposition", "write-append")
        assert run("export", tmp_path / parent / "store", "--to", file, *arguments).exit_code == 0
    assert rows(file, "SELECT count(*) FROM dicom GROUP BY SourceDicomStore") == [(2,), (2,)]


@pytest.mark.parametrize(("disposition", "expected"), [("write-append", 4), ("write-truncate", 2)])
def test_a_table_with_rows_is_added_to_or_replaced(folder: Path, file: Path, disposition: str, expected: int) -> None:
    run("export", folder, "--to", file, "--no-source-object")
    result = run("export", folder, "--to", file, "--no-source-object", "--write-disposition", disposition)
    assert result.exit_code == 0, result.output
    assert rows(file, "SELECT count(*) FROM dicom") == [(expected,)]


def test_a_table_with_rows_is_not_written_to_unless_it_is_said_how(folder: Path, file: Path) -> None:
    run("export", folder, "--to", file)
    result = run("export", folder, "--to", file)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: Table dicom of {file} has 2 rows. To add rows, use --write-disposition write-append. To replace them, use"
        " --write-disposition write-truncate.\n"
    )


def test_a_filter_exports_what_it_names_and_warns_of_what_it_does_not_find(
    folder: Path, file: Path, tmp_path: Path
) -> None:
    named = "/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1000000000001"
    (tmp_path / "filter.txt").write_text(f"{named}\r\n\r\n/studies/1.2.9\r\n")
    result = run("export", folder, "--to", file, "--filter", tmp_path / "filter.txt")
    assert result.exit_code == 0, result.output
    assert "1 of 1 instances" in result.stdout
    assert "/studies/1.2.9 matched nothing" in result.stderr
    assert rows(file, "SELECT SOPInstanceUID FROM dicom") == [("1.2.3.4.1000000000001",)]


@pytest.mark.parametrize("command", ["export", "export-files"])
def test_a_filter_that_matches_nothing_says_so_and_what_may_be_named_fails(
    folder: Path, file: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "none.csv").write_text("/studies/1.2.9\n")
    to = file if command == "export" else tmp_path / "files"
    result = run(command, folder, "--to", to, "--filter", tmp_path / "none.csv")
    assert result.exit_code == 0, result.output
    assert "0 of 0 instances" in result.stdout
    assert f"No instance in {folder} matches the filter: nothing was exported." in result.stdout
    assert "dicomStores" not in result.output
    assert "The filter's path /studies/1.2.9 matched nothing" in result.stderr
    whole = make_instance(StudyInstanceUID="1.2.3")
    (folder / "before its study.dcm").write_bytes(whole[: whole.index(b"\x20\x00\x0d\x00")])
    result = run(command, folder, "--to", to, "--filter", tmp_path / "none.csv")
    assert result.exit_code == 1, result.output
    assert "Finished, but 1 failed" in result.stdout


def test_a_malformed_filter_line_ends_the_export_and_is_named(folder: Path, file: Path, tmp_path: Path) -> None:
    (tmp_path / "filter.txt").write_text("/studies/1.2.3\n/studies/1.2.3/1.2.3.4\n")
    result = run("export", folder, "--to", file, "--filter", tmp_path / "filter.txt")
    assert result.exit_code == 1
    assert "INVALID_ARGUMENT: Line 2 of the filter is malformed: '/studies/1.2.3/1.2.3.4'" in result.stdout


def test_ignored_names_are_counted_nowhere(folder: Path, file: Path) -> None:
    (folder / "notes.txt").write_text("")
    (folder / "deep").mkdir()
    (folder / "deep" / "notes.txt").write_text("")
    result = run("export", folder, "--to", file, "--ignore", "*.txt")
    assert result.exit_code == 0, result.output
    assert "2 of 2 instances" in result.stdout


def test_a_destination_inside_the_folder_is_not_exported(folder: Path) -> None:
    for _ in range(2):
        result = run("export", folder, "--to", folder / "a[1].duckdb", "--write-disposition", "write-truncate")
        assert result.exit_code == 0, result.output
        assert "2 of 2 instances" in result.stdout


def test_an_instance_stored_twice_is_two_rows_and_a_warning(folder: Path, file: Path) -> None:
    (folder / "copy.dcm").write_bytes((folder / "000000.dcm").read_bytes())
    result = run("export", folder, "--to", file)
    assert result.exit_code == 0
    assert "Warning: 2 objects hold the instance /studies/1.2.3/" in result.stderr
    assert rows(file, "SELECT count(*) FROM dicom") == [(3,)]


def test_help_names_every_option() -> None:
    text = run("export", "--help").stdout
    for option in (
        "--to",
        "--table",
        "--filter",
        "--write-disposition",
        "--schema",
        "--include-source-store",
        "--ignore",
    ):
        assert option in text


WRONG = {
    "no destination": (("{folder}",), "Missing option '--to'"),
    "no folder": (("{folder}/none", "--to", "{tmp}/a.duckdb"), "none' does not exist"),
    "a file for a folder": (("{folder}/000000.dcm", "--to", "{tmp}/a.duckdb"), "is a file"),
    "a folder for the file": (("{folder}", "--to", "{tmp}"), "is a directory"),
    "no folder of the file": (("{folder}", "--to", "{tmp}/none/a.duckdb"), "of the destination does not exist"),
    "no DuckDB file": (("{folder}", "--to", "{folder}/000000.dcm"), "DuckDB"),
    "no table's name": (("{folder}", "--to", "{tmp}/a.duckdb", "--table", "a.b"), "a.b"),
    "no time zone": (("{folder}", "--to", "{tmp}/a.duckdb", "--since", "2026-01-02T03:04:05"), "a time zone"),
    "no such day": (("{folder}", "--to", "{tmp}/a.duckdb", "--since", "2026-02-30"), "or a date, as in 2026-01-02"),
    "no disposition": (("{folder}", "--to", "{tmp}/a.duckdb", "--write-disposition", "x"), "'write-append'"),
    "no schema": (("{folder}", "--to", "{tmp}/a.duckdb", "--schema", "x"), "'json'"),
    "a device for the file": (("{folder}", "--to", "/dev/null"), "'/dev/null' is a pipe or a device"),
    "a device for the filter": (
        ("{folder}", "--to", "{tmp}/a.duckdb", "--filter", "/dev/null"),
        "is a pipe or a device",
    ),
    "no filter": (("{folder}", "--to", "{tmp}/a.duckdb", "--filter", "{tmp}/none"), "none' does not exist"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_one_clear_line_and_does_nothing(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = sorted(filter(Path.is_file, tmp_path.rglob("*")))
    result = run("export", *(each.format(folder=folder, tmp=tmp_path) for each in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert result.stdout == ""
    assert sorted(filter(Path.is_file, tmp_path.rglob("*"))) == before


@pytest.mark.parametrize(
    ("name", "text"), [("notes.txt", "keep me, I am longer than a header"), ("notes.json", '[{"keep": "me"}]\n')]
)
def test_a_file_of_another_kind_is_neither_overwritten_nor_taken_for_a_database(
    folder: Path, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    result = run("export", folder, "--to", tmp_path / name)
    assert result.exit_code == 2
    assert "is not a DuckDB file" in result.stderr
    assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("name", [":memory:", "sqlite:x"])
def test_a_file_is_a_file_whatever_duckdb_takes_its_name_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", folder, "--to", name).exit_code == 0
    assert '"n": 2' in run("query", "SELECT COUNT(*) AS n FROM main.dicom", "--from", name, "--format", "json").stdout


def test_a_file_in_the_place_of_the_state_is_told(folder: Path, file: Path) -> None:
    file.with_name("out.duckdb.state").write_text("in the way")
    result = run("export", folder, "--to", file)
    assert result.exit_code == 2
    assert "out.duckdb.state' is a file" in result.stderr


def test_a_file_that_another_process_has_open_is_refused(folder: Path, file: Path) -> None:
    with duckdb.connect(str(file)):
        process = start("export", folder, "--to", file)
        _, stderr = process.communicate()
    assert process.returncode == 2
    assert stderr.startswith("Error: ")
    assert str(file) in stderr
    assert "Traceback" not in stderr


def test_files_that_are_something_else_are_passed_over_and_listed_with_their_kind(folder: Path, file: Path) -> None:
    contents = {
        "a.txt": b"words",
        "b.json": b'{"a": 1}',
        "c.xml": b"<?xml version='1.0'?><a/>",
        "d.csv": b"a,b\n1,2\n",
        "e.zip": b"PK\x03\x04" + bytes(30),
        "f.gz": b"\x1f\x8b\x08" + bytes(30),
        "g.pdf": b"%PDF-1.7\n",
        "h.png": b"\x89PNG\r\n\x1a\n" + bytes(20),
        "i.jpg": b"\xff\xd8\xff\xe0" + bytes(20),
        ".DS_Store": b"\0\0\0\x01Bud1" + bytes(20),
        "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20),
        "._scan.dcm": bytes(20),
        "utf16.txt": "words".encode("utf-16"),
        "latin1.txt": "Müllers Notiz zu den Bildern".encode("latin-1"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    result = run("export", folder, "--to", file)
    assert (result.exit_code, "failed" in result.stdout) == (0, False)
    assert f"{len(contents)} files passed over:" in result.stdout
    listed = [
        json.loads(line)
        for line in run("operations", "passed-over", "--from", file, "--format", "json").stdout.splitlines()
    ]
    kinds = {each["object"]: each["kind"] for each in listed}
    assert set(kinds) == set(contents)
    assert (kinds["d.csv"], kinds["b.json"], kinds["utf16.txt"]) == ("CSV", "JSON", "text")
    assert "e.zip: a ZIP archive" in run("operations", "passed-over", "--from", file).stdout


@pytest.mark.parametrize("content", [bytes(600), b"\x00\x01words", bytes(range(256)) * 4, b"\xff" * 500])
def test_content_of_no_known_kind_is_a_failure_and_not_passed_over(folder: Path, file: Path, content: bytes) -> None:
    (folder / "unknown").write_bytes(content)
    result = run("export", folder, "--to", file)
    assert (result.exit_code, "1 failed" in result.stdout, "passed over" in result.stdout) == (1, True, False)


@pytest.mark.parametrize("letter", ["t", "é"])
@pytest.mark.parametrize("disposition", ["write-empty", "write-truncate"])
def test_a_table_may_have_the_longest_name_that_bigquery_takes(tmp_path: Path, letter: str, disposition: str) -> None:
    name = letter * (1024 // len(letter.encode()))
    result = run(
        "export",
        make_folder(tmp_path / "in"),
        "--to",
        tmp_path / "x.duckdb",
        "--table",
        name,
        "--write-disposition",
        disposition,
    )
    assert result.exit_code == 0, result.stderr
    assert "2 of 2 instances" in result.stdout
