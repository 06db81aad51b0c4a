"""Nothing of a patient leaves the table by a command: no output, no log entry, no file of the state has a marker."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from dicom_export.adapters.local.folder import store
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.decoding import processes
from support.command_line import rows, run, start, wait_for
from support.marked_files import damaged_files, elements, file_of, good_files, other_files, uids, write_all
from support.markers import SIGN, found_below, found_in, marker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from dicom_export.stored_object import StoredObject


class Deadly(FolderStore):
    """A store of which one object kills the process that decodes it."""

    def read(self, stored: StoredObject, start: int, length: int) -> bytes:
        if stored.name == "deadly.dcm" and multiprocessing.parent_process():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(stored, start, length)


@pytest.fixture(autouse=True)
def nothing_leaks(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> Iterator[None]:
    """Look for markers in what this process and its children printed and logged, and in the state of each table."""
    caplog.set_level(logging.DEBUG)
    yield
    printed = capfd.readouterr()
    assert found_in(f"{printed.out}{printed.err}".encode()) == []
    for record in caplog.records:
        payload = getattr(record, "payload", None)
        assert found_in(f"{record.getMessage()} {payload}".encode("utf-8", "backslashreplace")) == [], record.name
    for state in tmp_path.glob("*.state"):
        assert found_below(state) == []


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals") / "store"
    folder.mkdir()
    write_all(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, originals: Path) -> Path:
    return shutil.copytree(originals, tmp_path / "store")


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Return a folder with the good files and some of the others."""
    folder = tmp_path / "few"
    for name, content in (*good_files(), *other_files(), *list(damaged_files())[::7]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def checked(result: Result) -> Result:
    """Return the result of a command after a look for markers in its output."""
    assert found_in(result.output.encode()) == [], result.output
    return result


def command(*arguments: object) -> Result:
    return checked(run(*arguments))


@pytest.mark.parametrize("schema", ["flattened", "json"])
def test_an_export_of_damaged_files_tells_nothing(
    schema: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FolderStore", Deadly)
    monkeypatch.setattr(processes, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(processes, "_WORTH_A_START", 1)
    monkeypatch.setattr(processes, "_WHILE_IT_BEGINS", 0)
    file = tmp_path / "table.duckdb"
    result = command("export", folder, "--to", file, "--schema", schema)
    assert result.exit_code == 1
    reasons = command("operations", "failures", "--from", file).stdout
    for reason in (
        "Cut short",
        "Malformed at byte",
        "Missing",
        "nested more",
        "ends its process",
        *(["The row has"] if schema == "flattened" else []),
        "Not DICOM",
    ):
        assert reason in reasons, reason
    column = "PatientID" if schema == "flattened" else "CAST(Metadata AS VARCHAR)"
    assert rows(file, f"SELECT count(*) FROM dicom WHERE {column} LIKE '%{SIGN}%'")[0][0] >= 5  # noqa: S608 - a name of ours
    for part in ("list", "describe", "failures", "passed-over"):
        for output in ("text", "json"):
            assert command("operations", part, "--from", file, "--format", output).stdout
    command("dead-letters", "list", "--from", file)
    assert SIGN not in command("columns", "--from", file).stdout


@pytest.mark.parametrize("disposition", ["write-append", "write-truncate"])
def test_an_export_that_is_killed_and_its_rerun_tell_nothing(few: Path, tmp_path: Path, disposition: str) -> None:
    file, state = tmp_path / "table.duckdb", tmp_path / "table.duckdb.state"
    options = ("--to", file, "--write-disposition", disposition)
    process = start("export", few, *options)
    wait_for(lambda: any(state.glob("state/objects/**/claims/**/*.json")) or process.poll() is not None, process)
    process.kill()
    assert found_in("".join(process.communicate()).encode()) == []
    assert found_below(state, [state / "streams"]) == []
    command("export", few, *options)
    assert not list(state.glob("streams/*/*.arrow"))


def test_a_verification_and_its_repair_tell_nothing(few: Path, tmp_path: Path) -> None:
    file = tmp_path / "table.duckdb"
    command("export", few, "--to", file)
    for path in few.glob("*.dcm"):
        os.utime(path, (4_000_000_000, 4_000_000_000))
    (few / "swallowed0.dcm").unlink()
    (few / "new.dcm").write_bytes(file_of([*elements("new"), *uids(marker("newUID"), "1.2.9", "1.2.9.1")]))
    for output in ("text", "json"):
        result = command("verify", few, "--from", file, "--format", output)
        assert "[malformed UID]" in result.stdout
    for output in ("json", "text"):
        command("verify", few, "--from", file, "--repair", "--format", output)
    report = json.loads(command("verify", few, "--from", file, "--format", "json").stdout)
    assert (report["missing"], report["stale"], report["orphaned"]) == (0, 0, 1)


def test_a_repair_that_is_killed_leaves_nothing(few: Path, tmp_path: Path) -> None:
    file, state = tmp_path / "table.duckdb", tmp_path / "table.duckdb.state"
    command("export", few, "--to", file)
    for path in few.glob("*.dcm"):
        os.utime(path, (4_000_000_000, 4_000_000_000))
    process = start("verify", few, "--from", file, "--repair")
    wait_for(lambda: any(state.glob("repairs/*.txt")), process)
    process.kill()
    assert found_in("".join(process.communicate()).encode()) == []
    assert found_below(state, [state / "streams"]) == []
    command("verify", few, "--from", file, "--repair")


def test_a_watch_tells_nothing(few: Path, tmp_path: Path) -> None:
    file = tmp_path / "table.duckdb"
    command("watch", few, "--to", file, "--once")
    (few / "twice0.dcm").unlink()
    (few / "twice1.dcm").unlink()
    (few / "good.dcm").write_bytes(file_of([*elements("changed"), *uids(marker("changedUID"))]))
    command("watch", few, "--to", file, "--once")
    assert rows(file, f"SELECT count(*) FROM dicom WHERE Type = 'DELETE' AND SOPInstanceUID LIKE '%{SIGN}%'") == [(1,)]  # noqa: S608 - as above


def test_a_watch_that_goes_on_tells_nothing(few: Path, tmp_path: Path) -> None:
    file = tmp_path / "table.duckdb"
    process = start("watch", few, "--to", file)
    wait_for(lambda: file.exists() and (tmp_path / "table.duckdb.state").exists(), process)
    (few / "new.dcm").write_bytes(file_of([*elements("new"), *uids(marker("newUID"))]))
    (few / "bad.dcm").write_bytes(file_of([*elements("new"), *uids("1.2.9.9")])[:-30])
    wait_for(lambda: _is_streamed(file), process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert found_in(f"{out}{err}".encode()) == []


def _is_streamed(file: Path) -> bool:
    result = run(
        "query", "SELECT COUNT(*) AS n FROM dicom WHERE PatientID LIKE '%new%'", "--from", file, "--format", "csv"
    )
    return result.exit_code == 0 and result.stdout.split() == ["n", "1"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(PatientID AS INT64) AS x FROM dicom",
        "SELECT CAST(PatientID AS DATE) AS x FROM dicom",
        "SELECT PARSE_DATE('%Y%m%d', PatientID) AS x FROM dicom",
        "SELECT PARSE_JSON(PatientComments) AS x FROM dicom",
        "SELECT ERROR(PatientComments) AS x FROM dicom",
        "SELECT REGEXP_EXTRACT(PatientComments, MedicalAlerts) AS x FROM dicom, UNNEST(MedicalAlerts) AS MedicalAlerts",
        "SELECT FORMAT_TIMESTAMP('%c', LastUpdated, PatientID) AS x FROM dicom",
        "SELECT (SELECT PatientID FROM dicom) AS x",
        "SELECT PatientNam FROM dicom",
        "SELECT PatientID + 1 AS x FROM dicom",
    ],
)
def test_a_query_that_fails_tells_nothing(sql: str, tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for name, content in good_files():
        (folder / name).write_bytes(content)
    file = tmp_path / "table.duckdb"
    command("export", folder, "--to", file)
    assert command("query", sql, "--from", file).exit_code != 0
    assert command("query", sql, "--from", file, "--output", tmp_path / "x.parquet").exit_code != 0
    assert not (tmp_path / "x.parquet").exists()
    plain = sql.replace("CAST(PatientID AS INT64)", "PatientID::INT").replace(
        "PARSE_JSON(PatientComments)", "PatientComments::JSON"
    )
    command("query", plain, "--from", file, "--dialect", "duckdb")


def test_a_dump_tells_values_in_its_row_alone(originals: Path) -> None:
    for name, _ in list(damaged_files())[::5]:
        for schema in ("flattened", "json"):
            result = run("dump", originals / name, "--schema", schema)
            assert found_in((result.output if result.exit_code else result.stderr).encode()) == [], name


@pytest.mark.parametrize(
    "line",
    [
        f"/studies/1.2.3,{marker('column')}",
        f"/studies/1.2.3/{marker('word')}/1.2",
        f"/studies/{marker('uid')}/series",
        f"studies/1.2.3/series/1.2.3.4 {marker('after')}/x",
        f"{marker('text')},1",
        f'"{marker("quoted")}',
        f'"/studies/1.2.3","{marker("second")}"',
        f"/studies/%20{marker('percent')}%20/x",
        marker("null") + "\0",
    ],
)
def test_a_malformed_filter_line_tells_nothing(line: str, few: Path, tmp_path: Path) -> None:
    file, filter_file = tmp_path / "table.duckdb", tmp_path / "filter.txt"
    filter_file.write_text(f"/studies/1.2.3\n{line}\n")
    result = command("export", few, "--to", file, "--filter", filter_file)
    assert "Line 2 of the filter is malformed" in result.output
    command("operations", "describe", "--from", file, "--format", "json")


@pytest.mark.parametrize(
    "content",
    [
        marker("latin").encode() + b"\xff\xfe\xff\n",
        marker("utf16").encode("utf-16")[:-1],
        b"\x1f\x8b" + marker("gzip").encode(),
        f"/studies/{marker('one')}\n/studies/{marker('two')}/series/{marker('three')}\n/studies/1.2.3\n".encode(),
        f"/studies/{marker('StudyUID')}/series/{marker('SeriesUID')}/instances/{marker('UID')}\n".encode(),
        f"{marker('header')}\n/studies/1.2.3\n".encode(),
    ],
)
def test_a_filter_of_any_content_tells_nothing(content: bytes, few: Path, tmp_path: Path) -> None:
    file, filter_file = tmp_path / "table.duckdb", tmp_path / "filter.txt"
    filter_file.write_bytes(content)
    command("export", few, "--to", file, "--filter", filter_file)
    command("operations", "describe", "--from", file, "--format", "json")
