"""The form of an export: checks while it is filled in, and the start."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dicom_export.console import numbers
from dicom_export.console.exchange import Page, see_other
from dicom_export.console.latest import latest_tables
from dicom_export.console.shell import page
from dicom_export.console.texts import t
from dicom_export.console.views import commands
from dicom_export.console.views.checks import Check, Destination, similar
from dicom_export.console.views.estimate import view_of
from dicom_export.console.views.export_form import (
    DISPOSITIONS,
    FILTER,
    MOST_FILTER_BYTES,
    ON_BY_DEFAULT,
    OPTIONS,
    ExportForm,
    FormError,
    errors_of,
)
from dicom_export.errors import DicomExportError, InvalidArgument, NotFound, PermissionDenied
from dicom_export.names import GcsFolder, GcsUri, OperationName, StoreName, TableName, check_dataset_id
from dicom_export.operations.reserved_names import check_table
from dicom_export.protocol.export_request import parse_export_request
from dicom_export.rows.layout import SchemaKind
from dicom_export.stores import declared

if TYPE_CHECKING:
    from dicom_export.console.exchange import PageRequest
    from dicom_export.console.installation import Installation
    from dicom_export.operations.operation import Operation

_VERSION = "v1"
_MAIN = "main"
_START, _CONFIRMED, _ESTIMATE = "start", "replace", "estimate"


def show(request: PageRequest, installation: Installation) -> Page:
    """Show the form, with the fields that the address has."""
    form = ExportForm(request.query)
    return _page(request, installation, form, _store(form, installation))


def send(request: PageRequest, installation: Installation) -> Page:
    """Check the form, or start its export. Rows are replaced only after a confirmation that says how many."""
    form = ExportForm(request.form)
    store = _store(form, installation)
    if form.get("intent") == _ESTIMATE:
        return _page(request, installation, form, store, problem=_estimated(form, store, installation))
    if form.get("intent") != _START:
        return _page(request, installation, form, store)
    errors = form.missing()
    if errors:
        return _page(
            request, installation, form, store, [FormError(each.field, str(t(each.message))) for each in errors]
        )
    destination = _destination(form, installation)
    if (
        not form.is_of_files
        and form.disposition == "WRITE_TRUNCATE"
        and destination.rows
        and form.get("confirmed") != _CONFIRMED
    ):
        return _page(request, installation, form, store, asks=True)
    try:
        operation = _started(form, store, installation)
    except DicomExportError as error:
        return _page(request, installation, form, store, errors_of(error, form))
    return see_other(f"operation?{urlencode({'name': str(operation.name)})}")


def _estimated(form: ExportForm, store: StoreName, installation: Installation) -> str:
    """Estimate an export of the store, and return why that could not be done."""
    try:
        installation.estimates.make(store, SchemaKind(form.schema), installation.service)
    except DicomExportError as error:
        return error.message
    return ""


def _started(form: ExportForm, store: StoreName, installation: Installation) -> Operation:
    """Start the export, once per form. Raises the errors of `ExportService.create_export`."""
    service = installation.service
    name = OperationName(store.parent, form.operation_id) if form.operation_id else None
    begun = service.journal.operations.find(name) if name else None
    if begun:
        return begun
    body = form.request(_filter_uri(form, installation))
    request = parse_export_request(store, body, api_version=_VERSION)
    try:
        return service.create_export(request, api_version=_VERSION, name=name)
    except DicomExportError:
        # The same form, sent twice at once, is refused because of the rows of its own export.
        begun = service.journal.operations.find(name) if name else None
        if begun and not begun.error:
            return begun
        raise


def _filter_uri(form: ExportForm, installation: Installation) -> str:
    """Return the address of the filter file; lines that were pasted are stored first."""
    if form.take != FILTER or form.filter_uri or not form.filter_lines:
        return form.filter_uri
    if installation.filters is None:
        raise InvalidArgument(str(t("error.no_upload")))
    content = form.filter_lines.encode("utf-8", "surrogateescape")
    if len(content) > MOST_FILTER_BYTES:
        raise InvalidArgument(str(t("error.long_filter", size=numbers.size(MOST_FILTER_BYTES))))
    return str(installation.filters.put(filter_name(), content))


def filter_name() -> str:
    """Return a name that no filter file has."""
    return f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(4)}.txt"


def _store(form: ExportForm, installation: Installation) -> StoreName:
    """Return the store. Raises NotFound if it is not declared; without a name the only one is meant."""
    service = installation.service
    if form.get("store"):
        return service.get_store(StoreName.parse(form.get("store")))
    stores = [each for parent in service.datasets() for each in service.list_stores(parent)]
    if len(stores) == 1:
        return stores[0]
    raise NotFound(str(t("error.no_store")))


def _page(
    request: PageRequest,
    installation: Installation,
    form: ExportForm,
    store: StoreName,
    errors: list[FormError] | None = None,
    *,
    asks: bool = False,
    problem: str = "",
) -> Page:
    form = _with_defaults(form, store, installation)
    estimated = installation.estimates.latest(store, SchemaKind(form.schema))
    destination = _destination(form, installation)
    found = commands.commands(store, form, request.host_url, is_local=installation.is_local)
    objects = declared(installation.service.stores, store).objects
    values: dict[str, Any] = {
        "store": store,
        "address": objects.uri("").removeprefix("file://") if installation.is_local else objects.uri(""),
        "count": installation.counts.latest(store),
        "estimate": view_of(estimated) if estimated and not problem else None,
        "estimate_problem": problem,
        "form": form,
        "errors": errors or [],
        "error_of": {each.field: each.message for each in reversed(errors or [])},
        "destination": destination,
        "checks": [*destination.checks, *_filter_checks(form, installation)],
        "dispositions": DISPOSITIONS,
        "options": [each for each in OPTIONS if not (each.is_of_buckets and installation.is_local)],
        "commands": found,
        "lists": _lists(form, installation),
        "asks": asks,
        "operation_id": form.operation_id or str(secrets.randbelow(9 * 10**18) + 10**18),
        "shown": request.value.get("show_as") or ("curl" if found[0].note else "gcloud"),
    }
    return page(request, installation, "export.html", **values)


def _with_defaults(form: ExportForm, store: StoreName, installation: Installation) -> ExportForm:
    """Return a form that names no project with the fields that can only mean one thing, and with a table named after the store."""
    if "project" in form.values:
        return form
    project, dataset = _usual_dataset(installation)
    given = {**form.values, "project": project, "dataset": form.get("dataset") or dataset}
    return ExportForm({"table": _table_name(store), **ON_BY_DEFAULT, **given})


def _usual_dataset(installation: Installation) -> tuple[str, str]:
    """Return the only project and its only dataset, else those of the latest export. They may be empty."""
    lists = installation.lists
    projects = lists.projects()
    datasets = list(lists.datasets(projects[0])) if len(projects) == 1 else []
    if installation.is_local and len(datasets) > 1:
        # Every DuckDB file has `main`, also one whose datasets have other names.
        datasets = [each for each in datasets if each != _MAIN]
    if len(datasets) == 1:
        return projects[0], datasets[0]
    latest = next(latest_tables(installation.service, installation.service.datasets()), None)
    if latest and latest.project in projects:
        return latest.project, latest.dataset
    return projects[0] if len(projects) == 1 else "", ""


def _table_name(store: StoreName) -> str:
    """Return the store's id if a table can have this name."""
    with suppress(InvalidArgument):
        return check_table(TableName.parse(f"bq://p.d.{store.store}")).table
    return ""


