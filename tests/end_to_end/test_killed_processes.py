"""On one machine, too: thousands of instances, every message twice, two workers racing, and the process killed at random moments."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dicom_export.bootstrap.local import local_operations
from dicom_export.operations.counters import Counters
from support import racing_export
from support.command_line import rows
from support.dicom_files import make_archive_objects
from support.factories import PARENT
from support.thorough import by_extent

if TYPE_CHECKING:
    from pathlib import Path

STUDIES, INSTANCES = by_extent(quick=60, soak=200), 25
TOTAL = STUDIES * INSTANCES
SEEDS = by_extent(quick=5, soak=40)
KILLS = 2
_POLL_SECONDS = 0.005
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    for name, content in make_archive_objects(STUDIES, INSTANCES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.fixture(scope="session")
def objects_of_an_export(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return how many objects the state has after an export that nobody killed."""
    data = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(archive, data, 0), check=True, env=ENVIRONMENT)
    return objects_in(data)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_instance_is_one_row_whenever_the_process_is_killed(
    archive: Path, tmp_path: Path, objects_of_an_export: int, seed: int
) -> None:
    chance = random.Random(seed)
    for moment in sorted(chance.randrange(objects_of_an_export) for _ in range(KILLS)):
        kill_at(moment, command(archive, tmp_path, seed), tmp_path, chance)
    subprocess.run(command(archive, tmp_path, seed), check=True, env=ENVIRONMENT)
    ((_, operation),) = local_operations(tmp_path).list_operations(PARENT)
    assert operation.is_done
    assert operation.error is None
    assert operation.counters == Counters(planned=TOTAL, success=TOTAL, studies=STUDIES)
    counted = rows(tmp_path / "local.duckdb", "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM main.dicom")
    assert counted == [(TOTAL, TOTAL)]


def kill_at(objects: int, arguments: list[str], data: Path, chance: random.Random) -> None:
    """Kill the process a moment after its state has so many objects: however slow the machine is, kills fall into all of the work."""
    with subprocess.Popen(arguments) as process:
        while objects_in(data) < objects and process.poll() is None:
            time.sleep(_POLL_SECONDS)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()


def objects_in(data: Path) -> int:
    return sum(1 for path in (data / "state" / "objects").rglob("*") if path.is_file())


def command(archive: Path, data: Path, seed: int) -> list[str]:
    return [sys.executable, "-m", racing_export.__name__, str(archive), str(data), str(seed)]
