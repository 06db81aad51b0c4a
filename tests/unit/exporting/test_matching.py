"""What a filter says of objects whose Study Instance UID is not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicom_export.decoding.decoded import Skipped
from dicom_export.errors import (
    EncodedObject,
    InstanceError,
    InstanceGone,
    LimitExceeded,
    MissingUid,
    NotDicom,
    PermanentError,
    PermissionDenied,
    TruncatedInstance,
    UnreadableArchive,
)
from dicom_export.exporting.matching import UNNAMED, UNREADABLE, Selection
from dicom_export.uids import InstanceUids


def make_selection(named: str = "1.2") -> Selection:
    """Return a selection by a filter that names one study."""

    def position_of(uids: InstanceUids) -> int | None:
        return 0 if uids.study == named else None

    return Selection(cast("Any", SimpleNamespace(position_of=position_of)))


@pytest.mark.parametrize("kind", [TruncatedInstance, MissingUid, InstanceError])
def test_a_damaged_object_of_no_known_study_is_passed_over(kind: type[InstanceError]) -> None:
    assert make_selection()(kind("Cut short")) == UNREADABLE
    assert make_selection()(kind("Cut short", InstanceUids(None, "1.3", "1.4"))) == UNREADABLE


@pytest.mark.parametrize(
    "kind", [EncodedObject, InstanceGone, LimitExceeded, UnreadableArchive, PermissionDenied, PermanentError]
)
def test_an_object_that_may_be_whole_is_a_failure(kind: type[PermanentError]) -> None:
    error = kind("It cannot be read")
    assert make_selection()(error) is error


def test_a_damaged_object_of_a_named_study_is_a_failure_and_of_another_study_passed_over() -> None:
    named = TruncatedInstance("Cut short", InstanceUids("1.2", "1.3", None))
    selection = make_selection()
    assert selection(named) is named
    assert selection.matched == {0}
    assert selection(TruncatedInstance("Cut short", InstanceUids("1.5", None, None))) == UNNAMED


def test_what_is_not_dicom_is_passed_over() -> None:
    assert make_selection()(NotDicom("Not DICOM")) == UNNAMED
    assert make_selection()(Skipped("text")) == Skipped("text")
