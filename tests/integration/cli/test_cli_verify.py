from __future__ import annotations

import json
import os
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dicom_export.bootstrap.local import local_deployment
from dicom_export.folder_export.places import state_of, store_of
from dicom_export.names import GcsUri, OperationName, TableName
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.settings import LocalSettings
from support.command_line import make_folder, rows, run
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from pathlib import Path

LATER = 4_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "store", 4)


@pytest.fixture
def file(tmp_path: Path, folder: Path) -> Path:
    file = tmp_path / "out.duckdb"
    assert run("export", folder, "--to", file).exit_code == 0
    return file


def verified(folder: Path, file: Path, *options: object) -> dict[str, Any]:
    result = run("verify", folder, "--from", file, "--format", "json", *options)
    assert result.stdout, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (1 if report["differences"] else 0), result.output
    return report


def found(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["difference"], each["instance"][-1]) for each in report["differences"]}


def execute(file: Path, sql: str) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute(sql)


def change(folder: Path) -> None:
    """Add 4, overwrite 1, remove 2."""
    content = (folder / "000000.dcm").read_bytes()
    (folder / "new.dcm").write_bytes(content.replace(b"1.2.3.4.1000000000000", b"1.2.3.4.1000000000004"))
    os.utime(folder / "000001.dcm", (LATER, LATER))
    (folder / "000002.dcm").unlink()


def test_a_table_that_was_just_exported_has_no_differences(folder: Path, file: Path) -> None:
    result = run("verify", folder, "--from", file)
    assert result.exit_code == 0, result.output
    assert "4 instances compared" in result.stdout
    assert "0 missing, 0 stale, 0 orphaned" in result.stdout


def test_new_changed_and_removed_files_are_missing_stale_and_orphaned(folder: Path, file: Path) -> None:
    change(folder)
    report = verified(folder, file)
    assert found(report) == {("MISSING", "4"), ("STALE", "1"), ("ORPHANED", "2")}
    assert (report["missing"], report["stale"], report["orphaned"]) == (1, 1, 1)
    assert {each["object"] for each in report["differences"]} == {"new.dcm", "000001.dcm", None}


def test_a_repair_exports_what_is_missing_and_stale_once(folder: Path, file: Path) -> None:
    change(folder)
    assert verified(folder, file, "--repair")["exported"] == 2
    again = verified(folder, file, "--repair")
    assert again["exported"] == 0
    assert found(again) == {("ORPHANED", "2")}
    assert rows(file, "SELECT count(*) FROM dicom") == [(6,)]


def test_a_repaired_row_is_like_those_of_its_table(folder: Path, file: Path) -> None:
    options = ("--table", "t", "--schema", "json", "--include-source-store")
    assert run("export", folder, "--to", file, *options).exit_code == 0
    change(folder)
    verified(folder, file, "--table", "t", "--repair")
    assert rows(file, "SELECT count(*), count(Metadata), count(DISTINCT SourceDicomStore) FROM t") == [(6, 6, 1)]


def test_nothing_is_left_in_the_file_but_the_table(folder: Path, file: Path) -> None:
    change(folder)
    before = rows(file, "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL")
    verified(folder, file, "--repair")
    assert rows(file, "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL") == before
    assert not list((file.parent / "out.duckdb.state" / "repairs").iterdir())


def test_a_row_of_another_size_is_stale_and_one_that_outranks_its_file_is_not_exported_for_ever(
    folder: Path, file: Path
) -> None:
    execute(file, "UPDATE dicom SET BlobStorageSize = 1 WHERE SOPInstanceUID LIKE '%3'")
    report = verified(folder, file, "--repair")
    assert found(report) == {("STALE", "3")}
    assert (report["outranked"], report["exported"]) == (1, 0)
    os.utime(folder / "000003.dcm", (LATER, LATER))
    assert found(verified(folder, file, "--repair")) == set()


def reasons(report: dict[str, Any]) -> dict[str, tuple[bool, str | None]]:
    return {each["instance"][-1]: (each["repairable"], each["reason"]) for each in report["differences"]}


