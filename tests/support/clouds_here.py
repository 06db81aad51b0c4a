"""An installation on the emulators whose functions all run in this process: it starts at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from dicom_export import entry_points
from support.clouds import Cloud
from support.google_services import installed_here

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from werkzeug import Response

    from support.emulators.functions import Function

_METHODS = ["GET", "POST", "HEAD", "OPTIONS"]


@dataclass
class Served:
    """A function at an address of this process."""

    url: str

    def kill(self) -> None:
        """Nothing to end."""

    def output(self) -> str:
        return ""


class CloudHere(Cloud):
    """A cloud whose functions share this process. `patch` has to last as long."""

    def __init__(self, patch: pytest.MonkeyPatch, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patch = patch

    def __enter__(self) -> Self:
        self._installed = installed_here(self._patch, self.environment)
        next(self._installed)
        apps: dict[str, Any] = {f"/{name}": _app(getattr(entry_points, name)) for name in _functions()}
        self._server = make_server(
            "127.0.0.1", 0, DispatcherMiddleware(apps["/export_api"], apps), threaded=True, request_handler=_Silent
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._server.shutdown()
        self._server.server_close()
        next(self._installed, None)

    def _start(self, target: str) -> Function:
        path = "" if target == "export_api" else f"{target}/"
        function: Any = Served(f"http://127.0.0.1:{self._server.server_port}/{path}")
        return function  # type: ignore[no-any-return]


class _Silent(WSGIRequestHandler):
    """Logs no request."""

    def log_request(self, *_: object) -> None:
        """Nothing."""


def _functions() -> list[str]:
    return [name for name in vars(entry_points) if callable(getattr(entry_points, name)) and _is_entry_point(name)]


def _is_entry_point(name: str) -> bool:
    return name in vars(entry_points) and hasattr(getattr(entry_points, name), "__wrapped__")


def _app(function: Callable[[Any], Response]) -> Flask:
    app = Flask(function.__name__)
    for rule in ("/", "/<path:path>"):
        app.add_url_rule(rule, f"{function.__name__}{rule}", partial(_call, function), methods=_METHODS)
    return app


def _call(function: Callable[[Any], Response], **_: str) -> Response:
    return function(request)