def _lists(form: ExportForm, installation: Installation) -> dict[str, list[str]]:
    lists = installation.lists
    projects = list(lists.projects())
    datasets = list(lists.datasets(form.project)) if form.project else []
    tables = list(lists.tables(form.project, form.dataset)) if form.dataset in datasets else []
    return {"project": projects, "dataset": datasets, "table": tables}


def _destination(form: ExportForm, installation: Installation) -> Destination:
    """Look for the project, the dataset and the table, each once the one before it was found; or for the bucket of files."""
    if form.is_of_files:
        return Destination((_folder_check(form, installation),))
    if not form.project:
        return Destination((Check("project", "wait", t("check.no_project")),))
    try:
        checked = _dataset_check(form, installation)
        if checked[-1].tone != "ok" or not form.table:
            more = () if checked[-1].tone != "ok" else (Check("table", "wait", t("check.no_table")),)
            return Destination((*checked, *more))
        return _table_check(form, installation, checked)
    except PermissionDenied as error:
        return Destination((Check("dataset", "error", error.message),))
    except DicomExportError as error:
        return Destination((Check("table", "error", error.message),))


def _folder_check(form: ExportForm, installation: Installation) -> Check:
    if not form.prefix:
        return Check("prefix", "wait", t("check.no_prefix"))
    try:
        folder = GcsFolder.parse(form.prefix)
        is_there = installation.service.buckets(folder.bucket) is not None
    except DicomExportError as error:
        return Check("prefix", "error", error.message)
    if is_there:
        return Check("prefix", "ok", t("check.bucket", bucket=folder.bucket))
    return Check("prefix", "error", t("check.bucket_missing", bucket=folder.bucket))


