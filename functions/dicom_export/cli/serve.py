"""`dicom-export serve`: serve the console, and the API of Google's Cloud Healthcare service, for local folders."""

from __future__ import annotations

import signal
import sys
import webbrowser
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from dicom_export import logs, settings
from dicom_export.cli.help import Command
from dicom_export.cli.interruption import stop_by
from dicom_export.cli.options import archives_option, ignore_option
from dicom_export.errors import FailedPrecondition, InvalidArgument
from dicom_export.folder_export.ctrl_c import threads_without_ctrl_c
from dicom_export.folder_export.places import is_bucket
from dicom_export.names import TableName
from dicom_export.operations.reserved_names import check_dataset_name
from dicom_export.settings import LOCAL_DATASET, LocalSettings, local_store

if TYPE_CHECKING:
    from types import FrameType

    from dicom_export.names import StoreName


@click.command(
    cls=Command,
    short_help="Serve a console for browsers, and the API, over folders.",
    examples=(
        "dicom-export serve --store scans=scans --data run",
        "dicom-export serve --store scans=scans --data run --bq-dataset my-project.my_dataset --port 8081",
    ),
)
@click.option(
    "--store",
    "stores",
    multiple=True,
    required=True,
    metavar="NAME=FOLDER",
    help="A DICOM store and its folder. NAME is an id in projects/local/locations/local/datasets/local, or a whole resource name. May be"
    " repeated.",
)
@click.option(
    "--data",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder for the state of the exports, and for PROJECT.duckdb of each project of --bq-dataset.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port to listen on. 0 selects a free port.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on. There is no authentication."
)
@click.option(
    "--bq-dataset",
    "datasets",
    multiple=True,
    metavar="PROJECT.DATASET",
    help="Create this dataset if it does not exist. May be repeated. Without it, the dataset is local.main, in DIR/local.duckdb.",
)
@click.option(
    "--bucket",
    "buckets",
    multiple=True,
    metavar="NAME=FOLDER",
    help="The folder of the filter files gs://NAME/… and of the files that are exported there. May be repeated.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the console in a browser.")
@ignore_option
@archives_option
def serve(
    stores: tuple[str, ...],
    data: Path,
    port: int,
    host: str,
    datasets: tuple[str, ...],
    buckets: tuple[str, ...],
    ignore: tuple[str, ...],
    *,
    archives: bool,
    no_browser: bool,
) -> None:
    """Serve the console and the Cloud Healthcare API over local folders, for browsers, gcloud, client libraries and curl.

    On a terminal with a display, a browser opens with the console. Logs are JSON lines on standard output.
    """
    local = LocalSettings(
        data=data,
        stores={local_store(name): folder for name, folder in _pairs(stores).items()},
        buckets=_pairs(buckets),
        datasets=tuple(map(_dataset, datasets)) or (LOCAL_DATASET,),
        ignore=ignore,
        limits=settings.local_limits(),
        readers=settings.local_readers(),
        archives=archives,
        # There is no authentication: who is elsewhere sees no patient data.
        shows_rows=_is_loopback(host),
    )
    _create(data)
    logs.configure()
    settings.publish(local)
    # `--help` is answered without loading the framework and DuckDB.
    from dicom_export.api import local_server

    with threads_without_ctrl_c():
        server = local_server.serve(port, host)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _end)
    address = f"[{host}]" if ":" in host else host
    _announce(f"http://{address}:{server.port}/", next(iter(local.stores)), local.datasets)
    if not no_browser and sys.stderr.isatty() and settings.has_display():
        webbrowser.open(f"http://{_reached_at(host)}:{server.port}/")
    server.serve_forever()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reached_at(host: str) -> str:
    """Return the address for a browser of this machine: a server that listens on all addresses is reached on this one."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - what the user asked for
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End the server in order; a second signal ends it at once."""
    signal.signal(number, stop_by)
    sys.exit(0)


def _create(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedPrecondition(f"Folder {str(data)!r} cannot be created: {error.strerror}") from error


def _pairs(texts: tuple[str, ...]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for name, folder in map(_pair, texts):
        if name in folders:
            raise InvalidArgument(f"{name} cannot be both {str(folders[name])!r} and {str(folder)!r}")
        folders[name] = folder
    return folders


def _pair(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise InvalidArgument(f"Invalid value {text!r}: expected NAME=FOLDER")
    if is_bucket(folder):
        raise InvalidArgument(
            f"{folder!r} of {name} is a bucket: expected a folder. `export` and `verify` read buckets on one machine, and an"
            " installation on Google Cloud serves them"
        )
    path = Path(folder)
    if not path.is_dir():
        raise InvalidArgument(f"Folder {folder!r} of {name} does not exist; create it, or name another one")
    return name, path.absolute()


def _dataset(text: str) -> tuple[str, str]:
    try:
        table = TableName.parse(f"bq://{text}.dicom")
    except InvalidArgument as error:
        raise InvalidArgument(
            f"Invalid dataset {text!r}: expected PROJECT.DATASET, where DATASET has only letters, digits and underscores"
        ) from error
    check_dataset_name(table.project, table.dataset)
    return table.project, table.dataset


def _announce(endpoint: str, store: StoreName, datasets: tuple[tuple[str, str], ...]) -> None:
    project, dataset = datasets[0]
    parent = store.parent
    click.echo(
        f"Listening on {endpoint} (Ctrl-C ends it). A browser shows the console there. In another terminal, run:\n"
        f"  export CLOUDSDK_API_ENDPOINT_OVERRIDES_HEALTHCARE={endpoint} CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true\n"
        f"  gcloud healthcare dicom-stores export bq {store.store} --project={parent.project}"
        f" --location={parent.location} --dataset={parent.dataset} --bq-table=bq://{project}.{dataset}.dicom",
        err=True,
    )
