"""Check that a person may list a bucket, and say what to do if not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import NoCredentialsError, PartialCredentialsError

from dicom_export.errors import FailedPrecondition, PermissionDenied, Unavailable
from dicom_export.stores import not_public

if TYPE_CHECKING:
    from dicom_export.adapters.aws.store import S3Store


def check_store(store: S3Store) -> None:
    """List one object. Raises NotFound, PermissionDenied, FailedPrecondition and Unavailable."""
    try:
        next(replace(store, page_size=1).list(), None)
    except PermissionDenied as error:
        if store.connection.is_anonymous:
            raise PermissionDenied(not_public(store.uri(""))) from error
        raise PermissionDenied(
            f"{error.message}: expected credentials with s3:ListBucket on the bucket and s3:GetObject on its objects, or"
            " --anonymous if the bucket is public"
        ) from error
    except Unavailable as error:
        if not isinstance(error.__cause__, (NoCredentialsError, PartialCredentialsError)):
            raise
        raise FailedPrecondition(
            f"{store.uri('')} cannot be read without AWS credentials: run `aws configure` or `aws sso login`, set AWS_PROFILE"
            " or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or add --anonymous if the bucket is public"
        ) from error
