from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export import filters
from dicom_export.errors import InvalidArgument
from dicom_export.names import InstanceUids

if TYPE_CHECKING:
    from dicom_export.filters import FilterPath

components = st.sampled_from(["1", "1.2", "1.2.3", "1.20", "1.3"])
filter_paths = st.lists(
    st.one_of(
        st.tuples(components),
        st.tuples(components, components),
        st.tuples(components, components, components),
    ),
    max_size=30,
)


def parse(text: str) -> list[FilterPath]:
    return filters.parse(filters.lines([text.encode()]))


def test_each_width_of_path_is_read() -> None:
    text = "/studies/1.2\n/studies/1.3/series/1.4\n/studies/1.5/series/1.6/instances/1.7\n"
    assert parse(text) == [("1.2",), ("1.3", "1.4"), ("1.5", "1.6", "1.7")]


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_no_part_of_a_path() -> None:
    assert parse("\ufeff/studies/1.2\r\n\r\n   \n/studies/1.3\r\n") == [("1.2",), ("1.3",)]


def test_lines_are_whole_wherever_the_chunks_are_cut() -> None:
    data = b"/studies/1.2\r\n/studies/1.3/series/1.4"
    for cut in range(len(data) + 1):
        assert filters.parse(filters.lines([data[:cut], data[cut:]])) == [("1.2",), ("1.3", "1.4")]


@pytest.mark.parametrize(
    "line",
    [
        "studies",
        "/studies/",
        "/studies/abc",
        "/studies/1.2/instances/1.3",
        "/studies/1.2 /studies/1.3",
        "/studies/" + "1" * 65,
        "/patients/1",
    ],
)
def test_a_malformed_line_is_named_with_its_number_and_text(line: str) -> None:
    with pytest.raises(InvalidArgument, match="Line 3 ") as error:
        parse(f"/studies/1.2\n\n{line}\n")
    assert repr(line) in error.value.message


def test_a_filter_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="UTF-8"):
        filters.parse(filters.lines([b"/studies/1.2\n\xff\xfe\n"]))


def test_a_path_that_a_wider_one_contains_is_dropped() -> None:
    text = "/studies/1.2/series/1.4\n/studies/1.2\n/studies/1.2\n/studies/1.20\n"
    assert parse(text) == [("1.2",), ("1.20",)]


@given(filter_paths, st.tuples(components, components, components))
def test_an_instance_is_named_exactly_if_a_line_contains_it(paths: list[FilterPath], instance: FilterPath) -> None:
    kept = filters.parse(filters.display(path) for path in paths)
    position = filters.position_of(kept, InstanceUids(*instance))
    assert (position is not None) == any(instance[: len(path)] == path for path in paths)
    assert sum(instance[: len(path)] == path for path in kept) <= 1


def test_an_instance_without_uids_is_named_by_no_path() -> None:
    assert filters.position_of([("1.2",)], InstanceUids()) is None


@pytest.mark.parametrize(
    ("uids", "named"),
    [
        (InstanceUids("1.2", "1.2.3", "1.2.3.4"), True),
        (InstanceUids("1.2", "1.2.3"), False),
        (InstanceUids(None, "1.2.3", "1.2.3.4"), False),
        (InstanceUids("1.2", "1.2.3", "not a UID"), False),
    ],
)
def test_a_line_names_an_instance_alone_if_it_has_all_three_uids(uids: InstanceUids, *, named: bool) -> None:
    assert filters.names_instance(uids) is named
