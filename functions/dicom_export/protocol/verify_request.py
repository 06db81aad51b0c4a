"""The decoded request of a batch job that compares a store with a table.

`{"name": STORE, "verify": {"tableUri": "bq://…", "reportTableUri": "bq://…", "repair": false}}`.
The managed service has no such message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument
from dicom_export.names import TableName
from dicom_export.operations.request import VerifyRequest
from dicom_export.operations.reserved_names import check_table
from dicom_export.protocol.export_request import ALLOW_COLD_READS
from dicom_export.protocol.transcoding import JsonMessage

if TYPE_CHECKING:
    from dicom_export.names import StoreName

VERIFY = "verify"
_FIELDS = ("tableUri", "reportTableUri", "repair")


def parse_verify_request(store: StoreName, body: object) -> VerifyRequest:
    """Return the request in the JSON value `body`, for this store. Raises InvalidArgument."""
    request = JsonMessage.root(body, ("name", VERIFY, ALLOW_COLD_READS))
    verify = request.message(VERIFY, _FIELDS, "dicom_export.Verify")
    if verify is None:
        request.check()
        raise InvalidArgument(f'"{VERIFY}" is empty; expected {{"tableUri": "bq://PROJECT.DATASET.TABLE", …}}.')
    compared, report = (verify.required(name, _table, "bq://PROJECT.DATASET.TABLE") for name in _FIELDS[:2])
    if compared and compared == report:
        verify.refuse(_FIELDS[1], f"The report would replace {compared}; give it a table of its own.")
    repair = bool(verify.boolean("repair"))
    allows = bool(request.boolean(ALLOW_COLD_READS))
    return VerifyRequest(store, verify.right(report), verify.right(compared), repair=repair, allow_cold_reads=allows)


def _table(uri: str) -> TableName:
    return check_table(TableName.parse(uri))
