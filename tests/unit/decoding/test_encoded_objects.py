"""An object with a Content-Encoding fails alone, and nothing of it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_export.decoding.decoded import DecodedInstance
from dicom_export.decoding.many import decode_in_turn
from dicom_export.errors import Code, EncodedObject
from dicom_export.rows.layout import RowLayout, SchemaKind
from support.buckets import Bucket
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from dicom_export.stored_object import StoredObject


@pytest.mark.parametrize("kind", list(SchemaKind))
@pytest.mark.parametrize("encoding", ["gzip", "br", "aws-chunked"])
def test_an_encoded_object_fails_alone_and_is_not_read(kind: SchemaKind, encoding: str) -> None:
    bucket = Bucket()
    read: list[StoredObject] = []
    before = bucket.read

    def noted(stored: StoredObject, start: int, length: int) -> bytes:
        read.append(stored)
        return before(stored, start, length)

    bucket.read = noted  # type: ignore[method-assign]
    objects = [bucket.write(name, make_instance(SOPInstanceUID=f"1.{name}")) for name in ("1", "2")]
    objects[0] = objects[0]._replace(content_encoding=encoding)
    failed, decoded = decode_in_turn(cast("Any", bucket), objects, RowLayout(kind))
    assert isinstance(failed, EncodedObject)
    assert failed.code is Code.FAILED_PRECONDITION
    assert repr(encoding) in failed.message
    assert "upload it again uncompressed" in failed.message
    assert isinstance(decoded, DecodedInstance)
    assert {each.name for each in read} == {"2"}
