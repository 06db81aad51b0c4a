"""Connect an installation on Google Cloud: buckets, topics, BigQuery.

Only the entry points that need these adapters import them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.adapters.gcp.pubsub import TopicPublisher
from dicom_export.adapters.gcp.storage.state import BucketState
from dicom_export.adapters.gcp.storage.store import BucketStore, existing_bucket
from dicom_export.bootstrap.wiring import Ports, objects_of
from dicom_export.stores import DeclaredStore

if TYPE_CHECKING:
    from dicom_export.settings import CloudSettings


def cloud_ports(cloud: CloudSettings) -> Ports:
    """Return the installation's adapters; their clients connect when they are first used."""
    return Ports(
        BucketState(cloud.state.bucket, cloud.state.prefix),
        {
            name: DeclaredStore(
                objects_of(BucketStore(each.bucket, each.prefix), each.ignore, archives=each.archives),
                each.ignore,
                each.streams,
                each.views,
            )
            for name, each in cloud.stores.items()
        },
        existing_bucket,
        BigQueryTables(
            cloud.project, write_endpoint=cloud.write_endpoint, max_staleness_hours=cloud.max_staleness_hours
        ),
        TopicPublisher(cloud.topics),
        cloud.failures_table,
    )
