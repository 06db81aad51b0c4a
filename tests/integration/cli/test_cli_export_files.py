"""`export-files`: what a user of the command sees, and what is in the folders afterwards."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from support.command_line import make_folder, run, start, wait_for
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from pathlib import Path

STUDY, SERIES, COUNT = "1.2", "1.2.3", 2
SMALL_MESSAGES = """
from dicom_export.folder_export import wanted_files
wanted_files._TASK_OBJECTS = 20
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "scans", COUNT)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_file_is_at_its_uids_and_is_a_link(folder: Path, tmp_path: Path) -> None:
    result = run("export-files", folder, "--to", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"2 of 2 instances (1 study) exported to folder {tmp_path / 'out'} in" in result.stdout
    copies = sorted((tmp_path / "out").rglob("*.dcm"))
    assert all(path.relative_to(tmp_path / "out").parent.name.startswith("1.2") for path in copies)
    originals = sorted(folder.iterdir())
    assert [path.read_bytes() for path in copies] == [path.read_bytes() for path in originals]
    assert all(copy.samefile(original) for copy, original in zip(copies, originals, strict=True))


def test_copies_have_contents_of_their_own(folder: Path, tmp_path: Path) -> None:
    assert run("export-files", folder, "--to", tmp_path / "out", "--copy").exit_code == 0
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "out").rglob("*.dcm"))


def test_the_same_command_adds_what_is_new(folder: Path, tmp_path: Path) -> None:
    run("export-files", folder, "--to", tmp_path / "out")
    (folder / "new").write_bytes(make_instance(SOPInstanceUID="1.2.3.9"))
    before = files(tmp_path / "out")
    result = run("export-files", folder, "--to", tmp_path / "out")
    assert "3 of 3 instances" in result.stdout
    after = files(tmp_path / "out")
    assert before.items() <= after.items()
    assert len(after) == 3


def test_the_operation_is_listed_described_and_its_failures_too(folder: Path, tmp_path: Path) -> None:
    (folder / "cut.dcm").write_bytes(make_instance(SOPInstanceUID="1.2.3.9")[:-3])
    (folder / "notes.txt").write_text("plain text\n")
    out = tmp_path / "out"
    result = run("export-files", folder, "--to", out)
    assert result.exit_code == 1
    assert f"dicom-export operations failures {json.loads(run('operations', 'list', '--from', out, '--format', 'json').stdout)[0]['name'].rpartition('/')[2]} --from {out}" in result.stdout  # fmt: skip
    assert run("operations", "failures", "--from", out).stdout.startswith("cut.dcm: ")
    assert run("operations", "passed-over", "--from", out).stdout == "notes.txt: text\n"
    assert f"folder:            {out}\n" in run("operations", "describe", "--from", out).stdout
    described = json.loads(run("operations", "describe", "--from", out, "--format", "json").stdout)
    assert described["metadata"]["apiMethodName"].endswith("DicomService.ExportDicomData_gcs")
    assert described["metadata"]["counter"] == {"success": "2", "failure": "1", "secondarySuccess": "1"}


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("scans", "choose a folder outside of it with --to"),
        ("scans/sub", "choose a folder outside of it with --to"),
        ("link/sub", "choose a folder outside of it with --to"),
        ("nowhere/out", "create it first"),
        ("scans/000000.dcm", "is a file"),
        ("/", "choose a folder in it"),
    ],
)
def test_a_destination_that_cannot_be_one_is_wrong_usage(folder: Path, tmp_path: Path, to: str, message: str) -> None:
    (tmp_path / "link").symlink_to(folder)
    before = files(tmp_path)
    result = run("export-files", folder, "--to", tmp_path / to)
    assert result.exit_code == 2
    assert message in result.stderr
    assert files(tmp_path) == before


def test_a_folder_above_the_source_is_a_destination_unless_the_source_is_named_like_a_study(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "archive").mkdir()
    shutil.move(folder, tmp_path / "archive/scans")
    assert run("export-files", tmp_path / "archive/scans", "--to", tmp_path / "archive").exit_code == 0
    shutil.move(tmp_path / "archive/scans", tmp_path / "archive/1.2.3")
    assert run("export-files", tmp_path / "archive/1.2.3", "--to", tmp_path / "archive").exit_code == 2


def test_a_killed_export_is_resumed(tmp_path: Path) -> None:
    folder, out = make_folder(tmp_path / "scans", 200), tmp_path / "out"
    process = start("export-files", folder, "--to", out, "--copy", before=SMALL_MESSAGES)
    state = tmp_path / "out.state"
    wait_for(lambda: len(list(state.glob("state/**/results/*/*.json"))) >= 2, process)
    process.kill()
    process.communicate()
    result = run("export-files", folder, "--to", out, "--copy")
    assert result.exit_code == 0, result.output
    assert "200 of 200 instances" in result.stdout
    assert len(files(out)) == 200
    assert len(json.loads(run("operations", "list", "--from", out, "--format", "json").stdout)) == 1


def test_a_folder_that_was_deleted_before_the_end_was_reported_is_filled_from_the_start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            "dicom_export.cli.folder_runs._report", lambda *_, **__: None
        )  # as if it had been killed just before
        run("export-files", folder, "--to", tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    assert "2 of 2 instances" in run("export-files", folder, "--to", tmp_path / "out").stdout
    assert len(files(tmp_path / "out")) == 2


def test_files_of_a_cohort_are_those_of_the_query(tmp_path: Path) -> None:
    """Export, query, filter file, files: and each file's row is in the cohort."""
    folder = tmp_path / "scans"
    for number in range(12):
        study, modality = f"1.2.{number // 4}", ("CT", "MR")[number % 2]
        (folder / f"{number}").parent.mkdir(exist_ok=True)
        (folder / f"{number}").write_bytes(
            make_instance(
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.{number % 2}",
                SOPInstanceUID=f"{study}.{number % 2}.{number}",
                Modality=modality,
            )
        )
    database, cohort, out = tmp_path / "scans.duckdb", tmp_path / "cohort.csv", tmp_path / "out"
    assert run("export", folder, "--to", database).exit_code == 0
    where = "FROM dicom WHERE Modality = 'MR' AND StudyInstanceUID != '1.2.1'"
    path = "CONCAT('/studies/', StudyInstanceUID, '/series/', SeriesInstanceUID, '/instances/', SOPInstanceUID)"
    run("query", f"SELECT {path} AS path {where}", "--from", database, "--output", cohort)
    assert run("export-files", folder, "--to", out, "--filter", cohort).exit_code == 0
    uids = "StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID"
    asked = json.loads(run("query", f"SELECT {uids} {where}", "--from", database, "--format", "json").stdout)
    assert sorted(files(out)) == sorted(f"{'/'.join(row.values())}.dcm" for row in asked)
    again = tmp_path / "again.duckdb"
    assert run("export", out, "--to", again).exit_code == 0
    found = json.loads(run("query", f"SELECT {uids} {where}", "--from", again, "--format", "json").stdout)
    assert sorted(map(str, found)) == sorted(map(str, asked))
