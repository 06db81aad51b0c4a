"""Compare a folder with a table: take an inventory, repair on demand, and report the differences."""

from __future__ import annotations

import secrets
from collections import deque
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dicom_export.bootstrap.local import local_deployment
from dicom_export.cli.console import printable, standard_error, warnings_on
from dicom_export.cli.running import folder_run
from dicom_export.cli.summary import unlisted_lines
from dicom_export.cli.verbosity import Verbosity
from dicom_export.folder_export.ctrl_c import threads_without_ctrl_c
from dicom_export.folder_export.ignored import Ignored
from dicom_export.names import GcsUri
from dicom_export.protocol.operations_json import timestamp
from dicom_export.settings import LocalBucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dicom_export.bootstrap.local import LocalDeployment
    from dicom_export.names import StoreName, TableName
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.settings import LocalSettings, Place
    from dicom_export.stored_object import Unlisted
    from dicom_export.verifying.reconciliation import Difference
    from dicom_export.verifying.verify import Inventory, Report, Verification


@dataclass(frozen=True, slots=True)
class Verified:
    """The report of a comparison, with the objects that could not be compared or listed.

    `exported` is the number of instances that a repair exported. `unrepaired` has, by object, the reasons why it did not repair others.
    """

    table: TableName
    instances: int
    report: Report
    failures: int
    first_failures: tuple[Failure, ...]
    exported: int
    unlisted: tuple[Unlisted, ...] = ()
    unrepaired: Mapping[str, str] = field(default_factory=dict)

    def reason(self, difference: Difference) -> str:
        """Return why a repair cannot, or did not, correct the instance's row; empty if it can."""
        return difference.obstacle or self.unrepaired.get(difference.object or "", "")

    @property
    def has_findings(self) -> bool:
        """Whether there are differences, failures, folders that could not be listed, or rows that could not be judged."""
        return bool(self.report.counts.total or self.failures or self.unlisted or self.report.unjudged)

    def lines(self, file: Path, place: Place) -> Iterator[str]:
        """Yield the report as lines of text."""
        found = self.report.counts
        counts = f"{found.missing:,} missing, {found.stale:,} stale, {found.orphaned:,} orphaned"
        if self.exported:
            yield f"{self.exported:,} instances exported"
        yield f"{self.instances:,} instances compared with table {self.table.table} of {file}: {counts}"
        if not (self.instances or self.failures or self.unlisted):
            yield printable(f"No DICOM files were found in {place}")
        for each in self.report.first:
            yield printable(f"{each.kind:<8}  {each.uids}  {each.object or ''}".rstrip())
            if reason := self.reason(each):
                yield printable(f"{'':8}  cannot be repaired: {reason}")
        if found.total > len(self.report.first):
            yield f"… and {found.total - len(self.report.first):,} more; --limit lists them"
        if found.outranked:
            what_to_do = "write the objects again" if isinstance(place, LocalBucket) else "`touch` the files first"
            yield (
                f"{found.outranked:,} of the files are not newer than their row, so that --repair does not repair these:"
                f" {what_to_do}"
            )
        yield from unlisted_lines(self.unlisted)
        if self.report.unjudged:
            yield (
                f"{self.report.unjudged:,} rows have no file among those that were listed. They may be of files in the folders above,"
                " and are not reported as orphaned"
            )
        if self.failures:
            yield f"{self.failures:,} files cannot be exported, and were not compared:"
            yield from (printable(f"{'':8}{each.object}: {each.message}") for each in self.first_failures)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "table": str(self.table),
            "instances": self.instances,
            "exported": self.exported,
            **asdict(self.report.counts),
            "unjudged": self.report.unjudged,
            "unlisted": [each._asdict() for each in self.unlisted],
            "differences": [_to_json(each, self.reason(each)) for each in self.report.first],
            "failed": self.failures,
            "failures": [
                {**each.to_json(), "repairable": False, "reason": each.message} for each in self.first_failures
            ],
        }


