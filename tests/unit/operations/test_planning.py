from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.operations.planning import (
    Cursor,
    Layout,
    Listed,
    PlanLimits,
    Task,
    bundled,
    cut_page,
    detect_layout,
    is_planned,
    named_instance,
    prefix_of,
    sample,
    unit_of,
)
from support.factories import make_object

SMALL = PlanLimits(bundle=10, split=50, page_tasks=4, page_objects=60, page_paths=5)


def listed(names: list[str], layout: Layout) -> list[Listed]:
    return [Listed(make_object(name), Cursor(layout, start_after=name)) for name in names]


def plan(names: list[str], layout: Layout, limits: PlanLimits = SMALL) -> list[list[Task]]:
    """All pages of a plan, each begun where the one before ended."""
    pages = []
    cursor: Cursor | None = Cursor(layout)
    while cursor:
        after = cursor.start_after
        tasks, cursor = cut_page(listed([name for name in names if name > after], layout), layout, limits)
        pages.append(tasks)
    return pages


def names_of(tasks: list[Task]) -> list[str]:
    return [stored.name for task in tasks for stored in task]


def study_names(study: int, instances: int) -> list[str]:
    return [f"1.2.{study}/1.3/1.4.{instance:05d}.dcm" for instance in range(instances)]


def test_small_studies_share_a_message() -> None:
    names = sorted(chain.from_iterable(study_names(study, 3) for study in range(3)))
    assert [len(task) for task in plan(names, Layout.UIDS)[0]] == [9]


def test_a_study_that_does_not_fit_the_bundle_begins_a_new_one() -> None:
    names = sorted([*study_names(1, 6), *study_names(2, 6)])
    assert [len(task) for task in plan(names, Layout.UIDS)[0]] == [6, 6]


def test_a_study_up_to_the_split_size_is_one_message_and_a_larger_one_is_split() -> None:
    assert [len(task) for task in plan(study_names(1, 50), Layout.UIDS)[0]] == [50]
    assert [len(task) for page in plan(study_names(1, 120), Layout.UIDS) for task in page] == [50, 50, 20]


def test_a_page_ends_between_two_studies() -> None:
    names = sorted(chain.from_iterable(study_names(study, 20) for study in range(9)))
    pages = plan(names, Layout.UIDS)
    assert len(pages) > 1
    studies = [{unit_of(name, Layout.UIDS) for name in names_of(page)} for page in pages]
    assert sum(map(len, studies)) == len(set().union(*studies))


def test_a_flat_folder_is_cut_into_pages_too() -> None:
    pages = plan([f"{number:06d}" for number in range(1000)], Layout.FOLDERS)
    assert max(len(names_of(page)) for page in pages) <= SMALL.page_objects
    assert [name for page in pages for name in names_of(page)] == [f"{number:06d}" for number in range(1000)]


def test_an_empty_store_has_one_page_without_tasks() -> None:
    assert plan([], Layout.FOLDERS) == [[]]


def test_filter_paths_without_any_object_end_a_page_too() -> None:
    steps = [Listed(None, Cursor(Layout.UIDS, path + 1)) for path in range(20)]
    tasks, cursor = cut_page(steps, Layout.UIDS, SMALL)
    assert tasks == []
    assert cursor == Cursor(Layout.UIDS, SMALL.page_paths)


def searches(count: int, study: str, path: int = 0) -> list[Listed]:
    return [Listed(None, Cursor(Layout.UIDS, path + number + 1), study) for number in range(count)]


def test_a_page_that_is_full_of_searches_ends_behind_the_study() -> None:
    steps = [*searches(3, "1.2.1"), *searches(4, "1.2.2", 3), *searches(4, "1.2.3", 7)]
    assert cut_page(steps, Layout.UIDS, SMALL) == ([], Cursor(Layout.UIDS, 7))


def test_a_study_of_more_searches_than_a_page_takes_is_cut() -> None:
    steps = [*searches(4, "1.2.1"), *searches(12, "1.2.2", 4)]
    assert cut_page(steps, Layout.UIDS, SMALL) == ([], Cursor(Layout.UIDS, 4 + SMALL.page_paths))


def test_names_passed_over_belong_to_the_study_before_them() -> None:
    first, second = listed(study_names(1, 2), Layout.UIDS)
    passed = Listed(None, Cursor(Layout.UIDS, start_after="1.2.1/1.3/1.4.00000.txt"))
    following = listed(study_names(2, 1), Layout.UIDS)
    tasks, cursor = cut_page([first, *[passed] * 3, second, *[passed] * 3, *following], Layout.UIDS, SMALL)
    assert names_of(tasks) == study_names(1, 2)
    assert cursor == passed.cursor


