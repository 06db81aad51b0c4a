"""The automatic export on the emulators: the bucket tells Pub/Sub, which pushes to a worker that is killed and gets some of it twice."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.clouds import Cloud
from support.dicom_files import make_archive_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub
    from support.emulators.storage import Storage

STUDIES, INSTANCES = 80, 25
TOTAL = STUDIES * INSTANCES
REPEATED, DELETED = 100, 100
STREAMS: dict[str, dict[str, Any]] = {
    "flat": {"schemaFlattened": {}},
    "json": {"schemaJson": {}, "includeSourceStore": True},
}


@pytest.fixture(scope="module")
def streaming(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: PubSub,
    notifying_emulator: Storage,
    bigquery_emulator: BigQuery,
) -> Iterator[Cloud]:
    """Run an installation with two tables."""
    folder = tmp_path_factory.mktemp("streaming")
    emulators = (pubsub_emulator, notifying_emulator, bigquery_emulator)
    with Cloud(folder, "streaming", emulators, streams=STREAMS) as cloud:
        yield cloud


def kill_worker(cloud: Cloud, stop: threading.Event, chance: random.Random) -> None:
    """Kill the worker at random, with what it is doing, and start it again, until it is over."""
    (worker,) = cloud.workers
    for _ in range(4):
        if stop.wait(chance.uniform(1.0, 6.0)):
            return
        worker.kill()
        worker.start()


def test_every_upload_and_deletion_has_its_row_whoever_is_killed_and_whatever_comes_twice(streaming: Cloud) -> None:
    stop = threading.Event()
    killer = threading.Thread(target=kill_worker, args=(streaming, stop, random.Random(1)))
    killer.start()
    objects = dict(make_archive_objects(STUDIES, INSTANCES))
    try:
        streaming.put([("notes.txt", b"\0no DICOM"), *objects.items()])
        streaming.tell_again(random.Random(3).sample(sorted(objects), REPEATED))
        for table in STREAMS:
            streaming.wait_for_rows(table, TOTAL, "CREATE")
        streaming.delete(random.Random(2).sample(sorted(objects), DELETED))
        for table in STREAMS:
            streaming.wait_for_rows(table, DELETED, "DELETE")
    finally:
        stop.set()
        killer.join()
    for table in STREAMS:
        assert streaming.count(table, "Type = 'CREATE'")[1] == TOTAL
    assert "DicomStreamLogEntry" in streaming.log()
