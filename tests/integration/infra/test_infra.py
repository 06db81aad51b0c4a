"""The names agree: what Terraform sets up and what the code asks for, on both sides or on neither."""

from __future__ import annotations

import ast
import re

import pytest

from dicom_export import logs, messages
from dicom_export.operations.planning import MAX_PAGE_OBJECTS, MAX_PAGE_TASKS, MAX_SPLIT, MESSAGES_PER_SLOT, PlanLimits
from dicom_export.ports import MAX_STALENESS_HOURS
from dicom_export.pubsub.push import BatchRequest
from dicom_export.settings import cloud, limits
from support.infra_files import INFRA, LOCALS, MAIN, ROOT, declared, entry_points
from support.installations import description, receiver

PAPER = (INFRA / "README.md").read_text()
EMULATORS_ONLY = {"DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT"}
COMMANDS_ONLY = {"DICOM_EXPORT_INSTALLATION"}
"""The settings that only the output `environment` has, and no function."""
PORTS = ("state", "stores", "buckets", "filters", "destinations", "copies", "datasets", "staging", "jobs")


def setting(entry: str, name: str) -> str | None:
    found = re.search(rf'^ +{name} += (?:"([^"]+)"|(\S+))$', entry, re.MULTILINE)
    return (found[1] or found[2]) if found else None


