"""Filters as an export finds them: one object or several, in whatever way their lines name an instance."""

from __future__ import annotations

import gzip
import json
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.errors import Code, InvalidArgument, NotFound
from dicom_export.names import GcsUri
from dicom_export.operations import filters
from dicom_export.state.filters import FilterIndex
from dicom_export.state.journal import Journal
from dicom_export.state.paths import filter_index_path, filter_path
from dicom_export.uids import InstanceUids
from support.command_line import rows, run
from support.dicom_files import make_instance
from support.factories import make_operation
from support.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_export.operations.counters import Counters
    from dicom_export.operations.operation import Operation

MALFORMED = "JANE/DOE %2F,x"
LAYOUTS = {
    "uids": "{study}/{series}/1.2.9.{number}.dcm",
    "dicomweb": "studies/{study}/series/{series}/instances/{number}",
    "folders": "disc{number}/{number:04d}",
}
ORDINARY = [("1.2.1", "1.3.1", "1.4.1"), ("1.2.1", "1.3.2", "1.4.2"), ("1.2.2", "1.3.3", "1.4.3")]


@pytest.fixture(params=LAYOUTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Yield an installation whose store has ordinary instances, some with a malformed UID, and what is in no study."""
    malformed = [(MALFORMED, "1.3.4", "1.4.4"), ("1.2.5", MALFORMED, "1.4.5"), ("1.2.6", "1.3.6", MALFORMED)]
    contents = [make_uids(*uids) for uids in ORDINARY + malformed]
    contents.append(make_instance(StudyInstanceUID=None, SOPInstanceUID="1.4.7"))
    for number, content in enumerate(contents):
        study, series, _ = ORDINARY[number] if number < len(ORDINARY) else ("1.2.1", "1.3.9", "")
        path = tmp_path / "store" / LAYOUTS[request.param].format(study=study, series=series, number=number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "root/filters/deep").mkdir(parents=True)
    world = World(tmp_path / "root", tmp_path / "store")
    yield world
    world.close()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def make_uids(study: str, series: str, instance: str) -> bytes:
    """Return an instance with UIDs that pydicom may not write: they are put in the place of others of their length."""
    content = make_instance(
        StudyInstanceUID="1" * len(study), SeriesInstanceUID="2" * len(series), SOPInstanceUID="3" * len(instance)
    )
    for digit, uid in zip("123", (study, series, instance), strict=True):
        placeholder = (digit * len(uid)).encode()
        before, found, after = content.rpartition(placeholder)
        assert found
        content = before + uid.encode() + after
    return content


def export(world: World, pattern: str = "filter.txt") -> Operation:
    operation = world.export(filter_uri=GcsUri("filters", pattern))
    world.drain()
    return world.ended(operation)


def counters(operation: Operation) -> Counters:
    assert operation.error is None
    assert operation.counters
    return operation.counters


def stored_text(root: Path) -> str:
    return "".join(path.read_text() for path in (root / "state").rglob("*") if path.is_file())


def write(tmp_path: Path, **files: bytes | str) -> None:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / "root/filters" / name.replace("_", ".")).write_bytes(data)


def test_shards_of_bigquery_are_one_filter(world: World, tmp_path: Path) -> None:
    write(
        tmp_path,
        a1_csv="path\n/dicomWeb/studies/1.2.1/series/1.3.1\n",
        a2_csv=gzip.compress(b'path\r\n"/studies/1.2.2"\r\n'),
        b_csv="/studies/1.2.1/series/1.3.2",
    )
    (tmp_path / "root/filters/a/").mkdir()
    (tmp_path / "root/filters/a/deeper.csv").write_text("/studies/1.2.1/series/1.3.2")
    assert counters(export(world, "a*")).success == 2
    assert world.instances() == ["1.4.1", "1.4.3"]


@pytest.mark.parametrize("pattern", ["a*.csv", "*.csv", "a-1*"])
def test_a_star_stands_for_any_characters_within_a_name(world: World, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "root/filters/a-1.csv").write_text("/studies/1.2.2")
    (tmp_path / "root/filters/deep/a-2.csv").write_text("/studies/1.2.1")
    assert counters(export(world, pattern)).success == 1


def test_a_pattern_that_matches_nothing_is_refused_at_once(world: World, tmp_path: Path) -> None:
    write(tmp_path, b_csv="/studies/1.2.2")
    with pytest.raises(NotFound, match=re.escape("No object matches the filter gs://filters/a*")):
        world.export(filter_uri=GcsUri("filters", "a*"))
    with pytest.raises(InvalidArgument, match="more than one"):
        world.export(filter_uri=GcsUri("filters", "*b*"))


@pytest.mark.parametrize("change", ["another", "gone", "replaced"])
def test_a_filter_of_several_objects_is_that_of_the_request(world: World, tmp_path: Path, change: str) -> None:
    write(tmp_path, a1_csv="/studies/1.2.1", a2_csv="/studies/1.2.2")
    operation = world.export(filter_uri=GcsUri("filters", "a*"))
    if change == "gone":
        (tmp_path / "root/filters/a2.csv").unlink()
    else:
        write(tmp_path, **{"a3_csv" if change == "another" else "a2_csv": "/studies/1.2.6"})
    world.drain()
    error = world.ended(operation).error
    assert error
    assert error.code is Code.FAILED_PRECONDITION
    assert world.instances() == []


def test_an_error_names_the_object_of_the_line(world: World, tmp_path: Path) -> None:
    write(tmp_path, a1_csv="path\n/studies/1.2.1", a2_csv="path\n/studies/1.2.2\n\nDoe^Jane\n")
    error = export(world, "a*").error
    assert error
    assert "Line 4 of the filter a2.csv is malformed; expected" in error.message
    assert "Doe" not in stored_text(tmp_path / "root")


@pytest.mark.parametrize(
    ("line", "instance"),
    [
        ("/studies/{}", "1.4.4"),
        ("/studies/{}/series/1.3.4/instances/1.4.4", "1.4.4"),
        ("/studies/1.2.5/series/{}", "1.4.5"),
        ("/studies/1.2.6/series/1.3.6/instances/{}", MALFORMED),
    ],
)
def test_a_malformed_uid_is_named_and_found_and_nowhere_in_the_state(
    world: World, tmp_path: Path, line: str, instance: str, caplog: pytest.LogCaptureFixture
) -> None:
    missing = quote("ANN DOE", safe="")
    write(tmp_path, filter_txt=f"{line.format(quote(MALFORMED, safe=''))}\n/studies/1.2.2\n/studies/{missing}\n")
    with caplog.at_level(logging.INFO):
        assert counters(export(world)).success == 2
    assert sorted(world.instances()) == sorted(["1.4.3", instance])
    chunks = "".join(path.read_text() for path in (tmp_path / "root/state").rglob("filter/*.json"))
    assert re.search('"~[0-9a-f]{64}"', chunks)
    assert "DOE" not in chunks
    assert "The filter's path /studies/[malformed UID] matched nothing" in caplog.text
    assert "ANN" not in caplog.text


def test_what_is_in_no_study_is_passed_over_and_not_failed(world: World, tmp_path: Path) -> None:
    write(tmp_path, filter_txt="/studies/1.2.1\n/studies/1.2.2\n")
    done = counters(export(world))
    assert (done.success + done.failure, done.failure) == (len(world.instances()), 0)
    assert {"1.4.1", "1.4.2", "1.4.3"} <= set(world.instances())


def test_without_a_filter_it_is_failed(world: World) -> None:
    operation = world.export()
    world.drain()
    done = world.ended(operation).counters
    assert done
    assert done.failure == 1


def test_a_filter_that_an_earlier_version_stored_is_still_found(tmp_path: Path) -> None:
    state, name = FolderState(tmp_path), make_operation().name
    state.create(filter_path(name, 0), json.dumps([["1.2.1"], ["1.2.2", "1.3"]]).encode())
    state.create(filter_index_path(name), json.dumps({"firsts": [["1.2.1"]], "chunk_size": 10_000}).encode())
    journal = Journal(state)
    assert journal.filters.index(name) == FilterIndex((("1.2.1",),), 10_000, has_malformed=False)
    chunk = journal.filters.chunk(name, 0)
    assert filters.position_of(chunk, filters.path_of(InstanceUids("1.2.2", "1.3", "1"))) == 1
    assert filters.position_of(chunk, filters.path_of(InstanceUids("1.2.2", "A", "1"))) is None


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Return a file with a table of ordinary and malformed instances, those of the folder `store` beside it."""
    (tmp_path / "store").mkdir()
    for number, uids in enumerate([*ORDINARY, (MALFORMED, "1.3.4", "1.4.4")]):
        (tmp_path / f"store/{number}.dcm").write_bytes(make_uids(*uids))
    assert run("export", tmp_path / "store", "--to", tmp_path / "all.duckdb").exit_code == 0
    return tmp_path / "all.duckdb"


@pytest.mark.parametrize("alias", ["", "AS path", "AS `the path`"])
def test_a_querys_csv_is_the_filter_of_an_export(table: Path, tmp_path: Path, alias: str) -> None:
    path = f"CONCAT('/studies/', StudyInstanceUID, '/series/', SeriesInstanceUID) {alias}"
    sql = f"SELECT {path} FROM dicom WHERE SOPInstanceUID < '1.4.3'"  # noqa: S608 - a test's own
    (tmp_path / "filter.csv").write_text(run("query", sql, "--from", table, "--format", "csv").stdout)
    out = tmp_path / "some.duckdb"
    result = run("export", tmp_path / "store", "--to", out, "--filter", tmp_path / "filter.csv")
    assert result.exit_code == 0, result.output
    assert sorted(rows(out, "SELECT SOPInstanceUID FROM dicom")) == [("1.4.1",), ("1.4.2",)]


def test_a_quoted_pattern_names_several_files(table: Path, tmp_path: Path) -> None:
    assert table.exists()
    (tmp_path / "f-1.csv").write_text("path\n/studies/1.2.1/series/1.3.1\n")
    (tmp_path / "f-2.csv").write_text("path\n/studies/1.2.2\n")
    out = tmp_path / "some.duckdb"
    result = run("export", tmp_path / "store", "--to", out, "--filter", tmp_path / "f-*.csv")
    assert result.exit_code == 0, result.output
    assert sorted(rows(out, "SELECT SOPInstanceUID FROM dicom")) == [("1.4.1",), ("1.4.3",)]


@pytest.mark.parametrize(("pattern", "reason"), [("g-*.csv", "No file matches"), ("*f*", "more than one")])
def test_a_pattern_without_a_file_is_wrong_usage(table: Path, tmp_path: Path, pattern: str, reason: str) -> None:
    assert table.exists()
    (tmp_path / "f-1.csv").touch()
    result: Any = run("export", tmp_path / "store", "--to", tmp_path / "some.duckdb", "--filter", tmp_path / pattern)
    assert result.exit_code == 2
    assert reason in result.output


def test_a_repair_exports_instances_with_malformed_uids(table: Path, tmp_path: Path) -> None:
    (tmp_path / "store/9.dcm").write_bytes(make_uids("1.2.1", MALFORMED, "1.4.9"))
    result = run("verify", tmp_path / "store", "--from", table, "--repair")
    assert "1 instances exported" in result.output
    assert rows(table, "SELECT SeriesInstanceUID FROM dicom WHERE SOPInstanceUID = '1.4.9'") == [(MALFORMED,)]
    chunks = [path.read_text() for path in (tmp_path / "all.duckdb.state").rglob("filter/*.json")]
    assert any("~" in text for text in chunks)
    assert not any("DOE" in text for text in chunks)
