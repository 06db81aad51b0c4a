"""Changes as the Storage Write API takes them: the request's bytes, read by the descriptor in the request itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.cloud.bigquery import Dataset, Table
from google.cloud.bigquery_storage_v1.types import AppendRowsRequest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.adapters.gcp.bigquery.append_rows import sequence_number
from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog
from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.errors import FailedPrecondition, InvalidArgument, NotFound, RowsRefused, Unavailable
from dicom_export.names import TableName
from dicom_export.ports import Version
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.schema import common_columns, to_json
from support.append_calls import MISSING, OK, SECRET, Calls, refusal, streams
from support.scripted import Scripted

TABLE = TableName("p", "d", "latest")
DEFAULT_STREAM = "projects/p/datasets/d/tables/latest/streams/_default"
COLUMNS = tuple(field for field in common_columns(SchemaKind.JSON, has_source_store=True) if field.name != "Type")
DATASET = Dataset.from_api_repr({"datasetReference": {"projectId": "p", "datasetId": "d"}, "location": "EU"})
UPDATED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
GENERATION = 1_767_323_045_678_901
ROW = {
    "StudyInstanceUID": "1.2",
    "SeriesInstanceUID": "1.3",
    "SOPInstanceUID": "1.4",
    "SourceDicomStore": "projects/p/locations/l/datasets/d/dicomStores/s",
    "Metadata": '{"00100010":{"vr":"PN","Value":[{"Alphabetic":"é"}]}}',
    "StructuredStorageSize": 54,
    "DroppedTags": ["7FE00010", "00091001"],
    "StorageClass": "STANDARD",
    "LastUpdated": UPDATED,
    "BlobStorageSize": 2**40,
}
DELETED = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.5", "LastUpdated": UPDATED}


def found(**resource: Any) -> Table:
    names = {"projectId": TABLE.project, "datasetId": TABLE.dataset, "tableId": TABLE.table}
    return Table.from_api_repr({"tableReference": names, "schema": {"fields": to_json(COLUMNS)}, **resource})


def rows_in(requests: list[AppendRowsRequest]) -> list[dict[str, Any]]:
    """Return the rows of a connection's requests as BigQuery reads them: by the schema that the first one has."""
    first = AppendRowsRequest.pb(AppendRowsRequest.deserialize(AppendRowsRequest.serialize(requests[0])))
    descriptor = first.proto_rows.writer_schema.proto_descriptor
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="theirs.proto", syntax="proto2", message_type=[descriptor]))
    kind = GetMessageClass(pool.FindMessageTypeByName(descriptor.name))
    read = []
    for request in requests:
        sent = AppendRowsRequest.pb(AppendRowsRequest.deserialize(AppendRowsRequest.serialize(request)))
        for data in sent.proto_rows.rows.serialized_rows:
            message = kind.FromString(data)
            assert not len(UnknownFieldSet(message))
            read.append({field.name: _value(message, field) for field, _ in message.ListFields()})
    return read


