"""BigQuery's tables and the jobs that swap them, under faults that no emulator has, and what is BigQuery's alone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud.bigquery import Dataset, SchemaField, Table

from dicom_export.adapters.gcp.bigquery import table_catalog
from dicom_export.adapters.gcp.bigquery.arrow_batches import without_null_lists
from dicom_export.adapters.gcp.bigquery.jobs import JOB_SECONDS, Jobs
from dicom_export.adapters.gcp.bigquery.preparation import Preparation
from dicom_export.adapters.gcp.bigquery.table_catalog import TableCatalog, reference, rest_client
from dicom_export.adapters.gcp.bigquery.table_swap import TableSwaps
from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.adapters.gcp.calls import RETRY
from dicom_export.errors import (
    ColumnsNotKnown,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooManyColumns,
    Unavailable,
)
from dicom_export.names import TableName
from dicom_export.ports import TableInfo
from dicom_export.rows.arrow import record_batch
from dicom_export.rows.partitioning import Partitioning, PartitionType
from dicom_export.rows.schema import Field, FieldType, Mode
from support.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery import Client

    from dicom_export.rows.schema import Schema
    from support.emulators.bigquery import BigQuery

TABLE = TableName("their-project", "imaging", "dicom")
STAGING = TableName("their-project", "imaging", "staging")
PATIENT_ID = Field("PatientID", FieldType.STRING)
ROWS = Field("Rows", FieldType.INTEGER)
MISSING = exceptions.NotFound("Not found")
DATASET = Dataset("their-project.imaging")
DATASET._properties["location"] = "europe-west1"


def column(name: str, type_: str = "STRING", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "mode": "NULLABLE", **more}


ROWS_ADDED = column("Rows", "INTEGER", description="Rows (0028,0010), US, VM 1")


def found(*columns: dict[str, Any], table: TableName = TABLE, **more: Any) -> Table:
    fields = [*columns] or [column("PatientID")]
    resource = {"tableReference": reference(table).to_api_repr(), "etag": "e1", "schema": {"fields": fields}, **more}
    return Table.from_api_repr(resource)


def tables(rest: Scripted) -> BigQueryTables:
    made = BigQueryTables("our-project", sleep=lambda _: None)
    made.__dict__["_client"] = rest
    return made


def patches(rest: Scripted) -> list[dict[str, Any]]:
    return [args[0].to_api_repr() for name, args, _ in rest.calls if name == "update_table"]


def test_no_arrow_no_pydicom_and_no_client_library_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, dicom_export.adapters.gcp.bigquery.tables as tables; tables.BigQueryTables('p');"
        "print([name for name in ('pyarrow', 'grpc', 'google.cloud.bigquery', 'pydicom') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


# --- Describing ---


@pytest.mark.parametrize(
    ("kind", "said"),
    [("VIEW", "a view"), ("MATERIALIZED_VIEW", "a materialized view"), ("EXTERNAL", "an external table")],
)
def test_what_is_no_table_is_refused_by_what_it_is(kind: str, said: str) -> None:
    with pytest.raises(FailedPrecondition, match=f"bq://their-project.imaging.dicom is {said}"):
        tables(Scripted(get_table=[found(type=kind)])).describe(TABLE)


def test_rows_that_wait_in_a_streaming_buffer_count() -> None:
    rest = Scripted(get_table=[found(numRows="3", streamingBuffer={"estimatedRows": "4"})])
    info = tables(rest).describe(TABLE)
    assert info
    assert info.row_count == 7


def test_columns_of_types_that_no_export_has_are_left_out() -> None:
    record = column("r", "RECORD", fields=[column("b", "BYTES")])
    info = tables(Scripted(get_table=[found(column("n", "NUMERIC"), record, column("PatientID"))])).describe(TABLE)
    assert info
    assert info.schema == (PATIENT_ID,)


def test_a_burst_of_refusals_is_waited_out() -> None:
    burst = exceptions.TooManyRequests("slow down")
    assert tables(Scripted(get_table=[burst, burst, found()])).describe(TABLE)


def test_a_refused_permission_names_the_table() -> None:
    with pytest.raises(PermissionDenied, match=r"their-project\.imaging\.dicom"):
        tables(Scripted(get_table=[exceptions.Forbidden("no")])).describe(TABLE)


# --- Preparing ---


def test_a_new_table_has_descriptions_at_every_depth_and_is_clustered_by_uids() -> None:
    sequence = Field("BeamSequence", FieldType.RECORD, Mode.REPEATED, (Field("BeamName", FieldType.STRING),))
    uids = [Field(name, FieldType.STRING) for name in ("SOPInstanceUID", "StudyInstanceUID")]
    rest = Scripted(get_table=[MISSING], get_dataset=[DATASET], create_table=[found()])

    tables(rest).prepare(TABLE, (*uids, sequence))

    table = created(rest)
    fields = {field["name"]: field for field in table["schema"]["fields"]}
    assert table["clustering"] == {"fields": ["StudyInstanceUID", "SOPInstanceUID"]}
    assert fields["SOPInstanceUID"]["description"] == "SOP Instance UID (0008,0018), UI, VM 1"
    assert fields["BeamSequence"]["fields"][0]["description"] == "Beam Name (300A,00C2), LO, VM 1"


BY_MONTH = Partitioning(PartitionType.MONTH, 2_592_000_000)
OF_BIGQUERY = {"type": "MONTH", "expirationMs": "2592000000", "field": "LastUpdated"}
UPDATED = Field("LastUpdated", FieldType.TIMESTAMP)
STUDY = Field("StudyInstanceUID", FieldType.STRING)


def test_a_new_table_may_be_partitioned_besides_its_clustering() -> None:
    rest = Scripted(get_table=[MISSING], get_dataset=[DATASET], create_table=[found()])
    tables(rest).prepare(TABLE, (STUDY, UPDATED), BY_MONTH)
    assert created(rest)["timePartitioning"] == OF_BIGQUERY
    assert created(rest)["clustering"] == {"fields": ["StudyInstanceUID"]}


def test_a_table_that_exists_keeps_its_layout() -> None:
    rest = Scripted(get_table=[found()], update_table=[found()])
    tables(rest).prepare(TABLE, (PATIENT_ID, ROWS), BY_MONTH)
    (patch,) = patches(rest)
    assert "timePartitioning" not in patch
    assert "create_table" not in rest.names()


def test_a_staging_table_has_no_partitions() -> None:
    rest = Scripted(
        get_table=[MISSING, found(timePartitioning=OF_BIGQUERY)], get_dataset=[DATASET], create_table=[found()]
    )
    tables(rest).prepare_staging(STAGING, (PATIENT_ID, UPDATED), TABLE)
    assert "timePartitioning" not in created(rest)


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (OF_BIGQUERY, BY_MONTH),
        ({"type": "HOUR", "field": "lastupdated"}, Partitioning(PartitionType.HOUR)),
        ({"type": "DAY", "expirationMs": "5"}, None),
        ({"type": "DAY", "field": "StudyDate"}, None),
    ],
    ids=["ours", "by somebody else", "by the time of arrival", "by another column"],
)
def test_a_table_is_described_with_its_partitions_by_last_updated(
    described: dict[str, str], expected: Partitioning | None
) -> None:
    info = tables(Scripted(get_table=[found(timePartitioning=described)])).describe(TABLE)
    assert info
    assert info.partitioning == expected


def test_partitions_that_would_expire_by_default_are_refused_unless_the_request_says_when() -> None:
    expiring = Dataset.from_api_repr({**DATASET.to_api_repr(), "defaultPartitionExpirationMs": "3600000"})
    forever = Partitioning(PartitionType.DAY)
    with pytest.raises(FailedPrecondition, match=r"expiration of 3600000 ms by default.*Set expirationMs"):
        tables(Scripted(get_table=[MISSING], get_dataset=[expiring])).possible_partitioning(TABLE, forever)
    assert tables(Scripted()).possible_partitioning(TABLE, BY_MONTH) == BY_MONTH
    for rest in (Scripted(get_table=[found()]), Scripted(get_table=[MISSING], get_dataset=[DATASET])):
        assert tables(rest).possible_partitioning(TABLE, forever) == forever


def test_a_table_that_somebody_changes_meanwhile_keeps_what_he_added() -> None:
    theirs = found(column("PatientID", description="theirs"), column("Extra", "BYTES"), etag="e2")
    rest = Scripted(get_table=[found(), theirs], update_table=[exceptions.PreconditionFailed(""), theirs])
    tables(rest).prepare(TABLE, (PATIENT_ID, ROWS))
    first, second = patches(rest)
    assert [first["etag"], second["etag"]] == ["e1", "e2"]
    assert second["schema"]["fields"] == [
        column("PatientID", description="theirs"),
        column("Extra", "BYTES"),
        ROWS_ADDED,
    ]
    assert all(kwargs["timeout"] for _, _, kwargs in rest.calls)


def test_a_table_that_is_changed_too_often_is_tried_again() -> None:
    limit = exceptions.Forbidden("too many table update operations", errors=[{"reason": "rateLimitExceeded"}])
    rest = Scripted(get_table=[found()], update_table=[limit, exceptions.TooManyRequests(""), limit, found()])
    tables(rest).prepare(TABLE, (ROWS,))
    assert len(patches(rest)) == 4


def test_a_table_that_somebody_else_creates_first_gets_what_it_lacks() -> None:
    rest = Scripted(
        get_table=[MISSING, found()],
        get_dataset=[DATASET],
        create_table=[exceptions.Conflict("")],
        update_table=[found()],
    )
    tables(rest).prepare(TABLE, (PATIENT_ID, ROWS))
    assert len(patches(rest)) == 1


def test_a_column_that_exists_in_another_case_or_laxer_is_not_added() -> None:
    rest = Scripted(get_table=[found(column("patientid"), column("Id"))])
    tables(rest).prepare(TABLE, (PATIENT_ID, Field("Id", FieldType.STRING, Mode.REQUIRED)))
    assert rest.names() == ["get_table"]


def test_required_fields_that_a_table_refuses_are_added_as_nullable() -> None:
    refused = exceptions.BadRequest("Cannot add required fields to an existing schema")
    rest = Scripted(get_table=[found()], update_table=[refused, found()])
    record = Field("r", FieldType.RECORD, Mode.REPEATED, (Field("Id", FieldType.STRING, Mode.REQUIRED),))
    tables(rest).prepare(TABLE, (record,))
    modes = [patch["schema"]["fields"][1]["fields"][0]["mode"] for patch in patches(rest)]
    assert modes == ["REQUIRED", "NULLABLE"]


@pytest.mark.parametrize(
    "message", ["Too many total leaf fields: 10001", "Too many columns in the table, at most 10000 are allowed"]
)
def test_columns_that_bigquery_counts_as_too_many_are_an_error_of_their_own(message: str) -> None:
    rest = Scripted(get_table=[found()], update_table=[exceptions.BadRequest(message)])
    with pytest.raises(TooManyColumns, match="Too many"):
        tables(rest).prepare(TABLE, (ROWS,))
    assert len(patches(rest)) == 1


def created(rest: Scripted) -> dict[str, Any]:
    """Return the table that was created."""
    (resource,) = [args[0].to_api_repr() for name, args, _ in rest.calls if name == "create_table"]
    return dict(resource)


def test_a_staging_table_has_the_columns_of_its_destination_then_the_new_ones_and_expires() -> None:
    record = column("Item", "RECORD", fields=[column("b"), column("a")])
    like = found(
        column("Arrived", "DATE"), record, column("Price", "NUMERIC", precision="9"), column("PatientID"),
        encryptionConfiguration={"kmsKeyName": "projects/k/cryptoKeys/c/cryptoKeyVersions/3"},
        timePartitioning={"type": "DAY", "field": "Arrived", "expirationMs": "1"},
        expirationTime="9",
    )  # fmt: skip
    rest = Scripted(get_table=[MISSING, like], get_dataset=[DATASET], create_table=[found()])
    item = Field("Item", FieldType.RECORD, fields=(Field("a", FieldType.STRING), Field("c", FieldType.STRING)))
    tables(rest).prepare_staging(STAGING, (PATIENT_ID, item, ROWS), TABLE)
    made = created(rest)
    assert made["tableReference"]["tableId"] == "staging"
    assert made["schema"]["fields"] == [
        column("Arrived", "DATE"),
        column("Item", "RECORD", fields=[column("b"), column("a"), column("c")]),
        column("Price", "NUMERIC", precision="9"),
        column("PatientID"),
        column("Rows", "INTEGER"),
    ]
    assert made["encryptionConfiguration"] == {"kmsKeyName": "projects/k/cryptoKeys/c"}
    assert "timePartitioning" not in made
    assert timedelta(days=2.9) < datetime.fromtimestamp(int(made["expirationTime"]) / 1000, UTC) - datetime.now(UTC)


@pytest.mark.parametrize(
    "policy",
    [
        {"policyTags": {"names": ["projects/p/locations/l/taxonomies/1/policyTags/2"]}},
        {"dataPolicies": [{"name": "projects/p/locations/l/dataPolicies/1"}]},
        {"dataPolicyList": {"dataPolicies": [{"name": "projects/p/locations/l/dataPolicies/1"}]}},
        {"dataGovernanceTagsInfo": {"dataGovernanceTags": {"p/sensitive": "high"}}},
        {"description": "who"},
        {"defaultValueExpression": "'x'"},
    ],
    ids=lambda policy: next(iter(policy)),
)
def test_a_staging_table_has_no_policy_of_its_destination_whose_columns_it_has(policy: dict[str, Any]) -> None:
    like = found(
        column("PatientID", **policy),
        column("Item", "RECORD", fields=[column("a", **policy)]),
        description="studies", labels={"team": "x"}, resourceTags={"1/a": "2/b"},
    )  # fmt: skip
    rest = Scripted(get_table=[MISSING, like], get_dataset=[DATASET], create_table=[found()])
    tables(rest).prepare_staging(STAGING, (PATIENT_ID,), TABLE)
    made = created(rest)
    assert made["schema"]["fields"] == [column("PatientID"), column("Item", "RECORD", fields=[column("a")])]
    assert set(made) == {"tableReference", "schema", "expirationTime"}


@pytest.mark.parametrize(
    ("existing", "said"),
    [
        (column("PatientID", "INTEGER"), "Column PatientID is NULLABLE INTEGER in the table and NULLABLE STRING"),
        (column("Site", mode="REQUIRED"), "Column Site is REQUIRED in the table and the export has no values for it"),
    ],
)
def test_an_overwrite_of_columns_that_its_rows_cannot_fill_is_refused_at_once(
    existing: dict[str, Any], said: str
) -> None:
    rest = Scripted(get_table=[MISSING, found(existing)], get_dataset=[DATASET], create_table=[found()])
    with pytest.raises(FailedPrecondition, match=f"{said}.*; an overwrite keeps the columns of .*dicom: export to"):
        tables(rest).prepare_staging(STAGING, (PATIENT_ID,), TABLE)
    assert "create_table" not in rest.names()


def test_a_staging_table_with_too_many_columns_is_an_error_of_its_own() -> None:
    refused = exceptions.BadRequest("Too many total leaf fields: 10001")
    rest = Scripted(get_table=[MISSING, found()], get_dataset=[DATASET], create_table=[refused])
    with pytest.raises(TooManyColumns):
        tables(rest).prepare_staging(STAGING, (PATIENT_ID,), TABLE)


def test_a_staging_table_is_in_the_staging_dataset_of_its_destination() -> None:
    datasets = {"their-project.imaging": "our-project.staging", "example.com:p.d": "example.com:q.s"}
    made = BigQueryTables("our-project", staging_datasets=datasets)
    assert made.staging_table(TABLE, "x") == TableName("our-project", "staging", "x")
    assert made.staging_table(TableName("example.com:p", "d", "t"), "x") == TableName("example.com:q", "s", "x")
    assert made.staging_table(TableName("other", "imaging", "t"), "x") == TableName("other", "imaging", "x")


# --- Replacing ---


@dataclass
class Job:
    """A job that is in these states, one after the other."""

    states: list[str] = field(default_factory=lambda: ["DONE"])
    reason: str | None = None
    job_id: str = "job"
    job_type: str = "query"
    message: str = "why"

    @property
    def state(self) -> str:
        return self.states[0]

    @property
    def error_result(self) -> dict[str, str] | None:
        return {"reason": self.reason, "message": self.message} if self.reason else None

    def reload(self, *, timeout: float, **_: Any) -> None:
        assert timeout
        if len(self.states) > 1:
            self.states.pop(0)


def swap_script(**answers: Any) -> Scripted:
    staged = found(table=STAGING, numRows="2", expirationTime="7")
    defaults: dict[str, Any] = {
        "get_dataset": [DATASET],
        "get_job": [MISSING],
        "get_table": [staged, found(numRows="2")],
        "query": [Job()],
        "delete_table": [None],
        "update_table": [found()],
    }
    return Scripted(**(defaults | answers))


def queried(rest: Scripted) -> list[str]:
    return [args[0] for name, args, _ in rest.calls if name == "query"]


def replace(rest: Any, expected_rows: int = 2, partitioning: Partitioning | None = None) -> None:
    catalog = TableCatalog(rest)
    swaps = TableSwaps(rest, catalog, Preparation(catalog, lambda _: None), Jobs(rest, sleep=lambda _: None))
    swaps.replace(TABLE, STAGING, expected_rows=expected_rows, job="op-1/x", partitioning=partitioning)


def test_a_replacement_is_one_query_in_the_place_of_the_dataset_with_an_id_that_is_always_the_same() -> None:
    scripts = [swap_script(), swap_script()]
    for rest in scripts:
        replace(rest)
        assert all(kwargs["timeout"] for _, _, kwargs in rest.calls)
    (first,), (second,) = (rest.named("query") for rest in scripts)
    assert first["job_id"] == second["job_id"]
    assert first["job_id"].startswith("dicom_export_op-1_x_")
    assert first["location"] == "europe-west1"
    assert first["job_config"].to_api_repr()["query"] == {
        "useLegacySql": False,
        "destinationTable": {"projectId": "their-project", "datasetId": "imaging", "tableId": "dicom"},
        "writeDisposition": "WRITE_TRUNCATE_DATA",
        "createDisposition": "CREATE_NEVER",
    }
    assert queried(scripts[0]) == [
        "SELECT dicom_export_row.`PatientID` AS `PatientID` FROM `their-project.imaging.staging` AS dicom_export_row"
    ]
    assert scripts[0].names()[-1] == "delete_table"


def test_the_rest_of_a_table_is_not_touched_by_its_replacement() -> None:
    tagged = column("PatientID", policyTags={"names": ["t"]}, description="who")
    rest = swap_script(get_table=[found(table=STAGING, numRows="2"), found(tagged, labels={"a": "b"})])
    replace(rest)
    assert set(rest.names()) == {"get_dataset", "get_job", "get_table", "query", "delete_table"}


def test_a_table_grows_to_the_columns_of_its_new_rows_before_it_is_replaced() -> None:
    staged = found(column("PatientID"), column("Rows", "INTEGER"), table=STAGING, numRows="2")
    grown = found(column("PatientID"), column("Rows", "INTEGER"))
    rest = swap_script(get_table=[staged, found(), grown])
    replace(rest)
    (patch,) = patches(rest)
    assert patch["schema"]["fields"] == [column("PatientID"), ROWS_ADDED]
    assert "`Rows` AS `Rows`" in queried(rest)[0]
    assert rest.names().index("update_table") < rest.names().index("query")


def test_a_table_that_is_not_there_is_created_before_it_is_replaced() -> None:
    staged = found(column("Rows", "INTEGER"), column("PatientID"), table=STAGING, numRows="2", expirationTime="7")
    rest = swap_script(get_table=[staged, MISSING, found()], create_table=[found()])
    replace(rest)
    made = created(rest)
    assert made["tableReference"]["tableId"] == "dicom"
    assert [each["name"] for each in made["schema"]["fields"]] == ["PatientID", "Rows"]
    assert "expirationTime" not in made


def test_a_table_that_an_overwrite_creates_is_partitioned() -> None:
    staged = found(column("LastUpdated", "TIMESTAMP"), table=STAGING, numRows="2")
    rest = swap_script(get_table=[staged, MISSING, found()], create_table=[found()])
    replace(rest, partitioning=BY_MONTH)
    assert created(rest)["timePartitioning"] == OF_BIGQUERY


def test_a_job_names_the_key_of_the_table_without_its_version() -> None:
    key = {"kmsKeyName": "projects/k/cryptoKeys/c/cryptoKeyVersions/3"}
    rest = swap_script(get_table=[found(table=STAGING, numRows="2"), found(encryptionConfiguration=key)])
    replace(rest)
    (query,) = rest.named("query")
    assert query["job_config"].destination_encryption_configuration.kms_key_name == "projects/k/cryptoKeys/c"


REFUSED = Job(
    reason="invalid",
    message="Provided Schema does not match Table. Field Id has changed mode from REQUIRED to NULLABLE",
)


def test_required_fields_become_nullable_only_if_bigquery_refuses_the_rows_otherwise() -> None:
    rest = swap_script(query=[REFUSED, Job()])
    replace(rest)
    first, second = rest.named("query")
    assert first["job_id"] != second["job_id"]
    assert "schemaUpdateOptions" not in first["job_config"].to_api_repr()["query"]
    assert second["job_config"].schema_update_options == ["ALLOW_FIELD_RELAXATION"]


def test_after_a_refused_job_the_job_that_made_fields_nullable_is_not_run_again() -> None:
    rest = swap_script(get_job=[REFUSED, Job()])
    replace(rest)
    assert "query" not in rest.names()
    assert rest.names()[-1] == "delete_table"


def test_a_job_that_is_done_is_not_run_again() -> None:
    rest = swap_script(get_job=[Job()], get_table=[MISSING])
    replace(rest)
    assert "query" not in rest.names()


def test_a_job_that_runs_is_waited_for() -> None:
    rest = swap_script(get_job=[Job(["RUNNING", "RUNNING", "DONE"])])
    replace(rest)
    assert "query" not in rest.names()
    assert rest.named("delete_table")


def test_a_job_that_runs_too_long_is_left_to_the_next_delivery() -> None:
    rest = swap_script(query=[Job(["RUNNING"])])
    with pytest.raises(Unavailable, match="still running"):
        replace(rest)
    assert "delete_table" not in rest.names()
    assert JOB_SECONDS <= 60


def test_a_job_that_failed_for_a_reason_that_passes_is_followed_by_another_one() -> None:
    rest = swap_script(get_job=[Job(reason="backendError"), Job(reason="rateLimitExceeded"), MISSING])
    replace(rest)
    (query,) = rest.named("query")
    assert query["job_id"].endswith("_2")


def test_a_new_job_that_fails_for_a_reason_that_passes_is_transient() -> None:
    with pytest.raises(Unavailable, match="jobInternalError"):
        replace(swap_script(query=[Job(reason="jobInternalError")]))


@pytest.mark.parametrize(("reason", "kind"), [("invalid", FailedPrecondition), ("accessDenied", PermissionDenied)])
@pytest.mark.parametrize("script", ["get_job", "query"])
def test_a_job_that_failed_for_good_is_an_error_and_the_staging_table_stays(
    script: str, reason: str, kind: type[Exception]
) -> None:
    rest = swap_script(**{script: [Job(reason=reason)]})
    with pytest.raises(kind, match=f"{reason}: why"):
        replace(rest)
    assert "delete_table" not in rest.names()


@pytest.mark.parametrize("job", [Job(), Job(["RUNNING", "DONE"])])
def test_a_job_id_that_somebody_was_first_with_is_his_job(job: Job) -> None:
    rest = swap_script(query=[exceptions.Conflict("Already Exists: Job")], get_job=[MISSING, job])
    replace(rest)
    assert rest.names()[-1] == "delete_table"


def test_a_job_id_that_is_taken_and_not_to_be_seen_yet_is_transient() -> None:
    with pytest.raises(Unavailable, match="cannot be looked up yet"):
        replace(swap_script(query=[exceptions.Conflict("Already Exists: Job")]))


def test_without_a_job_and_a_staging_table_there_is_nothing_to_replace_by() -> None:
    with pytest.raises(NotFound, match="staging was not found"):
        replace(swap_script(get_table=[MISSING]))


@pytest.mark.parametrize("job", [Job(), Job(["RUNNING", "DONE"])])
def test_a_staging_table_that_is_gone_was_dropped_by_who_was_first_with_the_job(job: Job) -> None:
    rest = swap_script(get_job=[MISSING, job], get_table=[MISSING])
    replace(rest)
    assert "query" not in rest.names()


def test_a_staging_table_that_goes_while_it_is_counted_was_dropped_by_who_was_first_with_the_job() -> None:
    staged = found(table=STAGING, numRows="0")
    replace(swap_script(get_job=[MISSING, Job()], get_table=[staged, MISSING], query=[MISSING]))


def test_a_job_of_somebody_else_that_failed_and_left_no_staging_table_is_followed_by_another_one() -> None:
    rest = swap_script(get_job=[MISSING, Job(reason="backendError")], get_table=[MISSING])
    with pytest.raises(Unavailable, match="backendError"):
        replace(rest)


FORBIDDEN = exceptions.Forbidden("Permission denied")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ({"get_job": [Job(job_type="copy")], "update_table": [FORBIDDEN]}, "has its new rows, and may lack"),
        ({"get_job": [Job(job_type="copy")], "get_table": [FORBIDDEN]}, "has its new rows, and may lack"),
        ({"delete_table": [FORBIDDEN]}, "has its new rows, and"),
    ],
    ids=["put back", "look", "drop"],
)
def test_what_fails_for_good_after_the_job_is_logged_and_the_replacement_stands(
    script: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    staged = found(table=STAGING, numRows="2", description="studies")
    rest = swap_script(**({"get_table": [staged, found()]} | script))
    replace(rest)
    assert rest.names()[-1] == "delete_table"
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert said in record.getMessage()
    assert "PermissionDenied" in record.getMessage()
    assert "studies" not in record.getMessage()


@pytest.mark.parametrize("script", ["update_table", "delete_table"])
def test_what_passes_after_the_job_is_tried_again(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_catalog, "BRIEF_RETRY", RETRY.with_timeout(0.1))
    staged = found(table=STAGING, numRows="2", description="studies")
    copied = Job(job_type="copy")
    rest = swap_script(get_job=[copied], get_table=[staged, found()], **{script: [exceptions.ServiceUnavailable("")]})
    with pytest.raises(Unavailable):
        replace(rest)


def counted(rows: int) -> Any:
    return SimpleNamespace(result=lambda timeout, **_: iter([(rows,)]) if timeout else None)


@pytest.mark.parametrize("state", [{"numRows": "0"}, {"numRows": "2", "streamingBuffer": {"estimatedRows": "1"}}])
def test_rows_in_a_streaming_buffer_are_counted_by_a_query(state: dict[str, Any]) -> None:
    rest = swap_script(get_table=[found(table=STAGING, **state), found()], query=[counted(2), Job()])
    replace(rest)
    count, swap = rest.named("query")
    assert "job_id" not in count
    assert swap["job_id"]
    assert all(kwargs["timeout"] for _, _, kwargs in rest.calls)


def test_rows_that_are_missing_after_counting_replace_nothing() -> None:
    with pytest.raises(FailedPrecondition, match="has 1 rows, not the 2"):
        replace(swap_script(get_table=[found(numRows="0")], query=[counted(1)]))


def test_after_a_copy_job_of_an_earlier_version_the_table_gets_back_what_that_took_and_loses_what_it_brought() -> None:
    staged = found(table=STAGING, numRows="2", expirationTime="7", description="studies", labels={"a": "b"})
    now = found(expirationTime="7", labels={"kept": "x"}, etag="e5")
    rest = swap_script(get_job=[Job(job_type="copy")], get_table=[staged, now])
    replace(rest)
    (patch,) = patches(rest)
    assert (patch["description"], patch["expirationTime"], patch["etag"]) == ("studies", None, "e5")
    assert "labels" not in patch


def test_an_expiration_of_the_tables_own_stays() -> None:
    staged = found(table=STAGING, numRows="2", expirationTime="7")
    rest = swap_script(get_job=[Job(job_type="copy")], get_table=[staged, found(expirationTime="8")])
    replace(rest)
    assert patches(rest) == []


# --- On the emulator ---


@pytest.fixture
def client(bigquery_emulator: BigQuery) -> Iterator[Client]:  # noqa: ARG001 - it has to run
    made = rest_client("our-project", is_emulated=True)
    made.delete_dataset("their-project.imaging", delete_contents=True, not_found_ok=True)
    made.create_dataset("their-project.imaging")
    made.delete_dataset("our-project.staging", delete_contents=True, not_found_ok=True)
    made.create_dataset("our-project.staging")
    yield made
    made.close()


@pytest.fixture
def emulated(bigquery_emulator: BigQuery) -> BigQueryTables:
    datasets = {"their-project.imaging": "our-project.staging"}
    return BigQueryTables("our-project", write_endpoint=bigquery_emulator.write_endpoint, staging_datasets=datasets)


def test_an_overwrite_of_a_table_that_is_not_there_makes_a_partitioned_one(
    client: Client, emulated: BigQueryTables
) -> None:
    schema = (STUDY, UPDATED)
    staging = staged(emulated, schema, [{"StudyInstanceUID": "1.2", "LastUpdated": datetime.now(UTC)}])
    emulated.replace(TABLE, staging, expected_rows=1, job=uuid4().hex, partitioning=BY_MONTH)
    assert client.get_table(reference(TABLE)).to_api_repr()["timePartitioning"] == OF_BIGQUERY
    assert emulated.describe(TABLE) == TableInfo(schema, 1, BY_MONTH)


def test_an_export_to_a_view_is_refused(client: Client, emulated: BigQueryTables) -> None:
    view = Table(reference(TABLE))
    view.view_query = "SELECT 1 AS x"
    client.create_table(view)
    for action in (emulated.describe, lambda table: emulated.prepare(table, (PATIENT_ID,))):
        with pytest.raises(FailedPrecondition, match="is a view"):
            action(TABLE)


TAGS = {"names": ["projects/p/locations/us/taxonomies/1/policyTags/2"]}


def guarded(client: Client, *fields: dict[str, Any], labels: dict[str, str] | None = None) -> None:
    """Create the destination with policies of rows and columns, with one row."""
    made = found(
        *fields, description="studies", labels={"team": "x", **(labels or {})}, clustering={"fields": ["PatientID"]}
    )
    made._properties.pop("etag")
    client.create_table(made)
    client.query("INSERT INTO `their-project.imaging.dicom` (PatientID) VALUES ('old')").result()
    client.query(
        "CREATE ROW ACCESS POLICY ours ON `their-project.imaging.dicom` GRANT TO ('user:a@example.com') FILTER USING (TRUE)"
    ).result()


def policies(client: Client) -> list[str]:
    path = f"/projects/{TABLE.project}/datasets/{TABLE.dataset}/tables/{TABLE.table}/rowAccessPolicies"
    answer = client._connection.api_request(method="GET", path=path)
    return [each["rowAccessPolicyReference"]["policyId"] for each in answer.get("rowAccessPolicies", [])]


CLEARANCE = column("PatientID", description="who", policyTags=TAGS)
ITEM = column("Item", "RECORD", mode="REPEATED", fields=[column("Id", mode="REQUIRED"), column("Old", policyTags=TAGS)])


def staged(tables: BigQueryTables, schema: Schema, rows: list[dict[str, Any]]) -> TableName:
    """Return a staging table with these rows."""
    staging = tables.staging_table(TABLE, "dicom_export_staging_1")
    tables.prepare_staging(staging, schema, TABLE)
    stream = tables.open_stream(staging)
    tables.append(stream, 0, record_batch(rows, schema))
    tables.finalize(stream)
    tables.commit(staging, stream)
    return staging


def stored(client: Client) -> list[dict[str, Any]]:
    """Return the rows, also those that a policy would hide from this client."""
    return [dict(row) for row in client.list_rows(client.get_table(reference(TABLE)))]


ITEMS = Field(
    "Item",
    FieldType.RECORD,
    Mode.REPEATED,
    (Field("New", FieldType.INTEGER), Field("Id", FieldType.STRING, Mode.REQUIRED)),
)


@pytest.mark.parametrize("labels", [{}, {"refuses-nullable": "yes"}], ids=["lenient", "strict"])
def test_an_overwrite_changes_rows_and_adds_columns_and_leaves_every_policy(
    client: Client, emulated: BigQueryTables, labels: dict[str, str]
) -> None:
    guarded(client, CLEARANCE, ITEM, column("Gone", "BYTES"), labels=labels)
    before = client.get_table(reference(TABLE)).to_api_repr()
    rows = [{"PatientID": "1", "Item": [{"New": 2, "Id": "b"}, {"New": None, "Id": "a"}], "Rows": 512}]
    staging = staged(emulated, (PATIENT_ID, ITEMS, ROWS), rows)
    assert "policyTags" not in str(client.get_table(reference(staging)).to_api_repr())
    emulated.replace(TABLE, staging, expected_rows=1, job=uuid4().hex)
    after = client.get_table(reference(TABLE)).to_api_repr()
    items = [{"Id": "b", "Old": None, "New": 2}, {"Id": "a", "Old": None, "New": None}]
    assert stored(client) == [{"PatientID": "1", "Item": items, "Gone": None, "Rows": 512}]
    assert policies(client) == ["ours"]
    assert after["schema"]["fields"][0] == before["schema"]["fields"][0]
    assert after["schema"]["fields"][1]["fields"][1] == before["schema"]["fields"][1]["fields"][1]
    kept = ("description", "labels", "clustering")
    assert [after[key] for key in kept] == [before[key] for key in kept]
    assert "expirationTime" not in after
    assert after["schema"]["fields"][1]["fields"][0]["mode"] == ("NULLABLE" if labels else "REQUIRED")
    assert emulated.describe(staging) is None


def test_fields_that_others_add_to_a_table_during_its_overwrite_are_empty_after_it(
    client: Client, emulated: BigQueryTables
) -> None:
    guarded(client, CLEARANCE, ITEM)
    rows = [{"PatientID": "1", "Item": [{"New": 2, "Id": "b"}, {"New": 3, "Id": "a"}]}]
    staging = staged(emulated, (PATIENT_ID, ITEMS), rows)
    theirs = Field("Item", FieldType.RECORD, Mode.REPEATED, (Field("Theirs", FieldType.STRING, Mode.REPEATED),))
    emulated.prepare(TABLE, (theirs, Field("Late", FieldType.DATE), Field("List", FieldType.STRING, Mode.REPEATED)))
    emulated.replace(TABLE, staging, expected_rows=1, job=uuid4().hex)
    items: list[Any] = [{"Id": each, "Old": None, "Theirs": [], "New": number} for each, number in (("b", 2), ("a", 3))]
    assert stored(client) == [{"PatientID": "1", "Item": items, "Late": None, "List": []}]
    assert policies(client) == ["ours"]


def test_an_overwrite_that_an_earlier_version_began_next_to_its_table_is_finished(
    client: Client, emulated: BigQueryTables
) -> None:
    guarded(client, CLEARANCE, ITEM, column("Gone", "BYTES"))
    beside = found(
        column("Rows", "INTEGER"), CLEARANCE, table=STAGING, description="studies", expirationTime="4102444800000"
    )
    beside._properties.pop("etag")
    client.create_table(beside)
    client.query("INSERT INTO `their-project.imaging.staging` (PatientID, Rows) VALUES ('1', 512)").result()
    emulated.prepare_staging(STAGING, (PATIENT_ID, ROWS), TABLE)
    emulated.replace(TABLE, STAGING, expected_rows=1, job=uuid4().hex)
    assert stored(client) == [{"PatientID": "1", "Item": [], "Gone": None, "Rows": 512}]
    assert policies(client) == ["ours"]
    assert client.get_table(reference(TABLE)).expires is None


@pytest.fixture
def late(client: Client, bigquery_emulator: BigQuery) -> tuple[BigQueryTables, list[float]]:
    """Give tables, of which one takes new columns late, and the pauses that they make."""
    paused: list[float] = []
    made = found(labels={"shows-columns-late": "3", "takes-columns-late": "2"})
    made._properties.pop("etag")
    client.create_table(made)
    return BigQueryTables("our-project", write_endpoint=bigquery_emulator.write_endpoint, sleep=paused.append), paused


NESTED = Field("Item", FieldType.RECORD, Mode.REPEATED, (Field("New", FieldType.INTEGER),))


def test_rows_with_new_columns_are_written_when_streams_know_and_take_them(
    client: Client, late: tuple[BigQueryTables, list[float]]
) -> None:
    tables, paused = late
    tables.prepare(TABLE, (NESTED, ROWS))
    tables.await_columns(TABLE)
    assert paused == [1, 2, 4]
    stream = tables.open_stream(TABLE)
    tables.append(
        stream, 0, record_batch([{"PatientID": "1", "Rows": 512, "Item": [{"New": 7}]}], (PATIENT_ID, ROWS, NESTED))
    )
    assert paused == [1, 2, 4, 1, 2]
    tables.finalize(stream)
    tables.commit(TABLE, stream)
    assert stored(client) == [{"PatientID": "1", "Item": [{"New": 7}], "Rows": 512}]


def test_a_column_that_streams_do_not_show_yet_is_not_lost_from_rows(
    client: Client, late: tuple[BigQueryTables, list[float]]
) -> None:
    tables, paused = late
    tables.prepare(TABLE, (ROWS,))
    row = record_batch([{"PatientID": "1", "Rows": 512}], (PATIENT_ID, ROWS))
    with pytest.raises(ColumnsNotKnown):
        tables.stream(TABLE, row)
    assert paused == [1, 2, 4]
    tables.stream(TABLE, row)
    assert stored(client) == [{"PatientID": "1", "Rows": 512}]


def test_rows_that_are_wrong_are_refused_for_good_while_columns_are_late(
    late: tuple[BigQueryTables, list[float]],
) -> None:
    tables, paused = late
    tables.prepare(TABLE, (ROWS,))
    with pytest.raises(InvalidArgument, match="has no column Nope"):
        tables.append(tables.open_stream(TABLE), 0, pa.record_batch({"Nope": ["1"]}))
    assert paused == []


def test_columns_of_others_and_descriptions_survive_a_new_column(client: Client, emulated: BigQueryTables) -> None:
    theirs = [SchemaField("PatientID", "STRING", description="who"), SchemaField("theirs", "BYTES")]
    client.create_table(Table(reference(TABLE), theirs))
    emulated.prepare(TABLE, (ROWS, PATIENT_ID))
    kept = [(each.name, each.description) for each in client.get_table(reference(TABLE)).schema]
    assert kept == [("PatientID", "who"), ("theirs", None), ("Rows", ROWS_ADDED["description"])]


def test_many_streams_are_open_at_once(client: Client, emulated: BigQueryTables) -> None:
    emulated.prepare(TABLE, (PATIENT_ID,))
    streams = [emulated.open_stream(TABLE) for _ in range(20)]
    for offset in range(2):
        for stream in streams:
            emulated.append(stream, offset, pa.record_batch({"PatientID": ["1"]}))
    for stream in streams:
        assert emulated.finalize(stream) == 2
        emulated.commit(TABLE, stream)
    assert client.get_table(reference(TABLE)).num_rows == 40


def test_rows_are_counted_exactly(client: Client, emulated: BigQueryTables) -> None:
    emulated.prepare(TABLE, (PATIENT_ID,))
    stream = emulated.open_stream(TABLE)
    emulated.append(stream, 0, pa.record_batch({"PatientID": ["1", "2"]}))
    emulated.finalize(stream)
    emulated.commit(TABLE, stream)
    catalog = TableCatalog(client)
    assert TableSwaps(client, catalog, Preparation(catalog), Jobs(client))._count(TABLE, "US") == 2


def test_a_list_that_is_null_is_sent_as_empty_at_any_depth() -> None:
    batch = pa.record_batch(
        {
            "s": pa.array(
                [None, {"l": None}, {"l": [{"m": None}, {"m": ["x", ""]}]}],
                pa.struct([("l", pa.list_(pa.struct([("m", pa.list_(pa.utf8()))])))]),
            )
        }
    )
    expected = [{"s": None}, {"s": {"l": []}}, {"s": {"l": [{"m": []}, {"m": ["x", ""]}]}}]
    assert without_null_lists(batch).to_pylist() == expected
    assert without_null_lists(batch.slice(1)).to_pylist() == expected[1:]
    assert without_null_lists(batch.slice(2, 1)).to_pylist() == expected[2:]
