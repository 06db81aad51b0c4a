"""AppendRows calls that answer as a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api_core import exceptions
from google.cloud.bigquery import Table
from google.cloud.bigquery_storage_v1.types import (
    AppendRowsResponse,
    RowError,
    StorageError,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog
from dicom_export.adapters.gcp.bigquery.write_streams import WriteStreams
from dicom_export.adapters.gcp.calls import RETRY
from support.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import grpc


SECRET = "DOE^JOHN"  # noqa: S105 - what no message may have


OK = AppendRowsResponse(append_result=AppendRowsResponse.AppendResult(offset=0))


MISSING = exceptions.NotFound("Requested entity was not found.")


def streams(
    write: Any, rest: Any = None, seconds: float = 5.0, sleep: Callable[[float], None] = lambda _: None
) -> WriteStreams:
    """Return streams on these clients, whose retries end after some seconds, and that do not really sleep."""
    tables: Any = rest or Scripted(get_table=[FOUND])
    return WriteStreams(write, TableCatalog(tables), RETRY.with_timeout(seconds), sleep)


def refusal(
    status: grpc.StatusCode, storage: str = "", message: str = SECRET, rows: tuple[int, ...] = (3,)
) -> AppendRowsResponse:
    error = Status(code=status.value[0], message=message)
    if storage:
        packed = AnyMessage()
        packed.Pack(StorageError.pb(StorageError(code=storage, error_message=SECRET)))
        error.details.append(packed)
    return AppendRowsResponse(error=error, row_errors=wrong(*rows))


class Calls:
    """AppendRows calls: each answers its requests with what is scripted, and fails when it has no answer left."""

    def __init__(self, *scripts: list[Any]) -> None:
        self._scripts = list(scripts)
        self.requests: list[list[Any]] = []

    def __call__(self, requests: Iterator[Any], **_: Any) -> Any:
        received: list[Any] = []
        self.requests.append(received)
        return _Answers(requests, self._scripts.pop(0), received)


FOUND = Table.from_api_repr(
    {
        "tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"},
        "schema": {"fields": [{"name": "PatientID", "type": "STRING"}]},
    }
)


def wrong(*rows: int) -> list[RowError]:
    return [RowError(index=row, code=RowError.RowErrorCode.FIELDS_ERROR, message=SECRET) for row in rows]


class _Answers:
    def __init__(self, requests: Iterator[Any], script: list[Any], received: list[Any]) -> None:
        self._requests, self._script, self._received = requests, script, received

    def __next__(self) -> AppendRowsResponse:
        self._received.append(next(self._requests))
        if not self._script:
            raise StopIteration
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def cancel(self) -> None:
        self._script = []