def _value(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    return list(value) if field.is_repeated else value


def change(write: Any, rows: list[dict[str, Any]], versions: list[Version], rest: Any = None) -> None:
    made = streams(write, rest or Scripted(get_table=[found()]), seconds=2.0)
    made.append_at_once(TABLE, record_batch(rows, COLUMNS), versions)


def test_rows_are_sent_as_upserts_and_deletions_with_their_sequence_numbers() -> None:
    calls = Calls([OK])
    change(Scripted(append_rows=[calls]), [ROW, DELETED], [Version(GENERATION), Version(GENERATION, is_deletion=True)])
    ((request,),) = calls.requests
    assert request.write_stream == DEFAULT_STREAM
    assert "offset" not in request
    micros = 1_767_323_045_678_901
    assert rows_in([request]) == [
        ROW | {"LastUpdated": micros, "_CHANGE_TYPE": "UPSERT", "_CHANGE_SEQUENCE_NUMBER": "6475EF6574F35/0"},
        DELETED | {"LastUpdated": micros, "_CHANGE_TYPE": "DELETE", "_CHANGE_SEQUENCE_NUMBER": "6475EF6574F35/1"},
    ]


def test_what_a_row_lacks_is_not_sent() -> None:
    calls = Calls([OK])
    change(Scripted(append_rows=[calls]), [DELETED], [Version(1)])
    (row,) = rows_in(calls.requests[0])
    assert set(row) == {*DELETED, "_CHANGE_TYPE", "_CHANGE_SEQUENCE_NUMBER"}


def test_one_connection_takes_many_requests_and_says_their_schema_once() -> None:
    calls = Calls([OK, OK])
    made = streams(Scripted(append_rows=[calls]))
    for generation in (1, 2):
        made.append_at_once(TABLE, record_batch([ROW], COLUMNS), [Version(generation)])
    ((first, second),) = calls.requests
    assert first.proto_rows.writer_schema.proto_descriptor.field
    assert not second.proto_rows.writer_schema.proto_descriptor.field
    assert [row["_CHANGE_SEQUENCE_NUMBER"] for row in rows_in([first, second])] == ["1/0", "2/0"]


def sections(number: str) -> tuple[int, ...]:
    """Return a sequence number as BigQuery compares it: up to four sections of up to 16 hexadecimal digits."""
    parts = number.split("/")
    assert 1 <= len(parts) <= 4
    assert all(1 <= len(part) <= 16 for part in parts)
    return tuple(int(part, 16) for part in parts)


VERSIONS = st.builds(Version, st.integers(0, 2**63 - 1), st.booleans())


@given(first=VERSIONS, second=VERSIONS)
def test_sequence_numbers_are_in_the_order_of_the_versions(first: Version, second: Version) -> None:
    first_number, second_number = sections(sequence_number(first)), sections(sequence_number(second))
    assert (first < second) == (first_number < second_number)
    assert (first == second) == (first_number == second_number)


def test_an_answer_that_is_lost_is_asked_for_again() -> None:
    calls = Calls([refusal(grpc.StatusCode.UNAVAILABLE)], [OK])
    change(Scripted(append_rows=[calls, calls]), [ROW], [Version(1)])
    assert [len(requests) for requests in calls.requests] == [1, 1]
    assert rows_in(calls.requests[0]) == rows_in(calls.requests[1])


def test_rows_that_are_wrong_by_themselves_are_named_and_not_quoted() -> None:
    calls = Calls([refusal(grpc.StatusCode.INVALID_ARGUMENT, rows=(1,))])
    with pytest.raises(RowsRefused) as raised:
        change(Scripted(append_rows=[calls]), [ROW, DELETED], [Version(1), Version(1)])
    assert raised.value.indices == (1,)
    assert SECRET not in raised.value.message


def test_a_table_that_is_not_there_or_not_known_yet_is_told_apart() -> None:
    missing = refusal(grpc.StatusCode.NOT_FOUND, "TABLE_NOT_FOUND", rows=())
    gone = Scripted(get_table=[MISSING], get_dataset=[DATASET])
    with pytest.raises(NotFound, match="was not found"):
        change(Scripted(append_rows=[Calls([missing])]), [ROW], [Version(1)], gone)
    with pytest.raises(Unavailable, match="does not know it yet"):
        change(Scripted(append_rows=[Calls([missing])]), [ROW], [Version(1)])


def test_a_column_that_the_api_does_not_know_yet_is_waited_for_and_one_too_many_is_not() -> None:
    extra = refusal(grpc.StatusCode.INVALID_ARGUMENT, "SCHEMA_MISMATCH_EXTRA_FIELDS", rows=())
    with pytest.raises(Unavailable, match="does not know all columns"):
        change(Scripted(append_rows=[Calls(*([extra] for _ in range(20)))]), [ROW], [Version(1)])
    lacking = Scripted(get_table=[found(schema={"fields": to_json(COLUMNS[:3])})])
    with pytest.raises(InvalidArgument, match="has no column SourceDicomStore, Metadata"):
        change(Scripted(append_rows=[Calls([extra])]), [ROW], [Version(1)], lacking)


def tables_on(rest: Any) -> BigQueryTables:
    made = BigQueryTables("p", sleep=lambda _: None)
    made.__dict__["_catalog"] = TableCatalog(rest)
    return made


KEYED = {"tableConstraints": {"primaryKey": {"columns": ["SOPInstanceUID"]}}}


def test_a_table_that_keeps_the_latest_is_created_with_its_key_and_clustered_by_it() -> None:
    rest = Scripted(get_table=[MISSING, found(**KEYED)], get_dataset=[DATASET], create_table=[found(**KEYED)])
    tables_on(rest).prepare_changes(TABLE, COLUMNS)
    ((_, (created,), _),) = [call for call in rest.calls if call[0] == "create_table"]
    resource = created.to_api_repr()
    assert resource["tableConstraints"] == {"primaryKey": {"columns": ["SOPInstanceUID"]}}
    assert resource["clustering"] == {"fields": ["SOPInstanceUID"]}
    assert resource["maxStaleness"] == "0-0 0 4:0:0"


@pytest.mark.parametrize("resource", [{}, {"tableConstraints": {"primaryKey": {"columns": ["StudyInstanceUID"]}}}])
def test_a_table_without_the_key_is_refused_with_what_would_be_right(resource: dict[str, Any]) -> None:
    with pytest.raises(FailedPrecondition, match="change data capture needs SOPInstanceUID: name a table"):
        tables_on(Scripted(get_table=[found(**resource)])).prepare_changes(TABLE, COLUMNS)


def test_a_table_with_the_key_is_left_as_it_is() -> None:
    rest = Scripted(get_table=[found(**KEYED)])
    tables_on(rest).prepare_changes(TABLE, COLUMNS)
    assert set(rest.names()) == {"get_table"}


def test_arrow_types_that_no_column_of_the_json_schema_has_are_a_defect() -> None:
    made = streams(Scripted(append_rows=[Calls([OK])]))
    with pytest.raises(TypeError, match="double"):
        made.append_at_once(TABLE, pa.record_batch({"SOPInstanceUID": ["1"], "X": [0.5]}), [Version(1)])
