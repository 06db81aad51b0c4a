"""The API of a service in this process, and servers that answer as proxies and broken services do."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from dicom_export.api.wsgi import respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.ports import Exports


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - as the library has it
        pass


@contextmanager
def listening(answer: Callable[[Request], Response]) -> Iterator[str]:
    """Answer requests until the block ends, and return the address, without a slash at its end."""
    server = make_server("127.0.0.1", 0, Request.application(answer), threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served(service: Exports) -> Iterator[str]:
    """Serve the API of a service until the block ends, and return the address."""
    with listening(lambda request: respond(request, lambda: service)) as url:
        yield url


@dataclass
class Scripted:
    """Gives the scripted answers one after another, then the last one for ever, and keeps what it was asked."""

    answers: list[Response]
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        """Return the next answer."""
        self.asked.append((request.method, request.full_path.rstrip("?"), request.headers.get("Authorization", "")))
        number = min(len(self.asked), len(self.answers)) - 1
        given = self.answers[number]
        return Response(given.get_data(), given.status_code, given.headers)