def bodies() -> dict[str, str]:
    """Return the source of each entry point."""
    return {
        node.name: ast.unparse(node)
        for node in ast.parse(MAIN).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def topic_in(body: str) -> str | None:
    """Return the topic whose messages an entry point decodes."""
    topics = {kind.__name__: kind.topic for kind in (messages.PlanExport, messages.ExportStudy, messages.StudyExported)}
    decoders = {f"{name}.topic": topic for name, topic in topics.items()}
    decoders |= {
        "push.batch_request": BatchRequest.topic,
        "push.dead_letter": "dead-letters",
        "push.dead_request": "dead-export-requests",
        "push.change": messages.InstanceChanged.topic,
        "push.dead_change": "dead-instance-changes",
    }
    return next((topic for decoder, topic in decoders.items() if decoder in body), None)


def test_each_entry_point_is_deployed_and_no_other() -> None:
    assert set(entry_points()) == set(bodies())


def test_the_deployed_file_names_each_entry_point_and_no_other() -> None:
    (imported,) = (
        node
        for node in ast.parse((ROOT / "functions" / "main.py").read_text()).body
        if isinstance(node, ast.ImportFrom) and node.module == "dicom_export.entry_points"
    )
    assert {name.name for name in imported.names} == set(bodies())


@pytest.mark.parametrize("name", sorted(bodies()))
def test_each_entry_point_gets_the_topic_that_it_decodes(name: str) -> None:
    assert setting(entry_points()[name], "topic") == topic_in(bodies()[name])


def test_each_topic_that_the_code_publishes_to_is_published_to_by_somebody_who_may() -> None:
    may = {
        topic for entry in entry_points().values() for topic in re.findall(r'"([a-z-]+)"', entry.split("publishes")[1])
    }
    assert may == set(messages.TOPICS)


@pytest.mark.parametrize("name", sorted(entry_points()))
def test_dead_letters_of_ours_and_of_users_are_apart(name: str) -> None:
    entry = entry_points()[name]
    topic = setting(entry, "topic")
    if topic == messages.InstanceChanged.topic:
        assert setting(entry, "dead_letters") == "dead-instance-changes"
    if topic in messages.OPERATION_TOPICS:
        assert setting(entry, "dead_letters") == "dead-letters"
    if topic == BatchRequest.topic:
        assert setting(entry, "dead_letters") == "dead-export-requests"


def test_each_setting_of_the_code_is_set_and_no_other() -> None:
    assert (
        set(re.findall(r"^    (DICOM_EXPORT_\w+) +=", LOCALS, re.MULTILINE))
        == {*cloud.VARIABLES, *limits.VARIABLES} - EMULATORS_ONLY - COMMANDS_ONLY
    )


def test_the_limits_are_those_of_the_code() -> None:
    text = declared("variable", "variables.tf")["limits"]
    fields = set(re.findall(r"^    (\w+) += optional", text, re.MULTILINE))
    names = {name.removeprefix("DICOM_EXPORT_").lower() for name in limits.VARIABLES}
    assert fields == set(cloud._LIMITS.values()) | {"readers"} | names
    default = PlanLimits()
    assert f"split, {MAX_SPLIT})" in text
    assert f"bundle, {default.bundle})" in text
    assert f"page_tasks, {default.page_tasks}) <= {MAX_PAGE_TASKS}" in text
    assert f"page_objects, {default.page_objects}) <= {MAX_PAGE_OBJECTS}" in text
    assert f"messages_per_slot = {MESSAGES_PER_SLOT}\n" in LOCALS
    assert f"readers, 16) <= {cloud._MAX_READERS}" in text


def test_tables_that_track_changes_may_lag_as_far_as_the_code_says() -> None:
    text = declared("variable", "variables.tf")["max_staleness_hours"]
    assert re.findall(r"^  default +=(.*)$", text, re.MULTILINE) == [f" {MAX_STALENESS_HOURS}"]


def test_a_store_is_declared_with_the_fields_that_the_code_knows() -> None:
    (block,) = re.findall(r"declared_stores = \{(.*?)^  \}", LOCALS, re.MULTILINE | re.DOTALL)
    assert (
        set(re.findall(r"^      (\w+) += (?:store\.|\[for config in store)", block, re.MULTILINE))
        == cloud._STORE_FIELDS
    )


def test_metrics_count_the_events_and_outcomes_of_the_log() -> None:
    text = (INFRA / "monitoring.tf").read_text()
    (outcomes,) = re.findall(r"outcomes += toset\(\[(.*?)\]\)", text)
    assert tuple(re.findall(r'"(\w+)"', outcomes)) == logs.OUTCOMES
    (events,) = re.findall(r"jsonPayload\.event=\((.*?)\)", text)
    assert set(re.findall(r'\\"(\w+)\\"', events)) == {event.value for event in logs.Event}
    assert logs._FAILED_INSTANCE in text
    assert logs._FAILED_STREAMING in text


def test_each_role_on_a_port_is_granted() -> None:
    grants = (INFRA / "iam.tf").read_text() + (INFRA / "bigquery.tf").read_text()
    for port in PORTS:
        assert re.search(rf"roles\.{port}\b|\b{port} += local\.store_buckets|\b{port} += setsubtract", grants), port


def test_a_staging_dataset_lists_its_members_and_has_no_reader() -> None:
    (staging,) = re.findall(
        r'^resource "google_bigquery_dataset" "staging" \{\n(.*?)^\}',
        (INFRA / "bigquery.tf").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert re.findall(r"^ +role += (.*)$", staging, re.MULTILINE) == [
        '"OWNER"',
        "local.functions[access.key].roles.staging",
    ]
    assert re.findall(r"^ +(?:special_group|user_by_email) += (.*)$", staging, re.MULTILINE) == [
        '"projectOwners"',
        "google_service_account.functions[access.key].email",
    ]
    assert 'staging_role = "WRITER"' in LOCALS
    assert "google_bigquery_dataset.staging" not in (INFRA / "iam.tf").read_text()


def test_the_workers_leave_a_margin_in_the_quota_of_write_streams() -> None:
    ((slots, size),) = re.findall(r"concurrency = (\d+), max_instances = (\d+) \}", entry_points()["export_study"])
    streams = int(size) * int(slots) * 3600 // 4
    (most,) = re.findall(r"most_streams_per_hour = ([\d.]+) \* 10000$", LOCALS, re.MULTILINE)
    assert streams <= float(most) * 10_000
    assert f"{size} workers open {size} × {slots} × 3600 / 4 = {streams:,} streams per hour" in PAPER


def test_each_role_is_written_once_a_side() -> None:
    named = set(
        re.findall(r'"(roles/[\w.]+)"', LOCALS + (INFRA / "iam.tf").read_text() + (INFRA / "diagnosis.tf").read_text())
    )
    assert set(re.findall(r"`(roles/[\w.]+)`", PAPER)) == named


@pytest.mark.parametrize(
    ("kind", "file", "heading"), [("variable", "variables.tf", "Inputs"), ("output", "outputs.tf", "Outputs")]
)
def test_the_readme_has_each_input_and_output_and_no_other(kind: str, file: str, heading: str) -> None:
    (table,) = re.findall(rf"^## {heading}\n(.*?)(?=^## )", PAPER, re.MULTILINE | re.DOTALL)
    blocks = declared(kind, file)
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(blocks)
    for name, block in blocks.items():
        assert "description" in block, name


def test_each_input_is_checked_and_has_the_default_that_the_readme_says() -> None:
    for name, block in declared("variable", "variables.tf").items():
        assert "validation {" in block or re.search(r"type += bool", block), name
        (default,) = re.findall(rf"^\| `{name}` \| ([^|]*) \|", PAPER.split("## Outputs")[0], re.MULTILINE)
        assert (default == "required") == (re.search(r"^  default\b", block, re.MULTILINE) is None), name


def test_each_input_has_a_case_that_is_refused() -> None:
    refused = set(
        re.findall(r"expect_failures = \[var\.(\w+)\]", (INFRA / "tests/validation/validation.tftest.hcl").read_text())
    )
    checked = {name for name, block in declared("variable", "variables.tf").items() if "validation {" in block}
    assert refused == checked


def test_no_role_is_basic_and_nobody_is_everybody() -> None:
    for path in INFRA.glob("**/*.tf"):
        if path.name != "variables.tf":
            assert not re.search(r"roles/(?:editor|owner|viewer)\b|allUsers|allAuthenticatedUsers", path.read_text()), (
                path
            )


def test_each_example_is_in_the_readme() -> None:
    assert set(re.findall(r"\(examples/([\w-]+)\)", PAPER)) == {
        path.parent.name for path in INFRA.glob("examples/*/main.tf")
    }


def test_cloud_build_plans_everywhere_and_applies_on_main_what_it_planned() -> None:
    steps = (ROOT / "cloudbuild.yaml").read_text()
    assert re.findall(r"^  - id: (\w+)$", steps, re.MULTILINE) == ["install", "lint", "test", "plan", "apply"]
    apply = steps.split("- id: apply")[1]
    assert '"$$BRANCH" != main' in apply
    assert "terraform apply -input=false planned" in apply


def test_the_output_describes_the_installation_as_the_command_line_reads_it() -> None:
    assert set(re.findall(r"(DICOM_EXPORT_\w+) =", declared("output", "outputs.tf")["environment"])) == COMMANDS_ONLY
    (block,) = re.findall(
        r"^  installation = \{\n(.*?)^  \}", (INFRA / "diagnosis.tf").read_text(), re.MULTILINE | re.DOTALL
    )
    assert set(re.findall(r"^    (\w+) +=", block, re.MULTILINE)) == {*description(), "smokeTest"}
    (receivers,) = re.findall(r"^    receivers += (.*?)^    \}", block, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^      (\w+) +=", receivers, re.MULTILINE)) == set(receiver("plan_export"))
