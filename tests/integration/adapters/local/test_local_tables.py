"""DuckDB files as a warehouse: other people's files and tables, crashes, a full disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.adapters.local.duckdb import catalogs
from dicom_export.adapters.local.duckdb import tables as tables_module
from dicom_export.adapters.local.duckdb.catalogs import translated
from dicom_export.adapters.local.duckdb.conform import conform
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.errors import (
    Aborted,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)
from dicom_export.names import TableName
from dicom_export.ports import TableInfo
from dicom_export.rows.schema import Field, FieldType, Mode, Schema

if TYPE_CHECKING:
    from pathlib import Path

TABLE = TableName("local", "main", "dicom")
SCHEMA: Schema = (Field("PatientID", FieldType.STRING),)
HOLDER = """
import sys
import duckdb
connection = duckdb.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""
COMMITTER = """
import sys
from pathlib import Path
import pyarrow as pa
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.names import TableName
folder, table = Path(sys.argv[1]), TableName("local", "main", "dicom")
tables = DuckDbTables({"local": folder / "x.duckdb"}, streams=folder / "streams")
print("ready", flush=True)
for number in range(10**6):
    stream = tables.open_stream(table)
    for part in range(3):
        tables.append(stream, part * 200, pa.record_batch({"PatientID": [f"{stream}"] * 200}))
    print("finalizing", stream, flush=True)
    tables.finalize(stream)
    print("finalized", stream, flush=True)
    tables.commit(table, stream)
    print("committed", stream, flush=True)
"""


def make_tables(folder: Path) -> DuckDbTables:
    tables = DuckDbTables({"local": folder / "x.duckdb"}, streams=folder / "streams")
    tables.create_dataset("local", "main")
    return tables


def make_stream(tables: DuckDbTables, *ids: str) -> str:
    stream = tables.open_stream(TABLE)
    tables.append(stream, 0, pa.record_batch({"PatientID": list(ids)}))
    tables.finalize(stream)
    return stream


def counts(file: Path) -> dict[str, int]:
    with duckdb.connect(file, read_only=True) as connection:
        return dict(connection.sql("SELECT PatientID, count(*) FROM main.dicom GROUP BY ALL").fetchall())


def test_whenever_the_writer_is_killed_each_stream_is_there_once_or_can_be_committed(tmp_path: Path) -> None:
    with make_tables(tmp_path) as tables:
        tables.prepare(TABLE, SCHEMA)
    said: dict[str, list[str]] = {}
    # On a busy machine a process may need longer than that for its first stream.
    for milliseconds in takewhile(lambda elapsed: elapsed < 120 or not said, count(5, 20)):
        process = subprocess.Popen([sys.executable, "-c", COMMITTER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(milliseconds / 1000)
        process.kill()
        for line in process.communicate()[0].splitlines():
            word, _, stream = line.partition(" ")
            said.setdefault(stream, []).append(word)
        with make_tables(tmp_path) as tables:
            for stream, words in said.items():
                if "finalized" in words:
                    tables.commit(TABLE, stream)
    assert said
    found = counts(tmp_path / "x.duckdb")
    assert set(found.values()) <= {600}
    assert set(found) >= {stream for stream, words in said.items() if "finalized" in words}


def test_a_project_of_any_name_has_a_file_of_its_own(tmp_path: Path) -> None:
    names = ["a", "a-b", "example.com:a", "temp", "A'b\"c"]
    with DuckDbTables(directory=tmp_path, streams=tmp_path / "streams") as tables:
        for name in names:
            tables.create_dataset(name, "ds")
            tables.prepare(TableName(name, "ds", "t"), (Field(f"Of {name}", FieldType.STRING),))
        for name in names:
            info = tables.describe(TableName(name, "ds", "t"))
            assert info
            assert [field.name for field in info.schema] == [f"Of {name}"]
    assert len(list(tmp_path.glob("*.duckdb"))) == len(names)


def test_without_a_directory_there_are_the_named_projects_only(tmp_path: Path) -> None:
    with make_tables(tmp_path) as tables, pytest.raises(NotFound, match="there is local"):
        tables.create_dataset("other", "ds")


@pytest.mark.parametrize("name", ["dicom_export", "DICOM_EXPORT", "information_schema"])
def test_a_dataset_cannot_have_a_name_in_use(tmp_path: Path, name: str) -> None:
    with make_tables(tmp_path) as tables, pytest.raises(InvalidArgument, match=name):
        tables.create_dataset("local", name)


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 10_000])
def test_a_file_that_is_not_duckdb_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.duckdb").write_bytes(content)
    with pytest.raises(FailedPrecondition, match="is not a DuckDB file"):
        make_tables(tmp_path)
    assert (tmp_path / "x.duckdb").read_bytes() == content


