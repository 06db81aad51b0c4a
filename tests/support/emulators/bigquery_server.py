"""bqemulator 1.4.0, mended where it does not answer as BigQuery does. Run by the emulator's own Python, not by the tests'.

    .venv-bigquery/bin/python tests/support/emulators/bigquery_server.py start --rest-port N --grpc-port M

Left as it is: change data capture, tables that expire.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import bqemulator.cli
import grpc
import pyarrow as pa
from bqemulator.api.routes import jobs as job_routes
from bqemulator.api.routes import tables as table_routes
from bqemulator.api.routes.tabledata import _build_arrow_schema
from bqemulator.catalog.memory_repository import MemoryCatalogRepository
from bqemulator.domain.errors import AlreadyExistsError, DomainError, InvalidQueryError, NotFoundError
from bqemulator.domain.events import TableDataChanged
from bqemulator.grpc_api import write_servicer
from bqemulator.jobs import executor
from bqemulator.storage import arrow_bridge
from bqemulator.storage import engine as duckdb_engine
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.storage.type_map import bq_schema_to_duckdb_columns
from bqemulator.streaming.strategies import pending
from bqemulator.streaming.write_stream import WriteStreamState
from bqemulator.versioning.snapshots import SnapshotManager
from fastapi import Request
from google.cloud.bigquery_storage_v1 import types
from google.protobuf.any_pb2 import Any as AnyMessage

from dicom_export.adapters.local.duckdb.conform import conform
from dicom_export.errors import InvalidArgument

Engine = duckdb_engine.DuckDBEngine
Streams = write_servicer.BigQueryWriteHandler
Codes = types.StorageError.StorageErrorCode

# Labels of a table, by which a test has it behave as BigQuery may.
STRICT = "refuses-nullable"  # a query's result, whose columns are NULLABLE, is refused for REQUIRED fields
LAG = "shows-columns-late"  # so many looks at a stream, and connections to it, do not see new columns
REFUSALS = "takes-columns-late"  # so many connections after that are refused, and the service does not say why

# One DuckDB connection serves REST and gRPC, each with threads of its own: its users take turns.
CONNECTION = threading.RLock()

# An open AppendRows connection holds a thread; Python's default would be six of them.
APPENDING_THREADS = 256


def mend() -> None:
    """Put the functions below in the place of the emulator's."""
    Engine.execute = execute
    Engine.fetch_arrow = fetch_arrow
    Engine._load_spatial = lambda _: None  # nothing here is GEOGRAPHY, and the extension would be 80 MB more to install
    arrow_bridge.introspect_arrow_schema = introspect_arrow_schema
    SnapshotManager.record_change = record_change

    table_routes._rest_to_table_meta = table_meta
    table_routes._table_to_rest = table_resource
    patched = [route for route in table_routes.router.routes if route.endpoint is table_routes.patch_table]
    for route in patched:
        table_routes.router.routes.remove(route)
        table_routes.router.patch(route.path.removeprefix(table_routes.router.prefix))(patch_table)
    MemoryCatalogRepository.delete_table = delete_table

    grpc.aio.server = partial(grpc.aio.server, migration_thread_pool=ThreadPoolExecutor(APPENDING_THREADS))
    write_servicer._table_arrow_schema = stream_arrow_schema
    write_servicer._align_to_target = aligned_on_stream
    write_servicer._error_response = error_response
    pending._concat = concatenated
    Streams.__init__ = keep_manager
    Streams._flush_to_target = flush
    Streams._handle_batch_commit_write_streams = commit
    Streams._handle_get_write_stream = get_write_stream

    job_routes._handle_query_job = handle_query_job
    job_routes.execute_copy_job = execute_copy_job
    executor._copy_table_into_destination = copy_table


# --- The engine ---


class FetchedRows:
    """A statement's rows, fetched before anybody else can use the connection and lose them."""

    def __init__(self, result: Any) -> None:
        self.description = result.description
        self._rows = iter(result.fetchall() if self.description else ())

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


_execute = Engine.execute


def execute(self: Any, sql: str, parameters: Any = None) -> FetchedRows:
    with CONNECTION:
        return FetchedRows(_execute(self, sql, parameters))


def fetch_arrow(self: Any, sql: str, parameters: Any = None) -> pa.Table:
    with CONNECTION:
        result = _execute(self, sql, parameters)
        description = result.description
        return duckdb_engine._annotate_with_duckdb_types(result.to_arrow_table(), description)


def introspect_arrow_schema(engine: Any, table: str) -> pa.Schema:
    return engine.fetch_arrow(f"FROM {table} LIMIT 0").schema