def test_searches_between_the_series_of_a_study_leave_it_in_one_message() -> None:
    names = study_names(1, 18)
    steps = [*listed(names[:9], Layout.UIDS), *searches(1, "1.2.1"), *listed(names[9:], Layout.UIDS)]
    assert [len(task) for task in cut_page(steps, Layout.UIDS, SMALL)[0]] == [18]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 130)), max_size=12),
    st.sampled_from([Layout.UIDS, Layout.FOLDERS]),
)
def test_every_object_is_in_exactly_one_task_in_order_and_within_the_limits(
    studies: list[tuple[int, int]], layout: Layout
) -> None:
    names = sorted(set(chain.from_iterable(study_names(study, count) for study, count in studies)))
    pages = plan(names, layout)
    assert [name for page in pages for name in names_of(page)] == names
    for page in pages:
        assert len(page) <= SMALL.page_tasks
        assert all(0 < len(task) <= SMALL.split for task in page)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20), st.integers(0, 9)), max_size=8),
    st.sampled_from([Layout.UIDS, Layout.FOLDERS]),
)
def test_however_many_searches_are_between_them_every_object_is_planned_once_and_pages_end(
    studies: list[tuple[int, int, int]], layout: Layout
) -> None:
    steps: list[Listed] = []
    for number, (study, instances, empty) in enumerate(sorted(studies)):
        unit = f"1.2.{study}"
        names = [f"{unit}/1.3.{number}/{instance:03d}" for instance in range(instances)]
        for name in [*names, *[None] * empty]:
            stored = make_object(name) if name else None
            steps.append(Listed(stored, Cursor(layout, len(steps) + 1), unit))
    found: list[str] = []
    cursor: Cursor | None = Cursor(layout)
    while cursor:
        start = cursor.path
        tasks, cursor = cut_page(steps[start:], layout, SMALL)
        found += names_of(tasks)
        passed = steps[start : cursor.path if cursor else None]
        assert cursor is None or cursor.path > start
        assert sum(step.stored is None for step in passed) < 2 * SMALL.page_paths
    assert found == [step.stored.name for step in steps if step.stored]


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["1.2.3/1.2.4/1.2.5.dcm", "1.2.3/1.2.4/1.2.6"], Layout.UIDS),
        (["studies/1.2/series/1.3/instances/1.4"], Layout.DICOMWEB),
        (["1.2.3/1.2.4/1.2.5.dcm", "README.md"], Layout.FOLDERS),
        (["2024/10/1.dcm"], Layout.FOLDERS),
        (["patient/1.2.3/1.2.4/1.2.5"], Layout.FOLDERS),
        ([], Layout.FOLDERS),
    ],
)
def test_the_layout_is_what_all_names_have(names: list[str], layout: Layout) -> None:
    assert detect_layout(names) is layout


def test_a_filter_path_is_a_prefix_in_each_layout() -> None:
    assert prefix_of(Layout.UIDS, ("1.2", "1.3")) == "1.2/1.3/"
    assert prefix_of(Layout.DICOMWEB, ("1.2",)) == "studies/1.2/"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1.2/1.3/1.4", "1.4"),
        ("1.2/1.3/1.4.dcm", "1.4"),
        ("1.2/1.3/1.4-copy7.dcm", "1.4"),
        ("1.2/1.3/1.45.dcm", "1.45"),
        ("1.2/1.3/1.4.5.dcm", "1.4.5"),
        ("1.2/1.3/readme", None),
    ],
)
def test_an_instance_is_known_by_its_whole_uid(name: str, expected: str | None) -> None:
    assert named_instance(name) == expected


def test_folder_markers_and_ignored_names_are_not_planned() -> None:
    assert not is_planned(make_object("a/", size=0), ())
    assert not is_planned(make_object("a/notes.txt"), ("*.txt",))
    assert is_planned(make_object("a/b", size=0), ("*.txt",))


def test_a_sample_is_spread_over_the_folders() -> None:
    task = tuple(make_object(f"series{number % 7}/{number:04d}") for number in range(700))
    chosen = sample([task], 20)
    assert len(chosen) == 20
    assert {stored.name.partition("/")[0] for stored in chosen} == {f"series{number}" for number in range(7)}


@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 8))
def test_joined_tasks_have_the_same_objects_in_order_and_no_more_than_allowed(sizes: list[int], size: int) -> None:
    objects = iter(range(1_000))
    tasks = [tuple(make_object(str(next(objects))) for _ in range(each)) for each in sizes]
    joined = bundled(tasks, size)
    assert [stored for task in joined for stored in task] == [stored for task in tasks for stored in task]
    assert all(joined)
    assert all(len(task) <= max(size, *sizes) for task in joined)
    assert all(len(one) + len(other) > size for one, other in pairwise(joined) if len(one) <= size)
