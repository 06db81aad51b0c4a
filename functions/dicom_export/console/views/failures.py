"""Failures grouped by reason, because many failures are usually few problems."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_export.console.texts import t
from dicom_export.errors import Code
from dicom_export.operations.failure import FailureStage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markupsafe import Markup

    from dicom_export.operations.failure import Failure

MOST_GROUPED = 20_000
"""The number of failures that are looked at for the reasons."""

_PLACE = re.compile(r"\b(byte|bytes|offset|position) [\d,]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = ("object", "generation", "study", "series", "instance", "stage", "code", "reason")


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason with the number of its failures, and what to do about it."""

    text: str
    failures: int
    code: Code
    stage: FailureStage

    @property
    def advice(self) -> Markup:
        """What the reader can do."""
        if self.stage is not FailureStage.READ:
            return t("advice.again")
        known = {Code.DATA_LOSS: "advice.cut", Code.NOT_FOUND: "advice.gone", Code.PERMISSION_DENIED: "advice.rights"}
        if self.code in known:
            return t(known[self.code])
        text = self.text.lower()
        for word, key in (("missing", "advice.missing"), ("not dicom", "advice.other"), ("limit", "advice.limit")):
            if word in text:
                return t(key)
        return t("advice.malformed")


def reason_of(failure: Failure) -> str:
    """Return the reason without the position that only this object has."""
    return _PLACE.sub(r"\1 …", failure.message)


def grouped(failures: Iterable[Failure]) -> list[Reason]:
    """Return the reasons, the most frequent first."""
    found: dict[str, tuple[int, Failure]] = {}
    for failure in failures:
        reason = reason_of(failure)
        times, first = found.get(reason, (0, failure))
        found[reason] = times + 1, first
    reasons = [Reason(text, times, first.code, first.stage) for text, (times, first) in found.items()]
    return sorted(reasons, key=lambda reason: (-reason.failures, reason.text))


def matches(failure: Failure, reason: str, text: str) -> bool:
    """Say whether a failure has the reason, and the text in the name of its object or in a UID. Empty ones match all."""
    if reason and reason_of(failure) != reason:
        return False
    return not text or any(text in part for part in (failure.object, *filter(None, failure.uids)))


def csv_lines(failures: Iterable[Failure]) -> Iterator[bytes]:
    """Yield the failures as CSV. A spreadsheet takes no value for a formula."""
    writer = csv.writer(_Line())
    yield _encoded(writer.writerow(_COLUMNS))
    for each in failures:
        values = (each.object, str(each.generation), *each.uids, each.stage.value, each.code.name, each.message)
        yield _encoded(writer.writerow([_harmless(value or "") for value in values]))


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value


def _encoded(line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace")


class _Line:
    """The file that csv writes to: what it returns is what `writerow` returns."""

    def write(self, line: str) -> str:
        return line
