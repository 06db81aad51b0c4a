"""Export the metadata of DICOM instances to BigQuery, or on one machine to DuckDB.

The Python API is `export`, `read_row`, `ExportResult` and `errors`; the rest is internal. The API
is loaded when it is first used: the deployed functions import this package too, and start without
the libraries that only one machine needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicom_export import errors
    from dicom_export.python_api import ExportResult, export, read_row

__all__ = ["ExportResult", "errors", "export", "read_row"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attributes are of any type
    if name == "errors":
        return import_module("dicom_export.errors")
    if name in __all__:
        return getattr(import_module("dicom_export.python_api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
