"""Connect an installation on Google Cloud: buckets, topics, BigQuery.

Only the entry points that need these adapters import them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dicom_export.adapters.gcp.bigquery.tables import BigQueryTables
from dicom_export.adapters.gcp.pubsub import TopicPublisher
from dicom_export.adapters.gcp.storage.copies import BucketCopies
from dicom_export.adapters.gcp.storage.state import BucketState
from dicom_export.adapters.gcp.storage.store import BucketStore, existing_bucket
from dicom_export.bootstrap.wiring import Ports
from dicom_export.errors import InvalidArgument
from dicom_export.stores import DeclaredStore

if TYPE_CHECKING:
    from dicom_export.names import GcsFolder
    from dicom_export.settings import CloudSettings
    from dicom_export.settings.cloud import BucketFolder


def cloud_ports(cloud: CloudSettings) -> Ports:
    """Return the installation's adapters; their clients connect when they are first used."""
    return Ports(
        BucketState(cloud.state.bucket, cloud.state.prefix),
        {
            name: DeclaredStore(BucketStore(each.bucket, each.prefix), each.ignore, each.streams, each.views)
            for name, each in cloud.stores.items()
        },
        existing_bucket,
        BigQueryTables(
            cloud.project, write_endpoint=cloud.write_endpoint, max_staleness_hours=cloud.max_staleness_hours
        ),
        TopicPublisher(cloud.topics),
        cloud.failures_table,
        partial(_folder_of_copies, cloud.state),
    )


def _folder_of_copies(state: BucketFolder, folder: GcsFolder) -> BucketCopies:
    """Return the folder. Raises InvalidArgument if the state of the operations is there."""
    copies = BucketCopies(folder.bucket, folder.prefix)
    if copies.adds_to(str(state)):
        raise InvalidArgument(f"{folder} is where the installation keeps its state; choose another folder")
    return copies
