"""Each function may do what it does, and no more: its calls are recorded, and compared with the roles that infra/ gives it.

What a call of a port takes on Google Cloud is read from the adapters (`google_calls`).
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dicom_export.errors import Unavailable
from dicom_export.handlers.start_export import give_up_batch_export, start_batch_export
from dicom_export.messages import ExportStudy, InstanceChanged, ObjectEvent, PlanExport, StudyExported
from dicom_export.names import GcsUri, OperationName
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.streaming.config import StreamConfig
from support.dicom_files import make_instance
from support.factories import PARENT, STORE, TABLE
from support.google_calls import PERMISSIONS, calls, calls_with_timeout, permissions_of
from support.infra_files import INFRA, LOCALS, entry_points
from support.recorded import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAMS = (
    StreamConfig(replace(TABLE, table="flat")),
    StreamConfig(replace(TABLE, table="latest"), SchemaKind.JSON, tracks_changes=True),
)
FAILURES = replace(TABLE, table="failures")
FILTER = GcsUri("filters", "*.txt")
_OBJECTS_READ = frozenset({"storage.objects.get", "storage.objects.list"})
_METADATA = frozenset({"bigquery.datasets.get", "bigquery.tables.get"})
_CHANGES = frozenset(f"bigquery.tables.{each}" for each in ("create", "delete", "update", "updateData"))
# What of each role matters here, the smaller roles before those that have more.
# https://cloud.google.com/iam/docs/roles-permissions/storage, …/bigquery and …/pubsub
ROLES: dict[str, frozenset[str]] = {
    "roles/storage.objectViewer": _OBJECTS_READ,
    "roles/storage.objectCreator": frozenset({"storage.objects.create"}),
    "roles/storage.objectUser": _OBJECTS_READ | {"storage.objects.create", "storage.objects.delete"},
    "roles/bigquery.metadataViewer": _METADATA,
    "roles/bigquery.dataViewer": _METADATA | {"bigquery.tables.getData"},
    "roles/bigquery.dataEditor": _METADATA | _CHANGES | {"bigquery.tables.getData"},
    "roles/pubsub.publisher": frozenset({"pubsub.topics.publish"}),
}
GRANTED_AHEAD = frozenset({"buckets", "staging"})
"""What infra/ grants for calls that the adapters do not make yet: on a bucket's settings, which say what reading it costs, and on a dataset for
overwrites alone."""
OWNERS = {"state": "BucketState", "stores": "BucketStore", "filters": "BucketStore", "tables": "BigQueryTables"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Run everything that the functions do, in order of what each needs."""
    root = tmp_path_factory.mktemp("recorded")
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
    run_batch_jobs(installation)
    run_dead_letters(installation)
    run_verification(installation, store)
    run_stream(installation, store)
    yield installation
    installation.world.close()


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


def run_batch_jobs(installation: Recorded) -> None:
    body = {"name": str(STORE), "bigqueryDestination": {"tableUri": str(TABLE), "writeDisposition": "WRITE_APPEND"}}
    filtered = body | {"filterConfig": {"resourcePathsGcsUri": str(FILTER)}}
    with installation.function("start_export"):
        start_batch_export(json.dumps(filtered).encode(), "1", installation.service)
        start_batch_export(json.dumps(body | {"unknown": 1}).encode(), "2", installation.service)
    with installation.function("refuse_export"):
        give_up_batch_export(json.dumps(filtered).encode(), "3", Unavailable("No"), installation.service)
        give_up_batch_export(json.dumps(body).encode(), "4", Unavailable("No"), installation.service)
    installation.drain()


def run_dead_letters(installation: Recorded) -> None:
    for lost in (PlanExport, ExportStudy, StudyExported):
        for disposition in (WriteDisposition.WRITE_APPEND, WriteDisposition.WRITE_TRUNCATE):
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


def change(installation: Recorded, event: ObjectEvent, stored: Any) -> None:
    with installation.function("stream_instance"):
        installation.handlers[InstanceChanged.topic](InstanceChanged(STORE, event, stored))


def roles_of(function: str) -> dict[str, str]:
    """Return the roles of a function by what they are on: state, stores, filters, datasets, jobs."""
    local = dict(re.findall(r'^  (\w+_role) += "([^"]+)"', LOCALS, re.MULTILINE))
    (block,) = re.findall(r"roles += \{(.*?)\}", entry_points()[function])
    found = re.findall(r'(\w+) = (?:local\.(\w+)|"([^"]+)")', block)
    return {place: local.get(name, text) for place, name, text in found}


def permissions_by_place(recorded: Recorded, function: str) -> dict[str, frozenset[str]]:
    """Return what a function's calls take, by what its roles are on."""
    needed: dict[str, frozenset[str]] = {}
    for port, method in recorded.calls[function]:
        owner = "" if method == "existing_bucket" else OWNERS.get(port, "TopicPublisher")
        for permission in permissions_of(owner, method):
            place = "jobs" if permission.startswith("bigquery.jobs.") else {"tables": "datasets"}.get(port, port)
            needed[place] = needed.get(place, frozenset()) | {permission}
    return needed


def granted_by(role: str) -> frozenset[str]:
    """Return what a role allows; one of our own has what iam.tf says."""
    if role in ROLES:
        return ROLES[role]
    (permissions,) = re.findall(
        rf'"google_project_iam_custom_role" "{role}" \{{.*?permissions = \[(.*?)\]',
        (INFRA / "iam.tf").read_text(),
        re.DOTALL,
    )
    return frozenset(re.findall(r'"([\w.]+)"', permissions))


def test_the_calls_of_client_libraries_are_known_and_no_others() -> None:
    assert calls() == set(PERMISSIONS)
    assert calls_with_timeout() <= calls()


@pytest.mark.parametrize("function", sorted(entry_points()))
def test_a_function_has_a_role_for_each_thing_that_it_uses_and_for_no_other(recorded: Recorded, function: str) -> None:
    assert set(roles_of(function)) - GRANTED_AHEAD == set(permissions_by_place(recorded, function)) - {"topics"}


@pytest.mark.parametrize("function", sorted(entry_points()))
def test_a_role_allows_what_the_function_does_and_no_smaller_one_would(recorded: Recorded, function: str) -> None:
    roles = roles_of(function)
    for place, needed in permissions_by_place(recorded, function).items():
        role = roles.get(place, "roles/pubsub.publisher")
        assert needed <= granted_by(role), f"{function} lacks {needed - granted_by(role)} on {place}"
        smaller = [name for name, granted in ROLES.items() if needed <= granted < granted_by(role)]
        assert not smaller, f"{function} needs no more than {smaller[0]} on {place}"


def test_our_own_role_has_what_is_needed_and_nothing_else(recorded: Recorded) -> None:
    needed = [permissions_by_place(recorded, function).get("jobs", frozenset()) for function in entry_points()]
    assert frozenset().union(*needed) == granted_by("job_runner")
    assert all(each in (frozenset(), granted_by("job_runner")) for each in needed)


@pytest.mark.parametrize("function", sorted(entry_points()))
def test_a_function_may_publish_on_the_topics_that_it_publishes_on_and_on_no_other(
    recorded: Recorded, function: str
) -> None:
    allowed = re.findall(r'"([a-z-]+)"', entry_points()[function].split("publishes")[1])
    assert recorded.topics[function] == set(allowed)


def test_every_function_was_recorded(recorded: Recorded) -> None:
    assert set(recorded.calls) - {""} == set(entry_points())
