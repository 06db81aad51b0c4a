"""Google's clients for Node.js and for Java against the API, each in a program of its own."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.local_server import BQ_DATASET, STORE, make_archive, running

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = ["node", "java"]
VERSIONS = ["v1", "v1beta1"]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(make_archive(tmp_path_factory.mktemp("archive"))) as endpoint:
        yield endpoint


def told(command: list[str], endpoint: str, version: str) -> dict[str, Any]:
    """Return what came of each call that the program made."""
    table = f"bq://{BQ_DATASET}.{command[0].rpartition('/')[2]}_{version}"
    done = subprocess.run([*command, endpoint, version, str(STORE), table], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["call"]: line["value"] for line in lines}


@pytest.mark.parametrize("google_client", CLIENTS, indirect=True)
@pytest.mark.parametrize("version", VERSIONS)
def test_an_export_is_followed_to_its_end(google_client: list[str], version: str, endpoint: str) -> None:
    found = told(google_client, endpoint, version)
    operation = found["operation"]
    assert operation["done"] is True
    assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert operation["metadata"]["@type"].endswith(f".{version}.OperationMetadata")
    assert operation["metadata"]["counter"] == {"success": "2", "secondarySuccess": "2"}
    assert found["cancel"]["status"] == 400
    assert "operation has already completed" in json.dumps(found["cancel"])
    assert found["wrong"]["status"] == 400
    assert "bigquery_destination.force" in json.dumps(found["wrong"])


@pytest.mark.parametrize("google_client", ["node"], indirect=True)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_client_for_node_finds_its_way_to_the_store(google_client: list[str], version: str, endpoint: str) -> None:
    found = told(google_client, endpoint, version)
    assert [each["locationId"] for each in found["locations"]["locations"]] == [STORE.parent.location]
    assert found["datasets"] == {"datasets": [{"name": str(STORE.parent)}]}
    assert found["store"] == {"name": str(STORE)}
    assert list(found["fields"]) == ["name", "metadata"]
    assert found["fields"]["name"] in [operation["name"] for operation in found["operations"]["operations"]]
