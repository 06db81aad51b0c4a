from __future__ import annotations

import csv
import io
import random
import tracemalloc
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.errors import InvalidArgument
from dicom_export.operations import filters
from dicom_export.uids import InstanceUids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_export.operations.filters import FilterPath

components = st.sampled_from(["1", "1.2", "1.2.3", "1.20", "1.3"])
filter_paths = st.lists(
    st.one_of(
        st.tuples(components),
        st.tuples(components, components),
        st.tuples(components, components, components),
    ),
    max_size=30,
)
# What a UID of a damaged header can be; the ends are what a header's reader has removed.
any_uid = st.text(min_size=1, max_size=80).map(lambda text: text.strip(" \0\xa0\xc2")).filter(bool)


def parse(text: str) -> list[FilterPath]:
    return list(filters.parse(io.StringIO(text)))


def digest(uid: str) -> str:
    return "~" + sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()


def position_of(paths: Sequence[FilterPath], uids: InstanceUids) -> int | None:
    return filters.position_of(paths, filters.path_of(uids))


def test_each_width_of_path_is_read() -> None:
    text = "/studies/1.2\n/studies/1.3/series/1.4\n/studies/1.5/series/1.6/instances/1.7\n"
    assert parse(text) == [("1.2",), ("1.3", "1.4"), ("1.5", "1.6", "1.7")]


@pytest.mark.parametrize("prefix", ["/studies/", "studies/", "/dicomWeb/studies/", "dicomWeb/studies/"])
@pytest.mark.parametrize("end", ["", "/", " ", "\r", "\t"])
def test_each_way_to_begin_a_path_is_read(prefix: str, end: str) -> None:
    assert parse(f"{prefix}1.2/series/1.3{end}\n{prefix}1.4{end}") == [("1.2", "1.3"), ("1.4",)]


def test_blank_lines_are_left_out() -> None:
    assert parse('\n\n/studies/1.2\r\n\r\n   \n""\n" "\n/studies/1.3\r\n') == [("1.2",), ("1.3",)]


@pytest.mark.parametrize(
    "header",
    ["f0_", "path", "DICOMwebPath", '"path"', "Größe", "a path", "concat(x)", "\"concat('/studies/', Uid)\"", "_"],
)
def test_a_csv_header_is_passed_over_and_fields_may_be_quoted(header: str) -> None:
    assert parse(f'{header}\n"/studies/1.2"\n/studies/1.3\n') == [("1.2",), ("1.3",)]
    assert parse(f"\n{header}\r\n/studies/1.3\n") == [("1.3",)]
    with pytest.raises(InvalidArgument, match="Line 2 "):
        parse(f"/studies/1.2\n{header}\n")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/studies/", "/studies/"),
        ("/studies/1.2/series", "/studies/1.2/series"),
        ("/studies/1.2/series/", "/studies/1.2/series/"),
        ("/studies/1.2/instances/1.3", "/studies/1.2/instances/1.3"),
        ("/studies/1.2/series/1.3/frames/1", "/studies/1.2/series/1.3/…/1"),
        ("/studies/1.2 /studies/1.3", "/studies/1.2 /studies/1.3"),
        ("/studies/1.2,17", "/studies/…"),
        ("/studies/1.2/Doe^Jane", "/studies/1.2/…"),
        ("/studies/Doe^Jane,19500102/series/1.2", "/studies/…/series/1.2"),
        ("studies/1.2/copy(1)", "studies/1.2/…"),
        ("/studies/%20%00", "/studies/…"),
        ("studies//series/1.2", "studies//series/1.2"),
        ("/dicomWeb/studies/1.2/serie/1.3", "/dicomWeb/studies/1.2/…/1.3"),
    ],
)
@pytest.mark.parametrize("before", ["", "/studies/1.2\n\n"])
def test_a_malformed_line_is_named_with_its_number_and_what_is_of_a_path_in_it(
    line: str, shown: str, before: str
) -> None:
    number = before.count("\n") + 1
    with pytest.raises(InvalidArgument, match=f"Line {number} ") as error:
        parse(f"{before}{line}\n")
    assert f"is malformed: {shown!r}; expected /studies/STUDY_UID" in error.value.message


def test_a_slash_at_the_end_of_a_line_is_not_an_error() -> None:
    assert parse("/studies/1.2/") == [("1.2",)]


@pytest.mark.parametrize(
    "line",
    [
        "1.2.840.113",
        "/series/1.2",
        "/study/1.2",
        "tudies/1.2/series/1.3",
        "/patients/1",
        "Doe^Jane",
        "Doe,Jane",
        "path,count",
        '"Doe"Jane',
        '"/studies/1.2',
        '"/studies/1.2","Doe"',
        "{",
        "DICM\0\1",
        "gs://bucket/studies/1.2",
    ],
)
@pytest.mark.parametrize("before", ["", "/studies/1.2\n\n"])
def test_a_line_that_may_hold_patient_data_is_named_by_its_number_alone(line: str, before: str) -> None:
    number = before.count("\n") + 1
    with pytest.raises(InvalidArgument, match=f"Line {number} ") as error:
        parse(f"{before}{line}\n")
    assert (
        error.value.message.partition("; expected /studies/STUDY_UID[")[0]
        == f"Line {number} of the filter is malformed"
    )