def record_change(self: Any, project_id: str, dataset_id: str, table_id: str) -> None:
    """Tell of the change, without a copy of the whole table for time travel: a commit of one row would take ever longer."""
    self._events.publish(TableDataChanged(project_id, dataset_id, table_id))


# --- Tables: an expiration and policy tags are kept, a patch is a compare-and-set that adds columns and changes none ---

policy_tags: dict[tuple[str, str, str], dict[str, Any]] = {}

_table_meta, _table_resource = table_routes._rest_to_table_meta, table_routes._table_to_rest


class ConditionNotMetError(DomainError):
    """If-Match names another version of the table."""

    http_status = 412
    bq_reason = "conditionNotMet"
    grpc_status_name = "FAILED_PRECONDITION"


def table_meta(project_id: str, dataset_id: str, body: dict[str, Any], clock: Any, existing: Any = None) -> Any:
    milliseconds = body.get("expirationTime")
    expires = existing.expiration_time if existing and "expirationTime" not in body else None
    if milliseconds is not None:
        expires = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    meta = _table_meta(project_id, dataset_id, body, clock, existing)
    name = project_id, dataset_id, meta.table_id
    tags = dict(tagged_fields(body.get("schema", {}).get("fields", ())))
    policy_tags[name] = (policy_tags.get(name, {}) if existing else {}) | tags
    return meta.model_copy(update={"expiration_time": expires})


def tagged_fields(fields: Any, path: str = "") -> Any:
    """Yield the path and the policy tags of each field that has some, at every depth."""
    for field in fields:
        if "policyTags" in field:
            yield path + field["name"], field["policyTags"]
        yield from tagged_fields(field.get("fields", ()), f"{path}{field['name']}.")


def with_tags(fields: list[dict[str, Any]], tags: dict[str, Any], path: str = "") -> list[dict[str, Any]]:
    return [
        {
            **field,
            **({"policyTags": tags[path + field["name"]]} if path + field["name"] in tags else {}),
            **({"fields": with_tags(field["fields"], tags, f"{path}{field['name']}.")} if "fields" in field else {}),
        }
        for field in fields
    ]


def table_resource(table: Any) -> dict[str, Any]:
    resource: dict[str, Any] = _table_resource(table)
    tags = policy_tags.get((table.project_id, table.dataset_id, table.table_id), {})
    if tags:
        resource["schema"]["fields"] = with_tags(resource["schema"]["fields"], tags)
    if table.expiration_time:
        resource["expirationTime"] = str(round(table.expiration_time.timestamp() * 1000))
    return resource


async def patch_table(
    project_id: str, dataset_id: str, table_id: str, request: Request, ctx: table_routes._Ctx
) -> dict[str, Any]:
    """Change the table at once, where the emulator lets another request in between and leaves DuckDB's table as it is."""
    body = await request.json()
    body["tableReference"] = {"tableId": table_id}
    with CONNECTION:
        existing = ctx.catalog.get_table(project_id, dataset_id, table_id)
        if existing is None:
            raise NotFoundError(f"Not found: Table {project_id}:{dataset_id}.{table_id}")
        if request.headers.get("if-match", existing.etag) != existing.etag:
            raise ConditionNotMetError("Precondition Failed")
        updated = table_routes._rest_to_table_meta(project_id, dataset_id, body, ctx.clock, existing)
        if updated.schema_ != existing.schema_:
            check_additive(existing.schema_.fields, updated.schema_.fields)
            late[project_id, dataset_id, table_id] = Lateness(existing)
            alter(ctx.engine, updated)
        return table_routes._table_to_rest(ctx.catalog.update_table(updated))


