"""Open a bucket as the store of a command on one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.bootstrap.libraries import check_bucket_libraries
from dicom_export.names import GcsFolder
from dicom_export.stores import DeclaredStore

if TYPE_CHECKING:
    from dicom_export.adapters.aws.store import S3Store
    from dicom_export.adapters.gcp.storage.store import BucketStore
    from dicom_export.names import S3Folder
    from dicom_export.settings import LocalBucket


def declared_bucket(bucket: LocalBucket) -> DeclaredStore:
    """Return the store, which connects when it is first used, in each process.

    Raises ConfigurationError if its library is not installed.
    """
    folder = bucket.folder
    check_bucket_libraries(str(bucket), is_google=isinstance(folder, GcsFolder))
    if isinstance(folder, GcsFolder):
        store = _google_store(folder, bucket)
        return DeclaredStore(store, allow_cold_reads=bucket.allows_cold_reads, has_autoclass=store.has_autoclass)
    return DeclaredStore(_s3_store(folder, bucket))


def check_bucket(bucket: LocalBucket) -> None:
    """List one object of the bucket, before anything is begun.

    Raises ConfigurationError if its library is not installed, FailedPrecondition without credentials, NotFound,
    PermissionDenied, and Unavailable if the service does not answer.
    """
    folder = bucket.folder
    check_bucket_libraries(str(bucket), is_google=isinstance(folder, GcsFolder))
    if isinstance(folder, GcsFolder):
        from dicom_export.adapters.gcp.storage.checking import check_store

        check_store(_google_store(folder, bucket), is_anonymous=bucket.is_anonymous)
    else:
        from dicom_export.adapters.aws.checking import check_store as check_s3_store

        check_s3_store(_s3_store(folder, bucket))


# Those who read folders need none of these libraries.
def _google_store(folder: GcsFolder, bucket: LocalBucket) -> BucketStore:
    from dicom_export.adapters.gcp.storage.client import anonymous_client, shared_client
    from dicom_export.adapters.gcp.storage.store import BucketStore

    client = anonymous_client if bucket.is_anonymous else shared_client
    return BucketStore(folder.bucket, folder.prefix, user_project=bucket.user_project, client=client)


def _s3_store(folder: S3Folder, bucket: LocalBucket) -> S3Store:
    from dicom_export.adapters.aws.calls import Connection
    from dicom_export.adapters.aws.store import S3Store

    return S3Store(folder.bucket, folder.prefix, Connection(bucket.endpoint_url, bucket.is_anonymous))
