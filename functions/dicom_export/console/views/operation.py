"""An operation as its page and the list show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from dicom_export.console import numbers
from dicom_export.console.texts import t
from dicom_export.console.views.status import Status, status_of
from dicom_export.operations.counters import Counters
from dicom_export.operations.request import ExportRequest, FilesRequest, RepairRequest, VerifyRequest
from dicom_export.rows.layout import SchemaKind

if TYPE_CHECKING:
    from markupsafe import Markup

    from dicom_export.names import TableName
    from dicom_export.operations.operation import Operation

_SETTLED_SECONDS = 2.0
_COMMAND = re.compile(r" To list each with its reason: .* --data DIR\.")


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the overview: a word, and its value. `is_code` has it shown in the way that people type it."""

    name: Markup
    value: object
    is_code: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class OperationView:
    """An operation at a time."""

    operation: Operation
    now: datetime
    is_local: bool = True

    @property
    def name(self) -> str:
        """The resource name."""
        return str(self.operation.name)

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.operation.name.operation

    @property
    def href(self) -> str:
        """The address of its page."""
        return f"operation?{urlencode({'name': self.name})}"

    @property
    def status(self) -> Status:
        """The status."""
        return status_of(self.operation)

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self.operation.is_done

    @property
    def counters(self) -> Counters:
        """The counters."""
        return self.operation.counters or Counters()

    @property
    def done(self) -> int:
        """The number of instances with an outcome."""
        return self.counters.success + self.counters.failure + self.counters.cancelled

    @property
    def total(self) -> int:
        """The number of instances that are known."""
        return self.counters.found

    @property
    def is_planned(self) -> bool:
        """Whether the total is final."""
        return self.is_done or self.operation.pages is not None

    @property
    def percent(self) -> str:
        """The share that has an outcome; of an operation that has ended, the share that was exported."""
        part = self.counters.success if self.is_done else self.done
        share = numbers.percent(part, self.total)
        return "99.9" if share == "100" and not self.is_done else share

    @property
    def store(self) -> str:
        """The id of the store."""
        return self.operation.requested.store.store if self.operation.requested else ""

    @property
    def table(self) -> TableName | None:
        """The table that it is about."""
        request = self.operation.requested
        if isinstance(request, VerifyRequest):
            return request.compared
        return None if request is None or isinstance(request, FilesRequest) else request.table

    @property
    def table_text(self) -> str:
        """The table as people write it, or the folder of an export of files."""
        if isinstance(self.operation.requested, FilesRequest):
            return str(self.operation.requested.folder)
        return f"{self.table.project}.{self.table.dataset}.{self.table.table}" if self.table else ""

    @property
    def title(self) -> Markup:
        """What it does."""
        match self.operation.requested:
            case VerifyRequest():
                return t("operation.title.verify", store=self.store, table=self.table_text)
            case RepairRequest():
                return t("operation.title.repair", store=self.store, table=self.table_text)
            case None:
                return t("operation.title.refused")
        return t("operation.title.export", store=self.store, table=self.table_text)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return ((self.operation.end_time or self.now) - self.operation.create_time).total_seconds()

    @property
    def rate(self) -> float:
        """Instances per second, since it began."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at this rate; None if nobody can tell yet."""
        if self.is_done or not self.is_planned or not self.done or self.seconds < _SETTLED_SECONDS:
            return None
        return (self.total - self.done) / self.rate

    @property
    def until(self) -> datetime | None:
        """When it will end at this rate."""
        return None if self.seconds_left is None else self.now + timedelta(seconds=self.seconds_left)

    @property
    def progress(self) -> Markup:
        """The progress in one line."""
        found = self.counters
        if self.operation.differences:
            return t(
                "progress.differences",
                compared=numbers.count(found.success),
                n=numbers.count(self.operation.differences.total),
            )
        if not self.is_done:
            key = "progress.running" if self.is_planned else "progress.planning"
            text = t(key, done=numbers.count(self.done), total=numbers.count(self.total))
        else:
            text = t("progress.done", n=numbers.count(found.success))
        return text + t("progress.failed", n=numbers.count(found.failure)) if found.failure else text

    @property
    def summary(self) -> Markup:
        """When it began or ended, and what came of it."""
        started = numbers.moment(self.operation.create_time, self.now)
        if not self.is_done:
            return t("operation.started", moment=started, duration=numbers.duration(self.seconds))
        ended = numbers.moment(self.operation.end_time or self.now, self.now)
        text = t("operation.ended", moment=ended, duration=numbers.duration(self.seconds))
        return (
            text + " " + t("operation.no_row", n=numbers.count(self.counters.failure))
            if self.counters.failure
            else text
        )

    @property
    def reason(self) -> str:
        """Why it ended, without the command that lists what this page shows."""
        return _COMMAND.sub("", self.operation.error.message) if self.operation.error else ""

    @property
    def announcement(self) -> Markup:
        """What a screen reader says: the start, each quarter, the end."""
        if self.is_done:
            return t("announce.ended", status=self.status.word, progress=self.progress)
        quarter = int(float(self.percent)) // 25 * 25
        return t("announce.progress", status=self.status.word, percent=quarter)

    @property
    def disposition(self) -> Markup | str:
        """What happens to existing rows."""
        request = self.operation.requested
        return t(f"disposition.{request.write_disposition}.name") if isinstance(request, ExportRequest) else ""

    @property
    def facts(self) -> list[Fact]:
        """The request, line by line."""
        request = self.operation.requested
        found = [Fact(t("fact.operation"), self.id, is_code=True)]
        if request is None:
            return found
        found += [
            Fact(t("fact.store"), request.store.store),
            Fact(
                t("fact.table" if self.table else "fact.folder"),
                self.table_text,
                is_code=True,
                href=table_address(self.table, is_local=self.is_local),
            ),
        ]
        if isinstance(request, VerifyRequest):
            return [*found, Fact(t("fact.report"), request.table.table, is_code=True)]
        if self.disposition:
            found.append(Fact(t("fact.disposition"), self.disposition))
        if not isinstance(request, FilesRequest):
            kind = t("fact.columns.json" if request.schema is SchemaKind.JSON else "fact.columns.flattened")
            more = t("fact.columns.store") if request.include_source_store else ""
            found.append(Fact(t("fact.columns"), kind + more))
        if request.since:
            found.append(Fact(t("export.since"), numbers.moment(request.since, self.now)))
        if request.filter_uri:
            found.append(Fact(t("fact.instances"), str(request.filter_uri), is_code=True))
        else:
            found.append(Fact(t("fact.instances"), t("fact.missing" if request.is_filtered else "fact.whole")))
        return found

    @property
    def repeat_href(self) -> str:
        """The address of the form with this request; empty for what is not an export."""
        request = self.operation.requested
        if not isinstance(request, ExportRequest | FilesRequest):
            return ""
        values = {"store": str(request.store)}
        if request.filter_uri:
            values |= {"take": "filter", "filter_uri": str(request.filter_uri)}
        if request.allow_cold_reads:
            values["cold_reads"] = "on"
        if request.since:
            values |= {"take": "since", "since": request.since.astimezone().strftime("%Y-%m-%dT%H:%M:%S")}
        if isinstance(request, FilesRequest):
            return f"export?{urlencode({**values, 'destination': 'files', 'prefix': str(request.folder)})}"
        values |= {
            "project": request.table.project,
            "dataset": request.table.dataset,
            "table": request.table.table,
            "disposition": request.write_disposition.value,
            "schema": "json" if request.schema is SchemaKind.JSON else "flattened",
        }
        if request.include_source_store:
            values["source_store"] = "on"
        if request.include_source_object:
            values["source_object"] = "on"
        return f"export?{urlencode(values)}"


def table_address(table: TableName | None, *, is_local: bool) -> str:
    """Return where the rows of a table are shown: the page Data, or BigQuery's own console, which asks for the reader's rights."""
    if table is None:
        return ""
    if is_local:
        return f"data?{urlencode({'table': f'{table.project}.{table.dataset}.{table.table}'})}"
    parts = {"p": table.project, "d": table.dataset, "t": table.table, "page": "table"}
    return f"https://console.cloud.google.com/bigquery?{urlencode({'project': table.project, **parts})}"


def view_of(operation: Operation, *, is_local: bool = True) -> OperationView:
    """Return the operation as it is now."""
    return OperationView(operation, datetime.now(UTC), is_local)
