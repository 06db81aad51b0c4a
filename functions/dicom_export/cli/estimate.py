"""`dicom-export estimate`: what an export of a folder, of a bucket, or of a store of an installation, would take."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dicom_export.bootstrap.buckets import check_bucket
from dicom_export.cli.endpoint import endpoint_options
from dicom_export.cli.help import Command
from dicom_export.cli.options import anonymous_option, endpoint_url_option, ignore_option, user_project_option
from dicom_export.errors import NotFound
from dicom_export.folder_export.places import is_bucket, place_of
from dicom_export.names import StoreName
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from dicom_export.settings import LocalBucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.cli.endpoint import Endpoint
    from dicom_export.settings import Place

_KIBI = 1024


@click.command(
    cls=Command,
    short_help="Estimate what an export would take.",
    examples=(
        "dicom-export estimate scans",
        "dicom-export estimate gs://bucket/scans",
        "dicom-export estimate projects/p/locations/l/datasets/d/dicomStores/s --endpoint https://dicom-export-api.example.com",
    ),
)
@click.argument("source", metavar="FOLDER|BUCKET|STORE")
@endpoint_options
@click.option(
    "--schema",
    type=click.Choice([kind.value for kind in TABLE_SCHEMAS]),
    default=SchemaKind.FLATTENED.value,
    show_default=True,
    help="One column per element, or all elements in one JSON column.",
)
@ignore_option
@anonymous_option
@user_project_option
@endpoint_url_option
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def estimate(
    source: str,
    endpoint: Endpoint | None,
    schema: str,
    ignore: tuple[str, ...],
    user_project: str | None,
    endpoint_url: str | None,
    output: str,
    *,
    anonymous: bool,
) -> None:
    """Estimate what an export of FOLDER, BUCKET, or the DICOM store STORE, would take.

    It lists the objects and reads a sample of at most 200 headers. Numbers from the sample are preceded by "about". BUCKET is
    gs://BUCKET/FOLDER in Cloud Storage, or s3://BUCKET/FOLDER. STORE is a resource name:
    projects/PROJECT/locations/LOCATION/datasets/DATASET/dicomStores/STORE.
    """
    is_place = is_bucket(source) or Path(source).is_dir()
    if endpoint and not (is_place and endpoint.is_default):
        found = endpoint.exports().estimate(StoreName.parse(source), SchemaKind(schema)).to_json()
    elif is_place:
        place = place_of(source, is_anonymous=anonymous, user_project=user_project, endpoint_url=endpoint_url)
        found = _of_place(place, SchemaKind(schema), ignore)
    else:
        raise NotFound(f"{source!r} is not a folder; expected a folder, a bucket, or a DICOM store with --endpoint URL")
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


def _of_place(place: Place, kind: SchemaKind, ignore: tuple[str, ...]) -> dict[str, Any]:
    # `--help` is answered without loading pydicom.
    from dicom_export.bootstrap.local import local_store_of
    from dicom_export.exporting.estimate import estimate_export
    from dicom_export.settings import local_limits

    if isinstance(place, LocalBucket):
        check_bucket(place)
    store = local_store_of(place, ignore)
    workers = os.cpu_count() or 1
    return estimate_export(store, RowLayout(kind), local_limits().objects, workers=workers).to_json()


def _size(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < _KIBI:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= _KIBI
    return f"{number:,.1f} TiB"
