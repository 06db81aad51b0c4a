"""Transfers against servers on this machine: what comes whole is content, and nothing else is."""

from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import certifi
import pytest
import requests.exceptions
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dicom_export.adapters.gcp.storage.transfers import Transfers
from support.emulators.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Echo(BaseHTTPRequestHandler):
    """Answers with what was asked for, and the port that it was asked from; or as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/silent":
            self.close_connection = True
            return
        body = f"{self.path} {self.headers['Range']} {self.client_address[1]}".encode()
        self.send_response(302 if self.path == "/moved" else 206)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body) + (self.path == "/short")))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path == "/short"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run a server, and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()
        yield f"http{'s' if tls else ''}://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def transfers() -> Transfers:
    return Transfers(certifi.where())


def test_status_and_content_are_what_was_sent(url: str, transfers: Transfers) -> None:
    status, content = transfers.get(f"{url}/a%2Fb?c=d", {"Range": "bytes=0-3"})
    assert status == 206
    assert content.startswith(b"/a%2Fb?c=d bytes=0-3 ")


def test_a_connection_is_used_again(url: str, transfers: Transfers) -> None:
    assert len({transfers.get(url, {})[1] for _ in range(5)}) == 1


def test_a_header_of_the_last_transfer_is_not_sent_again(url: str, transfers: Transfers) -> None:
    transfers.get(url, {"Range": "bytes=0-3"})
    assert transfers.get(url, {})[1].startswith(b"/ None ")


def test_transfers_at_once_each_get_their_own_content(url: str, transfers: Transfers) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda number: transfers.get(f"{url}/{number}", {})[1], range(200)))
    assert [answer.split()[0] for answer in answers] == [b"/%d" % number for number in range(200)]
    assert len({answer.split()[-1] for answer in answers}) <= 16


def test_a_redirect_is_an_answer_and_not_followed(url: str, transfers: Transfers) -> None:
    status, content = transfers.get(f"{url}/moved", {})
    assert status == 302
    assert content.startswith(b"/moved ")


@pytest.mark.parametrize("path", ["/short", "/silent"])
def test_what_does_not_come_whole_is_an_error_and_the_next_transfer_none(
    url: str, transfers: Transfers, path: str
) -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        transfers.get(url + path, {})
    assert transfers.get(url, {})[0] == 206


def test_nobody_there_is_an_error(transfers: Transfers) -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        transfers.get(f"http://127.0.0.1:{free_port()}/", {})


def test_who_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_export.adapters.gcp.storage.transfers.TIMEOUT_SECONDS", 1.0)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(requests.exceptions.ConnectionError, match="too slow"),
    ):
        Transfers(certifi.where()).get(f"http://127.0.0.1:{server.getsockname()[1]}/", {})


def test_the_environment_names_the_proxy_and_what_goes_past_it(
    url: str, transfers: Transfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", url)
    assert transfers.get("http://storage.invalid/a", {})[1].startswith(b"http://storage.invalid/a ")
    monkeypatch.setenv("no_proxy", "storage.invalid")
    with pytest.raises(requests.exceptions.ConnectionError):
        transfers.get("http://storage.invalid/a", {})


def test_only_a_server_that_the_authorities_know_is_asked_and_with_our_certificate(tmp_path: Path) -> None:
    certificate, key = self_signed("localhost")
    authorities, key_file = tmp_path / "authorities.pem", tmp_path / "key.pem"
    authorities.write_bytes(certificate)
    key_file.write_bytes(key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authorities))
    tls.load_cert_chain(authorities, key_file)
    tls.verify_mode = ssl.CERT_REQUIRED
    with serving(tls) as url:
        assert Transfers(str(authorities), lambda: (certificate, key)).get(url, {})[0] == 206
        for stranger in (Transfers(str(authorities)), Transfers(certifi.where(), lambda: (certificate, key))):
            with pytest.raises(requests.exceptions.ConnectionError):
                stranger.get(url, {})


def self_signed(host: str) -> tuple[bytes, bytes]:
    """Return a certificate, which may be anybody's authority, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem
