"""The decoded GcsDestination of a request: a folder, and the form of the files.

Source:
https://cloud.google.com/healthcare-api/docs/reference/rest/v1/projects.locations.datasets.dicomStores/export
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument, Unimplemented
from dicom_export.names import GcsFolder

if TYPE_CHECKING:
    from dicom_export.protocol.transcoding import JsonMessage

FIELDS = ("uriPrefix", "mimeType")

_URI, _MIME_TYPE = FIELDS
_AS_STORED = "application/dicom"
_MAX_SHOWN_LENGTH = 200
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of RFC 9110 §5.6.2, and no secret
_PARAMETER = rf'\s*;\s*({_TOKEN})\s*=\s*("[^"\\]*"|{_TOKEN})'
_MEDIA_TYPE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})((?:{_PARAMETER})*)\s*;?\s*")
_TRANSFER_SYNTAX = "transfer-syntax"


def parse_folder(destination: JsonMessage) -> GcsFolder | None:
    """Return the folder, or None and record a violation."""
    return destination.required(_URI, GcsFolder.parse, "gs://BUCKET/FOLDER")


def parse_is_as_stored(destination: JsonMessage) -> bool:
    """Say whether files are wanted as they are stored. A malformed MIME type is a violation."""
    text = destination.text(_MIME_TYPE)
    try:
        return not text or _is_as_stored(text)
    except InvalidArgument as error:
        destination.refuse(_MIME_TYPE, error.message)
        return True


def refuse_transcoding() -> Unimplemented:
    """Return the error for files in another form than they are stored in."""
    return Unimplemented(
        f"gcsDestination.{_MIME_TYPE}: files are exported as they are stored, and never transcoded. Leave it out, or"
        f" give {_AS_STORED}; {_TRANSFER_SYNTAX}=*."
    )


def _is_as_stored(text: str) -> bool:
    match = _MEDIA_TYPE.fullmatch(text)
    if not match:
        raise InvalidArgument(
            f"{_MIME_TYPE} is {text[:_MAX_SHOWN_LENGTH]!r}; expected a MIME type such as {_AS_STORED}"
        )
    parameters = {name.lower(): value.strip('"') for name, value in re.findall(_PARAMETER, match[2])}
    unknown = sorted(parameters.keys() - {_TRANSFER_SYNTAX})
    if match[1].lower() == _AS_STORED and unknown:
        raise InvalidArgument(f"{_MIME_TYPE} has the parameter {unknown[0]!r}; expected {_TRANSFER_SYNTAX} or none")
    return match[1].lower() == _AS_STORED and parameters.get(_TRANSFER_SYNTAX, "*") == "*"
