"""Behind Cloud Run, which ends TLS, the API names itself by https; without Terraform's setting it would not."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from dicom_export.settings import LOCAL_SETTINGS
from support.emulators.functions import Function
from support.raw_http import answer_of, request

FUNCTIONS_TF = (Path(__file__).parents[3] / "infra" / "functions.tf").read_text()
# gunicorn trusts 127.0.0.1 by itself; Cloud Run's front end has another address, and so has this one.
FRONT_END = "127.0.0.2"


def forwarded_allow_ips() -> str:
    """Return what Terraform sets for the API."""
    (value,) = re.findall(r'FORWARDED_ALLOW_IPS = "(.*?)"', FUNCTIONS_TF)
    return str(value)


def root_url(port: int) -> str:
    """Return how the API names itself to whoever came through the front end."""
    sent = request("GET", "/$discovery/rest", Host="api.example", X_Forwarded_Proto="https")
    with socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(FRONT_END, 0)) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return str(answer_of(received)[2]["rootUrl"])


@pytest.mark.parametrize(
    ("environment", "url"),
    [({"FORWARDED_ALLOW_IPS": forwarded_allow_ips()}, "https://api.example/"), ({}, "http://api.example/")],
    ids=["as deployed", "without the setting"],
)
def test_the_deployed_api_names_itself_by_https(tmp_path: Path, environment: dict[str, str], url: str) -> None:
    settings = {"data": str(tmp_path / "data"), "stores": {}, "buckets": {}, "databases": {}, "datasets": []}
    content = json.dumps(settings | {"ignore": [], "workers": 1, "limits": {}})
    with Function("export_api", tmp_path / "api.log", environment={LOCAL_SETTINGS: content, **environment}) as function:
        assert root_url(function.port) == url
