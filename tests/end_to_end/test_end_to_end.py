"""The whole of it on the emulators: gcloud, the deployed functions, Pub/Sub, Cloud Storage, BigQuery; and what goes wrong there."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.clouds import PROJECT, STORE, Cloud
from support.dicom_files import make_archive_objects
from support.thorough import by_extent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.emulators.bigquery import BigQuery
    from support.emulators.functions import Function
    from support.emulators.pubsub import PubSub
    from support.emulators.storage import Storage

STUDIES, INSTANCES = 200, 25
TOTAL = STUDIES * INSTANCES
SEEDS = by_extent(quick=3, soak=20)
KILLS = 2
BROKEN = "1.2.1003/1.3.1/notes.dcm"
LIMITS = {
    "DICOM_EXPORT_BUNDLE": "250",
    "DICOM_EXPORT_PAGE_TASKS": "12",
    "DICOM_EXPORT_SAMPLE": "20",
}


@pytest.fixture(scope="session")
def racing(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: PubSub,
    archive_emulator: Storage,
    bigquery_emulator: BigQuery,
) -> Iterator[Cloud]:
    """Run an installation with 5,000 instances: every message is delivered twice, and two workers race for each."""
    folder = tmp_path_factory.mktemp("racing")
    emulators = (pubsub_emulator, archive_emulator, bigquery_emulator)
    with Cloud(folder, "racing", emulators, deliveries=2, settings=LIMITS) as cloud:
        cloud.put(make_archive_objects(STUDIES, INSTANCES))
        yield cloud


def gcloud_export(cloud: Cloud, gcloud: str, table: str) -> str:
    """Start an export by gcloud, and return the operation's name."""
    parent = STORE.parent
    run = subprocess.run(
        [
            gcloud, "healthcare", "dicom-stores", "export", "bq", STORE.store, f"--project={parent.project}",
            f"--location={parent.location}", f"--dataset={parent.dataset}", f"--bq-table=bq://{cloud.dataset}.{table}",
            "--async", "--format=value(name)", "--quiet",
        ],
        env={
            **os.environ,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_HEALTHCARE": cloud.api.url,
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        },
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    return run.stdout.strip()


def kill_some(cloud: Cloud, operation: str, chance: random.Random) -> int:
    """Kill functions at random, start them again, and return how many it were once the operation is done."""
    workers: list[Function] = [function for function in cloud.functions if function is not cloud.api]
    kills = 0
    while not cloud.call("GET", operation).get("done"):
        time.sleep(chance.uniform(0.2, 2.5))
        if kills < KILLS:
            victim = chance.choice(workers)
            victim.kill()
            victim.start()
            kills += 1
    return kills


@pytest.mark.requires_gcloud
@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_instance_is_one_row_whoever_is_killed_and_whatever_comes_twice(
    racing: Cloud, gcloud: str, seed: int
) -> None:
    table = f"seed_{seed}"
    operation = gcloud_export(racing, gcloud, table)
    kill_some(racing, operation, random.Random(seed))
    ended = racing.wait(operation)
    assert ended.get("error") is None, ended
    assert ended["metadata"]["counter"] == {"success": str(TOTAL), "secondarySuccess": str(STUDIES)}
    assert racing.count(table) == (TOTAL, TOTAL)
    racing.forget_operations()


@pytest.fixture(scope="session")
def quiet(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: PubSub,
    archive_emulator: Storage,
    bigquery_emulator: BigQuery,
) -> Iterator[Cloud]:
    """Run an installation with 12 studies of five instances and one object that is none; a message has five attempts."""
    emulators = (pubsub_emulator, archive_emulator, bigquery_emulator)
    settings = {
        "DICOM_EXPORT_BUNDLE": "10",
        "DICOM_EXPORT_PAGE_TASKS": "3",
        "DICOM_EXPORT_FAILURES_TABLE": f"bq://{PROJECT}.quiet.failures",
    }
    folder = tmp_path_factory.mktemp("quiet")
    with Cloud(folder, "quiet", emulators, max_attempts=5, settings=settings) as cloud:
        cloud.put(make_archive_objects(12, 5))
        cloud.put([(BROKEN, b"\0no DICOM")])
        yield cloud


def staging(cloud: Cloud) -> set[str]:
    """Return the staging tables. None is in the dataset itself, where its readers would see it."""
    assert not any("staging" in table for table in cloud.tables())
    return {table.table_id for table in cloud.warehouse.list_tables(cloud.staging)}


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_failed_instance_is_in_the_counters_the_report_and_the_table_of_failures(quiet: Cloud) -> None:
    operation = quiet.export("with_failure")
    ended = quiet.wait(operation)
    assert ended["error"]["code"] == 3
    assert ended["metadata"]["counter"] == {"success": "60", "failure": "1", "secondarySuccess": "12"}
    assert quiet.count("with_failure") == (60, 60)
    (failure,) = quiet.call("GET", f"{operation}/failures")["failures"]
    assert failure["object"] == BROKEN
    rows = [dict(row) for row in quiet.warehouse.list_rows(f"{quiet.dataset}.failures")]
    (row,) = [row for row in rows if row["Operation"] == operation]
    assert (row["Object"], row["Stage"], row["Code"]) == (BROKEN, "READ", "INVALID_ARGUMENT")


def test_who_reads_during_an_overwrite_sees_the_old_or_the_new_rows(quiet: Cloud) -> None:
    quiet.wait(quiet.export("overwritten"))
    quiet.put(islice(make_archive_objects(16, 5), 60, None))
    operation, seen = quiet.export("overwritten", "WRITE_TRUNCATE"), [60]
    while not quiet.call("GET", operation).get("done"):
        seen.append(quiet.count("overwritten")[0])
    seen.append(quiet.count("overwritten")[0])
    assert seen == sorted(seen)
    assert set(seen) == {60, 80}
    assert staging(quiet) == set()


def test_a_cancelled_overwrite_leaves_the_old_rows_and_no_staging_table(quiet: Cloud) -> None:
    quiet.wait(quiet.export("cancelled"))
    before = quiet.count("cancelled")
    with quiet.without_workers():
        operation = quiet.export("cancelled", "WRITE_TRUNCATE")
        wait_until(lambda: staging(quiet))
        (left,) = staging(quiet)
        expires = quiet.warehouse.get_table(f"{quiet.staging}.{left}").expires
        assert expires
        assert timedelta(days=2) < expires - datetime.now(UTC) <= timedelta(days=3)
        assert quiet.call("POST", f"{operation}:cancel", {}) == {}
    ended = quiet.wait(operation)
    assert ended["error"]["code"] == 1
    assert ended["metadata"]["cancelRequested"] is True
    assert "pending" not in ended["metadata"]["counter"]
    assert quiet.count("cancelled") == before
    assert staging(quiet) == set()


def dead_letters(cloud: Cloud, *arguments: str) -> str:
    """Return what `dicom-export dead-letters` prints, as a process with the functions' environment."""
    command = [str(Path(sys.executable).with_name("dicom-export")), "dead-letters", *arguments]
    environment = {**os.environ, **cloud.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_messages_out_of_attempts_end_the_operation_and_are_replayed(quiet: Cloud) -> None:
    found = len(quiet.objects())
    with quiet.without_workers():
        operation = quiet.export("lost")
        ended = quiet.wait(operation)
        assert ended["error"]["code"] == 13
        assert ended["metadata"]["counter"] == {"failure": str(found)}
    assert len(dead_letters(quiet, "list", operation).splitlines()) > 1
    assert dead_letters(quiet, "replay", operation) == f"Replaying as {operation}-replay\n"
    replayed = quiet.wait(f"{operation}-replay")
    assert replayed["metadata"]["counter"]["success"] == str(found - 1)
    assert quiet.count("lost") == (found - 1, found - 1)


def test_a_failed_overwrite_leaves_the_old_rows_and_no_staging_table(quiet: Cloud) -> None:
    quiet.wait(quiet.export("failed"))
    before = quiet.count("failed")
    with quiet.without_workers():
        ended = quiet.wait(quiet.export("failed", "WRITE_TRUNCATE"))
    assert ended["error"]["code"] == 13
    assert "was left as it was" in ended["error"]["message"]
    assert quiet.count("failed") == before
    assert staging(quiet) == set()


def test_a_batch_job_starts_one_export_and_a_bad_one_is_seen(quiet: Cloud) -> None:
    request = {"name": str(STORE), "bigqueryDestination": {"tableUri": f"bq://{quiet.dataset}.batch"}}
    job = quiet.publish("export-requests", json.dumps(request).encode())
    bad = quiet.publish("export-requests", json.dumps(request | {"surprise": 1}).encode())
    quiet.publish("export-requests", b"no request at all")
    operations = f"{STORE.parent}/operations"
    wait_until(lambda: "error" not in quiet.call("GET", f"{operations}/{job}"), 30)
    ended = quiet.wait(f"{operations}/{job}")
    assert ended["metadata"]["counter"]["failure"] == "1"
    assert quiet.count("batch")[0] == int(ended["metadata"]["counter"]["success"])
    wait_until(lambda: quiet.call("GET", f"{operations}/{bad}").get("done"), 30)
    assert 'Unknown name "surprise"' in quiet.call("GET", f"{operations}/{bad}")["error"]["message"]
    assert "is not an export request" in quiet.log()


def test_a_verification_finds_what_came_after_the_export_and_repairs_it(quiet: Cloud) -> None:
    quiet.wait(quiet.export("verified"))
    before, (new,) = quiet.count("verified")[0], islice(make_archive_objects(17, 1), 16, None)
    quiet.put([new])
    verify = {
        "reportTableUri": f"bq://{quiet.dataset}.found",
        "tableUri": f"bq://{quiet.dataset}.verified",
        "repair": True,
    }
    job = quiet.publish("export-requests", json.dumps({"name": str(STORE), "verify": verify}).encode())
    operation = f"{STORE.parent}/operations/{job}"
    wait_until(lambda: "error" not in quiet.call("GET", operation), 30)
    ended = quiet.wait(operation)
    found = ended["metadata"]
    assert "differences" in found, ended
    assert found["differences"] == {"missing": "1", "stale": "0", "orphaned": "0", "outranked": "0"}
    assert found["counter"]["success"] == str(before + 1)
    (row,) = quiet.warehouse.list_rows(f"{quiet.dataset}.found")
    assert (row["Difference"], row["Object"]) == ("MISSING", new[0])
    assert quiet.wait(f"{operation}-repair")["metadata"]["counter"]["success"] == "1"
    assert quiet.count("verified") == (before + 1, before + 1)
    assert {table for table in quiet.tables() if "inventory" in table} == set()


def test_an_append_again_adds_only_what_is_new_and_its_table_is_verified_by_its_objects(quiet: Cloud) -> None:
    destination = {
        "tableUri": f"bq://{quiet.dataset}.renewed",
        "writeDisposition": "WRITE_APPEND",
        "includeSourceObject": True,
    }

    def append() -> Any:
        answer = quiet.call("POST", f"{STORE}:export", {"bigqueryDestination": destination})
        return quiet.wait(answer["name"])["metadata"]

    first = append()["counter"]
    again = append()
    assert again["unchangedObjects"] == first["success"]
    assert "success" not in again["counter"]
    (new,) = islice(make_archive_objects(23, 1), 22, None)
    quiet.put([new])
    assert append()["counter"]["success"] == "1"
    rows = int(first["success"]) + 1
    assert (
        quiet.count("renewed", f"SourceObject LIKE 'gs://{quiet.bucket}/dicom/%' AND SourceGeneration > 0")[0] == rows
    )
    quiet.delete([new[0]])
    verify = {"tableUri": f"bq://{quiet.dataset}.renewed", "reportTableUri": f"bq://{quiet.dataset}.found_objects"}
    job = quiet.publish("export-requests", json.dumps({"name": str(STORE), "verify": verify}).encode())
    operation = f"{STORE.parent}/operations/{job}"
    wait_until(lambda: "error" not in quiet.call("GET", operation), 30)
    found = quiet.wait(operation)["metadata"]["differences"]
    assert found == {"missing": "0", "stale": "0", "orphaned": "1", "outranked": "0"}


def test_the_service_estimates_what_an_export_takes(quiet: Cloud) -> None:
    found = quiet.call("GET", f"{STORE}:estimateExport")
    assert int(found["exact"]["objects"]) == len(quiet.objects())
    assert found["exact"]["isComplete"] is True
    assert 0 < int(found["estimated"]["instances"]) <= len(quiet.objects())
    assert found["estimated"]["priceUsd"] > 0


def test_of_two_exports_into_one_empty_table_the_second_is_refused(quiet: Cloud) -> None:
    with quiet.without_workers():
        first = quiet.export("contested")
        destination = {"tableUri": f"bq://{quiet.dataset}.contested"}
        refused = quiet.call("POST", f"{STORE}:export", {"bigqueryDestination": destination})
        assert refused["error"]["status"] == "FAILED_PRECONDITION"
        assert first in refused["error"]["message"]
        second = quiet.export("contested", "WRITE_APPEND")
    success = sum(int(quiet.wait(each)["metadata"]["counter"]["success"]) for each in (first, second))
    assert quiet.count("contested") == (success, success // 2)


def test_operations_are_listed_newest_first_by_filter(quiet: Cloud) -> None:
    first, second = quiet.export("listed_1"), quiet.export("listed_2")
    for operation in (first, second):
        quiet.wait(operation)
    listed = quiet.call("GET", f"{STORE.parent}/operations?filter=done:true&pageSize=2")
    assert [operation["name"] for operation in listed["operations"]] == [second, first]
    assert listed["nextPageToken"]
    assert quiet.call("GET", f"{STORE.parent}/operations?filter=done:false")["operations"] == []
