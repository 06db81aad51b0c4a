"""Serve the API on one machine."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug import Request
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, select_address_family

from dicom_export import bootstrap
from dicom_export.api import refuse
from dicom_export.api.exchange import error_response
from dicom_export.api.web_pages import check_host
from dicom_export.api.wsgi import CONTENT_TYPE, HEADERS, encoded, respond
from dicom_export.errors import Code, FailedPrecondition, PermissionDenied

if TYPE_CHECKING:
    from werkzeug import Response
    from werkzeug.serving import BaseWSGIServer

_log = logging.getLogger(__name__)

# If the queue is full, connections are reset. The system may have a lower limit of its own.
_WAITING_CONNECTIONS = 4_096
_SILENCE_SECONDS = 60
_REST_SECONDS = 1
_MAX_REST = 16 << 20
_MAX_LOGGED_LENGTH = 1_000
_MALFORMED = {
    HTTPStatus.REQUEST_URI_TOO_LONG: "The request line is longer than this server reads.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's headers are longer, or more, than this server reads.",
}


def serve(port: int, host: str = "127.0.0.1") -> BaseWSGIServer:
    """Return a server that is listening. `serve_forever()` answers until another thread calls `shutdown()`.

    The local queue is in this process, so there is one process, with one thread per request. Port 0 selects a free port,
    which is the server's `port`. Raises FailedPrecondition if the port is taken, and what `bootstrap.service` raises.
    """
    # werkzeug ends the process if it cannot bind, so it gets a bound socket.
    try:
        listener = socket.create_server(
            (host, port), family=select_address_family(host, port), backlog=_WAITING_CONNECTIONS
        )
    except OSError as error:
        raise FailedPrecondition(
            f"Port {port} of {host} cannot be used ({error.strerror}); name another one"
        ) from error
    with listener:
        # Opened before the first request, so that interrupted exports continue at once, and invalid settings are reported.
        bootstrap.console()
        address, free_port = listener.getsockname()[:2]
        app = _on_loopback if ip_address(address).is_loopback else _anywhere
        return _Server(host, free_port, app, _Handler, fd=listener.fileno())


@Request.application
def _anywhere(request: Request) -> Response:
    return respond(request, bootstrap.service, bootstrap.console)


@Request.application
def _on_loopback(request: Request) -> Response:
    try:
        check_host(request.headers.get("Host", ""))
    except PermissionDenied as error:
        return encoded(refuse(error))
    return respond(request, bootstrap.service, bootstrap.console)


class _Server(ThreadedWSGIServer):
    """Logs errors without the texts of other libraries' exceptions, which may quote a request."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - as werkzeug calls it
        """Leave out werkzeug's own message: it has a traceback with the exception's text."""

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - as socketserver calls it
        _log.exception("A request could not be answered")


class _Handler(WSGIRequestHandler):
    """Answers malformed HTTP in JSON, and logs requests without their query, which may hold a token."""

    timeout = _SILENCE_SECONDS

    def parse_request(self) -> bool:
        if not self.raw_requestline.strip():
            # Here http.server closes the connection without an answer.
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        if not super().parse_request():
            return False
        if self.request_version == "HTTP/0.9" or not _is_url(self.path):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - as http.server calls
        """Answer a request that could not be read."""
        status = HTTPStatus(code) if code in _MALFORMED else HTTPStatus.BAD_REQUEST
        text = _MALFORMED.get(status, "The request is not valid HTTP/1.1: its first line or a header is malformed.")
        body = error_response(Code.INVALID_ARGUMENT, text, status=status).encode()
        # http.server takes a malformed request for one of HTTP/0.9, whose answers have no headers.
        self.request_version = self.protocol_version
        self.close_connection = True
        self.send_response(status)
        sent = {**HEADERS, "Content-Type": CONTENT_TYPE, "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self._read_the_rest()

    def _read_the_rest(self) -> None:
        """Read the rest of the request: the system resets a connection with unread bytes, and the client loses the answer."""
        left = _MAX_REST
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_REST_SECONDS)
            while left > 0 and (part := self.connection.recv(1 << 16)):
                left -= len(part)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - as http.server calls
        _log.info("%s: %s", self._asked(), int(code))

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002, ARG002 - as werkzeug calls it
        """Log that a request could not be read to its end, without the part that was read."""
        _log.info("A request was malformed, or came too slowly")

    def _asked(self) -> str:
        # A malformed line has neither method nor path.
        target: str = getattr(self, "path", "")
        is_known = target and _is_url(target)
        return f"{self.command} {urlsplit(target).path[:_MAX_LOGGED_LENGTH]}" if is_known else "A malformed request"


def _is_url(target: str) -> bool:
    try:
        urlsplit(target)
    except ValueError:
        return False
    return True