def test_a_folder_is_no_duckdb_file(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").mkdir()
    with pytest.raises(FailedPrecondition, match="is a folder"):
        make_tables(tmp_path)


def test_a_file_in_the_hands_of_another_process_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "x.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(FailedPrecondition, match="is open in another process"):
            make_tables(tmp_path)
        process.communicate()
    make_tables(tmp_path).close()


def test_a_table_of_another_tool_is_described_and_grown(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute(
            "CREATE TABLE dicom (PatientID VARCHAR NOT NULL, n INTEGER, d DECIMAL(5, 2), ts TIMESTAMP, raw BLOB, l2 INT[][], "
            "OtherElements STRUCT(Tag VARCHAR, Data VARCHAR[])[])"
        )
    tag, data = Field("Tag", FieldType.STRING), Field("Data", FieldType.STRING, Mode.REPEATED)
    with make_tables(tmp_path) as tables:
        wanted = Field(
            "OtherElements", FieldType.RECORD, Mode.REPEATED, (Field("Tag", FieldType.STRING, Mode.REQUIRED), data)
        )
        tables.prepare(TABLE, (wanted, Field("New", FieldType.STRING)))
        tables.commit(TABLE, make_stream(tables, "1"))
        info = tables.describe(TABLE)
    assert info
    assert info.row_count == 1
    assert info.schema == (
        Field("PatientID", FieldType.STRING),
        Field("n", FieldType.INTEGER),
        Field("d", FieldType.FLOAT),
        Field("ts", FieldType.TIMESTAMP),
        Field("OtherElements", FieldType.RECORD, Mode.REPEATED, (tag, data)),
        Field("New", FieldType.STRING),
    )


@pytest.mark.parametrize("name", ["rows.json", "rows.csv", "json", "it's"])
def test_a_table_that_is_named_like_a_file_is_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"project:local.main.{name}").write_text('{"PatientID": "of a file"}\n')
    table = TableName(TABLE.project, TABLE.dataset, name)
    with make_tables(tmp_path) as tables:
        assert tables.describe(table) is None
        tables.prepare(table, SCHEMA)
        assert tables.describe(table) == TableInfo(SCHEMA, 0)


def test_a_column_of_a_foreign_type_is_not_taken_for_ours(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute("CREATE TABLE dicom (PatientID BLOB)")
    with make_tables(tmp_path) as tables, pytest.raises(FailedPrecondition, match="PatientID"):
        tables.prepare(TABLE, SCHEMA)


def test_staging_tables_go_when_they_are_three_days_old(tmp_path: Path) -> None:
    old, new = (TableName("local", "main", name) for name in ("old", "new"))
    with make_tables(tmp_path) as tables:
        tables.prepare_staging(old, SCHEMA, TABLE)
        tables.prepare_staging(new, SCHEMA, TABLE)
        tables.prepare(TABLE, SCHEMA)
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute(
            "UPDATE dicom_export.staging SET created = now() - INTERVAL 73 HOURS WHERE table_name = 'old'"
        )
    with make_tables(tmp_path) as tables:
        assert tables.describe(old) is None
        assert tables.describe(new)
        assert tables.describe(TABLE)


def test_rows_that_are_larger_than_the_memory_limit_foresees_are_committed_also_from_a_log(tmp_path: Path) -> None:
    rows, limit = 2_100, 40_000_000
    batch = pa.record_batch({"PatientID": [f"{number} {'x' * 30_000}" for number in range(rows)]})
    files, copies = {"local": tmp_path / "x.duckdb"}, {"local": tmp_path / "copy.duckdb"}
    with DuckDbTables(files, streams=tmp_path / "streams", memory_limit=limit) as tables:
        tables.create_dataset("local", "main")
        tables.prepare(TABLE, SCHEMA)
        stream = tables.open_stream(TABLE)
        tables.append(stream, 0, batch)
        tables.finalize(stream)
        tables.commit(TABLE, stream)
        for ending in ("", ".wal"):  # as a killed process leaves them
            shutil.copy(tmp_path / f"x.duckdb{ending}", tmp_path / f"copy.duckdb{ending}")
    for left in (files, copies):
        with DuckDbTables(left, streams=tmp_path / "streams", memory_limit=limit) as tables:
            assert tables.describe(TABLE) == TableInfo(SCHEMA, rows)


def test_a_stream_of_many_bytes_is_committed_in_parts_and_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables_module, "COMMIT_BYTES", 1_000)
    inserted: list[int] = []
    insert = DuckDbTables.insert

    def crashing(self: DuckDbTables, *arguments: Any) -> int:
        inserted.append(insert(self, *arguments))
        if len(inserted) == 2:
            raise Unavailable("the process is killed")
        return inserted[-1]

    with make_tables(tmp_path) as tables:
        tables.prepare(TABLE, SCHEMA)
        stream = tables.open_stream(TABLE)
        for number in range(5):
            tables.append(stream, 2 * number, pa.record_batch({"PatientID": [f"{number}{'x' * 600}"] * 2}))
        tables.finalize(stream)
        monkeypatch.setattr(DuckDbTables, "insert", crashing)
        with pytest.raises(Unavailable):
            tables.commit(TABLE, stream)
        monkeypatch.setattr(DuckDbTables, "insert", insert)
        assert tables.describe(TABLE) == TableInfo(SCHEMA, 2)
        assert tables.commits(TABLE) == {}
    with make_tables(tmp_path) as tables:
        assert tables.can_commit(stream)
        for _ in range(2):
            tables.commit(TABLE, stream)
            assert tables.describe(TABLE) == TableInfo(SCHEMA, 10)
        assert [*tables.commits(TABLE)] == [stream]


def test_checkpoints_do_not_merge_the_groups_of_large_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merging holds 2,048 rows at once, which may be gigabytes."""
    monkeypatch.setattr(catalogs, "_LARGE_ROWS_AT_ONCE", 1_000_000)
    for _ in range(3):
        with make_tables(tmp_path) as tables:
            tables.prepare(TABLE, SCHEMA)
            stream = tables.open_stream(TABLE)
            tables.append(stream, 0, pa.record_batch({"PatientID": ["x" * 1_000] * 3}))
            tables.finalize(stream)
            tables.commit(TABLE, stream)
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        groups = connection.sql("SELECT DISTINCT row_group_id, count FROM pragma_storage_info('main.dicom')").fetchall()
    assert sorted(groups) == [(0, 3), (1, 3), (2, 3)]


def test_what_a_table_took_is_asked_again_once_another_is_in_its_place(tmp_path: Path) -> None:
    staging = TableName("local", "main", "staging")
    with make_tables(tmp_path) as tables:
        tables.prepare(TABLE, SCHEMA)
        make_stream(tables, "a")
        tables.prepare_staging(staging, (Field("PatientName", FieldType.STRING),), TABLE)
        tables.replace(TABLE, staging, expected_rows=0, job="job")
        with pytest.raises(InvalidArgument, match="PatientID"):
            make_stream(tables, "b")


def test_readers_see_the_old_rows_until_a_replacement_is_committed(tmp_path: Path) -> None:
    staging = TableName("local", "main", "staging")
    with make_tables(tmp_path) as tables:
        tables.prepare(TABLE, SCHEMA)
        tables.commit(TABLE, make_stream(tables, "old"))
        tables.prepare_staging(staging, SCHEMA, TABLE)
        with tables._catalogs.transaction("local", "main") as reader:
            query = 'SELECT PatientID FROM "project:local".main.dicom'
            assert reader.sql(query).fetchall() == [("old",)]
            tables.replace(TABLE, staging, expected_rows=0, job="job")
            assert reader.sql(query).fetchall() == [("old",)]
        with tables._catalogs.cursor("local", "main") as later:
            assert later.sql(query).fetchall() == []


def test_a_stream_that_lost_rows_is_never_committed(tmp_path: Path) -> None:
    with make_tables(tmp_path) as tables:
        tables.prepare(TABLE, SCHEMA)
        stream = make_stream(tables, "1")
        (lost,) = (tmp_path / "streams").glob("*/*.arrow")
        lost.unlink()
        with pytest.raises(Internal, match="lost rows: 0 are left"):
            tables.commit(TABLE, stream)


def test_a_stream_belongs_to_its_table(tmp_path: Path) -> None:
    with make_tables(tmp_path) as tables:
        tables.prepare(TABLE, SCHEMA)
        with pytest.raises(InvalidArgument, match="was not opened for"):
            tables.commit(TableName("local", "main", "other"), make_stream(tables, "1"))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (duckdb.IOException("Could not write file: No space left on device"), ResourceExhausted),
        (duckdb.TransactionException("Failed to commit: No space left on device"), ResourceExhausted),
        (duckdb.IOException("Cannot open file: Permission denied"), PermissionDenied),
        (duckdb.TransactionException("Transaction conflict: cannot update a table"), Aborted),
        (duckdb.InternalException("Secret^Patient"), Unavailable),
        (duckdb.InvalidInputException("Secret^Patient"), Internal),
    ],
)
def test_what_duckdb_says_is_understood(tmp_path: Path, raised: duckdb.Error, expected: type[Exception]) -> None:
    error = translated(raised, tmp_path / "x.duckdb")
    assert type(error) is expected
    assert "Secret" not in str(error)


def nested(depth: int) -> st.SearchStrategy[list[dict[str, object]] | None]:
    item: dict[str, st.SearchStrategy[Any]] = {
        "x": st.none() | st.text(max_size=2),
        "l": st.none() | st.lists(st.integers(0, 9), max_size=2),
    }
    if depth:
        item["s"] = nested(depth - 1)
    return st.none() | st.lists(st.fixed_dictionaries({}, optional=item), max_size=3)


def nested_type(depth: int) -> pa.DataType:
    fields = [pa.field("x", pa.string()), pa.field("l", pa.list_(pa.int64()))]
    return pa.list_(pa.struct([*fields, pa.field("s", nested_type(depth - 1))] if depth else fields))


def without_null_lists(value: list[dict[str, object]] | None, depth: int) -> list[dict[str, object]]:
    return [
        {"x": item.get("x"), "l": item.get("l") or []}
        | ({"s": without_null_lists(item.get("s"), depth - 1)} if depth else {})  # type: ignore[arg-type]
        for item in value or []
    ]


@given(values=st.lists(nested(2), min_size=1, max_size=4), start=st.integers(0, 2))
def test_rows_keep_their_values_and_lose_their_null_lists(
    values: list[list[dict[str, object]] | None], start: int
) -> None:
    # Sliced, as the parts of a batch that is too large for one request are.
    array = pa.array(values, nested_type(2)).slice(start)
    assert conform(array, nested_type(2), len(array)).to_pylist() == [
        without_null_lists(value, 2) for value in values[start:]
    ]


@pytest.mark.parametrize(
    ("type_", "expected"),
    [(pa.string(), [None, None]), (pa.list_(pa.string()), [[], []]), (pa.struct([("a", pa.int64())]), [None, None])],
)
def test_a_missing_column_is_null_or_empty(type_: pa.DataType, expected: list[object]) -> None:
    assert conform(None, type_, 2).to_pylist() == expected


@pytest.mark.parametrize("symptom", ["already exists", "No space left on device", "Could not set lock on file"])
@pytest.mark.parametrize("kind", [duckdb.ConversionException, duckdb.InvalidInputException, duckdb.ConstraintException])
def test_a_value_in_an_error_of_duckdb_cannot_pass_for_another_error(
    kind: type[duckdb.Error], symptom: str, tmp_path: Path
) -> None:
    error = translated(kind(f"Could not convert string '{symptom} DOE^JOHN' to DATE"), tmp_path / "x.duckdb")
    assert isinstance(error, Internal)
    assert "DOE" not in error.message
