"""One trap, decoded in both schemas: prints the peak of the process in MiB, and the processor time of the slower one in seconds."""

from __future__ import annotations

import sys
import time

from dicom_export.errors import InstanceError
from dicom_export.rows.layout import TABLE_SCHEMAS
from soak.headers import traps
from support.dicom_files import decode_bytes
from support.memory import peak_bytes


def main(name: str) -> None:
    """Decode the trap of the name."""
    data = traps()[name]()
    seconds = []
    for kind in TABLE_SCHEMAS:
        began = time.process_time()
        try:
            decode_bytes(data, kind)
        except InstanceError as error:
            sys.stderr.write(f"{error.message}\n")
        seconds.append(time.process_time() - began)
    sys.stdout.write(f"{peak_bytes() >> 20} {max(seconds):.1f}\n")
