"""One trap, decoded in both schemas: prints the peak of the process in MiB."""

from __future__ import annotations

import resource
import sys

from dicom_export.errors import InstanceError
from dicom_export.row_layout import TABLE_SCHEMAS
from dicom_files import decode_bytes
from soak.headers import traps


def main(name: str) -> None:
    """Decode the trap of the name."""
    data = traps()[name]()
    for kind in TABLE_SCHEMAS:
        try:
            decode_bytes(data, kind)
        except InstanceError as error:
            sys.stderr.write(f"{error.message}\n")
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}\n")
