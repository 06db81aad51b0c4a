"""The API on one machine: the deployed function, under the framework that runs it on Google Cloud."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from functions_framework import create_app
from werkzeug.serving import WSGIRequestHandler, make_server, select_address_family

from dicom_export import bootstrap
from dicom_export.errors import FailedPrecondition

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

_MAIN = Path(__file__).parents[1] / "main.py"

_log = logging.getLogger(__name__)


def serve(port: int, host: str = "127.0.0.1") -> BaseWSGIServer:
    """Return a server that listens already; `serve_forever()` answers until another thread calls `shutdown()`.

    It is one process with a thread a request, because the local queue lives in it. Port 0 takes a free one, which is
    the server's `port`. Raises FailedPrecondition if the port is taken, and what `bootstrap.service` raises.
    """
    # werkzeug ends the process if it cannot bind, so it gets a socket that is bound.
    try:
        listener = socket.create_server((host, port), family=select_address_family(host, port))
    except OSError as error:
        raise FailedPrecondition(
            f"Port {port} of {host} cannot be used ({error.strerror}); name another one"
        ) from error
    with listener:
        app = create_app(target="export_api", source=str(_MAIN))  # type: ignore[no-untyped-call]  # it has no types
        # Opened before the first request, so that interrupted exports go on at once and a mistake in the settings shows.
        bootstrap.service()
        return make_server(
            host, listener.getsockname()[1], app, threaded=True, request_handler=_Handler, fd=listener.fileno()
        )


class _Handler(WSGIRequestHandler):
    """Logs requests without their query, which may hold a token."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - as http.server calls
        path, _, _ = self.path.partition("?")
        _log.info("%s %s: %s", self.command, path, code)
