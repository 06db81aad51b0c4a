"""Find the operations that a command works on: those of a DuckDB file, of `serve`, or of an installation on Google Cloud.

An installation is that of the environment, whose state the command reads, or one at an address, whose API it calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export import settings
from dicom_export.cli.endpoint import endpoint_options
from dicom_export.errors import InvalidArgument, NotFound
from dicom_export.folder_export.places import existing_state
from dicom_export.names import DatasetName, OperationName, StoreName
from dicom_export.settings import LOCAL_PARENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.cli.endpoint import Endpoint
    from dicom_export.exporting.service import ExportService, OperationsService
    from dicom_export.ports import Operations


@dataclass(frozen=True)
class Whose:
    """The operations of a Healthcare dataset.

    `place` is the file or folder to which they export, if the user named one, and `option` the option that selects an
    installation at an address.
    """

    operations: Operations
    dataset: DatasetName | None
    place: Path | None = None
    option: str = ""

    @property
    def parent(self) -> DatasetName:
        """The dataset. Raises InvalidArgument if the user has to name it."""
        if self.dataset is None:
            raise InvalidArgument(
                "Specify --dataset projects/P/locations/L/datasets/D, or the whole name of an operation"
            )
        return self.dataset

    def name(self, operation: str | None) -> OperationName:
        """Return the name of the operation: an id, a whole resource name, or the newest. Raises NotFound if there is none."""
        if operation is None:
            newest = next(self.operations.newest_first(self.parent), None)
            if newest is None:
                raise NotFound(f"{self.parent} has no operations; start an export first")
            return newest.name
        return OperationName.parse(operation if "/" in operation else f"{self.parent}/operations/{operation}")


@dataclass(frozen=True)
class WhoseState(Whose):
    """Operations whose state the command reads. On Google Cloud, `exports` can also start one, which the functions then run."""

    operations: OperationsService
    exports: ExportService | None = None


def of_whose_state(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select operations by their state to a command, and pass the selection to it as `whose`."""

    @wraps(command)
    def with_whose(*, file: Path | None, data: Path | None, dataset: str | None, **options: object) -> None:
        command(whose=_by_state(file, data, _parent(dataset)), **options)

    return _with_options(with_whose)


def of_whom(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that select operations, also those of an installation at an address, and pass the selection as `whose`."""

    @wraps(command)
    def with_whose(
        *, file: Path | None, data: Path | None, dataset: str | None, endpoint: Endpoint | None, **options: object
    ) -> None:
        command(whose=_whose(file, data, endpoint, _parent(dataset)), **options)

    return _with_options(endpoint_options(with_whose))


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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
        help="The Healthcare dataset of the operations, or a DICOM store in it. Needed with --endpoint, if there are several, or if stores"
        " of `serve` have whole resource names.",
    ),
)  # fmt: skip


def _parent(dataset: str | None) -> DatasetName | None:
    if dataset is None:
        return None
    return StoreName.parse(dataset).parent if "/dicomStores/" in dataset else DatasetName.parse(dataset)


def _whose(file: Path | None, data: Path | None, endpoint: Endpoint | None, parent: DatasetName | None) -> Whose:
    is_local = file is not None or data is not None
    if endpoint is None or (is_local and endpoint.is_default):
        return _by_state(file, data, parent)
    if is_local:
        raise click.UsageError("--endpoint excludes --from and --data: name one place.")
    return Whose(endpoint.exports(), parent, option=endpoint.option)


def _by_state(file: Path | None, data: Path | None, parent: DatasetName | None) -> WhoseState:
    # `--help` is answered without loading `bootstrap`.
    from dicom_export import bootstrap
    from dicom_export.bootstrap.local import local_operations

    if file is None and data is None and settings.is_in_cloud():
        exports = bootstrap.service()
        return WhoseState(exports, parent or _only_parent(), exports=exports)
    return WhoseState(local_operations(existing_state(file, data)), parent or LOCAL_PARENT, file)


def _only_parent() -> DatasetName:
    found = settings.from_environment()
    parents = sorted({name.parent for name in found.stores})
    if len(parents) > 1:
        raise InvalidArgument(
            f"The installation has several datasets; specify one with --dataset: {', '.join(map(str, parents))}"
        )
    return parents[0]
