"""In a fresh project nothing of infra/ comes before what it needs: APIs, service agents, rights that have taken effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[3] / "infra"


def resources() -> dict[str, str]:
    """Return the text of each resource, by its address."""
    text = "\n".join(path.read_text() for path in sorted(INFRA.glob("*.tf")))
    blocks = re.findall(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    return {f"{kind}.{name}": body for kind, name, body in blocks}


def waits_for(address: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the addresses that a resource refers to, by its arguments, its depends_on and the locals that it uses."""
    blocks = resources()
    text = blocks[address]
    for name in re.findall(r"local\.(\w+)", text):
        text += "".join(re.findall(rf"^  {name} += (.*)$", (INFRA / "iam.tf").read_text(), re.MULTILINE))
    direct = {other for other in blocks if re.search(rf"(?<![\w.]){re.escape(other)}\b", text)} - seen - {address}
    found = seen | direct
    for other in direct:
        found |= waits_for(other, found)
    return found


@pytest.mark.parametrize("address", sorted(set(resources()) - {"google_project_service.apis"}))
def test_whatever_calls_an_api_that_was_just_enabled_waits(address: str) -> None:
    kind, project = (
        address.partition(".")[0],
        re.search(r"^  project += var\.project$", resources()[address], re.MULTILINE),
    )
    if kind not in {"time_sleep", "random_id"} and project:
        assert "time_sleep.apis" in waits_for(address)


def test_a_build_waits_until_its_account_may_read_and_write() -> None:
    assert "time_sleep.build_may_read" in resources()["google_cloudfunctions2_function.functions"]
    waited = waits_for("time_sleep.build_may_read")
    assert {
        address for address in resources() if "google_service_account.build.member" in resources()[address]
    } <= waited


def test_a_wait_is_repeated_when_what_it_waits_for_changes() -> None:
    waits = {address: body for address, body in resources().items() if address.startswith("time_sleep.")}
    assert len(waits) == 2
    for body in waits.values():
        assert re.search(r"^  triggers +=", body, re.MULTILINE)


def test_a_push_subscription_comes_after_what_pubsub_needs_for_it() -> None:
    waited = waits_for("google_pubsub_subscription.push")
    assert {
        "google_service_account_iam_member.pubsub_signs_in",
        "google_pubsub_topic_iam_member.dead_letters",
        "google_cloud_run_v2_service_iam_member.invoker",
    } <= waited


def test_what_pubsub_may_do_is_granted_once_its_agent_is_there() -> None:
    granted = [address for address, body in resources().items() if "local.pubsub_agent" in body]
    assert len(granted) == 3
    for address in granted:
        assert "google_project_service_identity.pubsub" in waits_for(address)


def test_a_custom_role_gets_an_id_that_no_destroyed_installation_had() -> None:
    roles = {address: body for address, body in resources().items() if "_custom_role." in address}
    assert roles
    for body in roles.values():
        assert re.search(r"^  role_id +=.*\$\{random_id\.\w+\.hex\}\"$", body, re.MULTILINE)
