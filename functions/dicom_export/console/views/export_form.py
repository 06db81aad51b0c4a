"""The form of an export: its fields, the request of the API that they make, and the errors of its fields.

A field that the API gains is added here: an `Option` has its name in the form, its place in the request, and its group.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dicom_export.console.texts import t
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from dicom_export.errors import DicomExportError

DISPOSITIONS = ("WRITE_EMPTY", "WRITE_APPEND", "WRITE_TRUNCATE")
WHOLE, FILTER, SINCE = "all", "filter", "since"
MOST_FILTER_BYTES = 1_000_000

_OPERATION_ID = re.compile(r"[1-9][0-9]{18}")
_DESTINATION = "bigqueryDestination"
_FILES = "gcsDestination"
_ON = "on"


@dataclass(frozen=True, slots=True)
class Option:
    """A box to tick: its name in the form, its place in the request, and the version of the API that has it.

    `gcloud` is its flag, if gcloud has one. `is_of_buckets` says that it changes nothing on one machine.
    """

    name: str
    path: tuple[str, ...]
    gcloud: str = ""
    is_of_buckets: bool = False


OPTIONS = (
    Option("source_store", (_DESTINATION, "includeSourceStore")),
    Option("source_object", (_DESTINATION, "includeSourceObject")),
    Option("cold_reads", ("_allowColdReads",), is_of_buckets=True),
)
"""The options of the last group. One that is about the table is left out of an export of files. Their texts are `option.NAME.name` and `option.NAME.text`."""

ON_BY_DEFAULT = {"source_object": _ON}
"""The boxes that are ticked in a new form, as for `dicom-export export`. An unticked box is not sent, so that only a new form has them."""

_FIELDS_OF_VIOLATIONS = {
    "bigquery_destination.table_uri": "table",
    "bigquery_destination.write_disposition": "disposition",
    "write_disposition": "disposition",
    "gcs_destination.uri_prefix": "prefix",
    "gcs_destination": "prefix",
    "_since": "since",
    "filter_config.resource_paths_gcs_uri": "filter_uri",
    "filter_config": "filter_uri",
}


@dataclass(frozen=True, slots=True)
class FormError:
    """What is wrong, and the id of the field where it can be corrected."""

    field: str
    message: str


@dataclass(frozen=True)
class ExportForm:
    """The fields as they were sent."""

    values: Mapping[str, str]

    def get(self, name: str, default: str = "") -> str:
        """Return the field without spaces around it."""
        return self.values.get(name, default).strip()

    @property
    def is_of_files(self) -> bool:
        """Whether files are exported instead of rows."""
        return self.get("destination") == "files"

    @property
    def prefix(self) -> str:
        """The folder of the files."""
        return self.get("prefix")

    @property
    def project(self) -> str:
        """The project of the table."""
        return self.get("project")

    @property
    def dataset(self) -> str:
        """The dataset of the table."""
        return self.get("dataset")

    @property
    def table(self) -> str:
        """The table."""
        return self.get("table")

    @property
    def disposition(self) -> str:
        """What happens to existing rows."""
        found = self.get("disposition")
        return found if found in DISPOSITIONS else DISPOSITIONS[0]

    @property
    def take(self) -> str:
        """Which instances are exported."""
        found = self.get("take")
        return found if found in (FILTER, SINCE) else WHOLE

    @property
    def since(self) -> str:
        """The time after which an object was written, as the API reads it. A time without a zone is in that of the server."""
        text = self.get("since")
        with suppress(ValueError):
            return datetime.fromisoformat(text).astimezone().isoformat()
        return text

    @property
    def schema(self) -> str:
        """The schema."""
        return "json" if self.get("schema") == "json" else "flattened"

    @property
    def filter_uri(self) -> str:
        """The address of the filter file."""
        return self.get("filter_uri")

    @property
    def filter_lines(self) -> str:
        """The lines that were pasted, or those of the file that was chosen."""
        return self.values.get("filter_upload", "").strip() or self.get("filter_text")

    @property
    def operation_id(self) -> str:
        """The id that the operation gets, so that a form that is sent twice starts one."""
        found = self.get("operation")
        return found if _OPERATION_ID.fullmatch(found) else ""

    def has(self, name: str) -> bool:
        """Say whether a box is ticked."""
        return self.get(name) == _ON

    def missing(self) -> list[FormError]:
        """Return the fields that are empty or cannot be what they are for."""
        table = (("project", self.project), ("dataset", self.dataset), ("table", self.table))
        needed = (("prefix", self.prefix),) if self.is_of_files else table
        found = [FormError(name, f"error.no_{name}") for name, value in needed if not value]
        if "." in self.table and not self.is_of_files:
            found.append(FormError("table", "error.dotted_table"))
        if self.take == SINCE and not self.since:
            found.append(FormError("since", "error.no_since"))
        if self.take == FILTER and not (self.filter_uri or self.filter_lines):
            found.append(FormError("filter_uri", "error.no_filter"))
        return found

    @property
    def lacks_instances(self) -> Markup | str:
        """What a command for this form would lack that says which instances are exported, or an empty text.

        Without it, the command would export the whole store.
        """
        if self.take == SINCE and not self.since:
            return t("command.no_since")
        if self.take == FILTER and not self.filter_uri:
            return t("command.pasted_filter" if self.filter_lines else "command.no_filter")
        return ""

    def request(self, filter_uri: str = "") -> dict[str, Any]:
        """Return the body of `dicomStores.export`."""
        body: dict[str, Any] = {_FILES: {"uriPrefix": self.prefix}} if self.is_of_files else self._table()
        if self.take == FILTER and (filter_uri or self.filter_uri):
            body["filterConfig"] = {"resourcePathsGcsUri": filter_uri or self.filter_uri}
        if self.take == SINCE:
            body["_since"] = self.since
        for option in OPTIONS:
            if self.has(option.name) and not (self.is_of_files and option.path[0] == _DESTINATION):
                _put(body, option.path, value=True)
        return body

    def _table(self) -> dict[str, Any]:
        destination: dict[str, Any] = {
            "tableUri": f"bq://{self.project}.{self.dataset}.{self.table}",
            "writeDisposition": self.disposition,
        }
        if self.schema == "json":
            destination["schemaJson"] = {}
        return {_DESTINATION: destination}


def _put(body: dict[str, Any], path: tuple[str, ...], *, value: object) -> None:
    *above, last = path
    for name in above:
        body = body.setdefault(name, {})
    body[last] = value


def errors_of(error: DicomExportError, form: ExportForm) -> list[FormError]:
    """Return what a refused request means for the fields of the form."""
    if isinstance(error, InvalidArgument) and error.violations:
        return [
            FormError(_field_of_violation(each.field, each.description), each.description) for each in error.violations
        ]
    return [FormError(_field_of(error.message, form), error.message)]


def _field_of_violation(field: str, description: str) -> str:
    """Return the field of a violation. That of a table's URI may be about its dataset."""
    return "dataset" if description.startswith("Dataset ") else _FIELDS_OF_VIOLATIONS.get(field, "table")


def _field_of(message: str, form: ExportForm) -> str:
    """Return the field that an error is about, which only its words tell."""
    if "ilter" in message and form.take == FILTER:
        return "filter_uri"
    if form.is_of_files:
        return "prefix"
    if message.startswith("Dataset "):
        return "dataset"
    return "disposition" if " has " in message and " rows" in message else "table"
