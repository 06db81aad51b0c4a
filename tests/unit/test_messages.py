from __future__ import annotations

import pytest

from dicom_export import messages
from dicom_export.errors import InvalidArgument
from dicom_export.messages import ExportStudy, InstanceChanged, Message, ObjectEvent, PlanExport, StudyExported
from support.factories import STORE, make_object, make_operation

NAME = make_operation().name


@pytest.mark.parametrize(
    "message",
    [
        PlanExport(NAME, 3),
        ExportStudy(NAME, 1, 2, (make_object("ü/1.dcm", generation=2**62), make_object("b"))),
        ExportStudy(NAME, 1, 2, (), applies_filter=True),
        ExportStudy(NAME, 1, 2, (make_object("b"),), is_known=True),
        StudyExported(NAME, 0),
        InstanceChanged(STORE, ObjectEvent.WRITTEN, make_object("ü/1.dcm", generation=2**62)),
        InstanceChanged(STORE, ObjectEvent.DELETED, make_object("\udcff")),
        InstanceChanged(STORE, ObjectEvent.WRITTEN, make_object()._replace(content_encoding="gzip")),
        PlanExport.unless_planned(NAME, 3),
    ],
)
def test_a_message_comes_back_from_the_wire(message: Message) -> None:
    assert messages.decode(message.topic, messages.encode(message)) == message


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("plan-export", b""),
        ("plan-export", b"[]"),
        ("plan-export", b'{"operation": "projects/p", "page": 1}'),
        ("plan-export", b'{"operation": 7, "page": 1}'),
        ("plan-export", b"\xff"),
        ("export-study", b'{"operation": "projects/p/locations/l/datasets/d/operations/o", "page": 1}'),
        ("nothing-like-it", b"{}"),
        (
            "instance-changed",
            b'{"store": "projects/p/locations/l/datasets/d/dicomStores/s", "event": "moved", "object": []}',
        ),
    ],
)
def test_a_malformed_message_is_an_invalid_argument(topic: str, data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        messages.decode(topic, data)


def test_a_message_says_beside_its_data_what_it_is_about() -> None:
    assert messages.attributes(StudyExported(NAME, 0)) == {"kind": "study-exported", "operation": str(NAME)}
    changed = InstanceChanged(STORE, ObjectEvent.DELETED, make_object())
    assert messages.attributes(changed) == {"kind": "instance-changed", "store": str(STORE)}


def test_the_version_before_can_read_what_has_nothing_new() -> None:
    assert len(messages.object_to_json(make_object())) == 5
    assert b"sender" not in messages.encode(PlanExport(NAME, 0))


def test_a_thousand_objects_fit_a_message() -> None:
    objects = tuple(make_object(f"{'1.2.840.113619.2.55.3.' * 8}{number}") for number in range(5000))
    assert len(messages.encode(ExportStudy(NAME, 0, 0, objects))) < 10_000_000
