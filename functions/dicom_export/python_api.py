"""Offer `dicom-export export` and `dump` to notebooks and scripts."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dicom_export.errors import InvalidArgument, NotDicom, error_of
from dicom_export.folder_export.arguments import (
    DISPOSITIONS,
    SCHEMAS,
    check_filter,
    check_folder,
    check_is_database,
    parse_since,
)
from dicom_export.folder_export.ctrl_c import threads_without_ctrl_c
from dicom_export.folder_export.places import place_of
from dicom_export.folder_export.refusals import in_callers_words
from dicom_export.folder_export.request import folder_export
from dicom_export.folder_export.run import Run, error_besides_failures
from dicom_export.folder_export.systems import check_system
from dicom_export.operations.counters import Counters
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.settings import local_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_export.folder_export.request import FolderExport
    from dicom_export.operations.failure import Failure
    from dicom_export.operations.operation import Operation
    from dicom_export.stored_object import Unlisted

    AnyPath = str | PathLike[str]

log = logging.getLogger(__name__)
# In a program that configures no logging, no lines about single instances appear: ExportResult lists them.
logging.getLogger("dicom_export").addHandler(logging.NullHandler())

T = TypeVar("T")


class PassedOver(NamedTuple):
    """A file that is not a DICOM instance: its name below the folder, and its kind."""

    object: str
    kind: str


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export.

    `counters` has the numbers of instances `found`, `success` and `failure`, of `studies`, and of
    files `skipped` and `unchanged`, which have a row already. `failures` are the instances that could not be exported, each with `object`,
    `code`, `message` and `uids`. `passed_over` are the files that are not DICOM, `unlisted` the
    folders that could not be listed, each with its `reason`. `operation` is the export's id in
    `dicom-export operations`.
    """

    file: Path
    table: str
    operation: str
    counters: Counters
    failures: tuple[Failure, ...]
    passed_over: tuple[PassedOver, ...]
    unlisted: tuple[Unlisted, ...]


def read_row(path: AnyPath, schema: str = "flattened") -> dict[str, Any]:
    """Return the row that `export` writes for a DICOM file, as a dict from column to value.

    Values are strings, integers, floats, `datetime` objects, lists, and dicts for records;
    `Metadata` of the schema `json` is JSON text. Raises NotDicom if the file is not DICOM, another
    InstanceError if it cannot be read, NotFound if it does not exist, and InvalidArgument.
    """
    check_system()
    layout = RowLayout(SchemaKind(_checked("schema", schema, SCHEMAS)), has_source_object=True)
    from dicom_export.bootstrap.local import file_and_store
    from dicom_export.decoding.decoded import Skipped
    from dicom_export.decoding.instance import decode_instance

    store, stored = file_and_store(_path("path", path))
    decoded = decode_instance(store, stored, layout, limits=local_limits().objects)
    if isinstance(decoded, Skipped):
        raise NotDicom(f"{str(path)!r} is {decoded.kind}: expected a DICOM instance")
    return deepcopy(decoded.row)  # the decoder shares parts of a row with the rows of other instances


def export(
    folder: AnyPath,
    *,
    to: AnyPath,
    table: str = "dicom",
    schema: str = "flattened",
    write_disposition: str = "write-empty",
    filter_file: AnyPath | None = None,
    include_source_store: bool = False,
    views: bool = True,
    archives: bool = False,
    include_source_object: bool = True,
    since: str | datetime | None = None,
    ignore: Sequence[str] = (),
    anonymous: bool = False,
    user_project: str | None = None,
    allow_cold_reads: bool = False,
    endpoint_url: str | None = None,
) -> ExportResult:
    """Export the DICOM files in a folder and its subfolders to a table of the DuckDB file `to`.

    `folder` is a path, or a bucket: `gs://BUCKET/FOLDER` or `s3://BUCKET/FOLDER`.

    The arguments are the options of `dicom-export export`. The same call resumes an export that was
    interrupted. Ctrl-C cancels the export: batches that are being written are completed, then
    KeyboardInterrupt is raised. The result lists failed instances. Raises a DicomExportError if the
    export could not be started, or ended for another reason than failed instances.
    """
    check_system()
    source = place_of(
        folder if isinstance(folder, str) else str(_path("folder", folder)),
        is_anonymous=anonymous,
        user_project=user_project,
        endpoint_url=endpoint_url,
        allows_cold_reads=allow_cold_reads,
    )
    file = _path("to", to)
    asked_filter = None if filter_file is None else _path("filter_file", filter_file)
    if isinstance(source, Path):
        check_folder(source)
    check_is_database(file)
    if asked_filter:
        check_filter(asked_filter)
    asked = folder_export(
        source,
        file,
        table=table,
        filter_file=asked_filter,
        write_disposition=_checked("write_disposition", write_disposition, DISPOSITIONS),
        schema=_checked("schema", schema, SCHEMAS),
        include_source_store=include_source_store,
        views=views,
        archives=archives,
        include_source_object=include_source_object,
        since=_instant(since),
        ignore=(ignore,) if isinstance(ignore, str) else tuple(ignore),
    )
    with in_callers_words(file, 'write_disposition="{}"'.format):
        operation = _ended(asked)
    return _result(operation, asked, file)


def _ended(asked: FolderExport) -> Operation:
    """Return the operation once it has ended.

    Raises KeyboardInterrupt if Ctrl-C cancelled it, and any error that stopped the workers.
    """
    from dicom_export.bootstrap.local import local_deployment

    with ExitStack() as stack:
        with threads_without_ctrl_c():
            deployment = stack.enter_context(local_deployment(asked.settings))
        run = Run(deployment, asked.request, asked.ignored, log.info, reports=True)
        operation = run.begin()
        try:
            for state in () if operation.is_done else run.states(operation):
                operation = state
        except KeyboardInterrupt:
            run.cancel(operation)
            deployment.wait()
            deployment.service.set_reported(operation.name)
            raise
    return operation


def _result(operation: Operation, asked: FolderExport, file: Path) -> ExportResult:
    """Return the result of the operation, or raise its error.

    After this, the same call of `export` begins another export.
    """
    from dicom_export.bootstrap.local import local_operations

    operations = local_operations(asked.settings.data)
    result = ExportResult(
        file,
        operation.table.table,
        operation.name.operation,
        operation.counters or Counters(),
        tuple(operations.failures(operation.name)),
        tuple(PassedOver(*each) for each in operations.passed_over(operation.name)),
        tuple(operations.unlisted(operation.name)),
    )
    operations.set_reported(operation.name)
    error = error_besides_failures(operation)
    if error:
        raise error_of(error.code, error.message)
    return result


def _path(name: str, value: AnyPath) -> Path:
    if not isinstance(value, str | PathLike):
        raise InvalidArgument(f"Invalid {name} {value!r}: expected a path")
    return Path(value)


def _instant(since: str | datetime | None) -> datetime | None:
    if isinstance(since, str):
        return parse_since(since)
    if since is not None and (not isinstance(since, datetime) or since.tzinfo is None):
        raise InvalidArgument(f"Invalid since {since!r}: expected a datetime with a time zone, or a text")
    return since and since.astimezone(UTC)


def _checked(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InvalidArgument(f"Invalid {name} {value!r}: expected one of {', '.join(map(repr, known))}")
    return value