class Lateness:
    """What streams do not know yet after a table got columns."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self.lag = int(before.labels.get(LAG, 0))
        self.refusals = int(before.labels.get(REFUSALS, 0))

    def is_lagging(self) -> bool:
        self.lag -= 1
        return self.lag >= 0

    def is_refusing(self) -> bool:
        self.refusals -= 1
        return self.refusals >= 0


late: dict[tuple[str, str, str], Lateness] = {}


def as_streams_see(table: Any) -> tuple[Any, bool]:
    """Return the table as a stream shows it to whoever looks, and whether a connection would be refused without a reason."""
    lateness = late.get((table.project_id, table.dataset_id, table.table_id))
    if lateness is None:
        return table, False
    return (lateness.before, False) if lateness.is_lagging() else (table, True)


def check_additive(old: Any, new: Any, path: str = "") -> None:
    """Raise what BigQuery answers to a schema that lacks or changes a field."""
    wrong = "Provided Schema does not match Table."
    by_name = {field.name.lower(): field for field in new}
    for field in old:
        name, other = path + field.name, by_name.pop(field.name.lower(), None)
        if other is None:
            raise InvalidQueryError(f"{wrong} Field {name} is missing in new schema")
        if other.type != field.type:
            raise InvalidQueryError(f"{wrong} Field {name} has changed type from {field.type} to {other.type}")
        if other.mode != field.mode and (field.mode, other.mode) != ("REQUIRED", "NULLABLE"):
            raise InvalidQueryError(f"{wrong} Field {name} has changed mode from {field.mode} to {other.mode}")
        check_additive(field.fields or (), other.fields or (), f"{name}.")
    for field in by_name.values():
        if field.mode == "REQUIRED":
            raise InvalidQueryError(
                f"{wrong} Cannot add required fields to an existing schema. (field: {path}{field.name})"
            )


def alter(engine: Any, table: Any) -> None:
    """Give DuckDB's table the columns that are new, at any depth."""
    reference = quoted_table_ref(table.project_id, table.dataset_id, table.table_id)
    known = {name for name, *_ in engine.execute(f"DESCRIBE {reference}").fetchall()}
    columns = ", ".join(
        f"CAST({_quoted(name) if name in known else 'NULL'} AS {type_}) AS {_quoted(name)}"
        for name, type_ in bq_schema_to_duckdb_columns(list(map(field_resource, table.schema_.fields)))
    )
    engine.execute(f"CREATE OR REPLACE TABLE {reference} AS SELECT {columns} FROM {reference}")  # noqa: S608 - quoted


def field_resource(field: Any) -> dict[str, Any]:
    nested = {"fields": list(map(field_resource, field.fields))} if field.fields else {}
    return {"name": field.name, "type": field.type, "mode": field.mode, **nested}


def _quoted(name: str) -> str:
    return f'"{name}"'


# --- Write streams: they know nested fields, are committed once, and end with their table ---

_keep_manager, _flush = Streams.__init__, Streams._flush_to_target
_commit, _get_write_stream = Streams._handle_batch_commit_write_streams, Streams._handle_get_write_stream
_error_response, _concatenated = write_servicer._error_response, pending._concat
_delete_table = MemoryCatalogRepository.delete_table

managers: list[Any] = []
commit_times: dict[str, Any] = {}

EXTRA_FIELDS = "Input schema has more fields than BigQuery schema, extra fields: "
STORAGE_ERRORS = {
    grpc.StatusCode.ALREADY_EXISTS: Codes.OFFSET_ALREADY_EXISTS,
    grpc.StatusCode.OUT_OF_RANGE: Codes.OFFSET_OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION: Codes.STREAM_FINALIZED,
}


def keep_manager(self: Any, *arguments: Any, **named: Any) -> None:
    _keep_manager(self, *arguments, **named)
    managers.append(self._manager)


def table_arrow_schema(table: Any) -> pa.Schema:
    """Return the schema with its nested fields, which the emulator leaves out."""
    return _build_arrow_schema(list(map(field_resource, table.schema_.fields)))


def stream_arrow_schema(table: Any) -> pa.Schema:
    """Return the schema that a new connection has."""
    seen, is_late = as_streams_see(table)
    is_refusing = is_late and late[table.project_id, table.dataset_id, table.table_id].is_refusing()
    schema = table_arrow_schema(seen)
    return schema.with_metadata({"refuses": ""}) if is_refusing else schema


