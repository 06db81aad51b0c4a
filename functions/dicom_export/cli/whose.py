"""Find the operations that a command works on: those of a DuckDB file, of `serve`, or of the installation in the environment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export import settings
from dicom_export.errors import InvalidArgument, NotFound
from dicom_export.folder_export.places import existing_state
from dicom_export.names import DatasetName, OperationName
from dicom_export.settings import LOCAL_PARENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.exporting.service import ExportService, OperationsService


@dataclass(frozen=True)
class Whose:
    """The operations of a Healthcare dataset. On Google Cloud, `exports` can also start one, which the functions then run.

    `place` is the file or folder to which they export, if the user named one.
    """

    operations: OperationsService
    parent: DatasetName
    exports: ExportService | None = None
    place: Path | None = None

    def name(self, operation: str | None) -> OperationName:
        """Return the name of the operation: an id, a whole resource name, or the newest. Raises NotFound if there is none."""
        if operation is None:
            newest = next(self.operations.list_operations(self.parent), None)
            if newest is None:
                raise NotFound(f"{self.parent} has no operations; start an export first")
            return newest[1].name
        return OperationName.parse(operation if "/" in operation else f"{self.parent}/operations/{operation}")


def of_whom(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select operations to a command, and pass the selection to it as `whose`."""

    @wraps(command)
    def with_whose(*, file: Path | None, data: Path | None, dataset: str | None, **options: object) -> None:
        command(whose=_whose(file, data, DatasetName.parse(dataset) if dataset else None), **options)

    for option in reversed(_OPTIONS):
        with_whose = option(with_whose)
    return with_whose


_OPTIONS = (
    click.option(
        "--from", "file", type=click.Path(exists=True, path_type=Path), metavar="FILE.duckdb",
        help="The DuckDB file to which the exports write, or the folder to which `export-files` does.",
    ),
    click.option(
        "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
        help="The data folder of `serve`.",
    ),
    click.option(
        "--dataset", metavar="projects/P/locations/L/datasets/D",
        help="The Healthcare dataset of the operations. Needed if there are several, or if stores of `serve` have whole resource names.",
    ),
)  # fmt: skip


def _whose(file: Path | None, data: Path | None, parent: DatasetName | None) -> Whose:
    # `--help` is answered without loading `bootstrap`.
    from dicom_export import bootstrap
    from dicom_export.bootstrap.local import local_operations

    if file is None and data is None and settings.is_in_cloud():
        exports = bootstrap.service()
        return Whose(exports, parent or _only_parent(), exports)
    return Whose(local_operations(existing_state(file, data)), parent or LOCAL_PARENT, place=file)


def _only_parent() -> DatasetName:
    found = settings.from_environment()
    parents = sorted({name.parent for name in found.stores})
    if len(parents) > 1:
        raise InvalidArgument(
            f"The installation has several datasets; specify one with --dataset: {', '.join(map(str, parents))}"
        )
    return parents[0]
