"""`dicom-export watch`: keep a table of a DuckDB file in sync with a folder."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import TYPE_CHECKING

import click

from dicom_export.cli.exit_codes import FAILED
from dicom_export.cli.help import Command
from dicom_export.cli.interruption import stop_by
from dicom_export.cli.options import (
    file_option,
    folder_argument,
    ignore_option,
    schema_option,
    source_object_option,
    source_store_option,
    table_option,
    views_option,
)
from dicom_export.cli.verbosity import Verbosity, verbosity_options
from dicom_export.folder_export.ctrl_c import threads_without_ctrl_c
from dicom_export.folder_export.places import DATASET, PROJECT, check_file, own_files, state_of, store_of, table_of
from dicom_export.operations.request import ExportRequest
from dicom_export.rows.layout import SchemaKind
from dicom_export.settings import LocalSettings, local_limits, local_readers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType


@click.command(
    cls=Command,
    short_help="Keep a table in sync with a folder.",
    examples=(
        "dicom-export watch scans --to scans.duckdb",
        "dicom-export watch scans --to scans.duckdb --once",
    ),
)
@folder_argument
@file_option
@table_option
@schema_option
@source_store_option
@views_option
@source_object_option
@ignore_option
@verbosity_options
@click.option("--once", is_flag=True, help="Catch up with the folder, then exit. The exit code is 1 if files failed.")
def watch(
    folder: Path,
    file: Path,
    table: str,
    schema: str,
    ignore: tuple[str, ...],
    *,
    include_source_store: bool,
    views: bool,
    include_source_object: bool,
    once: bool,
    verbosity: Verbosity,
) -> None:
    """Keep a table in sync with the DICOM files in FOLDER: new, changed and deleted files become rows within seconds.

    It first catches up with changes made while it was not running. It exports no file twice. Ctrl-C ends it. While nothing changes,
    `dicom-export query` can open the file. The query in queries/latest-instances.sql shows what is in the folder now.
    """
    check_file(file)
    request = ExportRequest(
        store_of(folder),
        table_of(table),
        schema=SchemaKind(schema),
        include_source_store=include_source_store,
        views=views,
        include_source_object=include_source_object,
    )
    settings = LocalSettings(
        data=state_of(file),
        stores={request.store: folder},
        databases={PROJECT: file},
        datasets=((PROJECT, DATASET),),
        ignore=(*ignore, *own_files(file, folder)),
        limits=local_limits(),
        readers=local_readers(),
    )
    _watch(settings, request, once=once, verbosity=verbosity)


def _watch(settings: LocalSettings, request: ExportRequest, *, once: bool, verbosity: Verbosity) -> None:
    # `--help` and a mistyped option are answered without loading DuckDB and the rest.
    from dicom_export.bootstrap.local import folder_watcher
    from dicom_export.cli.console import standard_error, warnings_on
    from dicom_export.cli.watched import Reports

    console = standard_error()
    reports = Reports(console, verbosity)
    with warnings_on(console, verbosity), ExitStack() as stack:
        stop = stack.enter_context(_stopped_by_signals())
        with threads_without_ctrl_c():
            watcher = stack.enter_context(folder_watcher(settings, request, reports.add, follows=not once))
        if not once:
            if not verbosity.is_quiet:
                console.print("Watching; Ctrl-C ends it.")
            watcher.run(stop)
            return
        watcher.catch_up(stop)
    if reports.failures:
        sys.exit(FAILED)


@contextmanager
def _stopped_by_signals() -> Iterator[Event]:
    """Yield an event that Ctrl-C or SIGTERM sets. A second signal ends the process as a kill does, which loses nothing."""
    stop = Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, stop_by)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
