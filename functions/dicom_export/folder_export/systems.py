"""Check that the operating system can export a folder."""

from __future__ import annotations

import platform
from importlib.util import find_spec

from dicom_export.errors import FailedPrecondition


def check_system() -> None:
    """Raise FailedPrecondition on a system without POSIX file locks, such as Windows.

    The local state relies on these locks.
    """
    if find_spec("fcntl") is None:
        raise FailedPrecondition(
            f"dicom-export needs the file locks of Linux or macOS, which {platform.system()} does not have. On Windows, install"
            " it in the Windows Subsystem for Linux (`wsl --install`)"
        )
