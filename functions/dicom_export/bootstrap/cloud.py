"""Connect an installation on Google Cloud: buckets, topics, BigQuery.

Only the entry points that need these adapters import them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.adapters.gcp.pubsub import TopicPublisher
from dicom_export.adapters.gcp.storage.state import BucketState
from dicom_export.adapters.gcp.storage.store import BucketStore, existing_bucket
from dicom_export.bootstrap.wiring import Ports
from dicom_export.stores import DeclaredStore

if TYPE_CHECKING:
    from dicom_export.settings import CloudSettings
    from dicom_export.settings.cloud import BucketFolder


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
    )


def _declared(folder: BucketFolder) -> DeclaredStore:
    store = BucketStore(folder.bucket, folder.prefix, user_project=folder.user_project)
    return DeclaredStore(
        store, folder.ignore, folder.streams, folder.views, folder.allow_cold_reads, store.has_autoclass
    )
