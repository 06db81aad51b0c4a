"""What a smoke test does in a project, on Google Cloud."""

from __future__ import annotations

import json
import time
import uuid
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.bigquery_storage_v1.types import (
    AppendRowsRequest,
    ArrowRecordBatch,
    ArrowSchema,
    BatchCommitWriteStreamsRequest,
    GetWriteStreamRequest,
    ProtoRows,
    ProtoSchema,
    StorageError,
    WriteStream,
    WriteStreamView,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from dicom_export.adapters.gcp.calls import RETRY, TIMEOUT_SECONDS, google_errors
from dicom_export.adapters.gcp.pubsub import publish_data
from dicom_export.adapters.gcp.storage.client import called, shared_client
from dicom_export.diagnosing.facts import ApiAnswer
from dicom_export.errors import NotFound, Unavailable
from dicom_export.ports import OpenStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
    from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]  # it has no types
    from google.cloud.storage import Blob, Client  # type: ignore[import-untyped]  # it has no types

    from dicom_export.adapters.gcp.rest import ApiCaller, GoogleRest
    from dicom_export.diagnosing.installation import SmokeTestStore
    from dicom_export.names import TableName

_BRIEF = RETRY.with_timeout(25.0)
_JOB_SECONDS = 300.0
_POLL_SECONDS = 0.5
_SHOWN = 300


