"""The form of an export makes the request of the API, and shows the same request to copy."""

from __future__ import annotations

import ast
import json
import re
import shlex
from datetime import datetime

import pytest

from dicom_export.console.views.commands import commands
from dicom_export.console.views.export_form import OPTIONS, ExportForm, errors_of
from dicom_export.errors import FailedPrecondition, InvalidArgument, NotFound
from dicom_export.names import DatasetName, StoreName
from dicom_export.operations.request import ExportRequest, FilesRequest, WriteDisposition
from dicom_export.protocol.export_request import parse_export_request
from dicom_export.rows.layout import SchemaKind

STORE = StoreName(DatasetName("p", "l", "d"), "scans")
TABLE = {"project": "research", "dataset": "imaging", "table": "pacs"}
ROOT = "http://127.0.0.1:8080/"


def test_a_form_with_a_table_is_the_smallest_request() -> None:
    body = ExportForm(TABLE).request()
    assert body == {
        "bigqueryDestination": {"tableUri": "bq://research.imaging.pacs", "writeDisposition": "WRITE_EMPTY"}
    }
    assert parse_export_request(STORE, body, api_version="v1").write_disposition is WriteDisposition.WRITE_EMPTY


def test_every_field_of_the_form_is_in_the_request() -> None:
    options = {option.name: "on" for option in OPTIONS}
    values = {
        **TABLE,
        "disposition": "WRITE_TRUNCATE",
        "schema": "json",
        "take": "filter",
        "filter_uri": "gs://filters/c.csv",
    }
    request = parse_export_request(STORE, ExportForm({**values, **options}).request(), api_version="v1")
    assert isinstance(request, ExportRequest)
    assert request.schema is SchemaKind.JSON
    assert request.allow_cold_reads
    assert request.include_source_object
    assert request.include_source_store
    assert str(request.filter_uri) == "gs://filters/c.csv"
    assert request.write_disposition is WriteDisposition.WRITE_TRUNCATE


def test_a_time_without_a_zone_is_in_that_of_the_server() -> None:
    form = ExportForm({**TABLE, "take": "since", "since": "2026-11-27T14:22"})
    request = parse_export_request(STORE, form.request(), api_version="v1")
    assert request.since == datetime(2026, 11, 27, 14, 22).astimezone()
    assert "the time" in commands(STORE, form, ROOT, is_local=True)[0].note
    with pytest.raises(InvalidArgument) as raised:
        parse_export_request(STORE, ExportForm({**TABLE, "take": "since", "since": "x"}).request(), api_version="v1")
    assert [each.field for each in errors_of(raised.value, form)] == ["since"]
    assert [each.field for each in ExportForm({**TABLE, "take": "since"}).missing()] == ["since"]


def test_the_form_of_files_is_a_request_for_files() -> None:
    values = {"destination": "files", "prefix": "gs://cohorts/a/", **{option.name: "on" for option in OPTIONS}}
    form = ExportForm({**TABLE, **values})
    request = parse_export_request(STORE, form.request(), api_version="v1")
    assert isinstance(request, FilesRequest)
    assert str(request.folder).startswith("gs://cohorts/a")
    assert [each.field for each in ExportForm({"destination": "files"}).missing()] == ["prefix"]
    assert "export gcs scans" in commands(STORE, form, ROOT, is_local=True)[0].text
    with pytest.raises(InvalidArgument) as raised:
        parse_export_request(STORE, ExportForm({**values, "prefix": "x"}).request(), api_version="v1")
    assert [each.field for each in errors_of(raised.value, form)] == ["prefix"]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_box_that_is_not_ticked_is_not_in_the_request(option: object) -> None:
    assert str(option) not in json.dumps(ExportForm(TABLE).request())
    assert ExportForm({**TABLE, OPTIONS[0].name: "no"}).request() == ExportForm(TABLE).request()


def test_what_a_browser_cannot_send_falls_back_to_the_safe_choice() -> None:
    form = ExportForm({"disposition": "DROP", "take": "x", "schema": "x", "operation": "../1"})
    assert (form.disposition, form.take, form.schema, form.operation_id) == ("WRITE_EMPTY", "all", "flattened", "")