def aligned_on_stream(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    if schema.metadata:
        raise ValueError("Request contains an invalid argument.")
    return aligned(rows, schema)


def aligned(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the rows in the table's columns; the emulator drops the columns that the table lacks, and nulls lists."""
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    try:
        arrays = [conform(columns.pop(field.name, None), field.type, rows.num_rows) for field in schema]
    except InvalidArgument as error:
        raise ValueError(f"{EXTRA_FIELDS}{error.message}") from error
    if columns:
        raise ValueError(f"{EXTRA_FIELDS}{', '.join(columns)}")
    return pa.Table.from_arrays(arrays, schema=schema)


def error_response(stream: str, detail: str, status_code: Any = grpc.StatusCode.INVALID_ARGUMENT) -> bytes:
    """Return the error with the storage error that BigQuery puts into its details."""
    response = types.AppendRowsResponse.deserialize(_error_response(stream, detail, status_code))
    has_more = detail.startswith(EXTRA_FIELDS)
    code = Codes.SCHEMA_MISMATCH_EXTRA_FIELDS if has_more else STORAGE_ERRORS.get(status_code)
    if code is not None:
        packed = AnyMessage()
        packed.Pack(types.StorageError.pb(types.StorageError(code=code, entity=stream, error_message=detail)))
        response._pb.error.details.append(packed)
    serialized: bytes = types.AppendRowsResponse.serialize(response)
    return serialized


def concatenated(buffer: list[pa.Table]) -> pa.Table | None:
    """Concatenate what was appended while the table's columns became more."""
    return _concatenated([aligned(rows, buffer[-1].schema) for rows in buffer])


def flush(self: Any, stream: Any, rows: pa.Table) -> None:
    """Insert rows into the table, also if it has got more columns since they were appended."""
    with CONNECTION:
        table = self._ctx.catalog.get_table(stream.project_id, stream.dataset_id, stream.table_id)
        _flush(self, stream, aligned(rows, table_arrow_schema(table)) if table else rows)


def commit(self: Any, request_bytes: bytes, context: Any) -> bytes:
    """Refuse what is committed already by the code that says so, and keep the commit time."""
    request = types.BatchCommitWriteStreamsRequest.deserialize(request_bytes)
    with CONNECTION:
        errors = [
            types.StorageError(code=Codes.STREAM_ALREADY_COMMITTED, entity=name, error_message="Already committed")
            for name in request.write_streams
            if (stream := self._manager.get(name)) and stream.state is WriteStreamState.COMMITTED
        ]
        if errors:
            refused = types.BatchCommitWriteStreamsResponse(stream_errors=errors)
            return bytes(types.BatchCommitWriteStreamsResponse.serialize(refused))
        answer: bytes = _commit(self, request_bytes, context)
        response = types.BatchCommitWriteStreamsResponse.deserialize(answer)
        if "commit_time" in response:
            commit_times.update(dict.fromkeys(request.write_streams, response.commit_time))
        return answer


def get_write_stream(self: Any, request_bytes: bytes, context: Any) -> bytes:
    answer: bytes = _get_write_stream(self, request_bytes, context)
    stream = types.WriteStream.deserialize(answer)
    if stream.name in commit_times:
        stream.commit_time = commit_times[stream.name]
    stream.table_schema = None
    if stream.name and types.GetWriteStreamRequest.deserialize(request_bytes).view == types.WriteStreamView.FULL:
        _, project, _, dataset, _, table, *_ = stream.name.split("/")
        seen, _ = as_streams_see(self._ctx.catalog.get_table(project, dataset, table))
        stream.table_schema = types.TableSchema(fields=list(map(stream_field, seen.schema_.fields)))
    return bytes(types.WriteStream.serialize(stream))


def stream_field(field: Any) -> types.TableFieldSchema:
    """Return the field with its nested fields, which the emulator leaves out."""
    return types.TableFieldSchema(
        name=field.name,
        type_=write_servicer._bq_type_to_storage_type(field.type),
        mode=write_servicer._bq_mode_to_storage_mode(field.mode),
        fields=list(map(stream_field, field.fields)),
    )


def delete_table(self: Any, project_id: str, dataset_id: str, table_id: str, **named: Any) -> Any:
    """Delete the table with its streams: a new table of this name has none of them."""
    late.pop((project_id, dataset_id, table_id), None)
    policy_tags.pop((project_id, dataset_id, table_id), None)
    for manager in managers:
        for stream in manager.list_active():
            if (stream.project_id, stream.dataset_id, stream.table_id) == (project_id, dataset_id, table_id):
                manager.delete(stream.name)
    return _delete_table(self, project_id, dataset_id, table_id, **named)


# --- Jobs: once an id; a copy with WRITE_TRUNCATE replaces schema and policies, a query with WRITE_TRUNCATE_DATA the rows ---

_handle_query_job, _execute_copy_job = job_routes._handle_query_job, executor.execute_copy_job
_copy_table = executor._copy_table_into_destination
begun_jobs: set[tuple[str, str]] = set()


def begin_job(project_id: str, job_id: str) -> None:
    """Raise what BigQuery answers to a second job of the same id, also while the first one runs."""
    if (project_id, job_id) in begun_jobs:
        raise AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")
    begun_jobs.add((project_id, job_id))


async def handle_query_job(project_id: str, job_id: str, config: dict[str, Any], **named: Any) -> Any:
    begin_job(project_id, job_id)
    query = config["query"]
    # The emulator knows neither this disposition nor schemaUpdateOptions with it.
    overwrites = query.get("writeDisposition") == "WRITE_TRUNCATE_DATA"
    answered = {**config, "query": {"query": query["query"]}} if overwrites else config
    job = await _handle_query_job(project_id, job_id, answered, **named)
    if not overwrites or job.error_result:
        return job
    job = job.model_copy(update={"configuration": config})
    try:
        replace_rows(named["ctx"], query, executor.JOB_RESULTS[job_id])
    except DomainError as error:
        refused = {"reason": "invalid", "message": str(error)}
        return job.model_copy(update={"error_result": refused})
    return job


def replace_rows(ctx: Any, query: dict[str, Any], rows: pa.Table) -> None:
    """Replace the rows of the destination, and nothing else of it. Raises what BigQuery answers to other columns."""
    reference = query["destinationTable"]
    name = reference["projectId"], reference["datasetId"], reference["tableId"]
    with CONNECTION:
        table = ctx.catalog.get_table(*name)
        if table is None:
            raise NotFoundError(f"Not found: Table {reference}")
        if "ALLOW_FIELD_RELAXATION" in query.get("schemaUpdateOptions", ()):
            table = table.model_copy(update={"schema_": relaxed(table.schema_)})
        schema = table_arrow_schema(table)
        check_result(table, rows, schema)
        aligned_rows = aligned(rows, schema)
        register = f"rows_{uuid4().hex}"
        ctx.engine.connection.register(register, aligned_rows)
        try:
            ctx.engine.execute("BEGIN")
            ctx.engine.execute(f"DELETE FROM {quoted_table_ref(*name)}")  # noqa: S608 - quoted
            ctx.engine.execute(f"INSERT INTO {quoted_table_ref(*name)} FROM {register}")
            ctx.engine.execute("COMMIT")
        except BaseException:
            ctx.engine.execute("ROLLBACK")
            raise
        finally:
            ctx.engine.connection.unregister(register)
        ctx.catalog.update_table(table.model_copy(update={"num_rows": rows.num_rows}))
        ctx.snapshots.record_change(*name)


def check_result(table: Any, rows: pa.Table, schema: pa.Schema) -> None:
    """Raise what BigQuery answers to a result whose columns are not the table's, or that it may not make NULLABLE."""
    wrong = "Provided Schema does not match Table."
    by_name = {field.name.lower(): field for field in schema}
    for column in rows.schema:
        known = by_name.get(column.name.lower())
        if known is None:
            raise InvalidQueryError(f"{wrong} Cannot add fields (field: {column.name})")
        if nested_names(column.type) != nested_names(known.type):
            raise InvalidQueryError(f"{wrong} Field {column.name} has changed type")
    if table.labels.get(STRICT) and has_required(table.schema_.fields):
        raise InvalidQueryError(
            f"{wrong} Field {table.schema_.fields[0].name} has changed mode from REQUIRED to NULLABLE"
        )


def nested_names(type_: Any) -> Any:
    """Return the names of nested fields in their order, which BigQuery compares."""
    if isinstance(type_, pa.ListType):
        return nested_names(type_.value_type)
    if isinstance(type_, pa.StructType):
        return [(field.name.lower(), nested_names(field.type)) for field in type_]
    return None


def has_required(fields: Any) -> bool:
    return any(field.mode == "REQUIRED" or has_required(field.fields) for field in fields)


def relaxed(part: Any) -> Any:
    """Return the schema, or the field, with NULLABLE in place of REQUIRED at every depth."""
    mode = {"mode": "NULLABLE"} if getattr(part, "mode", None) == "REQUIRED" else {}
    return part.model_copy(update={**mode, "fields": tuple(map(relaxed, part.fields))})


async def execute_copy_job(project_id: str, job_id: str, config: dict[str, Any], ctx: Any) -> Any:
    begin_job(project_id, job_id)
    return await _execute_copy_job(project_id, job_id, config, ctx)


async def copy_table(**named: Any) -> None:
    ctx = named["ctx"]
    source_name = named["src_proj"], named["src_ds"], named["src_table_id"]
    name = named["dst_proj"], named["dst_ds"], named["dst_table_id"]
    source, destination = ctx.catalog.get_table(*source_name), ctx.catalog.get_table(*name)
    if source is None or destination is None or named["write_disposition"] != "WRITE_TRUNCATE":
        await _copy_table(**named)
        return
    with CONNECTION:
        ctx.engine.execute(
            f"CREATE OR REPLACE TABLE {quoted_table_ref(*name)} AS FROM {quoted_table_ref(*source_name)}"
        )
        ctx.catalog.update_table(
            destination.model_copy(update={"schema_": source.schema_, "num_rows": source.num_rows})
        )
        policy_tags[name] = policy_tags.get(source_name, {})
        for policy in ctx.catalog.list_row_access_policies(*name):
            ctx.catalog.delete_row_access_policy(*name, policy.policy_id)
        ctx.snapshots.record_change(*name)


if __name__ == "__main__":
    mend()
    bqemulator.cli.main()
