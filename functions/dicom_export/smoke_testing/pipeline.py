"""The steps of the smoke test: uploads, exports, a deletion, an overwrite, and what each leaves in tables, counters and logs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dicom_export.errors import DicomExportError, Unavailable
from dicom_export.smoke_testing.bench import path_of, sql_name
from dicom_export.smoke_testing.instances import STUDY_TIME, SyntheticInstance
from dicom_export.smoke_testing.results import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.names import TableName
    from dicom_export.smoke_testing.bench import Bench

STUDIES, INSTANCES = 2, 3
_EVENT_SECONDS = 120.0
_POLICY = "smoke_test_policy"
_KEPT = {"description": "kept", "labels": {"smoke": "test"}, "clustering": {"fields": ["Modality"]}}
_DEEPEST = "ContentSequence[0].ContentSequence[0].ContentSequence[0].ContentSequence[0].TextValue"


class Mismatch(Exception):
    """What was found is not what was expected."""


@dataclass
class Pipeline:
    """One run of the steps. Each step returns what it measured. Raises Mismatch or a DicomExportError."""

    bench: Bench
    operations: list[str] = field(default_factory=list)
    instances: list[SyntheticInstance] = field(default_factory=list)
    overwritten: dict[str, Any] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Yield the result of each step. A step after one that failed is still tried: it may work by itself."""
        for line, text, step in (
            ("upload", "instances are uploaded, and the automatic export writes a row for each", self.upload),
            ("export-by-http", "an export by HTTP writes each instance once, with its values", self.export_by_http),
            (
                "export-by-batch-job",
                "an export by a message on export-requests does the same",
                self.export_by_batch_job,
            ),
            ("deletion", "a deletion in the bucket becomes a row", self.deletion),
            ("overwrite", "an overwrite replaces the rows, and keeps row access policies and settings", self.overwrite),
            ("counters", "counters and times of the operations are right", self.counters),
            ("logs", "the log has the events of the operations", self.logs),
        ):
            yield _result(line, text, step)

    def upload(self) -> dict[str, Any]:
        bench = self.bench
        self.instances = [
            SyntheticInstance(bench.run, study, number) for study in range(STUDIES) for number in range(INSTANCES)
        ]
        for each in self.instances:
            bench.lab.put(each.name, each.encode())
        seconds = bench.until(partial(self._has_streamed, "CREATE", len(self.instances)), "not all uploads have a row")
        return {"instances": len(self.instances), "seconds_until_rows": seconds}

    def export_by_http(self) -> dict[str, Any]:
        table = self.bench.table("by_http")
        return self._exported(table, self._begun(table, "WRITE_EMPTY"))

    def export_by_batch_job(self) -> dict[str, Any]:
        bench, table = self.bench, self.bench.table("by_batch_job")
        request = {"name": bench.place.store, **_destination(table, "WRITE_APPEND")}
        message = bench.lab.publish(bench.installation.receivers["start_export"].topic, json.dumps(request).encode())
        return self._exported(table, f"{bench.place.store.partition('/dicomStores/')[0]}/operations/{message}")

    def deletion(self) -> dict[str, Any]:
        bench = self.bench
        bench.lab.delete(self.instances.pop().name)
        return {"seconds_until_row": bench.until(partial(self._has_streamed, "DELETE", 1), "the deletion has no row")}

    def overwrite(self) -> dict[str, Any]:
        """Overwrite a table that has a policy, as an account without an all-rows policy."""
        bench, table = self.bench, self.bench.table("by_http")
        bench.patch(table, _KEPT)
        account = bench.installation.receivers["start_export"].invoker
        bench.lab.rows(
            f"CREATE ROW ACCESS POLICY {_POLICY} ON {sql_name(table)}"
            f" GRANT TO ('serviceAccount:{account}') FILTER USING (Modality = 'CT')"
        )
        before = bench.describe(table)
        seconds = self._ended(self._begun(table, "WRITE_TRUNCATE"))
        after, policies = bench.describe(table), self._policies(table)
        kept = {
            name: after.get(name) == before.get(name)
            for name in (*_KEPT, "schema", "timePartitioning", "expirationTime")
        }
        self.overwritten = {
            "seconds": seconds,
            "row_access_policies_kept": policies == [_POLICY],
            "rows": int(after.get("numRows", -1)),
            **{f"{name}_kept": is_kept for name, is_kept in kept.items()},
        }
        _expect("policies", policies, [_POLICY])
        _expect("rows", self.overwritten["rows"], len(self.instances))
        _expect("settings", [name for name, is_kept in kept.items() if not is_kept], [])
        return self.overwritten

    def counters(self) -> dict[str, Any]:
        """Compare the operations with each other: all ended, in order, with every instance exported."""
        found = [self._operation(name) for name in self.operations]
        counters = [each["metadata"]["counter"] for each in found]
        wanted = [STUDIES * INSTANCES] * 2 + [len(self.instances)] * (len(found) - 2)
        _expect("exported", [int(each.get("success", 0)) for each in counters], wanted)
        _expect("failed", [int(each.get("failure", 0)) for each in counters], [0] * len(found))
        times = [(each["metadata"]["createTime"], each["metadata"]["endTime"]) for each in found]
        _expect("times in order", [created <= ended for created, ended in times], [True] * len(found))
        return {"operations": len(found), "exported": wanted}

    def logs(self) -> dict[str, Any]:
        bench = self.bench
        names = " OR ".join(f'"{name}"' for name in self.operations)
        query = {
            "resourceNames": [f"projects/{bench.project}"],
            "filter": f'resource.type="cloud_run_revision" AND jsonPayload.event="ended" AND labels.operation=({names})',
            "pageSize": 100,
        }
        found: list[Any] = []

        def are_there() -> bool:
            answer = bench.lab.google("https://logging.googleapis.com/v2/entries:list", body=query)
            found[:] = [each["labels"]["operation"] for each in answer.get("entries", [])]
            return set(found) == set(self.operations)

        seconds = bench.until(
            are_there, f"{len(set(found))} of {len(self.operations)} operations have an entry", _EVENT_SECONDS
        )
        return {"ended": len(found), "seconds_until_entries": seconds}

    def _begun(self, table: TableName, disposition: str) -> str:
        bench = self.bench
        answer = bench.lab.api(
            "POST", f"{bench.installation.api_url}/v1/{bench.place.store}:export", _destination(table, disposition)
        )
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"the API answers {answer.status}: {answer.text[:300]}")
        return str(json.loads(answer.text)["name"])

    def _exported(self, table: TableName, operation: str) -> dict[str, Any]:
        """Wait for the operation, and compare the table with the instances."""
        seconds = self._ended(operation)
        rows = {each["uid"]: each for each in self.bench.lab.rows(_values_of(table))}
        _expect("rows", self.bench.count(table), len(self.instances))
        _expect("instances", sorted(rows), sorted(each.uid for each in self.instances))
        for each in self.instances:
            row = rows[each.uid]
            _expect("AccessionNumber", row["accession"], each.accession_number)
            _expect("StudyTime", row["time"], STUDY_TIME)
            _expect("the deepest TextValue", row["deepest"], "level 1")
        return {"seconds": seconds, "rows": len(rows), "values_equal": True}

    def _ended(self, operation: str) -> float:
        """Wait until an operation has ended without an error, and return the seconds that it took."""
        self.operations.append(operation)
        seconds = self.bench.until(lambda: self._is_done(operation), "the operation did not end")
        found = self._operation(operation)
        if "error" in found:
            raise Unavailable(f"the operation ended with {found['error'].get('message', found['error'])}")
        return seconds

    def _is_done(self, operation: str) -> bool:
        answer = self._answer(operation)
        # The operation of a batch job exists as soon as its message was handled.
        return answer.status == HTTPStatus.OK and bool(json.loads(answer.text).get("done"))

    def _operation(self, operation: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self._answer(operation).text)
        return found

    def _answer(self, operation: str) -> Any:  # noqa: ANN401 - an ApiAnswer
        return self.bench.lab.api("GET", f"{self.bench.installation.api_url}/v1/{operation}")

    def _has_streamed(self, kind: str, count: int) -> bool:
        """Say whether the automatic export has written rows of this type for so many instances."""
        studies = ", ".join(f"'{SyntheticInstance(self.bench.run, study, 0).study_uid}'" for study in range(STUDIES))
        sql = (
            f"SELECT COUNT(DISTINCT SOPInstanceUID) AS found FROM {sql_name(self.bench.streamed)}"
            f" WHERE Type = '{kind}' AND StudyInstanceUID IN ({studies})"
        )
        try:
            return int(self.bench.lab.rows(sql)[0]["found"]) == count
        except DicomExportError:
            return False  # the first row creates the table

    def _policies(self, table: TableName) -> list[str]:
        found = self.bench.lab.bigquery("GET", f"{path_of(table)}/rowAccessPolicies")
        return [each["rowAccessPolicyReference"]["policyId"] for each in found.get("rowAccessPolicies", [])]


def _destination(table: TableName, disposition: str) -> dict[str, Any]:
    return {"bigqueryDestination": {"tableUri": str(table), "writeDisposition": disposition, "schemaFlattened": {}}}


def _values_of(table: TableName) -> str:
    return (
        f"SELECT SOPInstanceUID AS uid, AccessionNumber AS accession, StudyTime AS time, {_DEEPEST} AS deepest"
        f" FROM {sql_name(table)}"
    )


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Mismatch(f"{what}: found {found}, expected {wanted}")


def _result(line: str, text: str, step: Callable[[], dict[str, Any]]) -> Result:
    try:
        return Result(line, Outcome.VERIFIED, text, step())
    except (Mismatch, DicomExportError) as error:
        return Result(line, Outcome.FAILED, f"{text}: {error}")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return Result(
            line,
            Outcome.FAILED,
            f"{text}: an answer of a service lacks what it should have ({type(error).__name__}: {error})",
        )
