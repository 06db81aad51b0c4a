"""Connect an installation on Google Cloud: buckets, topics, BigQuery.

Only the entry points that need these adapters import them.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.adapters.gcp.pubsub import TopicPublisher, publisher_client
from dicom_export.adapters.gcp.storage.copies import BucketCopies
from dicom_export.adapters.gcp.storage.state import BucketState
from dicom_export.adapters.gcp.storage.store import BucketStore, existing_bucket
from dicom_export.bootstrap.wiring import Ports, objects_of
from dicom_export.errors import FailedPrecondition, InvalidArgument
from dicom_export.state.checks import Checks
from dicom_export.stores import DeclaredStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.diagnosing.check_message import Check
    from dicom_export.diagnosing.examine import Examination
    from dicom_export.diagnosing.installation import Installation, SmokeTestStore
    from dicom_export.names import GcsFolder
    from dicom_export.settings import CloudSettings
    from dicom_export.settings.cloud import BucketFolder
    from dicom_export.smoke_testing.redaction import Redaction
    from dicom_export.smoke_testing.run import SmokeTest


def cloud_ports(cloud: CloudSettings) -> Ports:
    """Return the installation's adapters; their clients connect when they are first used."""
    payers = {each.bucket: each.user_project for each in cloud.stores.values()}
    return Ports(
        BucketState(cloud.state.bucket, cloud.state.prefix),
        {name: _declared(each) for name, each in cloud.stores.items()},
        lambda name: existing_bucket(name, user_project=payers.get(name)),
        BigQueryTables(
            cloud.project,
            write_endpoint=cloud.write_endpoint,
            max_staleness_hours=cloud.max_staleness_hours,
            staging_datasets=cloud.staging_datasets,
        ),
        TopicPublisher(cloud.topics),
        cloud.failures_table,
        partial(_folder_of_copies, cloud.state, payers),
    )


def _declared(folder: BucketFolder) -> DeclaredStore:
    store = BucketStore(folder.bucket, folder.prefix, user_project=folder.user_project)
    return DeclaredStore(
        objects_of(store, folder.ignore, archives=folder.archives),
        folder.ignore,
        folder.streams,
        folder.views,
        folder.allow_cold_reads,
        store.has_autoclass,
    )


def check_answers(cloud: CloudSettings, ports: Ports) -> Callable[[Check, str], None]:
    """Return the handler of check messages: it takes a check and the name of the function that got it."""
    from dicom_export.adapters.gcp.bigquery.table_catalog import rest_client
    from dicom_export.adapters.gcp.probing import GoogleCheckSender, GoogleProbes
    from dicom_export.adapters.gcp.rest import ApiCaller
    from dicom_export.diagnosing.answering import Surroundings, answer_check

    is_emulated = cloud.write_endpoint is not None
    sender = GoogleCheckSender(cache(publisher_client), ApiCaller())
    bigquery = cache(partial(rest_client, cloud.project, is_emulated=is_emulated))
    surroundings = Surroundings(
        ports.operations,
        ports.stores,
        tuple(sorted({each.bucket for each in cloud.stores.values()})),
        GoogleProbes(cloud.topics, sender, bigquery),
    )
    return partial(answer_check, checks=Checks(ports.operations), surroundings=surroundings)


def examination(cloud: CloudSettings, installation: Installation, ports: Ports, api_url: str | None) -> Examination:
    """Return the examination of the installation, as the caller. `api_url` is the address of a proxy of the API."""
    from dicom_export.adapters.gcp.bigquery.table_catalog import rest_client
    from dicom_export.adapters.gcp.inspection import GoogleInspection
    from dicom_export.adapters.gcp.probing import GoogleCheckSender
    from dicom_export.adapters.gcp.rest import ApiCaller, GoogleRest
    from dicom_export.diagnosing.examine import Examination

    is_emulated = cloud.write_endpoint is not None
    api = ApiCaller()
    return Examination(
        project=cloud.project,
        state_bucket=cloud.state.bucket,
        buckets=[each.bucket for each in cloud.stores.values()],
        installation=replace(installation, api_url=api_url.rstrip("/")) if api_url else installation,
        inspection=GoogleInspection(
            GoogleRest(cloud.project), api, partial(rest_client, cloud.project, is_emulated=is_emulated)
        ),
        sender=GoogleCheckSender(cache(publisher_client), api),
        checks=Checks(ports.operations),
    )


def smoke_test(
    cloud: CloudSettings,
    installation: Installation,
    api_url: str | None,
    *,
    repeats: int,
    columns: int,
    wait_seconds: float,
) -> SmokeTest:
    """Return the smoke test of the installation, as the caller. Raises FailedPrecondition without a store for it."""
    from dicom_export.adapters.gcp.bigquery.table_catalog import rest_client
    from dicom_export.adapters.gcp.bigquery.write_streams import write_client
    from dicom_export.adapters.gcp.laboratory import GoogleLaboratory
    from dicom_export.adapters.gcp.rest import ApiCaller, GoogleRest
    from dicom_export.smoke_testing.bench import Bench
    from dicom_export.smoke_testing.run import SmokeTest

    place = installation.smoke_test
    if place is None:
        raise FailedPrecondition(
            "The installation has no store for the smoke test: set the Terraform input `smoke_test_store` to true, run"
            " `terraform apply`, and read its output `environment` again"
        )
    laboratory = GoogleLaboratory(
        cloud.project,
        place,
        GoogleRest(cloud.project),
        ApiCaller(),
        partial(rest_client, cloud.project, is_emulated=cloud.write_endpoint is not None),
        partial(write_client, cloud.write_endpoint),
        publisher_client,
    )
    bench = Bench(
        laboratory,
        replace(installation, api_url=api_url.rstrip("/")) if api_url else installation,
        place,
        cloud.project,
        run=time.time_ns() // 1_000_000,
        wait_seconds=wait_seconds,
        repeats=repeats,
        columns=columns,
    )
    return SmokeTest(bench, _redaction(cloud, installation, place))


def _redaction(cloud: CloudSettings, installation: Installation, place: SmokeTestStore) -> Redaction:
    """Return what replaces the names of the user's resources."""
    from dicom_export.smoke_testing.redaction import Redaction

    datasets = [place.dataset, *(name for each in installation.datasets for name in (each.name, each.staging))]
    names = {
        cloud.project: "PROJECT",
        cloud.state.bucket: "STATE",
        installation.api_url: "API",
        **{each.endpoint: "URL" for each in installation.receivers.values()},
        **dict.fromkeys(map(str, cloud.stores), "STORE"),
        **dict.fromkeys(datasets, "DATASET"),
    }
    words = {
        **{each.bucket: "BUCKET" for each in cloud.stores.values()},
        **{name.rpartition(".")[2]: "DATASET" for name in datasets},
        **{each.function: entry_point for entry_point, each in installation.receivers.items()},
    }
    return Redaction(names, words)


def _folder_of_copies(state: BucketFolder, payers: Mapping[str, str | None], folder: GcsFolder) -> BucketCopies:
    """Return the folder. Raises InvalidArgument if the state of the operations is there."""
    copies = BucketCopies(folder.bucket, folder.prefix, payers=payers)
    if copies.adds_to(str(state)):
        raise InvalidArgument(f"{folder} is where the installation keeps its state; choose another folder")
    return copies
