"""`dicom-export estimate`: what an export of a folder, or of a store of an installation, would take."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dicom_export.cli.endpoint import endpoint_options
from dicom_export.cli.help import Command
from dicom_export.cli.options import ignore_option
from dicom_export.errors import NotFound
from dicom_export.names import StoreName
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.cli.endpoint import Endpoint

_KIBI = 1024


@click.command(
    cls=Command,
    short_help="Estimate what an export would take.",
    examples=(
        "dicom-export estimate scans",
        "dicom-export estimate projects/p/locations/l/datasets/d/dicomStores/s --endpoint https://dicom-export-api.example.com",
    ),
)
@click.argument("source", metavar="FOLDER|STORE")
@endpoint_options
@click.option(
    "--schema",
    type=click.Choice([kind.value for kind in TABLE_SCHEMAS]),
    default=SchemaKind.FLATTENED.value,
    show_default=True,
    help="One column per element, or all elements in one JSON column.",
)
@ignore_option
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def estimate(source: str, endpoint: Endpoint | None, schema: str, ignore: tuple[str, ...], output: str) -> None:
    """Estimate what an export of FOLDER, or of the DICOM store STORE, would take.

    It lists the objects and reads a sample of at most 200 headers. Numbers from the sample are preceded by "about". STORE is a resource
    name: projects/PROJECT/locations/LOCATION/datasets/DATASET/dicomStores/STORE.
    """
    is_folder = Path(source).is_dir()
    if endpoint and not (is_folder and endpoint.is_default):
        found = endpoint.exports().estimate(StoreName.parse(source), SchemaKind(schema)).to_json()
    elif is_folder:
        found = _of_folder(Path(source), SchemaKind(schema), ignore)
    else:
        raise NotFound(f"{source!r} is not a folder; expected a folder, or a DICOM store with --endpoint URL")
    click.echo(json.dumps(found) if output == "json" else "\n".join(lines(found)))


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the estimate as text."""
    exact, about = found["exact"], found["estimated"]
    more = "" if exact["isComplete"] else "more than "
    yield f"objects: {more}{int(exact['objects']):,}, {_size(int(exact['storedBytes']))}"
    yield f"instances: about {int(about['instances']):,}"
    yield f"bytes to read: about {_size(int(about['readBytes']))}"
    requests = f"requests: about {int(about['readRequests']):,} reads"
    others = int(about["otherRequests"])
    yield f"{requests} and {others:,} others" if others else requests
    yield f"rows: about {_size(int(about['rowBytes']))}"
    yield f"time: about {about['seconds']:,.0f} s" if about["seconds"] >= 1 else "time: about 1 s"
    if "priceUsd" in about:
        yield f"price: about {about['priceUsd']:,.2f} US dollars, by list prices without free tiers"
    yield f"The sample had {int(found['sampledObjects']):,} objects."


def _of_folder(folder: Path, kind: SchemaKind, ignore: tuple[str, ...]) -> dict[str, Any]:
    # `--help` is answered without loading pydicom.
    from dicom_export.bootstrap.local import folder_store
    from dicom_export.exporting.estimate import estimate_export
    from dicom_export.settings import local_limits

    store = folder_store(folder, ignore)
    workers = os.cpu_count() or 1
    return estimate_export(store, RowLayout(kind), local_limits().objects, workers=workers).to_json()


def _size(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < _KIBI:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= _KIBI
    return f"{number:,.1f} TiB"
