"""Make the request and the settings of an export of files from the arguments of a command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dicom_export.errors import Code, FailedPrecondition, InvalidArgument
from dicom_export.folder_export.ignored import Ignored
from dicom_export.folder_export.places import FILTER_BUCKET, check_is_file, state_of, store_of
from dicom_export.names import GcsFolder, GcsUri, adds_to
from dicom_export.operations.failure import Status
from dicom_export.operations.request import FilesRequest
from dicom_export.settings import LocalSettings, local_limits, local_readers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dicom_export.exporting.service import ExportService

_BUCKET = "files"
# Ctrl-C waits for the copies that are being made, and a copy may have gigabytes.
_TASK_OBJECTS = 200


class FilesExport(NamedTuple):
    """The request, the settings of the installation it runs on, and its `--ignore` patterns."""

    request: FilesRequest
    settings: LocalSettings
    ignored: Ignored


def files_export(
    folder: Path, destination: Path, *, filter_file: Path | None, ignore: Sequence[str], links: bool
) -> FilesExport:
    """Return the export of the files of a folder to another one.

    Raises InvalidArgument if one is a part of the other, FailedPrecondition if the destination, its
    state or the filter file cannot be used.
    """
    target = destination.resolve()
    if adds_to(f"{target}/", f"{folder.resolve()}/".replace("//", "/")):
        raise InvalidArgument(
            f"Copies in {str(destination)!r} would be new files of {str(folder)!r}: choose a folder outside of it with --to"
        )
    _check_destination(destination, target)
    if filter_file:
        check_is_file(filter_file)
    uri = GcsUri(FILTER_BUCKET, filter_file.name) if filter_file else None
    request = FilesRequest(store_of(folder), GcsFolder(_BUCKET), uri)
    settings = LocalSettings(
        data=state_of(target),
        stores={request.store: folder},
        buckets={_BUCKET: target, **({FILTER_BUCKET: filter_file.parent} if filter_file else {})},
        ignore=tuple(ignore),
        limits=replace(local_limits(), bundle=_TASK_OBJECTS, split=_TASK_OBJECTS),
        readers=local_readers(),
        links=links,
    )
    return FilesExport(request, settings, Ignored(frozenset(ignore), state_of(target) / "ignored"))


def forget_deleted(service: ExportService, request: FilesRequest) -> None:
    """End the exports whose folder was deleted, so that the next one starts over: their copies are gone."""
    reason = Status(Code.FAILED_PRECONDITION, "The folder of the copies was deleted while the export was unfinished")
    for _, operation in list(service.list_operations(request.store.parent)):
        if not operation.is_done:
            service.give_up(operation, reason)
        if operation.awaits_report:
            service.set_reported(operation.name)


def _check_destination(destination: Path, target: Path) -> None:
    if not target.name:
        raise FailedPrecondition(f"{str(destination)!r} cannot be a destination; choose a folder in it")
    if not target.parent.is_dir():
        raise FailedPrecondition(f"Folder {str(destination.parent)!r} of the destination is not there; create it first")
    state = state_of(target)
    if state.exists() and not state.is_dir():
        raise FailedPrecondition(f"{str(state)!r} is a file; expected the folder of the export's state")