def test_an_error_says_which_file_it_is_about() -> None:
    with pytest.raises(InvalidArgument, match=r"Line 1 of the filter b-1\.csv is malformed"):
        list(filters.parse(["/studies/"], "the filter b-1.csv"))


@given(st.tuples(any_uid, any_uid, any_uid))
def test_any_uid_can_be_named_and_one_that_is_malformed_is_held_as_a_digest(uids: tuple[str, str, str]) -> None:
    study, series, instance = (quote(uid, safe="") for uid in uids)
    [path] = parse(f"/studies/{study}/series/{series}/instances/{instance}")
    assert path == filters.path_of(InstanceUids(*uids))
    assert position_of([path], InstanceUids(*uids)) == 0
    is_plain = [set(uid) <= set("0123456789.") for uid in uids]
    assert path == tuple(uid if plain else digest(uid) for uid, plain in zip(uids, is_plain, strict=True))
    assert parse(filters.line_of(path)) == [path]
    assert filters.has_malformed(path) is not all(is_plain)
    assert filters.display(path) == "/studies/{}/series/{}/instances/{}".format(
        *(uid if plain else "[malformed UID]" for uid, plain in zip(uids, is_plain, strict=True))
    )


@given(st.text(st.characters(exclude_characters="/%\r\n\0,", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1))
def test_a_uid_without_a_slash_or_a_percent_sign_needs_no_encoding_in_csv(uid: str) -> None:
    line = io.StringIO()
    csv.writer(line).writerow([f"/studies/{uid}"])
    if filters.path_of(InstanceUids(uid)):
        assert parse(line.getvalue()) == [filters.path_of(InstanceUids(uid))]


def test_a_uid_that_looks_like_a_digest_is_not_taken_for_one_when_it_is_encoded() -> None:
    uid = digest("x")
    assert parse(f"/studies/{uid}") == [(uid,)] == [filters.path_of(InstanceUids("x"))]
    assert parse(f"/studies/%7E{uid[1:]}") == [filters.path_of(InstanceUids(uid))] == [(digest(uid),)]


@pytest.mark.parametrize("end", ["\0", " ", "\xa0", " \0\xa0"])
def test_padding_after_a_uid_makes_no_other_uid_of_it(end: str) -> None:
    for uid in ("1.2", "A b"):
        assert parse(f"/studies/{quote(uid + end)}") == [filters.path_of(InstanceUids(uid))]
        assert filters.path_of(InstanceUids(uid + end)) == filters.path_of(InstanceUids(uid))


def test_a_path_that_a_wider_one_contains_is_dropped() -> None:
    text = "/studies/1.2/series/1.4\n/studies/1.2\n/studies/1.2\n/studies/1.20\n/studies/A\n/studies/A/series/1\n"
    assert list(filters.widest(parse(text))) == [("1.2",), ("1.20",), (digest("A"),)]


@given(filter_paths, st.tuples(components, components, components), st.integers(1, 7))
def test_an_instance_is_named_exactly_if_a_line_contains_it(
    paths: list[FilterPath], instance: FilterPath, at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "_SORTED_AT_ONCE", at_once)
        kept = list(filters.widest(filters.parse(map(filters.line_of, paths))))
    assert kept == sorted(kept)
    position = position_of(kept, InstanceUids(*instance))
    assert (position is not None) == any(instance[: len(path)] == path for path in paths)
    assert sum(instance[: len(path)] == path for path in kept) <= 1


def test_of_many_lines_one_run_and_some_bytes_for_each_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_SORTED_AT_ONCE", 5_000)
    numbers = list(range(60_000))
    random.Random(0).shuffle(numbers)

    def text() -> Iterator[str]:
        for number in numbers:
            study = f"1.2.826.0.1.3680043.8.498.{number // 1000}"
            yield f"/studies/{study}/series/{study}.{number // 100}/instances/{study}.1.{number}\n"

    def peak() -> int:
        tracemalloc.start()
        try:
            assert sum(1 for _ in filters.widest(filters.parse(text()))) == 60_000
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The least of three: threads of other tests of this process may allocate meanwhile. As a sorted list they take 14 MB.
    assert min(peak() for _ in range(3)) < 7_000_000


def test_an_instance_without_uids_is_named_by_no_path() -> None:
    assert position_of([("1.2",)], InstanceUids()) is None


@pytest.mark.parametrize(
    ("uids", "named"),
    [
        (InstanceUids("1.2", "1.2.3", "1.2.3.4"), True),
        (InstanceUids("1.2", "1.2.3"), False),
        (InstanceUids(None, "1.2.3", "1.2.3.4"), False),
        (InstanceUids("1.2", " \0", "1.2.3.4"), False),
        (InstanceUids("1.2", "1.2.3", "not a UID"), True),
    ],
)
def test_a_line_names_an_instance_alone_if_it_has_all_three_uids(uids: InstanceUids, *, named: bool) -> None:
    assert filters.names_instance(uids) is named
