"""What has to agree once all is calm: operations, their counters and results, failures, and the rows of each table."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dicom_export.bootstrap.cloud import cloud_ports
from dicom_export.bootstrap.wiring import service_on
from dicom_export.operations.counters import Counters
from dicom_export.operations.outcome import replaces_table
from dicom_export.operations.request import WriteDisposition
from dicom_export.settings import cloud as cloud_settings
from support.clouds import STORE, Cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from dicom_export.names import StoreName
    from dicom_export.operations.operation import Operation

_END_SECONDS = 600
_FORGOTTEN_SECONDS = 60
_POLL_SECONDS = 2


class Ledger:
    """Looks at an installation that nobody disturbs any more. `expected` are the instances of the archive, and what is none there."""

    def __init__(
        self, cloud: Cloud, archive: StoreName, expected: tuple[int, int], versions: Mapping[str, int | None]
    ) -> None:
        self._cloud = cloud
        self._archive = archive
        self._expected = expected
        self._versions = versions
        environment = {name: value for name, value in cloud.environment.items() if name not in os.environ}
        self._service = service_on(cloud_ports(cloud_settings.parse(environment)))
        self._operations: list[Operation] = []
        self._tables: set[str] = set()
        self._resumed: set[str] = set()
        self._rows = 0

    def line(self) -> str:
        """Return what there was to agree."""
        ends = Counter("done" if each.error is None else each.error.code.name.lower() for each in self._operations)
        ended = ", ".join(f"{count:,} {end}" for end, count in sorted(ends.items()))
        return f"{len(self._operations):,} operations ({ended}), {self._rows:,} rows in {len(self._tables):,} tables"

    def wrong(self) -> list[str]:
        """Wait for what is under way, and return what does not agree."""
        if open_ := self._wait(self._unfinished):
            return [f"{each} did not end" for each in open_]
        self._operations = [each for _, each in self._service.list_operations(STORE.parent)]
        self._tables = self._cloud.tables()
        wrong = [each for operation in self._operations for each in self._wrong_counters(operation)]
        by_table: defaultdict[str, list[Operation]] = defaultdict(list)
        for operation in self._operations:
            by_table[operation.table.table].append(operation)
        for table, operations in sorted(by_table.items()):
            if table != "live_json":
                wrong += self._wrong_rows(table, operations)
        wrong += [f"table {each} is left" for each in self._tables if "staging" in each or "inventory" in each]
        wrong += [f"dead letter: {each.reason.message}" for each in self._service.dead_letters(STORE.parent)]
        wrong += self._wrong_failures()
        return wrong + self._wait(self._wrong_streams)

    def _wait(self, find: Callable[[], list[str]]) -> list[str]:
        """Return what is found once that is nothing, or after a long time."""
        deadline = time.monotonic() + _END_SECONDS
        while (found := find()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return found

    def _unfinished(self) -> list[str]:
        """Return the operations that have not ended. One whose creator was killed before it told the planner goes on now, as after 10 minutes."""
        unfinished = self._service.unfinished(STORE.parent)
        for operation in unfinished:
            name = str(operation.name)
            age = time.time() - operation.create_time.timestamp()
            if (
                age > _FORGOTTEN_SECONDS
                and name not in self._resumed
                and not self._service.journal.plans.pages(operation.name)
            ):
                self._resumed.add(name)
                self._service.resume(operation)
        return [str(operation.name) for operation in unfinished]

    def _wrong_counters(self, operation: Operation) -> Iterator[str]:
        counters, journal = operation.counters or Counters(), self._service.journal
        summed = Counters.total(each.counters for each in journal.tasks.results(operation.name))
        told = ("planned", "success", "failure", "skipped", "cancelled")
        if any(getattr(counters, each) != getattr(summed, each) for each in told[1:]):
            yield f"{operation.name} counted {counters}, its results are {summed}"
        if counters.pending:
            yield f"{operation.name} has ended with {counters.pending} pending"
        failures = sum(1 for _ in self._service.failures(operation.name))
        if failures != counters.failure:
            yield f"{operation.name} counted {counters.failure} failures and lists {failures}"
        shown = self._cloud.call("GET", str(operation.name))["metadata"].get("counter", {})
        if (int(shown.get("success", 0)), int(shown.get("failure", 0))) != (counters.success, counters.failure):
            yield f"{operation.name} counted {counters}, and the API shows {shown}"
        is_whole = not (operation.cancel_requested or operation.plan_error or not counters.planned)
        if (
            is_whole
            and operation.request.store == self._archive
            and (counters.success, counters.failure) != self._expected
        ):
            yield f"{operation.name} exported {counters}, expected {self._expected}; {operation.error}"

    def _wrong_rows(self, table: str, operations: list[Operation]) -> Iterator[str]:
        counts = self._rows_by_instance(table)
        rows, total = counts.total(), self._expected[0]
        self._rows += rows
        if operations[0].request.write_disposition is WriteDisposition.WRITE_TRUNCATE:
            is_replaced = any(replaces_table(each, each.counters or Counters()) for each in operations)
            if (rows, len(counts)) != ((total, total) if is_replaced else (0, 0)):
                yield f"{table} has {rows} rows of {len(counts)} instances, expected {total if is_replaced else 0}"
            return
        successes = [(each.counters or Counters()).success for each in operations]
        if rows != sum(successes):
            yield f"{table} has {rows} rows, its operations counted {successes}"
        whole, parts = successes.count(total), sum(0 < each < total for each in successes)
        found = set(counts.values()) | ({0} if len(counts) < total else set())
        if not all(whole <= each <= whole + parts for each in found):
            yield f"{table} has {sorted(found)} rows of an instance after {whole} whole exports and {parts} parts"

    def _rows_by_instance(self, table: str) -> Counter[str]:
        if table not in self._tables:
            return Counter()
        sql = f"SELECT SOPInstanceUID, COUNT(*) FROM `{self._cloud.dataset}.{table}` GROUP BY 1"  # noqa: S608 - our own name
        return Counter(dict(tuple(row.values()) for row in self._cloud.query(sql)))

    def _wrong_failures(self) -> Iterator[str]:
        """Compare the table of failures with the counters of each operation."""
        expected = {
            str(each.name): each.counters.failure
            for each in self._operations
            if each.counters and each.counters.failure
        }
        sql = f"SELECT Operation, COUNT(*) FROM `{self._cloud.dataset}.failures` GROUP BY 1"  # noqa: S608 - as above
        rows = self._cloud.query(sql) if "failures" in self._tables else ()
        found = dict(tuple(row.values()) for row in rows)
        for name in sorted({*expected, *found}):
            if expected.get(name, 0) != found.get(name, 0):
                yield f"{name} counted {expected.get(name, 0)} failures, their table has {found.get(name, 0)}"

    def _wrong_streams(self) -> list[str]:
        """Compare the newest row of each instance with the bucket and with what was uploaded last."""
        bucket = {
            blob.name.rpartition("/")[2].removesuffix(".dcm"): blob.time_created
            for blob in self._cloud.storage.client.list_blobs(self._cloud.bucket)
        }
        uploaded = {uid: f"v{version}" for uid, version in self._versions.items() if version is not None}
        wrong = [] if set(bucket) == set(uploaded) else ["the bucket does not hold what was uploaded"]
        for table in ("live_flat", "live_json"):
            newest = self._newest(table)
            current = {uid: row["LastUpdated"] for uid, row in newest.items() if row["Type"] == "CREATE"}
            wrong += [
                f"{table}: {uid} was written at {bucket.get(uid)}, its newest row is of {current.get(uid)}"
                for uid in sorted({*bucket, *current})
                if not _is_same_moment(bucket.get(uid), current.get(uid))
            ]
            if table == "live_flat" and not wrong:
                texts = {uid: newest[uid]["PatientComments"] for uid in current}
                wrong += [
                    f"{uid} is {texts[uid]}, uploaded was {uploaded[uid]}"
                    for uid in texts
                    if texts[uid] != uploaded[uid]
                ]
        return wrong

    def _newest(self, table: str) -> dict[str, dict[str, Any]]:
        columns = "SOPInstanceUID, Type, LastUpdated" + (", PatientComments" if table == "live_flat" else "")
        sql = f"SELECT {columns} FROM `{self._cloud.dataset}.{table}` ORDER BY LastUpdated"  # noqa: S608 - as above
        rows = [dict(row) for row in self._cloud.query(sql)]
        return {row["SOPInstanceUID"]: row for row in rows}


def _is_same_moment(one: datetime | None, other: datetime | None) -> bool:
    """Say whether both are the same, or none. The emulator's times of one write differ by some microseconds, its writes by more."""
    return one == other or bool(one and other and abs(one - other) < timedelta(milliseconds=1))
