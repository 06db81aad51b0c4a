"""What a run measures to answer the questions. Each experiment has tables of its own, and returns what it measured."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from dicom_export.diagnosing.check_message import CHECK_ATTRIBUTE, CHECK_PATH
from dicom_export.errors import DicomExportError, FailedPrecondition
from dicom_export.smoke_testing.bench import default_stream, reference, sql_name, texts
from dicom_export.smoke_testing.instances import STUDY_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.names import TableName
    from dicom_export.smoke_testing.bench import Bench
    from dicom_export.smoke_testing.pipeline import Pipeline

Measured = dict[str, Any]

_KNOWN_SECONDS = 900.0
_BUFFER_SECONDS = 120.0
_APPENDS = 40
_MOST_COLUMNS = 10_000
_YEARS = 11
_STALENESS = ("4:0:0", "0-0 0 4:0:0")
_RUN = "https://run.googleapis.com/v2"
_METRICS = {
    "peak_memory_share": "run.googleapis.com/container/memory/utilizations",
    "slowest_cold_start_ms": "run.googleapis.com/container/startup_latencies",
    "slowest_message_ms": "run.googleapis.com/request_latencies",
}


def what_an_overwrite_kept(_bench: Bench, pipeline: Pipeline) -> Measured:
    """Return what the step `overwrite` compared. Raises FailedPrecondition if it did not come to that."""
    if not pipeline.overwritten:
        raise FailedPrecondition("The step `overwrite` failed before the overwrite had ended")
    return pipeline.overwritten


def nested_columns_of_an_overwrite(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Overwrite REQUIRED nested columns with NULLABLE ones, and with fields in another order."""
    required, nullable, turned = (bench.table(f"nested_{name}") for name in ("required", "nullable", "turned"))
    bench.create(required, [_record("a", "b", mode="REQUIRED")])
    bench.create(nullable, [_record("a", "b", mode="NULLABLE")])
    bench.create(turned, [_record("b", "a", mode="REQUIRED")])
    for table, fields in ((nullable, "'1' AS a, '2' AS b"), (turned, "'2' AS b, '1' AS a")):
        bench.lab.rows(f"INSERT INTO {sql_name(table)} SELECT STRUCT({fields})")
    return {
        "nullable_for_required": _overwritten(bench, required, nullable),
        "another_order": _overwritten(bench, required, turned),
        "rows": [dict(each) for each in bench.lab.rows(f"SELECT r.a, r.b FROM {sql_name(required)}")],
    }