def test_missing_fields_are_named() -> None:
    assert [each.field for each in ExportForm({"take": "filter"}).missing()] == [
        "project",
        "dataset",
        "table",
        "filter_uri",
    ]
    assert ExportForm({**TABLE, "take": "filter", "filter_text": "/studies/1"}).missing() == []


def test_an_error_is_shown_at_its_field() -> None:
    form = ExportForm({**TABLE, "take": "filter", "filter_uri": "x"})
    with pytest.raises(InvalidArgument) as raised:
        parse_export_request(STORE, form.request(), api_version="v1")
    assert [each.field for each in errors_of(raised.value, form)] == ["filter_uri"]
    for error, field in (
        (NotFound("Dataset research.imaging was not found; create it"), "dataset"),
        (FailedPrecondition("Table bq://a.b.c has 3 rows; WRITE_EMPTY takes an empty or a new one"), "disposition"),
        (NotFound("The filter gs://filters/c.csv was not found"), "filter_uri"),
        (FailedPrecondition("bq://a.b.c is a view; rows are written to a table only"), "table"),
    ):
        assert [each.field for each in errors_of(error, form)] == [field]


def test_every_client_sends_the_same_request() -> None:
    form = ExportForm({**TABLE, "table": 'it\'s a "table"', "schema": "json", "source_store": "on"})
    body = form.request()
    gcloud, curl, powershell, python = commands(STORE, form, ROOT, is_local=True)
    arguments = shlex.split(curl.text.replace("\\\n", " "))
    assert json.loads(arguments[arguments.index("--data") + 1]) == body
    assert arguments[-1] == f"{ROOT}v1/{STORE}:export"
    (sent,) = re.findall(r"-Body '(.*)'$", powershell.text, re.DOTALL)
    assert json.loads(sent.replace("''", "'")) == body
    call = next(
        node for node in ast.walk(ast.parse(python.text)) if isinstance(node, ast.keyword) and node.arg == "body"
    )
    assert ast.literal_eval(call.value) == body
    last = shlex.split(
        gcloud.text.splitlines()[2].removesuffix("\\") + " ".join(gcloud.text.splitlines()[3:]).replace("\\", "")
    )
    assert f"--bq-table={body['bigqueryDestination']['tableUri']}" in last
    assert "JSON" in gcloud.note
    assert "Which store each row is from" in gcloud.note


def test_on_google_cloud_the_commands_authenticate() -> None:
    texts = [each.text for each in commands(STORE, ExportForm(TABLE), ROOT, is_local=False)]
    assert "CLOUDSDK_AUTH_DISABLE_CREDENTIALS" not in texts[0]
    assert "print-identity-token" in texts[1]
    assert "print-identity-token" in texts[2]
    assert "AnonymousCredentials" not in texts[3]


FILTER_FILE = {"take": "filter", "filter_uri": "gs://filters/c.csv"}


@pytest.mark.parametrize("fields", [FILTER_FILE, {"take": "since", "since": "2026-11-27T14:22"}])
def test_no_command_of_gcloud_exports_the_whole_store_instead_of_a_part(fields: dict[str, str]) -> None:
    gcloud, *others = commands(STORE, ExportForm({**TABLE, **fields}), ROOT, is_local=True)
    assert gcloud.text == ""
    assert "gcloud has no flag for" in gcloud.note
    assert all(each.text and not each.note for each in others)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"take": "filter"}, "Name the filter file first."),
        ({"take": "filter", "filter_text": "/studies/1"}, "Pasted lines become a filter file"),
        ({"take": "since"}, "Name the time first."),
    ],
)
def test_there_is_no_command_until_the_form_says_which_instances(fields: dict[str, str], said: str) -> None:
    found = commands(STORE, ExportForm({**TABLE, **fields}), ROOT, is_local=True)
    assert len(found) == 4
    assert all(not each.text and said in each.note for each in found)
