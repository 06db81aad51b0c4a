"""Append rows to a stream by one AppendRows call that is kept open, and report refused appends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import grpc
from google.api_core import exceptions
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.bigquery_storage_v1.types import AppendRowsRequest, AppendRowsResponse, RowError, StorageError
from google.protobuf.any_pb2 import Any as AnyMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from enum import IntEnum

    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

    from dicom_export.adapters.gcp.bigquery.append_rows import Rows

CALL_SECONDS = 90.0
"""The deadline of one AppendRows call, which also limits the wait for each answer."""

_REUSE_SECONDS = 45.0
_NAMED_ROWS = 3
_INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT.value[0]
_UNKNOWN = grpc.StatusCode.UNKNOWN.value[0]

EXTRA_FIELDS = "SCHEMA_MISMATCH_EXTRA_FIELDS"
"""A storage error that may come as text only: https://github.com/apache/beam/issues/23291"""

_EXTRA_FIELDS_TEXT = "Input schema has more fields than BigQuery schema"


@dataclass(eq=False)
class AppendRefused(Exception):
    """An append that was not accepted: the gRPC status and the name of the storage error.

    `rows` describes the errors of the first wrong rows. `indices` are the positions of all rows
    that the service named, which may not be all wrong ones. No text of the service is kept: it may
    quote the rows.
    """

    status: int
    storage: str = ""
    rows: str = ""
    indices: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ", ".join(part for part in (_status_name(self.status), self.storage, self.rows) if part)


class AppendConnection:
    """Sends rows of one format to one stream, and waits for the answer to each request."""

    def __init__(self, client: BigQueryWriteClient, stream: str, row_format: object) -> None:
        self._client = client
        self._stream = stream
        self._format = row_format
        self._opened = time.monotonic()
        routing: tuple[str, str] = to_grpc_metadata([("write_stream", stream)])
        self._routing = routing
        self._requests: SimpleQueue[AppendRowsRequest | None] = SimpleQueue()
        self._responses: Any = None  # an iterator of AppendRowsResponse that is a grpc.Call as well

    def takes(self, row_format: object) -> bool:
        """Return whether rows of this format can be sent: only a new call sees a new column."""
        return self._format == row_format and time.monotonic() < self._opened + _REUSE_SECONDS

    def send(self, offset: int | None, rows: Rows) -> None:
        """Append the rows, at the offset if it is given. Raises AppendRefused."""
        self._requests.put(self._request(offset, rows))
        try:
            response: AppendRowsResponse = next(self._open())
        except exceptions.GoogleAPICallError as error:
            raise _refusal_of(error) from None  # the error's text may quote the rows
        except StopIteration:
            raise AppendRefused(grpc.StatusCode.UNAVAILABLE.value[0]) from None
        if response.error.code or response.row_errors:
            raise _refusal_in(response)

    def close(self) -> None:
        """End the call and the thread that sends its requests."""
        self._requests.put(None)
        if self._responses is not None:
            self._responses.cancel()

    def _open(self) -> Any:  # noqa: ANN401 - as above
        """Return the iterator of answers; the call begins with the first request, now queued."""
        if self._responses is None:
            self._responses = self._client.append_rows(
                iter(self._requests.get, None),
                retry=None,
                timeout=CALL_SECONDS,
                metadata=[self._routing],
            )
        return self._responses

    def _request(self, offset: int | None, rows: Rows) -> AppendRowsRequest:
        request = rows.request(has_schema=self._responses is None)
        request.write_stream, request.offset, request.trace_id = self._stream, offset, "dicom-export"
        return request


def _refusal_in(response: AppendRowsResponse) -> AppendRefused:
    storage = _storage_error(response.error.details, response.error.message)
    indices = sorted({int(row.index) for row in response.row_errors})
    return AppendRefused(
        response.error.code or _INVALID_ARGUMENT, storage, _described(response.row_errors), tuple(indices)
    )


def _described(errors: Sequence[RowError]) -> str:
    """Describe the errors of the first rows, by codes only."""
    return ", ".join(f"row {row.index}: {name_of(RowError.RowErrorCode, row.code)}" for row in errors[:_NAMED_ROWS])


def _refusal_of(error: exceptions.GoogleAPICallError) -> AppendRefused:
    status = error.grpc_status_code.value[0] if error.grpc_status_code else _UNKNOWN
    return AppendRefused(status, _storage_error(error.details, error.message))


def _storage_error(details: Iterable[object], message: str) -> str:
    """Return the name of the storage error in a status's details, else in its message, else ""."""
    for detail in details:
        found = StorageError.pb(StorageError())
        if isinstance(detail, AnyMessage) and detail.Unpack(found):
            return name_of(StorageError.StorageErrorCode, found.code)
    return EXTRA_FIELDS if message.startswith(_EXTRA_FIELDS_TEXT) else ""


def name_of(kind: type[IntEnum], number: int) -> str:
    """Return the name of a code, or its number if the library does not know it."""
    return next((each.name for each in kind if each == number), str(number))


def _status_name(status: int) -> str:
    return next((each.name for each in grpc.StatusCode if each.value[0] == status), str(status))
