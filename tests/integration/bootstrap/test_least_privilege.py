"""Each function may do what it does, and no more: its calls are recorded, and compared with the roles that infra/ gives it.

What a call of a port takes on Google Cloud is read from the adapters (`google_calls`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.everything import record_everything
from support.google_calls import PERMISSIONS, calls, calls_with_timeout, permissions_of
from support.infra_files import INFRA, LOCALS, entry_points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.recorded import Recorded

_OBJECTS_READ = frozenset({"storage.objects.get", "storage.objects.list"})
_METADATA = frozenset({"bigquery.datasets.get", "bigquery.tables.get"})
_CHANGES = frozenset(f"bigquery.tables.{each}" for each in ("create", "delete", "update", "updateData"))
_EDITOR = _METADATA | _CHANGES | {"bigquery.tables.getData"}
# What of each role matters here, the smaller roles before those that have more.
# https://cloud.google.com/iam/docs/roles-permissions/storage, …/bigquery and …/pubsub
ROLES: dict[str, frozenset[str]] = {
    "roles/storage.objectViewer": _OBJECTS_READ,
    "roles/storage.objectCreator": frozenset({"storage.objects.create"}),
    "roles/storage.objectUser": _OBJECTS_READ | {"storage.objects.create", "storage.objects.delete"},
    "roles/bigquery.metadataViewer": _METADATA,
    "roles/bigquery.dataViewer": _METADATA | {"bigquery.tables.getData"},
    "roles/bigquery.dataEditor": _EDITOR,
    "WRITER": _EDITOR,  # as the dataset's own list of readers and writers calls it
    "roles/pubsub.publisher": frozenset({"pubsub.topics.publish"}),
}
GRANTED_AHEAD = frozenset({"buckets"})
"""What infra/ grants for calls that the recorded installation does not make: on a bucket's settings, which say what reading it
costs."""
OWNERS = {
    "state": "BucketState",
    "stores": "BucketStore",
    "filters": "BucketStore",
    "copies": "BucketCopies",
    "tables": "BigQueryTables",
    "staging": "BigQueryTables",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    installation = record_everything(tmp_path_factory.mktemp("recorded"))
    yield installation
    installation.world.close()


def roles_of(function: str) -> dict[str, str]:
    """Return the roles of a function by what they are on: state, stores, filters, datasets, jobs."""
    local = dict(re.findall(r'^  (\w+_role) += "([^"]+)"', LOCALS, re.MULTILINE))
    (block,) = re.findall(r"roles += \{(.*?)\}", entry_points()[function])
    found = re.findall(r'(\w+) = (?:local\.(\w+)|"([^"]+)")', block)
    return {place: local.get(name, text) for place, name, text in found}


def permissions_by_place(recorded: Recorded, function: str) -> dict[str, frozenset[str]]:
    """Return what a function's calls take, by what its roles are on."""
    needed: dict[str, frozenset[str]] = {}
    for port, method in recorded.calls[function]:
        owner = "" if method == "existing_bucket" else OWNERS.get(port, "TopicPublisher")
        for permission in permissions_of(owner, method):
            place = "jobs" if permission.startswith("bigquery.jobs.") else {"tables": "datasets"}.get(port, port)
            if port == "copies" and permission in _OBJECTS_READ:
                place = "destinations"
            needed[place] = needed.get(place, frozenset()) | {permission}
    return needed


def granted_by(role: str) -> frozenset[str]:
    """Return what a role allows; one of our own has what iam.tf says."""
    if role in ROLES:
        return ROLES[role]
    (permissions,) = re.findall(
        rf'"google_project_iam_custom_role" "{role}" \{{.*?permissions = \[(.*?)\]',
        (INFRA / "iam.tf").read_text(),
        re.DOTALL,
    )
    return frozenset(re.findall(r'"([\w.]+)"', permissions))


def test_the_calls_of_client_libraries_are_known_and_no_others() -> None:
    assert calls() == set(PERMISSIONS)
    assert calls_with_timeout() <= calls()


@pytest.mark.parametrize("function", sorted(entry_points()))
def test_a_function_has_a_role_for_each_thing_that_it_uses_and_for_no_other(recorded: Recorded, function: str) -> None:
    assert set(roles_of(function)) - GRANTED_AHEAD == set(permissions_by_place(recorded, function)) - {"topics"}


@pytest.mark.parametrize("function", sorted(entry_points()))
def test_a_role_allows_what_the_function_does_and_no_smaller_one_would(recorded: Recorded, function: str) -> None:
    roles = roles_of(function)
    for place, needed in permissions_by_place(recorded, function).items():
        role = roles.get(place, "roles/pubsub.publisher")
        assert needed <= granted_by(role), f"{function} lacks {needed - granted_by(role)} on {place}"
        smaller = [name for name, granted in ROLES.items() if needed <= granted < granted_by(role)]
        assert not smaller, f"{function} needs no more than {smaller[0]} on {place}"


def test_our_own_role_has_what_is_needed_and_nothing_else(recorded: Recorded) -> None:
    needed = [permissions_by_place(recorded, function).get("jobs", frozenset()) for function in entry_points()]
    assert frozenset().union(*needed) == granted_by("job_runner")
    assert all(each in (frozenset(), granted_by("job_runner")) for each in needed)


@pytest.mark.parametrize("function", sorted(entry_points()))
def test_a_function_may_publish_on_the_topics_that_it_publishes_on_and_on_no_other(
    recorded: Recorded, function: str
) -> None:
    allowed = re.findall(r'"([a-z-]+)"', entry_points()[function].split("publishes")[1])
    assert recorded.topics[function] == set(allowed)


def test_every_function_was_recorded(recorded: Recorded) -> None:
    assert set(recorded.calls) - {""} == set(entry_points())
