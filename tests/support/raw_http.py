"""Bytes over a socket, and what comes back: for requests that no client library would send."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

HOST = b"Host: 127.0.0.1\r\n"


def exchange(endpoint: str, sent: bytes) -> bytes:
    """Return all that the server answers until it closes the connection."""
    parts = urlsplit(endpoint)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        with suppress(OSError):  # the server may have answered, and closed, before it read all
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
    return received


def answer_of(received: bytes) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and content of the last answer: JSON, or the bytes of a page. Those before it are `100 Continue`."""
    head, separator, body = received.rpartition(b"\r\n\r\n")
    assert separator, received
    status_line, *lines = head.rpartition(b"HTTP/1.1 ")[2].decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    is_page = headers.get("content-type", "").startswith("text/html")
    return int(status_line[:3]), headers, body if is_page else json.loads(body)


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request as a client sends it. Names of headers have `_` for `-`."""
    sent = {"Host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body:
        sent.setdefault("Content-Length", str(len(body)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
