"""The results of a smoke test: its steps, and the answers to the questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Outcome(StrEnum):
    """How a step or a question ended."""

    VERIFIED = "verified"
    PARTLY = "partly verified"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the output. `line` names the step, such as `export-by-http`, or the question, such as `question-07`."""

    line: str
    outcome: Outcome
    text: str
    measured: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "outcome": self.outcome.value,
            "text": self.text,
            "measured": dict(self.measured),
        }
