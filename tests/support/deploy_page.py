"""The commands of docs/how-to/deploy.md, run as printed: with gcloud and bq, against emulators and what answers for the rest."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import googleapiclient  # type: ignore[import-untyped]  # it says nothing of its types

from support.clouds import PROJECT, STORE
from support.emulators.process import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.clouds import Cloud
    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
ACCOUNT = "jane@example.com"
SERVICE = "dicom-export-api"
TOKEN = "an.id.token"  # noqa: S105 - nobody's
_PROXY_PORT = "8080"
_TIMEOUT_SECONDS = 240

# `terraform output` from a file; everything else that Terraform is asked is noted.
_TERRAFORM = """\
import json, os, sys
outputs = json.load(open(os.environ["OUTPUTS"]))
words = sys.argv[1:]
if words[:2] == ["output", "-raw"]:
    print(outputs[words[2]], end="")
elif words[:2] == ["output", "-json"] and words[2:]:
    print(json.dumps(outputs[words[2]]))
elif words == ["output", "-json"]:
    print(json.dumps({name: {"value": value} for name, value in outputs.items()}))
else:
    open(os.environ["NOTED"], "a").write(" ".join(["terraform", *words]) + "\\n")
"""
# Whatever needs Google's own servers is noted; the proxy passes bytes on; all else is the real gcloud.
_GCLOUD = """\
import asyncio, os, sys
words = sys.argv[1:]
noted = [["auth", "login"], ["auth", "application-default"], ["config", "set"], ["services", "enable"], ["iam", "service-accounts"]]
proxied = [["run", "services"], ["auth", "print-identity-token"]]
if words[:2] not in noted + proxied:
    os.execv(os.environ["GCLOUD"], [os.environ["GCLOUD"], *words])
open(os.environ["NOTED"], "a").write(" ".join(["gcloud", *words]) + "\\n")
if words[:2] == ["auth", "print-identity-token"]:
    print(os.environ["TOKEN"])


async def pass_on(reader, writer):
    while part := await reader.read(1 << 16):
        writer.write(part)
        await writer.drain()
    writer.close()


async def accepted(reader, writer):
    other_reader, other_writer = await asyncio.open_connection("127.0.0.1", int(os.environ["API_PORT"]))
    await asyncio.gather(pass_on(reader, other_writer), pass_on(other_reader, writer))


async def proxy(port):
    server = await asyncio.start_server(accepted, "127.0.0.1", port)
    await server.serve_forever()


if words[:3] == ["run", "services", "proxy"]:
    (port,) = [int(word.removeprefix("--port=")) for word in words if word.startswith("--port=")]
    asyncio.run(proxy(port))
"""


def blocks(heading: str) -> list[str]:
    """Return the code blocks of a section, without those of the sections after it."""
    (section,) = re.findall(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ [^\n]*\n\n|\Z)", _outside_of_code(), re.MULTILINE | re.DOTALL
    )
    return [_CODE[int(number)] for number in re.findall(r"^\0(\d+)$", section, re.MULTILINE)]


_CODE = re.findall(r"^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def _outside_of_code() -> str:
    """Return the page with the number of each code block in its place, since a `#` in one is no heading."""
    numbers = iter(range(len(_CODE)))
    return re.sub(r"^```\w+\n.*?^```$", lambda _: f"\0{next(numbers)}", PAGE, flags=re.MULTILINE | re.DOTALL)


def outputs_of(cloud: Cloud) -> dict[str, Any]:
    """Return what `terraform output` says of an installation."""
    return {
        "project": PROJECT,
        "region": STORE.parent.location,
        "api_service": SERVICE,
        "api_url": cloud.api.url.rstrip("/"),
        "stores": {"archive": str(STORE)},
        "datasets": {"dicom": cloud.dataset},
        "topics": cloud.topics,
        "state_bucket": cloud.state,
        "environment": {name: value for name, value in cloud.environment.items() if name.startswith("DICOM_EXPORT_")},
    }


def hosts_of(pubsub: PubSub, bigquery: BigQuery) -> dict[str, str]:
    """Return the environment variables that have gcloud, bq and the commands talk to the emulators."""
    return {
        **pubsub.environment,
        "BIGQUERY_EMULATOR_HOST": bigquery.url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{pubsub.host}/",
    }


@dataclass
class Reader:
    """Somebody who follows the page in a folder of their own.

    `outputs` are those of Terraform, `api_port` is where the API is, `hosts` are the emulators as environment variables.
    """

    folder: Path
    gcloud: str
    outputs: Mapping[str, Any]
    api_port: int
    hosts: Mapping[str, str]

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "outputs.json").write_text(json.dumps(self.outputs))
        for name, script in {"terraform": _TERRAFORM, "gcloud": _GCLOUD}.items():
            path = self.folder / "bin" / name
            path.write_text(f"#!{sys.executable}\n{script}")
            path.chmod(0o755)
        self.proxy_port = free_port()

    def follow(self, block: str, *, is_python: bool = False, **environment: str) -> str:
        """Run a block as printed, but for the proxy's port, and return what it printed. Every command has to succeed."""
        block = block.replace(_PROXY_PORT, str(self.proxy_port))
        command = [sys.executable, "-c", block] if is_python else ["bash", "-ec", block]
        printed, errors = self.folder / "printed", self.folder / "errors"
        with printed.open("w") as output, errors.open("w") as error:
            shell = subprocess.Popen(
                command,
                env=self._environment() | environment,
                cwd=self.folder,
                stdout=output,
                stderr=error,
                start_new_session=True,
            )
            try:
                code = shell.wait(timeout=_TIMEOUT_SECONDS)
            finally:
                with suppress(ProcessLookupError):  # nothing that the block started in the background outlives it
                    os.killpg(shell.pid, signal.SIGKILL)
        assert code == 0, (block, printed.read_text(), errors.read_text())
        return printed.read_text()

    def noted(self) -> list[str]:
        """Return the commands so far that only a real project can answer."""
        path = self.folder / "noted"
        return path.read_text().splitlines() if path.exists() else []

    def _environment(self) -> dict[str, str]:
        folders = (self.folder / "bin", Path(sys.executable).parent)
        return {
            **os.environ,
            "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
            "OUTPUTS": str(self.folder / "outputs.json"),
            "NOTED": str(self.folder / "noted"),
            "GCLOUD": self.gcloud,
            "TOKEN": TOKEN,
            "API_PORT": str(self.api_port),
            "CLOUDSDK_CONFIG": str(self.folder / "gcloud"),
            "CLOUDSDK_CORE_PROJECT": str(self.outputs["project"]),
            "CLOUDSDK_CORE_ACCOUNT": ACCOUNT,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": self._written("access_token", "an access token"),
            "BIGQUERYRC": self._written("bigqueryrc", self._bq_settings()),
            **self.hosts,
        }

    def _bq_settings(self) -> str:
        """Return what has the real bq talk to the emulator, which has no discovery document."""
        url = self.hosts["BIGQUERY_EMULATOR_HOST"]
        documents = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
        document = json.loads((documents / "bigquery.v2.json").read_text())
        moved = document | {"rootUrl": f"{url}/", "baseUrl": f"{url}/bigquery/v2/"}
        return f"discovery_file = {self._written('bigquery.json', json.dumps(moved))}\napi = {url}\n"

    def _written(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)
