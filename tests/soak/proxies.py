"""Proxies in front of services and functions: they delay, answer 503, lose answers to what was done, and are down when told so.

What a proxy does follows from the seed of its `Weather`, and from the order in which requests come.
"""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}
_UNAVAILABLE = (
    b'{"error": {"code": 503, "message": "Chaos", "errors": [{"reason": "backendError", "message": "Chaos"}]}}'
)
_CHUNK = 1 << 16


@dataclass
class Weather:
    """How bad it is: the probabilities of a delay of up to `longest_delay` seconds, of a 503, and of a lost answer."""

    seed: int = 0
    delayed: float = 0.0
    refused: float = 0.0
    lost: float = 0.0
    longest_delay: float = 0.5
    counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def calm(self) -> None:
        """Do nothing more."""
        self.delayed = self.refused = self.lost = 0.0

    def fate(self) -> str:
        """Delay the caller perhaps, and return what is to happen to its request."""
        with self._lock:
            self.counts["requests"] += 1
            delay = self._random.uniform(0, self.longest_delay) if self._random.random() < self.delayed else 0.0
            chance = self._random.random()
            fate = "refused" if chance < self.refused else "lost" if chance < self.refused + self.lost else "passed"
            self.counts[fate] += 1
            self.counts["delayed"] += delay > 0
        time.sleep(delay)
        return fate


class Proxy:
    """What both kinds have: a target that may be down, and how many requests are under way."""

    def __init__(self, target: tuple[str, int], weather: Weather) -> None:
        self.target = target
        self.weather = weather
        self.is_down = False
        self._under_way = 0
        self._changed = threading.Condition()

    @contextmanager
    def down(self, settle_seconds: float = 0.0) -> Iterator[None]:
        """Take nothing until the block ends, which begins once nothing is under way, and so many seconds later."""
        with self._changed:
            self.is_down = True
            self._changed.wait_for(lambda: not self._under_way, timeout=30)
        time.sleep(settle_seconds)
        try:
            yield
        finally:
            self.is_down = False

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take nothing until the block ends, whatever is under way."""
        self.is_down = True
        try:
            yield
        finally:
            self.is_down = False

    @contextmanager
    def _counted(self) -> Iterator[bool]:
        """Count a request as under way; yield False if the target is down."""
        with self._changed:
            is_up = not self.is_down
            self._under_way += is_up
        try:
            yield is_up
        finally:
            with self._changed:
                self._under_way -= is_up
                self._changed.notify_all()


class HttpProxy(Proxy):
    """Passes requests of HTTP/1.1 on, but for those that the weather refuses; of some it loses the answer."""

    def start(self) -> str:
        """Listen, and return the address, without a slash at its end."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            upstream: http.client.HTTPConnection | None = None

            def _pass_on(self) -> None:
                body = _body(self)
                fate = proxy.weather.fate()
                with proxy._counted() as is_up:
                    if not is_up or fate == "refused":
                        self._answer(503, [("Content-Type", "application/json")], _UNAVAILABLE)
                        return
                    try:
                        answer, content = self._forward(body)
                    except (OSError, http.client.HTTPException):
                        self.close_connection = True  # as if the target had closed it
                        return
                if fate == "lost":
                    self.close_connection = True
                    return
                headers = [each for each in answer.getheaders() if each[0].lower() not in _HOP_BY_HOP]
                self._answer(answer.status, headers, content)

            def _forward(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
                """Return the answer. A connection that is kept may be closed by now: only a new one is used."""
                connection = http.client.HTTPConnection(*proxy.target, timeout=120)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
                    connection.request(
                        self.command, self.path, body or None, headers | {"Content-Length": str(len(body))}
                    )
                    answer = connection.getresponse()
                    return answer, answer.read()
                finally:
                    connection.close()

            def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
                with suppress(OSError):  # the client has gone
                    self.send_response_only(status)
                    for name, value in headers:
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - as the server calls them

        server = _Quiet(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.port}"


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients break connections, and processes that are killed do."""


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    parts = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        parts.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(parts)


class TcpProxy(Proxy):
    """Passes bytes on, such as those of gRPC, late at times; `cut` breaks all connections, with what is under way."""

    def start(self) -> str:
        """Listen, and return host and port."""
        self._sockets: set[socket.socket] = set()
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def cut(self) -> None:
        """Break all connections."""
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.weather.counts["cuts"] += 1

    @contextmanager
    def away(self) -> Iterator[None]:
        """Break all connections, and take none until the block ends."""
        with super().away():
            self.cut()
            yield

    def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            try:
                if self.is_down:
                    raise ConnectionRefusedError
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            self._sockets |= {client, server}
            for source, sink in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self.weather.fate()
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            self._sockets.discard(each)
            each.close()
