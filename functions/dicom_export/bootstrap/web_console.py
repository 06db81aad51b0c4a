"""What the console shows of an installation, on whatever adapters."""

from __future__ import annotations

import logging
from threading import Thread
from typing import TYPE_CHECKING

from dicom_export import __version__
from dicom_export.console.counts import Counts
from dicom_export.console.installation import Installation
from dicom_export.logs import RecentLines
from dicom_export.settings import CONSOLE_BUCKET
from dicom_export.state.form_key import form_key

if TYPE_CHECKING:
    from dicom_export.bootstrap.local import LocalDeployment
    from dicom_export.bootstrap.wiring import Ports
    from dicom_export.exporting.service import ExportService
    from dicom_export.settings import CloudSettings, LocalSettings


def local_console(local: LocalSettings, deployment: LocalDeployment) -> Installation:
    """Return what the console shows on one machine. Log lines are kept from now on."""
    from dicom_export.adapters.local.duckdb.reading import DuckDbQueries
    from dicom_export.adapters.local.duckdb.table_lists import DuckDbLists
    from dicom_export.adapters.local.folder.filter_files import FolderFilterFiles
    from dicom_export.adapters.local.folder.state import FolderState

    folder = local.buckets.get(CONSOLE_BUCKET, local.filter_folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = RecentLines()
    logging.getLogger().addHandler(lines)
    Thread(target=_load_templates, name="templates", daemon=True).start()
    return Installation(
        deployment.service,
        form_key(FolderState(local.data / "state")),
        Counts(),
        DuckDbLists(deployment.tables.catalogs),
        filters=FolderFilterFiles(CONSOLE_BUCKET, folder),
        queries=DuckDbQueries(deployment.tables.catalogs) if local.shows_rows else None,
        log=lines,
        version=__version__,
    )


def _load_templates() -> None:
    from dicom_export.console import router  # noqa: F401 - what the first page needs
    from dicom_export.console.templating import load

    load()


def cloud_console(cloud: CloudSettings, ports: Ports, service: ExportService) -> Installation:
    """Return what the console shows on Google Cloud."""
    from dicom_export.adapters.gcp.bigquery.table_lists import BigQueryLists
    from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables

    tables = BigQueryTables(cloud.project, write_endpoint=cloud.write_endpoint)
    return Installation(
        service,
        form_key(ports.operations),
        Counts(),
        BigQueryLists(cloud.project, tables),
        region=min(name.parent.location for name in cloud.stores),
        version=__version__,
    )