class _Failures:
    """Counts failures, and keeps the first ones."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.first: list[Failure] = []
        self._limit = limit

    def add(self, failure: Failure) -> None:
        self.count += 1
        if len(self.first) < self._limit:
            self.first.append(failure)


@dataclass(frozen=True, slots=True)
class Verifying:
    """A comparison of a store with a table of a file. `repairs` is the bucket for the filters of repairs."""

    settings: LocalSettings
    store: StoreName
    table: TableName
    repairs: str
    file: Path
    ignore: tuple[str, ...]
    limit: int

    def run(self, *, repair: bool, verbosity: Verbosity = Verbosity.NORMAL) -> Verified:
        """Compare the store with the table, after a repair if `repair`."""
        failures = _Failures(self.limit)
        with ExitStack() as stack:
            stack.enter_context(warnings_on(standard_error(), verbosity))
            with threads_without_ctrl_c():
                deployment = stack.enter_context(local_deployment(self.settings))
            if repair:
                self._end_interrupted_repairs(deployment)
            verification = deployment.verification(self.table)
            declared = deployment.service.stores[self.store]
            inventory = stack.enter_context(verification.inventory(self.store, declared, failures.add))
            repaired = self._repair(deployment, verification, inventory, verbosity) if repair else None
            report = verification.summary(inventory, self.limit)
            unrepaired = _unrepaired(deployment, repaired, report) if repaired else {}
        return Verified(
            self.table,
            inventory.instances,
            report,
            failures.count,
            tuple(failures.first),
            repaired.counters.success if repaired and repaired.counters else 0,
            inventory.unlisted,
            unrepaired,
        )

    def _end_interrupted_repairs(self, deployment: LocalDeployment) -> None:
        for _, operation in deployment.service.list_operations(self.store.parent):
            uri = None if operation.is_done else operation.request.filter_uri
            if uri and uri.bucket == self.repairs and operation.request.store == self.store:
                deployment.service.resume(operation)
        deployment.wait()
        # Nobody else has the table's file open, so these filters are those of repairs that have ended.
        for path in self.settings.buckets[self.repairs].iterdir():
            path.unlink()

    def _repair(
        self, deployment: LocalDeployment, verification: Verification, inventory: Inventory, verbosity: Verbosity
    ) -> Operation | None:
        """Repair the differences, and return the ended operation that did it, or None if there was nothing to repair."""
        name = f"{secrets.token_hex(8)}.txt"
        path = self.settings.buckets[self.repairs] / name
        with verification.report(inventory) as report:
            is_needed = _write(path, verification.repairs(report))
        if not is_needed:
            path.unlink()
            return None
        request = verification.repair_request(self.store, GcsUri(self.repairs, name))
        ignored = Ignored(frozenset(self.ignore), self.settings.data / "ignored")
        folder = self.settings.stores[self.store]
        operation = folder_run(deployment, request, ignored, standard_error(), folder, verbosity=verbosity).to_its_end()
        path.unlink()
        return operation


def _unrepaired(deployment: LocalDeployment, repaired: Operation, report: Report) -> dict[str, str]:
    """Return, by their names, why objects are still in the report although an export could have repaired them."""
    left = {each.object for each in report.first if each.object and each.is_repairable}
    if not left:
        return {}
    failed = {each.object: each.message for each in deployment.service.failures(repaired.name) if each.object in left}
    otherwise = repaired.error.message if repaired.error else "the object was changed during the repair"
    return {name: failed.get(name, otherwise) for name in left}


def _write(path: Path, lines: Iterable[str]) -> bool:
    """Write the lines, and return whether there were any."""
    with path.open("w", encoding="utf-8") as file:
        deque((file.write(line) for line in lines), maxlen=0)
        return file.tell() > 0


def _to_json(difference: Difference, reason: str) -> dict[str, Any]:
    return {
        "difference": difference.kind.value,
        **difference.uids.shown._asdict(),
        "object": difference.object,
        "generation": None if difference.generation is None else str(difference.generation),
        "lastUpdated": timestamp(difference.updated) if difference.updated else None,
        "rowLastUpdated": timestamp(difference.row_updated) if difference.row_updated else None,
        "repairable": not reason,
        "reason": reason or None,
    }
