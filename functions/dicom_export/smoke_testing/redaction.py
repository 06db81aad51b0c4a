"""Replace the names of a user's resources by placeholders: the output is sent to others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# What looks like a name of the user, wherever a service quotes it.
_PATTERNS = (
    (re.compile(r"\s*Location: \S+\s+Job ID: \S+"), ""),
    (re.compile(r"(?i)\bdicom_export_smoke_[0-9a-f]+"), "JOB"),
    (re.compile(r"[\w.+-]+@[\w.-]+\.\w+"), "ACCOUNT"),
    (re.compile(r"https?://[^\s\"'<>]+"), "URL"),
    (re.compile(r"\bprojects/[^/\s\"'`]+"), "projects/PROJECT"),
    (re.compile(r"\bgs://[^\s\"'`]+"), "gs://BUCKET"),
    (re.compile(r"\b\d{9,}\b"), "NUMBER"),
)


class Redaction:
    """Replaces known names, then what looks like one.

    `names` are replaced wherever they are, `words` only where they are whole words: they may be words of our own text.
    """

    def __init__(self, names: Mapping[str, str], words: Mapping[str, str] | None = None) -> None:
        self._known = [
            *((re.compile(re.escape(name)), names[name]) for name in _longest_first(names)),
            *(
                (re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])"), (words or {})[word])
                for word in _longest_first(words or {})
            ),
        ]

    def text(self, text: str) -> str:
        """Return the text without names."""
        for pattern, instead in (*self._known, *_PATTERNS):
            text = pattern.sub(instead, text)
        return " ".join(text.split())

    def value(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return JSON without names, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value


def _longest_first(names: Mapping[str, str]) -> list[str]:
    """Return the names in an order in which none is replaced inside of a longer one."""
    return sorted(filter(None, names), key=len, reverse=True)
