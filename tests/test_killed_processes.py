"""On one machine, too: 5,000 instances, every message twice, two workers racing, and the process killed at random moments."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

import racing_export
from command_line import rows
from dicom_export.bootstrap.local import local_operations
from dicom_export.operations.counters import Counters
from dicom_files import make_archive_objects
from factories import PARENT

STUDIES, INSTANCES = 200, 25
TOTAL = STUDIES * INSTANCES
SEEDS = 20
KILLS = 2


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    for name, content in make_archive_objects(STUDIES, INSTANCES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_instance_is_one_row_whenever_the_process_is_killed(archive: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(KILLS):
        with subprocess.Popen(command(archive, tmp_path, seed)) as process:
            try:
                process.wait(chance.uniform(0.5, 4))
            except subprocess.TimeoutExpired:
                process.kill()
    subprocess.run(command(archive, tmp_path, seed), check=True)
    ((_, operation),) = local_operations(tmp_path).list_operations(PARENT)
    assert operation.is_done
    assert operation.error is None
    assert operation.counters == Counters(planned=TOTAL, success=TOTAL, studies=STUDIES)
    counted = rows(tmp_path / "local.duckdb", "SELECT count(*), count(DISTINCT SOPInstanceUID) FROM main.dicom")
    assert counted == [(TOTAL, TOTAL)]


def command(archive: Path, data: Path, seed: int) -> list[str]:
    return [sys.executable, str(Path(racing_export.__file__)), str(archive), str(data), str(seed)]
