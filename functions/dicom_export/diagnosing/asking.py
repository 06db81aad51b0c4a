"""Ask the functions what their accounts may do: publish a check message per topic, and wait for the answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dicom_export.diagnosing.answering import Answer
from dicom_export.diagnosing.findings import Unreadable, tried

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.diagnosing.check_message import Check
    from dicom_export.diagnosing.installation import Installation
    from dicom_export.ports import CheckSender
    from dicom_export.state.checks import Checks

_POLL_SECONDS = 1.0
_API = "export_api"


def ask(
    check: Check,
    installation: Installation,
    sender: CheckSender,
    checks: Checks,
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, list[Answer] | Unreadable | None]:
    """Return the answers by entry point: None for a function that did not answer in time."""
    sent: dict[str, Unreadable | None] = {_API: _failure(lambda: sender.post(installation.api_url, check))}
    for function, receiver in installation.receivers.items():
        sent[function] = _failure(lambda topic=receiver.topic: sender.publish(topic, check))  # type: ignore[misc]
    answers: dict[str, list[Answer] | Unreadable | None] = dict(sent)
    waiting = [function for function, failure in sent.items() if failure is None]
    deadline = time.monotonic() + seconds
    while waiting:
        for function in waiting:
            answers[function] = _answers_of(checks, check, function)
        waiting = [function for function in waiting if answers[function] is None]
        if time.monotonic() >= deadline:
            break
        if waiting:
            sleep(_POLL_SECONDS)
    return answers


def _failure(send: Callable[[], None]) -> Unreadable | None:
    return tried(send)


def _answers_of(checks: Checks, check: Check, function: str) -> list[Answer] | Unreadable | None:
    found = tried(lambda: checks.find(check.id, function))
    if found is None or isinstance(found, Unreadable):
        return found
    return [Answer.from_json(each) for each in found]
