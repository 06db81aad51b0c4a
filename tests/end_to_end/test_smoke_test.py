"""`dicom-export smoke-test` on the emulators, from upload to removal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

import pytest

from dicom_export.smoke_testing import experiments, pipeline
from dicom_export.smoke_testing.asked import QUESTIONS
from dicom_export.smoke_testing.bench import Bench
from dicom_export.smoke_testing.pipeline import Pipeline
from support.clouds import STORE
from support.clouds_here import CloudHere
from support.command_line import run
from support.doc_pages import code
from support.google_services import ScriptedServices, answering
from support.installations import INVOKER
from support.installed import description_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from support.clouds import Cloud
    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub
    from support.emulators.storage import Storage

STREAMS: dict[str, dict[str, Any]] = {"streamed": {"schemaFlattened": {}}}
STEPS = ["upload", "export-by-http", "export-by-batch-job", "deletion", "overwrite", "counters", "logs", "removal"]


@pytest.fixture(scope="module")
def cloud(
    tmp_path_factory: pytest.TempPathFactory,
    pubsub_emulator: PubSub,
    smoke_storage: Storage,
    bigquery_emulator: BigQuery,
) -> Iterator[Cloud]:
    """Run an installation whose bucket reports its changes."""
    emulators = (pubsub_emulator, smoke_storage, bigquery_emulator)
    folder = tmp_path_factory.mktemp("smoke")
    with (
        pytest.MonkeyPatch.context() as patch,
        CloudHere(patch, folder, "smoke", emulators, streams=STREAMS, exports=True) as running,
    ):
        yield running


def entries(request: requests.PreparedRequest) -> Any:
    """Return a log entry for each operation that the filter names."""
    named = re.findall(r'"(projects/[^"]+/operations/[^"]+)"', json.loads(cast("bytes", request.body))["filter"])
    return {"entries": [{"labels": {"operation": name}} for name in named]}


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> ScriptedServices:
    receivers = {name: {**each, "invoker": INVOKER} for name, each in cloud.receivers.items()}
    monkeypatch.setenv("DICOM_EXPORT_INSTALLATION", json.dumps(description_of(cloud, receivers=receivers)))
    point = {"value": {"doubleValue": 0.5}}
    series = [{"resource": {"labels": {"service_name": "export-study"}}, "points": [point]}]
    return answering(
        monkeypatch,
        {
            "entries:list": entries,
            "//run.googleapis.com": {"urls": [cloud.api_url.rstrip("/")]},
            "timeSeries": {"timeSeries": series},
        },
    )


def smoke_test(*options: str) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the results by line, and the output."""
    result = run("smoke-test", "--format", "json", "--wait", "60", *options)
    assert result.stdout, result.stderr
    return result.exit_code, {each["line"]: each for each in json.loads(result.stdout)["results"]}, result.stdout


def tables_left(cloud: Cloud) -> set[str]:
    """Return the tables and views, but for those of the automatic export, which stay and are empty."""
    return {name for name in cloud.tables() if not name.startswith("streamed")}


def test_every_step_succeeds_each_question_has_its_line_and_nothing_is_left(
    cloud: Cloud, services: ScriptedServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services
    monkeypatch.setattr(experiments, "_MOST_COLUMNS", 30)
    code, results, output = smoke_test("--columns", "20", "--repeats", "1")
    assert {line: each["text"] for line, each in results.items() if each["outcome"] == "failed"} == {}
    assert code == 0
    assert list(results) == [*STEPS[:-1], *(f"question-{number:02d}" for number in QUESTIONS), STEPS[-1]]
    assert all(results[line]["outcome"] == "verified" for line in STEPS)
    assert results["removal"]["measured"]["objects"] == 5
    assert cloud.objects() == []
    assert tables_left(cloud) == set()
    assert cloud.count("streamed") == (0, 0)
    for name in (
        "my-project",
        cloud.bucket,
        cloud.state,
        cloud.dataset.partition(".")[2] + ".",
        str(STORE),
        "gserviceaccount",
    ):
        assert name not in output
    asked = {number: results[f"question-{number:02d}"] for number in QUESTIONS}
    assert {number for number, each in asked.items() if each["outcome"] == "not verified"} == {11, 12, 16}
    assert asked[1]["measured"]["row_access_policies_kept"]
    assert asked[3]["measured"]["rows_of_a_copy"] == 3
    assert "SCHEMA_MISMATCH_EXTRA_FIELDS" in asked[5]["measured"]["arrow_before"]
    assert asked[6]["measured"]["equal"]
    assert set(asked[7]["measured"]["seconds"][0]) == {"default_stream", "new_stream", "append"}
    assert asked[15]["measured"]["status_by_url"] == {"url_1": 200}
    assert asked[18]["measured"]["peak_memory_share"] == {"export_study": 0.5}


def test_each_fault_fails_its_step_and_leaves_nothing(
    cloud: Cloud, services: ScriptedServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.answers["entries:list"] = {"entries": []}
    monkeypatch.setattr(pipeline, "_EVENT_SECONDS", 0)
    monkeypatch.setattr(Pipeline, "_policies", lambda *_: [])
    count = Bench.count
    monkeypatch.setattr(Bench, "count", lambda self, table, *more: count(self, table, *more) + ("batch" in table.table))
    code, results, _ = smoke_test("--steps-only")
    failed = {line: each["text"] for line, each in results.items() if each["outcome"] == "failed"}
    assert code == 1
    assert set(failed) == {"export-by-batch-job", "overwrite", "logs"}
    assert failed["export-by-batch-job"].endswith("rows: found 7, expected 6")
    assert failed["overwrite"].endswith("policies: found [], expected ['smoke_test_policy']")
    assert "0 of 3 operations have an entry" in failed["logs"]
    assert (cloud.objects(), tables_left(cloud)) == ([], set())


def test_a_run_that_is_interrupted_removes_what_it_made(
    cloud: Cloud, services: ScriptedServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services

    def interrupted(_: Pipeline) -> None:
        assert cloud.objects()
        assert len(cloud.tables()) > 1
        raise KeyboardInterrupt

    monkeypatch.setattr(Pipeline, "export_by_batch_job", interrupted)
    result = run("smoke-test", "--wait", "60")
    assert result.exit_code == 130
    assert re.search(r"^removal +verified", result.stdout, re.MULTILINE)
    assert (cloud.objects(), tables_left(cloud)) == ([], set())


def test_without_its_store_the_input_to_set_is_named(
    cloud: Cloud, services: ScriptedServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services
    monkeypatch.setenv("DICOM_EXPORT_INSTALLATION", json.dumps(description_of(cloud, smokeTest=None)))
    result = run("smoke-test")
    assert result.exit_code == 2
    assert "`smoke_test_store`" in result.stderr


@pytest.mark.parametrize("page", ["check-an-installation", "deploy"])
def test_the_commands_of_the_pages_are_there(page: str) -> None:
    shown = [line for block in code(f"docs/how-to/{page}.md", "sh") for line in block.splitlines()]
    (arguments,) = (line.partition("dicom-export ")[2] for line in shown if "dicom-export smoke-test" in line)
    assert run(*arguments.split(), "--help").exit_code == 0