def rows_after_a_commit(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Commit rows, and see when the table and a copy of it have them."""
    table, copy = bench.table("committed"), bench.table("copied")
    bench.create(table, texts("a"))
    _commit(bench, table, 3)
    at_once = bench.describe(table)
    copied = bench.lab.job(
        {
            "copy": {
                "sourceTable": reference(table),
                "destinationTable": reference(copy),
                "writeDisposition": "WRITE_TRUNCATE",
            }
        }
    )
    seconds: float | None = None
    try:
        seconds = bench.until(lambda: int(bench.describe(table).get("numRows", 0)) == 3, "numRows", _BUFFER_SECONDS)  # noqa: PLR2004 - as committed
    except DicomExportError:
        seconds = None  # longer than was waited
    return {
        "streaming_buffer_at_once": "streamingBuffer" in at_once,
        "streaming_buffer_at_the_end": "streamingBuffer" in bench.describe(table),
        "num_rows_at_once": int(at_once.get("numRows", 0)),
        "seconds_until_num_rows": seconds,
        "rows_of_a_copy": bench.count(copy) if "errorResult" not in copied.get("status", {}) else _error(copied),
        "rows_committed": 3,
    }


def rows_during_an_overwrite(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Append to the default stream while a job overwrites the table."""
    table, staging = bench.table("streaming"), bench.table("streaming_staging")
    bench.create(table, texts("a"))
    bench.create(staging, texts("a"))
    bench.lab.rows(f"INSERT INTO {sql_name(staging)} (a) VALUES ('new'), ('new')")
    refused: list[str] = []

    def append() -> None:
        refused.extend(bench.lab.append(default_stream(table), _batch(a=["streamed"])) for _ in range(_APPENDS))

    thread = threading.Thread(target=append)
    thread.start()
    job = _overwritten(bench, table, staging)
    thread.join()
    after = bench.lab.append(default_stream(table), _batch(a=["after"]))
    return {
        "overwrite": job,
        "appends": _APPENDS,
        "appends_refused": sorted({each for each in refused if each}),
        "appended_rows_kept": bench.count(table, "a = 'streamed'"),
        "new_rows": bench.count(table, "a = 'new'"),
        "append_afterwards": after or "taken",
    }


def extra_columns(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Append a column that the table lacks, before and right after it is added."""
    table = bench.table("extra")
    bench.create(table, texts("a"))
    found = {
        f"{name}_before": bench.lab.append(default_stream(table), _batch(a=["1"], b=["2"]), as_proto=as_proto)
        or "taken"
        for name, as_proto in (("arrow", False), ("proto", True))
    }
    bench.patch(table, {"schema": {"fields": texts("a", "b")}})
    return found | {
        f"{name}_right_after_the_column_was_added": bench.lab.append(
            default_stream(table), _batch(a=["1"], b=["2"]), as_proto=as_proto
        )
        or "taken"
        for name, as_proto in (("arrow", False), ("proto", True))
    }


def nested_arrow(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Append structs of lists four deep, and compare the values."""
    table = bench.table("arrow")
    leaf: list[dict[str, Any]] = [
        {"name": "t", "type": "TIME"},
        {"name": "j", "type": "JSON"},
        {"name": "e", "type": "STRING", "mode": "REPEATED"},
    ]
    value: dict[str, Any] = {"t": STUDY_TIME, "j": '{"a":1}', "e": []}
    kind: Any = pa.struct([("t", pa.time64("us")), ("j", pa.string()), ("e", pa.list_(pa.string()))])
    fields = leaf
    for level in range(4):
        fields = [{"name": f"l{level}", "type": "RECORD", "mode": "REPEATED", "fields": fields}]
        value, kind = {f"l{level}": [value]}, pa.struct([(f"l{level}", pa.list_(kind))])
    bench.create(table, fields)
    stream = bench.lab.open_stream(table)
    batch = pa.RecordBatch.from_pylist([value], schema=pa.schema(list(kind)))
    refused = bench.lab.append(stream.name, batch)
    committed = refused or bench.lab.finish(table, stream.name)
    where = "l3[0].l2[0].l1[0].l0[0]"
    row = bench.lab.rows(
        f"SELECT {where}.t AS t, TO_JSON_STRING({where}.j) AS j, ARRAY_LENGTH({where}.e) AS e FROM {sql_name(table)}"
    )
    return {
        "append": refused or "taken",
        "commit": committed or "taken",
        "equal": [dict(each) for each in row] == [{"t": STUDY_TIME, "j": '{"a":1}', "e": 0}],
        "found": [{name: str(each) for name, each in found.items()} for found in row],
    }


def seconds_until_a_column_is_known(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Add columns to a wide table, and measure how long each place needs to know them."""
    table = bench.table("wide")
    columns = [f"c{number}" for number in range(bench.columns)]
    bench.create(table, texts(*columns))
    bench.lab.open_stream(table)
    found: list[Measured] = []
    for number in range(bench.repeats):
        columns.append(f"new{number}")
        found.append(_seconds_of_one_column(bench, table, columns))
    return {"columns": bench.columns, "repeats": bench.repeats, "seconds": found}


def older_streams(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Add a column after a stream was created, and see whether the stream shows it."""
    table = bench.table("older")
    bench.create(table, texts("a"))
    stream = bench.lab.open_stream(table)
    bench.patch(table, {"schema": {"fields": texts("a", "b")}})
    bench.until(
        lambda: "b" in bench.lab.stream_columns(default_stream(table)),
        "the default stream lacks the column",
        _KNOWN_SECONDS,
    )
    return {"older_stream_shows_the_column": "b" in bench.lab.stream_columns(stream.name)}


def most_columns(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Create tables of the most columns, and of one more."""
    flat, nested = bench.table("flat"), bench.table("leaves")
    most = [f"c{number}" for number in range(_MOST_COLUMNS)]
    return {
        f"{_MOST_COLUMNS}_flat": _tried(lambda: bench.create(flat, texts(*most))),
        f"patch_to_{_MOST_COLUMNS + 1}_flat": _tried(
            lambda: bench.patch(flat, {"schema": {"fields": texts(*most, "one_more")}})
        ),
        f"record_of_{_MOST_COLUMNS - 1}": _tried(
            lambda: bench.create(nested, [{"name": "r", "type": "RECORD", "fields": texts(*most[:-1])}])
        ),
        f"record_of_{_MOST_COLUMNS}": _tried(
            lambda: bench.create(bench.table("more_leaves"), [{"name": "r", "type": "RECORD", "fields": texts(*most)}])
        ),
    }


def old_rows(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Append a row of today and a row that is older than partitions may be."""
    table = bench.table("dated")
    fields = [{"name": "t", "type": "TIMESTAMP"}]
    bench.create(table, fields, timePartitioning={"type": "DAY", "field": "t"})
    now = datetime.now(UTC)
    found: Measured = {}
    for name, moment in (("now", now), (f"{_YEARS}_years_ago", now - timedelta(days=_YEARS * 366))):
        batch = pa.RecordBatch.from_pydict({"t": pa.array([moment], pa.timestamp("us", tz="UTC"))})
        found[f"default_stream_{name}"] = bench.lab.append(default_stream(table), batch) or "taken"
        stream = bench.lab.open_stream(table)
        refused = bench.lab.append(stream.name, batch)
        found[f"pending_stream_{name}"] = refused or bench.lab.finish(table, stream.name) or "taken"
    return found


def staleness(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Create tables with each spelling of maxStaleness, and copy them."""
    found: Measured = {}
    for number, spelling in enumerate(_STALENESS):
        table = bench.table(f"stale_{number}")
        keyed = {"tableConstraints": {"primaryKey": {"columns": ["a"]}}, "clustering": {"fields": ["a"]}}
        taken = _tried(partial(bench.create, table, texts("a"), maxStaleness=spelling, **keyed))
        found[f"insert_{spelling}"] = taken
        if taken == "taken":
            found[f"get_{spelling}"] = bench.describe(table).get("maxStaleness", "absent")
            copy = {"sourceTable": reference(table), "destinationTable": reference(bench.table(f"stale_copy_{number}"))}
            found[f"copy_{spelling}"] = _error(bench.lab.job({"copy": copy})) or "taken"
    return found


def row_security_of_a_dry_run(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Query a table that has a row access policy, without running the query and with it."""
    table = bench.table("secured")
    bench.create(table, texts("a"))
    account = bench.installation.receivers["start_export"].invoker
    bench.lab.rows(
        f"CREATE ROW ACCESS POLICY p ON {sql_name(table)} GRANT TO ('serviceAccount:{account}') FILTER USING (a = '1')"
    )
    query = {"query": f"SELECT a FROM {sql_name(table)}", "useLegacySql": False, "useQueryCache": False}
    return {
        name: _is_secured(bench.lab.job({"query": query, **more}))
        for name, more in (("dry_run", {"dryRun": True}), ("run", {}))
    }


def headers(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Ask the API which headers arrived, and call it at each of its addresses."""
    url = bench.installation.api_url
    check = {"datasets": [], "staging": [], "isProbe": True}
    answer = bench.lab.api("POST", f"{url}{CHECK_PATH}", check, {CHECK_ATTRIBUTE: f"smoke{bench.run:016d}"})
    arrived = json.loads(answer.text).get("headers", {})
    return {"arrived": arrived, "status_by_url": _by_url(bench), "is_by_proxy": urlsplit(url).scheme != "https"}


def committed_streams(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Look up a stream after its commit, and commit it again."""
    table = bench.table("twice")
    bench.create(table, texts("a"))
    stream = _commit(bench, table, 2)
    return {
        "get_after_commit": _tried(lambda: bench.lab.stream_columns(stream)),
        "second_commit": _tried(lambda: bench.lab.finish(table, stream)),
        "rows": bench.count(table),
    }


def sizes(bench: Bench, _pipeline: Pipeline) -> Measured:
    """Read the metrics of the last hour. They are minutes late, so a first run may find few."""
    found: Measured = {}
    for name, kind in _METRICS.items():
        series = bench.lab.google(
            f"https://monitoring.googleapis.com/v3/projects/{bench.project}/timeSeries", _metric_query(kind)
        ).get("timeSeries", [])
        services = {each.function: entry_point for entry_point, each in bench.installation.receivers.items()}
        services[bench.installation.api_function] = "export_api"
        found[name] = {
            services[service]: max(float(point["value"]["doubleValue"]) for point in each["points"])
            for each in series
            if (service := each["resource"]["labels"].get("service_name")) in services
        }
    if not any(found.values()):
        raise FailedPrecondition(
            "Cloud Monitoring has no values of the functions yet: run the test again after 5 minutes"
        )
    return found


def _metric_query(kind: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "filter": f'metric.type="{kind}" AND resource.type="cloud_run_revision"',
        "interval.startTime": (now - timedelta(hours=1)).isoformat(),
        "interval.endTime": now.isoformat(),
        "aggregation.alignmentPeriod": "3600s",
        "aggregation.perSeriesAligner": "ALIGN_PERCENTILE_99",
        "aggregation.crossSeriesReducer": "REDUCE_MAX",
        "aggregation.groupByFields": "resource.label.service_name",
    }


def _by_url(bench: Bench) -> Measured:
    """Return how the API answers at each of its addresses, numbered: a token's audience is the address."""
    name = f"projects/{bench.project}/locations/{bench.installation.region}/services/{bench.installation.api_function}"
    urls = bench.lab.google(f"{_RUN}/{name}").get("urls", [])
    return {f"url_{number}": bench.lab.api("GET", f"{url}/health").status for number, url in enumerate(urls, 1)}


def _record(*names: str, mode: str) -> dict[str, Any]:
    fields = [{**each, "mode": mode} for each in texts(*names)]
    return {"name": "r", "type": "RECORD", "fields": fields}


def _overwritten(bench: Bench, table: TableName, staging: TableName) -> str:
    """Replace the rows of a table with those of another, as an overwrite does, and return the error or `taken`."""
    query = {
        "query": f"SELECT * FROM {sql_name(staging)}",
        "useLegacySql": False,
        "destinationTable": reference(table),
        "writeDisposition": "WRITE_TRUNCATE_DATA",
    }
    return _tried(lambda: _raise_error(bench.lab.job({"query": query})))


def _commit(bench: Bench, table: TableName, rows: int) -> str:
    """Commit rows, and return the stream."""
    stream = bench.lab.open_stream(table)
    refused = bench.lab.append(stream.name, _batch(a=["1"] * rows)) or bench.lab.finish(table, stream.name)
    if refused:
        raise FailedPrecondition(f"Rows were not committed: {refused}")
    return stream.name


def _seconds_of_one_column(bench: Bench, table: TableName, columns: list[str]) -> Measured:
    new = columns[-1]
    begun = bench.clock()
    bench.patch(table, {"schema": {"fields": texts(*columns)}})
    tests: dict[str, Callable[[], bool]] = {
        "default_stream": lambda: new in bench.lab.stream_columns(default_stream(table)),
        "new_stream": lambda: new in bench.lab.open_stream(table).columns,
        "append": lambda: not bench.lab.append(default_stream(table), _batch(**{new: ["1"]})),
    }
    found: Measured = {}
    while len(found) < len(tests) and bench.clock() - begun < _KNOWN_SECONDS:
        for name, is_known in tests.items():
            if name not in found and is_known():
                found[name] = round(bench.clock() - begun, 1)
        if len(found) < len(tests):
            bench.sleep(1.0)
    return found


def _batch(**columns: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _tried(call: Callable[[], object]) -> str:
    """Return `taken`, or the error."""
    try:
        call()
    except DicomExportError as error:
        return error.message
    return "taken"


def _raise_error(job: Mapping[str, Any]) -> None:
    if error := _error(job):
        raise FailedPrecondition(error)


def _error(job: Mapping[str, Any]) -> str:
    """Return the error of a job that ended, or an empty text."""
    found = job.get("status", {}).get("errorResult")
    return f"{found.get('reason')}: {found.get('message')}" if found else ""


def _is_secured(job: Mapping[str, Any]) -> bool | None:
    """Return what the job's statistics say about row access policies, or None if they say nothing."""
    found = job.get("statistics", {}).get("rowLevelSecurityStatistics")
    return bool(found.get("rowLevelSecurityApplied")) if found else None