class GoogleLaboratory:
    """The project of an installation. `place` is where the smoke test works."""

    def __init__(
        self,
        project: str,
        place: SmokeTestStore,
        rest: GoogleRest,
        api: ApiCaller,
        bigquery: Callable[[], BigQueryClient],
        write_client: Callable[[], BigQueryWriteClient],
        publisher: Callable[[], PublisherClient],
        storage: Callable[[], Client] = shared_client,
    ) -> None:
        self._project = project
        self._place = place
        self._rest = rest
        self._api = api
        self._open_bigquery = bigquery
        self._open_write_client = write_client
        self._open_publisher = publisher
        self._storage = storage

    def put(self, name: str, content: bytes) -> None:
        called(f"Write {name}", partial(self._upload, name, content))

    def delete(self, name: str) -> None:
        blob = self._blob(name)
        try:
            called(f"Delete {name}", lambda: blob.delete(timeout=TIMEOUT_SECONDS, retry=None))
        except NotFound:
            return

    def objects(self) -> Sequence[str]:
        return called("List the objects", self._listed)

    def api(self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> ApiAnswer:  # noqa: ANN401 - JSON
        data = None if body is None else json.dumps(body).encode()
        answer = self._api.call(method, url, data, {"Content-Type": "application/json", **(headers or {})})
        return ApiAnswer(answer.status_code, answer.text)

    def publish(self, topic: str, data: bytes) -> str:
        return publish_data(self._publisher, topic, data, {})

    def bigquery(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        with google_errors(f"{method} {path}"):
            return self._request(method, path, body)

    def job(self, configuration: Mapping[str, Any]) -> Mapping[str, Any]:
        path = f"/projects/{self._project}/jobs"
        identity = {"projectId": self._project, "jobId": f"dicom_export_smoke_{uuid.uuid4().hex}"}
        if location := self._location:
            identity["location"] = location
        with google_errors("Run a job"):
            found = self._request("POST", path, {"jobReference": identity, "configuration": configuration})
            if configuration.get("dryRun"):
                return dict(found)
            deadline = time.monotonic() + _JOB_SECONDS
            while found["status"]["state"] != "DONE":
                if time.monotonic() > deadline:
                    raise Unavailable(f"A job did not end in {_JOB_SECONDS:.0f} s")
                time.sleep(_POLL_SECONDS)
                found = self._request("GET", f"{path}/{identity['jobId']}?location={location or 'US'}", None)
        return dict(found)

    def rows(self, sql: str) -> Sequence[Mapping[str, Any]]:
        with google_errors("Query"):
            job = self._bigquery.query(
                sql, location=self._location, retry=_BRIEF, job_retry=None, timeout=TIMEOUT_SECONDS
            )
            return [dict(row.items()) for row in job.result(retry=_BRIEF, job_retry=None, timeout=_JOB_SECONDS)]

    def open_stream(self, table: TableName) -> OpenStream:
        with google_errors("Open a stream"):
            stream = self._writer.create_write_stream(
                parent=_path(table),
                write_stream=WriteStream(type_=WriteStream.Type.PENDING),
                retry=_BRIEF,
                timeout=TIMEOUT_SECONDS,
            )
        return OpenStream(stream.name, _columns(stream))

    def stream_columns(self, stream: str) -> frozenset[str]:
        request = GetWriteStreamRequest(name=stream, view=WriteStreamView.FULL)
        with google_errors("Look up a stream"):
            return _columns(self._writer.get_write_stream(request, retry=_BRIEF, timeout=TIMEOUT_SECONDS))

    def append(self, stream: str, batch: pa.RecordBatch, *, as_proto: bool = False) -> str:
        request = _proto_request(batch) if as_proto else _arrow_request(batch)
        request.write_stream = stream
        routing: tuple[str, str] = to_grpc_metadata([("write_stream", stream)])
        try:
            responses = self._writer.append_rows(
                iter([request]), retry=None, timeout=TIMEOUT_SECONDS, metadata=[routing]
            )
            response = next(iter(responses))
        except exceptions.GoogleAPICallError as error:
            return f"{error.grpc_status_code or error.code}; {_storage_code(error.details)}; {error.message[:_SHOWN]}"
        if response.error.code:
            details = _storage_code(response.error.details)
            return f"code {response.error.code} in the response; {details}; {response.error.message[:_SHOWN]}"
        return f"{len(response.row_errors)} row errors" if response.row_errors else ""

    def finish(self, table: TableName, stream: str) -> str:
        with google_errors("Finish a stream"):
            self._writer.finalize_write_stream(name=stream, retry=_BRIEF, timeout=TIMEOUT_SECONDS)
        request = BatchCommitWriteStreamsRequest(parent=_path(table), write_streams=[stream])
        with google_errors("Commit a stream"):
            answer = self._writer.batch_commit_write_streams(request, retry=_BRIEF, timeout=TIMEOUT_SECONDS)
        return "; ".join(StorageError.StorageErrorCode(each.code).name for each in answer.stream_errors)

    def google(self, url: str, parameters: Mapping[str, Any] | None = None, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        return self._rest.call("GET" if body is None else "POST", url, parameters, body)

    def _request(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        connection = self._bigquery._connection  # noqa: SLF001 - the library has no public way to a raw resource
        return connection.api_request(method=method, path=path, data=body, timeout=TIMEOUT_SECONDS)

    def _blob(self, name: str) -> Blob:
        return self._storage().bucket(self._place.bucket).blob(self._place.prefix + name)

    def _upload(self, name: str, content: bytes) -> None:
        self._blob(name).upload_from_string(
            content, content_type="application/dicom", timeout=TIMEOUT_SECONDS, retry=None
        )

    def _listed(self) -> list[str]:
        found = self._storage().list_blobs(
            self._place.bucket, prefix=self._place.prefix, timeout=TIMEOUT_SECONDS, retry=None
        )
        return [blob.name.removeprefix(self._place.prefix) for blob in found]

    @cached_property
    def _location(self) -> str:
        with google_errors("Describe the dataset"):
            return str(
                self._bigquery.get_dataset(self._place.dataset, retry=_BRIEF, timeout=TIMEOUT_SECONDS).location or ""
            )

    @cached_property
    def _bigquery(self) -> BigQueryClient:
        with google_errors("Connect to BigQuery"):
            return self._open_bigquery()

    @cached_property
    def _writer(self) -> BigQueryWriteClient:
        with google_errors("Connect to the Storage Write API"):
            return self._open_write_client()

    @cached_property
    def _publisher(self) -> PublisherClient:
        with google_errors("Connect to Pub/Sub"):
            return self._open_publisher()


def _path(table: TableName) -> str:
    return f"projects/{table.project}/datasets/{table.dataset}/tables/{table.table}"


def _columns(stream: WriteStream) -> frozenset[str]:
    return frozenset(field.name for field in stream.table_schema.fields)


def _arrow_request(batch: pa.RecordBatch) -> AppendRowsRequest:
    return AppendRowsRequest(
        arrow_rows=AppendRowsRequest.ArrowData(
            writer_schema=ArrowSchema(serialized_schema=batch.schema.serialize().to_pybytes()),
            rows=ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes()),
        )
    )


def _proto_request(batch: pa.RecordBatch) -> AppendRowsRequest:
    """Return the request for rows whose columns are all text."""
    descriptor = DescriptorProto(name="Row")
    for number, name in enumerate(batch.schema.names, 1):
        descriptor.field.add(
            name=name, number=number, type=FieldDescriptorProto.TYPE_STRING, label=FieldDescriptorProto.LABEL_OPTIONAL
        )
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="row.proto", syntax="proto2", message_type=[descriptor]))
    make = GetMessageClass(pool.FindMessageTypeByName("Row"))
    rows = [make(**{name: str(value) for name, value in row.items()}).SerializeToString() for row in batch.to_pylist()]
    return AppendRowsRequest(
        proto_rows=AppendRowsRequest.ProtoData(
            writer_schema=ProtoSchema(proto_descriptor=descriptor), rows=ProtoRows(serialized_rows=rows)
        )
    )


def _storage_code(details: Any) -> str:  # noqa: ANN401 - of a library without types
    """Return the name of the storage error in a status's details, or `no StorageError`."""
    for detail in details or ():
        found = StorageError.pb(StorageError())
        if isinstance(detail, AnyMessage) and detail.Unpack(found):
            return str(StorageError.StorageErrorCode(found.code).name)
    return "no StorageError"
