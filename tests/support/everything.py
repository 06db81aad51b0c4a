"""Everything that the deployed functions do, once each, on recorded ports."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock, patch

from dicom_export.diagnosing.answering import Surroundings, answer_check
from dicom_export.diagnosing.check_message import Check
from dicom_export.diagnosing.needs import NEEDS
from dicom_export.errors import Unavailable
from dicom_export.exporting import copying
from dicom_export.exporting import service as exports
from dicom_export.handlers.start_export import give_up_batch_export, start_batch_export
from dicom_export.messages import ExportStudy, InstanceChanged, ObjectEvent, PlanExport, StudyExported
from dicom_export.names import GcsFolder, GcsUri, OperationName
from dicom_export.operations.request import ExportRequest, FilesRequest, WriteDisposition
from dicom_export.ports import Probes
from dicom_export.rows.layout import SchemaKind
from dicom_export.state.checks import Checks
from dicom_export.streaming.config import StreamConfig
from support.dicom_files import make_instance
from support.factories import PARENT, STORE, TABLE
from support.recorded import Recorded

if TYPE_CHECKING:
    from pathlib import Path

STREAMS = (
    StreamConfig(replace(TABLE, table="flat")),
    StreamConfig(replace(TABLE, table="latest"), SchemaKind.JSON, tracks_changes=True),
)
FAILURES = replace(TABLE, table="failures")
FILTER = GcsUri("filters", "*.txt")


def record_everything(root: Path) -> Recorded:
    """Run everything that the functions do, in order of what each needs, on an installation below `root`."""
    store = root / "store"
    for name in ("store/folder", "filters"):
        (root / name).mkdir(parents=True)
    for number in range(8):
        content = make_instance(SOPInstanceUID=f"1.2.3.{number}", StudyInstanceUID=f"1.2.{number // 4}")
        (store / f"folder/{number}.dcm").write_bytes(content)
    (store / "folder/bad.dcm").write_bytes(content[:-3])
    (root / "filters/a.txt").write_text("/studies/1.2.1\n/studies/1.2.9\n")
    installation = Recorded(root, store, failures_table=FAILURES, streams=STREAMS)
    run_exports(installation)
    run_file_exports(installation)
    run_forgotten_export(installation)
    run_batch_jobs(installation)
    run_dead_letters(installation)
    run_verification(installation, store)
    run_stream(installation, store)
    run_checks(installation)
    return installation


def request(disposition: WriteDisposition = WriteDisposition.WRITE_APPEND, **more: Any) -> ExportRequest:
    return ExportRequest(STORE, TABLE, disposition, SchemaKind.JSON, **more)


def run_exports(installation: Recorded) -> None:
    service = installation.service
    for asked in (
        request(WriteDisposition.CREATE_NEW),
        request(),
        request(filter_uri=FILTER),
        request(WriteDisposition.WRITE_TRUNCATE),
        replace(request(), table=replace(TABLE, table="empty"), write_disposition=WriteDisposition.WRITE_EMPTY),
    ):
        with installation.function("export_api"):
            operation = service.create_export(asked)
        installation.drain()
        with installation.function("export_api"):
            service.get_operation(operation.name)
            list(service.failures(operation.name))
            list(service.list_operations(PARENT))
    with installation.function("export_api"):
        operation = service.create_export(request())
        service.cancel_operation(operation.name)
    installation.drain()


def run_file_exports(installation: Recorded) -> None:
    """Copy the files: each copy takes several deliveries, and the first messages become dead letters."""
    for lost in ((ExportStudy,), ()):
        with installation.function("export_api"):
            operation = installation.service.create_export(FilesRequest(STORE, GcsFolder("copies"), FILTER))
        with patch.object(copying, "monotonic", partial(next, count(step=30))):
            installation.drain(losing=lost)
        assert installation.service.get_operation(operation.name).is_done
    body = {"name": str(STORE), "gcsDestination": {"uriPrefix": "gs://copies/batch"}}
    with installation.function("start_export"):
        start_batch_export(json.dumps(body).encode(), "files", installation.service)
    installation.drain()


def run_forgotten_export(installation: Recorded) -> None:
    """Ask for an operation whose first message was lost, as long after its creation as it takes to publish it again."""
    with installation.function("export_api"), patch.object(exports, "_FORGOTTEN", timedelta(microseconds=1)):
        operation = installation.service.create_export(request())
        installation.world.mailbox.waiting.clear()
        installation.service.get_operation(operation.name)
    installation.drain()
    assert installation.service.get_operation(operation.name).is_done


def run_batch_jobs(installation: Recorded) -> None:
    taken = replace(request(WriteDisposition.WRITE_EMPTY), table=replace(TABLE, table="taken"))
    with installation.function("export_api"):
        operation = installation.service.create_export(taken)
        installation.service.cancel_operation(operation.name)
    installation.drain()
    body = {"name": str(STORE), "bigqueryDestination": {"tableUri": str(TABLE), "writeDisposition": "WRITE_APPEND"}}
    empty = {"tableUri": str(taken.table), "writeDisposition": "WRITE_EMPTY"}
    filtered = body | {"filterConfig": {"resourcePathsGcsUri": str(FILTER)}}
    with installation.function("start_export"):
        start_batch_export(json.dumps(filtered).encode(), "1", installation.service)
        start_batch_export(json.dumps(body | {"unknown": 1}).encode(), "2", installation.service)
        start_batch_export(json.dumps(body | {"bigqueryDestination": empty}).encode(), "5", installation.service)
    with installation.function("refuse_export"):
        give_up_batch_export(json.dumps(filtered).encode(), "3", Unavailable("No"), installation.service)
        give_up_batch_export(json.dumps(body).encode(), "4", Unavailable("No"), installation.service)
    installation.drain()


def run_dead_letters(installation: Recorded) -> None:
    for lost in (PlanExport, ExportStudy, StudyExported):
        for disposition in (WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE):
            with installation.function("export_api"):
                operation = installation.service.create_export(request(disposition))
            installation.drain(losing=(lost,))
            assert installation.service.get_operation(operation.name).is_done
    operation = installation.service.create_export(request())
    with installation.function("plan_export"):
        installation.handlers[PlanExport.topic](PlanExport(operation.name, 0))
    installation.give_up(PlanExport(operation.name, 0))
    installation.drain()
    installation.give_up(PlanExport(OperationName(PARENT, "gone"), 0))


def run_verification(installation: Recorded, store: Path) -> None:
    # From the second on, the table tells which objects have a row.
    for _ in range(2):
        with installation.function("export_api"):
            installation.service.create_export(request(include_source_object=True))
        installation.drain()
    for number, lost in ((1, ()), (2, (StudyExported,))):
        (store / f"folder/new{number}.dcm").write_bytes(make_instance(SOPInstanceUID=f"1.2.4.{number}"))
        report = str(replace(TABLE, table=f"report{number}"))
        verify = {"tableUri": str(TABLE), "reportTableUri": report, "repair": True}
        body = json.dumps({"name": str(STORE), "verify": verify}).encode()
        with installation.function("start_export"):
            start_batch_export(body, f"v{number}", installation.service)
        installation.drain(losing=lost)


def run_stream(installation: Recorded, store: Path) -> None:
    objects = list(installation.world.ports.stores[STORE].objects.list())
    flat = replace(request(WriteDisposition.WRITE_TRUNCATE), table=STREAMS[0].table)
    for lost in ((), (StudyExported,)):
        operation = installation.service.create_export(flat)
        for stored in objects[:2]:
            change(installation, ObjectEvent.WRITTEN, stored)
        installation.drain(losing=lost)
        assert installation.service.get_operation(operation.name).is_done
    for stored in objects[:2]:
        (store / stored.name).unlink()
        change(installation, ObjectEvent.DELETED, stored)
    change(installation, ObjectEvent.WRITTEN, objects[0])
    installation.give_up(InstanceChanged(STORE, ObjectEvent.WRITTEN, objects[0]))


def run_checks(installation: Recorded) -> None:
    """Have each function answer a check. Its probes are of rights that no port needs."""
    ports = installation.ports
    for function in NEEDS:
        around = Surroundings(ports.operations, ports.stores, (), Mock(spec=Probes))
        with installation.function(function):
            answer_check(Check("0123456789"), function, checks=Checks(ports.operations), surroundings=around)


def change(installation: Recorded, event: ObjectEvent, stored: Any) -> None:
    with installation.function("stream_instance"):
        installation.handlers[InstanceChanged.topic](InstanceChanged(STORE, event, stored))