def test_each_difference_says_whether_it_can_be_repaired_and_why_not(folder: Path, file: Path) -> None:
    change(folder)
    execute(file, "UPDATE dicom SET BlobStorageSize = 1 WHERE SOPInstanceUID LIKE '%3'")
    assert reasons(verified(folder, file)) == {
        "4": (True, None),
        "1": (True, None),
        "2": (False, "nothing in the store holds this instance, and an export removes no rows"),
        "3": (False, "the object is not newer than its row, and a row of it would not be the latest one"),
    }
    assert set(reasons(verified(folder, file, "--repair"))) == {"2", "3"}
    text = run("verify", folder, "--from", file, "--repair").stdout
    assert "cannot be repaired: nothing in the store holds this instance" in text
    assert "cannot be repaired: the object is not newer than its row" in text


def test_an_instance_that_the_repair_could_not_export_says_why(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_export.decoding.batches.MAX_BATCH_BYTES", 100_000)
    (folder / "large.dcm").write_bytes(make_instance(SOPInstanceUID="1.2.3.9", TextValue="x" * 200_000))
    assert reasons(verified(folder, file)) == {"9": (True, None)}
    ((is_repairable, reason),) = reasons(verified(folder, file, "--repair")).values()
    assert not is_repairable
    assert reason
    assert "a request to the table takes" in reason


def test_a_file_that_cannot_be_decoded_says_that_it_cannot_be_repaired(folder: Path, file: Path) -> None:
    (folder / "cut.dcm").write_bytes((folder / "000000.dcm").read_bytes()[:-3])
    ((failure),) = verified(folder, file, "--repair")["failures"]
    assert (failure["object"], failure["repairable"]) == ("cut.dcm", False)
    assert failure["reason"] == failure["message"]
    assert "Cut short" in failure["reason"]


def test_a_deletion_is_no_row_and_an_older_one_does_not_count(folder: Path, file: Path) -> None:
    execute(
        file,
        "INSERT INTO dicom BY NAME SELECT SOPInstanceUID, 'DELETE' AS Type, LastUpdated + INTERVAL (CASE WHEN SOPInstanceUID"
        " LIKE '%0' THEN 1 ELSE -1 END) SECOND AS LastUpdated FROM dicom WHERE SOPInstanceUID[-1] IN ('0', '1')",
    )
    assert found(verified(folder, file)) == {("MISSING", "0")}
    (folder / "000000.dcm").unlink()
    assert found(verified(folder, file)) == set()


def test_an_instance_with_a_malformed_uid_is_repaired_and_its_series_is_not_exported_for_it(
    folder: Path, file: Path
) -> None:
    content = (folder / "000000.dcm").read_bytes()
    (folder / "new.dcm").write_bytes(content.replace(b"1.2.3.4.1000000000000", b"no UID in this place!"))
    report = verified(folder, file, "--repair")
    assert (report["missing"], report["exported"]) == (0, 1)
    assert rows(file, "SELECT count(*) FROM dicom") == [(5,)]


def test_what_cannot_be_exported_is_counted_apart(folder: Path, file: Path) -> None:
    (folder / "page.html").write_text("\0<html>")
    (folder / "notes.txt").write_text("ignored")
    report = verified(folder, file, "--ignore", "*.txt")
    assert (report["failed"], report["missing"]) == (1, 0)
    assert report["failures"][0]["object"] == "page.html"


def test_rows_of_other_folders_do_not_count_where_the_table_says_whose_they_are(
    tmp_path: Path, folder: Path, file: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "o.dcm").write_bytes(make_instance(SOPInstanceUID="1.2.3.4.9"))
    for each in (folder, other):
        options = ("--table", "both", "--include-source-store", "--write-disposition", "write-append")
        assert run("export", each, "--to", file, *options).exit_code == 0
    assert found(verified(folder, file, "--table", "both")) == set()
    assert found(verified(other, file, "--table", "both")) == set()
    assert found(verified(other, file)) == {("MISSING", "9")} | {("ORPHANED", str(number)) for number in range(4)}


def test_a_table_without_instances_lacks_all_of_them(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = tmp_path / "new.duckdb"
    assert run("export", tmp_path / "empty", "--to", file).exit_code == 0
    assert verified(folder, file, "--limit", 1)["missing"] == 4
    assert verified(folder, file, "--repair")["exported"] == 4


@pytest.mark.parametrize("table", ["nowhere", "foreign"])
def test_a_table_that_is_not_there_or_none_of_an_export_is_wrong_usage(folder: Path, file: Path, table: str) -> None:
    execute(file, "CREATE TABLE foreign_table (a INTEGER)")
    execute(file, 'ALTER TABLE foreign_table RENAME TO "foreign"')
    result = run("verify", folder, "--from", file, "--table", table)
    assert result.exit_code == 2
    assert table in result.stderr


def test_an_interrupted_repair_is_ended_first_and_no_row_comes_twice(folder: Path, file: Path) -> None:
    change(folder)
    state, store = state_of(file), store_of(folder)
    (state / "repairs").mkdir()
    (state / "repairs" / "begun.txt").write_text("/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1000000000004\n")
    settings = LocalSettings(
        state, {store: folder}, {"repairs": state / "repairs"}, {"local": file}, (("local", "main"),), workers=1
    )
    request = ExportRequest(
        store,
        TableName("local", "main", "dicom"),
        WriteDisposition.WRITE_APPEND,
        filter_uri=GcsUri("repairs", "begun.txt"),
    )
    with local_deployment(settings) as deployment:
        deployment.service.create(request, OperationName(store.parent, "begun"), api_version="v1")
    report = verified(folder, file, "--repair")
    assert (report["exported"], found(report)) == (1, {("ORPHANED", "2")})
    assert rows(file, "SELECT count(*) FROM dicom") == [(6,)]
    assert not list((state / "repairs").iterdir())


EVENTS = ("write", "overwrite", "remove", "export", "delete row", "stream row")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happened_the_report_is_that_of_a_model(folder: Path, file: Path, seed: int) -> None:
    chance = Random(seed)
    base, content = 1_900_000_000, (folder / "000000.dcm").read_bytes()
    for each in folder.iterdir():
        each.unlink()
    execute(file, "DELETE FROM dicom")
    files: dict[int, int] = {}
    logged: dict[int, list[tuple[int, str]]] = {}
    for time in range(base, base + 40):
        number, event = chance.randrange(5), chance.choice(EVENTS)
        path = folder / f"{number}.dcm"
        if event in {"write", "overwrite"}:
            path.write_bytes(content.replace(b"1000000000000", f"100000000000{number}".encode()))
            os.utime(path, (time, time))
            files[number] = time
        elif event == "remove":
            path.unlink(missing_ok=True)
            files.pop(number, None)
        else:
            # A row may come late, and is then of a moment that has passed.
            when = files.get(number, time) if event == "export" else time - chance.randrange(3) * 5
            kind = "DELETE" if event == "delete row" else "CREATE"
            if all(when != known for known, _ in logged.get(number, [])):
                logged.setdefault(number, []).append((when, kind))
                execute(
                    file,
                    "INSERT INTO dicom BY NAME SELECT '1.2.3.4.100000000000"
                    f"{number}' AS SOPInstanceUID, '{kind}' AS Type, to_timestamp({when}) AS LastUpdated,"
                    f" {len(content)} AS BlobStorageSize",
                )
    latest = {number: max(rows) for number, rows in logged.items()}
    there = {number: when for number, (when, kind) in latest.items() if kind == "CREATE"}
    expected = {("MISSING", str(number)) for number in files.keys() - there.keys()}
    expected |= {("ORPHANED", str(number)) for number in there.keys() - files.keys()}
    expected |= {("STALE", str(number)) for number in files.keys() & there.keys() if there[number] < files[number]}
    assert found(verified(folder, file)) == expected
