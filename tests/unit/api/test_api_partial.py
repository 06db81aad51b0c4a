from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_export.api import HttpRequest, answer
from dicom_export.api.partial import check_fields, parse_fields, select_fields
from dicom_export.errors import InvalidArgument
from dicom_export.protocol.discovery_schemas import schemas
from support.exports import DATASET, STORE, InMemoryExports, make_operation

BODY = {
    "operations": [
        {"name": "a", "done": True, "metadata": {"@type": "t", "counter": {"success": "1", "failure": "2"}}},
        {"name": "b", "metadata": {"@type": "t", "counter": {}}},
    ],
    "nextPageToken": "n",
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", BODY),
        ("*", BODY),
        ("nextPageToken", {"nextPageToken": "n"}),
        ("nowhere", {}),
        ("operations/name", {"operations": [{"name": "a"}, {"name": "b"}]}),
        ("operations(name, done)", {"operations": [{"name": "a", "done": True}, {"name": "b"}]}),
        (
            "operations/metadata(@type),nextPageToken",
            {"operations": [{"metadata": {"@type": "t"}}] * 2, "nextPageToken": "n"},
        ),
        (
            "operations/metadata/counter/failure,operations/name",
            {
                "operations": [
                    {"name": "a", "metadata": {"counter": {"failure": "2"}}},
                    {"name": "b", "metadata": {"counter": {}}},
                ]
            },
        ),
        (
            "operations/*/counter/success",
            {
                "operations": [
                    {"metadata": {"counter": {"success": "1"}}, "name": "a", "done": True},
                    {"name": "b", "metadata": {"counter": {}}},
                ]
            },
        ),
        ("nextPageToken,nextPageToken", {"nextPageToken": "n"}),
        ("operations/name,operations", {"operations": BODY["operations"]}),
    ],
)
def test_a_selector_names_what_is_answered(fields: str, expected: dict[str, Any]) -> None:
    assert select_fields(BODY, parse_fields(fields)) == expected


@pytest.mark.parametrize(
    "fields",
    [",", "a,", "a/", "/a", "a(", "a(b", "a)", "()", "a()", "a b(", "a;b", "a/" * 5_000 + "a", "a,,b", "a(b)c"],
)
def test_a_malformed_selector_is_an_invalid_argument(fields: str) -> None:
    with pytest.raises(InvalidArgument, match="Invalid fields"):
        select_fields(BODY, parse_fields(fields))


@given(
    st.lists(st.sampled_from(["operations", "name", "*", "metadata", "@type", ",", "/", ".", "(", ")", " ", "é"])).map(
        "".join
    )
)
def test_any_selector_selects_or_is_refused(fields: str) -> None:
    try:
        mask = parse_fields(fields)
    except InvalidArgument:
        return
    assert select_fields(BODY, mask).keys() <= BODY.keys()
    for response in schemas("v1"):
        with suppress(InvalidArgument):
            check_fields(mask, response, schemas("v1"))


def test_a_mask_of_wildcards_alone_is_checked_in_no_time() -> None:
    for fields in ("*", "*/*/*/*", "/".join("*" * 99)):
        with suppress(InvalidArgument):
            check_fields(parse_fields(fields), "ListOperationsResponse", schemas("v1"))


def test_a_malformed_selector_starts_nothing() -> None:
    service = InMemoryExports()
    body = b'{"bigqueryDestination": {"tableUri": "bq://p.d.t"}}'
    response = answer(HttpRequest("POST", f"/v1/{STORE}:export", {"fields": "name("}, body), service)
    assert (response.status, service.requests) == (400, [])


@pytest.mark.parametrize("parameter", ["fields", "$fields"])
def test_the_api_answers_partially(parameter: str) -> None:
    service = InMemoryExports(operations=[make_operation()])
    query = {parameter: "name", "prettyPrint": "false"}
    response = answer(HttpRequest("GET", f"/v1/{DATASET}/operations/o1", query), service)
    assert response.encode() == f'{{"name": "{DATASET}/operations/o1"}}\n'.encode()