def _dataset_check(form: ExportForm, installation: Installation) -> tuple[Check, ...]:
    lists = installation.lists
    found: list[Check] = []
    if installation.is_local:
        if form.project not in lists.projects():
            others = similar(lists.projects(), form.project)
            key = "check.project_missing" if others else "check.no_projects"
            return (Check("project", "error", t(key, project=form.project, others=others)),)
        found.append(Check("project", "ok", t("check.project", project=form.project)))
    if not form.dataset:
        return (*found, Check("dataset", "wait", t("check.no_dataset")))
    try:
        location = lists.location(form.project, check_dataset_id(form.dataset))
    except (InvalidArgument, NotFound) as error:
        return (*found, Check("dataset", "error", error.message))
    key = "check.dataset_in" if location else "check.dataset"
    found.append(Check("dataset", "ok", t(key, dataset=form.dataset, location=location)))
    if location and _is_elsewhere(location, installation.region):
        found.insert(-1, Check("dataset", "warn", t("check.elsewhere", location=location, region=installation.region)))
    return tuple(found)


def _is_elsewhere(location: str, region: str) -> bool:
    """Say whether a dataset is in another region. A multi-region, such as US, has many."""
    return "-" in location and location.lower() != region.lower()


def _table_check(form: ExportForm, installation: Installation, before: tuple[Check, ...]) -> Destination:
    if "." in form.table:
        return Destination((*before, Check("table", "error", t("error.dotted_table"))))
    name = check_table(TableName.parse(f"bq://{form.project}.{form.dataset}.{form.table}"))
    table = installation.service.tables.describe(name)
    if table is None:
        return Destination((*before, Check("table", "ok", t("check.table_new", table=form.table))), is_new=True)
    text = t(
        "check.table" if table.row_count else "check.table_empty",
        table=form.table,
        n=numbers.count(table.row_count),
        columns=numbers.count(len(table.schema)),
    )
    return Destination((*before, Check("table", "info" if table.row_count else "ok", text)), table)


def _filter_checks(form: ExportForm, installation: Installation) -> list[Check]:
    if form.take != FILTER:
        return []
    if form.filter_uri:
        try:
            uri = GcsUri.parse(form.filter_uri)
            bucket = installation.service.buckets(uri.bucket)
            stored = bucket.get(uri.object) if bucket and "*" not in uri.object else None
        except DicomExportError as error:
            return [Check("filter_uri", "error", error.message)]
        if stored:
            return [Check("filter_uri", "ok", t("check.filter", size=numbers.size(stored.size)))]
        if bucket and "*" in uri.object:
            return [Check("filter_uri", "info", t("check.filter_pattern"))]
        return [Check("filter_uri", "error", t("check.filter_missing"))]
    lines = len(form.filter_lines.splitlines())
    return [Check("filter_text", "ok", t("check.lines", n=numbers.count(lines)))] if lines else []
