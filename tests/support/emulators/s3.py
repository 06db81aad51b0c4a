"""S3 as moto's server, in a thread of this process.

Seen of version 5.2: an object's time has whole seconds, credentials may be anything, and anonymous
reads of objects that are not public are refused.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL"
NO_CREDENTIALS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    # No file and no metadata server of this machine counts.
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
    "AWS_EC2_METADATA_DISABLED": "true",
}
ENVIRONMENT = {**NO_CREDENTIALS, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
"""The variables of those who talk to the server, besides ENDPOINT_VARIABLE."""

_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Read:
    """A request for the content of an object."""

    key: str
    range: str
    is_signed: bool


class Front:
    """What requests pass on their way to moto: it keeps the reads, and refuses and holds them on demand.

    `refusal` is the answer to every request: status, code and message.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.reads: list[Read] = []
        self.listings = 0
        self.refusal: tuple[str, str, str] | None = None
        self._app = app
        self._changed = threading.Condition()
        self._answering = 0
        self._at_once = self._passing = 0

    @contextmanager
    def together(self, reads: int, *, after: int) -> Iterator[None]:
        """Have reads wait until so many have come at once; the first, `after` of them, pass."""
        self._passing, self._at_once = after, reads
        try:
            yield
        finally:
            self._at_once = self._passing = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.refusal:
            status, code, message = self.refusal
            start_response(status, [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()]
        if "HTTP_RANGE" in environ:
            self._read(environ)
        elif "list-type=2" in environ.get("QUERY_STRING", ""):
            self.listings += 1
        return self._app(environ, start_response)

    def _read(self, environ: WSGIEnvironment) -> None:
        key = environ["PATH_INFO"].split("/", 2)[2]
        with self._changed:
            self.reads.append(Read(key, environ["HTTP_RANGE"], "HTTP_AUTHORIZATION" in environ))
            if self._passing:
                self._passing -= 1
                return
            self._answering += 1
            if self._answering >= self._at_once:
                self._at_once = 0
                self._changed.notify_all()
            came = self._changed.wait_for(lambda: not self._at_once, _WAIT_SECONDS)
            self._answering -= 1
        assert came, "the reads do not come at once"


@dataclass(frozen=True)
class S3:
    """A server that runs."""

    url: str
    client: Any
    front: Front
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def make_bucket(self, name: str = "") -> str:
        """Make a bucket that nobody has used, and return its name."""
        name = name or f"bucket-{next(self._numbers)}"
        self.client.create_bucket(Bucket=name)
        return name

    def put(
        self, bucket: str, name: str, content: bytes, *, storage_class: str = "STANDARD", is_public: bool = False
    ) -> None:
        """Write an object, whose time is the server's. Unless it is public, anonymous reads are refused."""
        acl = "public-read" if is_public else "private"
        self.client.put_object(Bucket=bucket, Key=name, Body=content, StorageClass=storage_class, ACL=acl)

    def delete(self, bucket: str, name: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=bucket, Key=name)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - as werkzeug has it
        """Log nothing."""


@contextmanager
def server() -> Iterator[S3]:
    """Run the server at a free port until the block ends."""
    from botocore.config import Config  # noqa: PLC0415 - slow, and conftest imports this module
    from botocore.session import get_session  # noqa: PLC0415
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415

    front = Front(DomainDispatcherApplication(create_backend_app))
    running = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_Quiet)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{running.port}"
        session = get_session()
        session.set_credentials("testing", "testing")
        config = Config(s3={"addressing_style": "path"})
        client = session.create_client("s3", region_name="us-east-1", endpoint_url=url, config=config)
        yield S3(url, client, front)
    finally:
        running.shutdown()
        running.server_close()
