"""Make the request and the settings of an export from the arguments of a command or of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dicom_export.bootstrap.buckets import check_bucket
from dicom_export.folder_export.ignored import Ignored
from dicom_export.folder_export.places import (
    DATASET,
    FILTER_BUCKET,
    PROJECT,
    check_file,
    check_is_file,
    own_files,
    state_of,
    store_of,
    table_of,
)
from dicom_export.names import GcsUri
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.settings import LocalBucket, LocalSettings, local_limits, local_readers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from dicom_export.settings import Place


class FolderExport(NamedTuple):
    """The request, the settings of the installation it runs on, and its `--ignore` patterns."""

    request: ExportRequest
    settings: LocalSettings
    ignored: Ignored


_ARCHIVES = "//archives"
"""Stands among the patterns of an export that reads archives: no name has two slashes."""


def folder_export(
    place: Place,
    file: Path,
    *,
    table: str,
    filter_file: Path | None,
    write_disposition: str,
    schema: str,
    include_source_store: bool,
    views: bool,
    archives: bool,
    include_source_object: bool,
    since: datetime | None,
    ignore: Sequence[str],
) -> FolderExport:
    """Return the export of the folder or bucket to the DuckDB file.

    Raises InvalidArgument for an invalid table, FailedPrecondition if the DuckDB file, its state or
    the filter file cannot be used, and the errors of `check_bucket`.
    """
    request = ExportRequest(
        store_of(place),
        table_of(table),
        WriteDisposition(write_disposition.upper().replace("-", "_")),
        SchemaKind(schema),
        include_source_store,
        GcsUri(FILTER_BUCKET, filter_file.name) if filter_file else None,
        views,
        include_source_object=include_source_object,
        since=since,
    )
    settings = LocalSettings(
        data=state_of(file),
        stores={request.store: place},
        buckets={FILTER_BUCKET: filter_file.parent} if filter_file else {},
        databases={PROJECT: file},
        datasets=((PROJECT, DATASET),),
        ignore=(*ignore, *own_files(file, place)),
        limits=local_limits(),
        readers=local_readers(),
        archives=archives,
    )
    check_file(file)
    if filter_file:
        check_is_file(filter_file)
    if isinstance(place, LocalBucket):
        check_bucket(place)
    return FolderExport(
        request,
        settings,
        Ignored(frozenset((*ignore, *((_ARCHIVES,) if archives else ()))), state_of(file) / "ignored"),
    )
