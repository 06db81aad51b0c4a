"""What `doctor` has each function test is what infra/ grants it."""

from __future__ import annotations

import re

import pytest

from dicom_export.diagnosing.needs import NEEDS, Place
from support.infra_files import entry_points

EDITS = "roles/bigquery.dataEditor"
NOT_TESTED = {"filters", "destinations", "copies"}
"""The buckets of filter files and of copies: the functions do not know their names before a request names one."""


def test_each_entry_point_has_its_needs_and_no_other() -> None:
    assert set(NEEDS) == set(entry_points())


@pytest.mark.parametrize("function", NEEDS)
def test_a_function_tests_each_place_that_it_has_a_role_on(function: str) -> None:
    (roles,) = re.findall(r"roles += \{(.*?)\}", entry_points()[function])
    granted = set(re.findall(r"(\w+) = ", roles)) - NOT_TESTED
    tested = {place.value for place in NEEDS[function].places} - {Place.TOPICS}
    assert tested == granted
    assert NEEDS[function].edits_tables is (EDITS in roles)


@pytest.mark.parametrize("function", NEEDS)
def test_a_function_tests_each_topic_that_it_publishes_on(function: str) -> None:
    published = re.findall(r'"([a-z-]+)"', entry_points()[function].split("publishes")[1])
    assert list(NEEDS[function].publishes) == published
    assert bool(published) is (Place.TOPICS in NEEDS[function].places)
