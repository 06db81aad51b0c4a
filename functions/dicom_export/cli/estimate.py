"""`dicom-export estimate`: what an export of a folder, of a bucket, or of a store that a service serves, would take."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dicom_export.bootstrap.buckets import check_bucket
from dicom_export.cli.help import Command
from dicom_export.cli.options import anonymous_option, endpoint_url_option, ignore_option, user_project_option
from dicom_export.errors import DicomExportError, NotFound, Unavailable
from dicom_export.folder_export.places import is_bucket, place_of
from dicom_export.names import StoreName
from dicom_export.rows.layout import TABLE_SCHEMAS, RowLayout, SchemaKind
from dicom_export.settings import LocalBucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.settings import Place

TOKEN = "DICOM_EXPORT_TOKEN"  # noqa: S105 - the variable that has it
_SECONDS = 120
_KIBI = 1024


@click.command(
    cls=Command,
    short_help="Estimate what an export would take.",
    examples=(
        "dicom-export estimate scans",
        "dicom-export estimate gs://bucket/scans",
        "dicom-export estimate projects/p/locations/l/datasets/d/dicomStores/s --service https://export-api.example.com",
    ),
)
@click.argument("source", metavar="FOLDER|BUCKET|STORE")
@click.option(
    "--service",
    metavar="URL",
    help="The address of the service that serves STORE.",
)
@click.option("--token", envvar=TOKEN, help=f"The identity token for the service.  [env: {TOKEN}]")
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
    service: str | None,
    token: str | None,
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
    if service:
        found = _asked(service, token, StoreName.parse(source), schema)
    elif is_bucket(source) or Path(source).is_dir():
        place = place_of(source, is_anonymous=anonymous, user_project=user_project, endpoint_url=endpoint_url)
        found = _of_place(place, SchemaKind(schema), ignore)
    else:
        raise NotFound(f"{source!r} is not a folder; expected a folder, a bucket, or a DICOM store with --service URL")
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


def _asked(service: str, token: str | None, store: StoreName, schema: str) -> dict[str, Any]:
    """Return the answer of a service. Raises what the service says, and Unavailable."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    if not service.startswith(("https://", "http://")):
        raise click.BadParameter(f"{service!r} is not an address; expected https://…", param_hint="--service")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{service.rstrip('/')}/v1/{store}:estimateExport?schema={schema}"
    try:
        with urlopen(Request(url, headers=headers), timeout=_SECONDS) as response:  # noqa: S310 - checked above
            return json.load(response)  # type: ignore[no-any-return]
    except HTTPError as error:
        raise _refused(error.code, error.read()) from error
    except (URLError, OSError, ValueError) as error:
        raise Unavailable(f"{service} does not answer as the service does: {type(error).__name__}") from error


def _refused(status: int, body: bytes) -> DicomExportError:
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        message = f"HTTP {status}; set {TOKEN} to an identity token if the service needs one"
    return Unavailable(f"The service refused: {message}")


def _size(number: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < _KIBI:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= _KIBI
    return f"{number:,.1f} TiB"
