"""Names under which the program or the database keeps its own data are refused wherever a table or a dataset is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dicom_export.errors import ConfigurationError, InvalidArgument
from dicom_export.names import TableName
from dicom_export.operations.reserved_names import check_table
from dicom_export.protocol.export_request import parse_export_request
from dicom_export.protocol.verify_request import parse_verify_request
from dicom_export.settings import cloud
from dicom_export.streaming.config import parse_stream_configs
from support.command_line import make_folder, run
from support.exports import STORE

if TYPE_CHECKING:
    from pathlib import Path

DATASETS = ["dicom_export", "DICOM_EXPORT", "Dicom_Export", "information_schema", "INFORMATION_SCHEMA", "pg_catalog"]
TABLES = [
    *(
        "dicom_export_staging_123",
        "DICOM_EXPORT_Staging_123",
        "dicom_export_inventory_1",
        "dicom_export_objects_1",
        "dicom_export_report_1",
    ),
    *(
        "".join(chr(0xFEE0 + ord(letter)) for letter in "dicom") + "_export_staging_1",
        " dicom_export_staging_1",
        "__TABLES__",
        "__tables_summary__",
        "INFORMATION_SCHEMA",
    ),
]
URIS = [*(f"bq://p.{dataset}.commits" for dataset in DATASETS), *(f"bq://p.d.{table}" for table in TABLES)]


@pytest.mark.parametrize("uri", URIS)
def test_no_request_may_name_what_is_reserved(uri: str) -> None:
    destination = {"bigqueryDestination": {"tableUri": uri, "writeDisposition": "WRITE_TRUNCATE"}}
    with pytest.raises(InvalidArgument, match="is reserved"):
        parse_export_request(STORE, destination, api_version="v1")
    for compared, report in ((uri, "bq://p.d.report"), ("bq://p.d.t", uri)):
        for repair in (False, True):
            verify = {"tableUri": compared, "reportTableUri": report, "repair": repair}
            with pytest.raises(InvalidArgument, match="is reserved"):
                parse_verify_request(STORE, {"name": str(STORE), "verify": verify})
    with pytest.raises(InvalidArgument, match="is reserved"):
        parse_stream_configs([{"bigqueryDestination": {"tableUri": uri}}])


@pytest.mark.parametrize(
    "uri", ["bq://p.d.commits", "bq://p.main.dicom_export", "bq://p.my_dicom_export.t", "bq://p.d._t"]
)
def test_other_names_are_free(uri: str) -> None:
    assert str(check_table(TableName.parse(uri))) == uri


def test_the_table_of_failures_is_not_a_reserved_one() -> None:
    environment = {
        "DICOM_EXPORT_PROJECT": "p",
        "DICOM_EXPORT_STATE": "gs://state",
        "DICOM_EXPORT_STORES": json.dumps({str(STORE): {"bucket": "images"}}),
        "DICOM_EXPORT_FAILURES_TABLE": "bq://p.Information_Schema.t",
    }
    with pytest.raises(ConfigurationError, match=r"DICOM_EXPORT_FAILURES_TABLE: .* is reserved"):
        cloud.parse(environment)


@pytest.mark.parametrize("command", ["export", "watch", "verify"])
def test_no_command_takes_a_reserved_table(command: str, tmp_path: Path) -> None:
    folder, file = make_folder(tmp_path / "store"), tmp_path / "scans.duckdb"
    option = "--from" if command == "verify" else "--to"
    if command == "verify":
        file.touch()
    result = run(command, folder, option, file, "--table", "Dicom_Export_Staging_1")
    assert result.exit_code == 2
    assert "'Dicom_Export_Staging_1' is reserved" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == (
        ["scans.duckdb", "store"] if command == "verify" else ["store"]
    )


@pytest.mark.parametrize("dataset", DATASETS)
def test_serve_creates_no_reserved_dataset(dataset: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "store")
    result = run("serve", "--store", f"s={folder}", "--data", tmp_path / "d", "--bq-dataset", f"p.{dataset}")
    assert result.exit_code == 2
    assert f"Dataset p.{dataset} is reserved" in result.stderr
