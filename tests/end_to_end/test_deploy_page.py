"""docs/how-to/deploy.md is followed: from `gcloud auth login` to rows, and then by every other way in, on the emulators."""

from __future__ import annotations

import json
import re
import shutil
import threading
from base64 import b64decode, urlsafe_b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.clouds import PROJECT, STORE, Cloud
from support.deploy_page import ACCOUNT, PAGE, ROOT, SERVICE, Reader, blocks
from support.dicom_files import make_instance
from support.infra_files import declared
from support.terraform import copied_sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub
    from support.emulators.storage import Storage
    from support.terraform import Terraform

STUDIES, INSTANCES = 3, 4
TOTAL = STUDIES * INSTANCES
CALLER = f"dicom-caller@{PROJECT}.iam.gserviceaccount.com"

pytestmark = pytest.mark.requires_gcloud


class Listener:
    """A server that keeps what it is sent, and answers each request alike."""

    def __init__(self, answer: Any) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._answer = json.dumps(answer).encode()

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Listen until the block ends, and return the address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                listener.requests.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(listener._answer)))
                self.end_headers()
                self.wfile.write(listener._answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def instances() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each object of the store."""
    for study in range(STUDIES):
        for number in range(INSTANCES):
            uid = f"1.2.{study}.{number}"
            content = make_instance(
                StudyInstanceUID=f"1.2.{study}", SOPInstanceUID=uid, Modality="CT" if study else "MR"
            )
            yield f"1.2.{study}/{uid}.dcm", content


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: PubSub,
    storage_emulator: Storage,
    bigquery_emulator: BigQuery,
) -> Iterator[Cloud]:
    """Run an installation with a store of a few instances."""
    emulators = (pubsub_emulator, storage_emulator, bigquery_emulator)
    with Cloud(tmp_path_factory.mktemp("deployed"), "deployed", emulators) as cloud:
        cloud.put(instances())
        yield cloud


def operations(cloud: Cloud) -> list[str]:
    """Return the names of the operations, the newest first, after waiting for each to end."""
    names = [each["name"] for each in cloud.call("GET", f"{STORE.parent}/operations")["operations"]]
    for name in names:
        assert cloud.wait(name)["metadata"]["counter"]["success"] == str(TOTAL)
    return names


def drop_table(cloud: Cloud) -> None:
    cloud.warehouse.delete_table(f"{cloud.dataset}.instances", not_found_ok=True)


def test_what_the_page_takes_from_terraform_is_an_output() -> None:
    named = set(re.findall(r"terraform output -(?:raw|json) (\w+)", PAGE)) | set(re.findall(r'output\["(\w+)"\]', PAGE))
    assert {"project", "region", "api_service", "api_url", "stores", "datasets", "topics", "environment"} <= named
    assert named <= set(declared("output", "outputs.tf"))


def test_the_regions_of_the_page_are_those_of_the_examples() -> None:
    (listed,) = re.findall(r"may build\nonly\].*?in (.*?)\. Elsewhere", PAGE, re.DOTALL)
    regions = set(re.findall(r"`([a-z0-9-]+)`", listed))
    assert len(regions) == 6
    for path in (ROOT / "infra").glob("examples/*/main.tf"):
        used = re.findall(r'region += "([^"]+)"', path.read_text())
        assert used
        assert set(used) <= regions, path
    assert re.findall(r"^REGION=(.*)$", blocks("1. Describe and apply")[0], re.MULTILINE)[0] in regions


def test_every_file_that_the_page_links_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE):
        assert (ROOT / "docs" / "how-to" / target).exists(), target


def test_the_inputs_that_the_page_writes_can_be_planned(reader: Reader, terraform: Terraform, tmp_path: Path) -> None:
    (sign_in,), (described,) = blocks("0. Sign in and enable two APIs"), blocks("1. Describe and apply")
    reader.follow(sign_in)
    reader.follow(described.replace("MY_BUCKET", "my-dicom-bucket"))
    assert reader.noted()[-2:] == ["terraform init", "terraform apply"]
    written = reader.folder / "terraform.tfvars"
    assert f'api_callers = ["user:{ACCOUNT}"]' in written.read_text()
    sources = copied_sources(tmp_path / "sources")
    shutil.copy(written, sources / "infra")
    terraform.check_plan(sources / "infra")


def test_one_block_leads_from_the_sign_in_to_rows(reader: Reader, installation: Cloud) -> None:
    drop_table(installation)
    (block,) = blocks("2. Export and query")
    printed = reader.follow(block)
    assert f"name: {STORE}" in printed
    assert f"name: {STORE.parent}/operations/" in printed
    assert f"success: '{TOTAL}'" in printed
    assert sum(map(int, re.findall(r"^\| \w+ +\| +(\d+) \|$", printed, re.MULTILINE))) == TOTAL
    assert reader.noted() == [
        "gcloud auth login",
        f"gcloud run services proxy {SERVICE} --project={PROJECT} --region={STORE.parent.location} --port={reader.proxy_port}",
    ]
    operations(installation)
    assert installation.count("instances") == (TOTAL, TOTAL)


def test_curl_exports_with_an_id_token(reader: Reader, installation: Cloud) -> None:
    drop_table(installation)
    (account,), (block,) = blocks("A service account"), blocks("curl")
    reader.follow(account)
    name = json.loads(reader.follow(block))["name"]
    assert installation.wait(name)["metadata"]["counter"]["success"] == str(TOTAL)
    token = f"gcloud auth print-identity-token --impersonate-service-account={CALLER} --audiences={reader.outputs['api_url']}"
    assert token in reader.noted()


def test_the_command_exports_and_lists_what_it_exported(reader: Reader, installation: Cloud) -> None:
    drop_table(installation)
    (block,) = blocks("dicom-export")
    printed = reader.follow(block)
    assert f"instances: about {TOTAL}\n" in printed
    assert (
        f"{TOTAL} of {TOTAL} instances ({STUDIES} studies) exported to table bq://{installation.dataset}.instances in "
        in printed
    )
    assert f"done: {TOTAL} exported, 0 failed" in printed
    operations(installation)
    assert installation.count("instances") == (TOTAL, TOTAL)


def unsigned_token(claims: dict[str, Any]) -> str:
    """Return a token in the form in which Google issues one."""
    parts = ({"alg": "RS256"}, claims)
    return ".".join([urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts] + ["eA"])


def test_the_program_exports_with_an_id_token_of_its_service_account(
    reader: Reader, installation: Cloud, tmp_path: Path
) -> None:
    drop_table(installation)
    issuer = Listener({"id_token": unsigned_token({"exp": 4102444800})})
    with issuer.listening() as url:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "client_email": CALLER,
            "private_key": pem.decode(),
            "private_key_id": "1",
            "token_uri": url,
        }
        (tmp_path / "key.json").write_text(json.dumps(account))
        (program,) = blocks("Python")
        printed = reader.follow(program, is_python=True, GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "key.json"))
    assert f"{STORE.parent}/operations/" in printed
    assertion = issuer.requests[0][2].decode().partition("assertion=")[2].split(".")[1]
    claims = json.loads(b64decode(assertion + "=" * (-len(assertion) % 4), altchars=b"-_"))
    assert claims["target_audience"] == reader.outputs["api_url"]
    operations(installation)
    assert installation.count("instances") == (TOTAL, TOTAL)


def test_the_scheduler_is_told_of_a_request_that_exports(reader: Reader, installation: Cloud) -> None:
    scheduler = Listener({"name": "projects/p/locations/l/jobs/dicom-nightly"})
    (block,) = blocks("Cloud Scheduler")
    with scheduler.listening() as url:
        reader.follow(block, CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDSCHEDULER=url)
    ((path, _, body),) = scheduler.requests
    assert f"/projects/{PROJECT}/locations/{STORE.parent.location}/jobs" in path
    target = json.loads(body)["httpTarget"]
    assert target["oidcToken"] == {"audience": reader.outputs["api_url"], "serviceAccountEmail": CALLER}
    body, headers = b64decode(target["body"]), target["headers"]
    request = Request(target["uri"], body, headers, method=target["httpMethod"])  # noqa: S310 - http, to this machine
    with urlopen(request, timeout=60) as response:  # noqa: S310 - as above
        name = json.load(response)["name"]
    assert installation.wait(name)["metadata"]["counter"]["success"] == str(TOTAL)


def test_a_message_exports_and_the_command_line_lists_it(reader: Reader, installation: Cloud) -> None:
    drop_table(installation)
    before = len(operations(installation)) if installation.call("GET", f"{STORE.parent}/operations") else 0
    (batch,), (environment,) = blocks("A batch job"), blocks("The settings of the installation")
    published = reader.follow(batch)
    (message,) = re.findall(r"'(\d+)'", published)
    installation.wait(f"{STORE.parent}/operations/{message}")
    assert len(operations(installation)) == before + 1
    assert message in reader.follow(environment)
