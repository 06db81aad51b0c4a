"""A client library's client whose answers are written down beforehand: for the faults that no emulator has."""

from __future__ import annotations

from typing import Any


class Scripted:
    """Answers each method with what is scripted for it, in turn, the last one for ever, and notes every call.

    An exception is raised; the retry that is passed with a call is applied, as the library does.
    """

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = {name: list(each) for name, each in answers.items()}
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._answers:
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            retry = kwargs.get("retry")
            return retry(lambda: self._answer(name, args, kwargs))() if retry else self._answer(name, args, kwargs)

        return call

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the keyword arguments of each call of the method."""
        return [kwargs for called, _, kwargs in self.calls if called == name]

    def names(self) -> list[str]:
        """Return the methods that were called, in order."""
        return [name for name, _, _ in self.calls]

    def _answer(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.calls.append((name, args, kwargs))
        answers = self._answers[name]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(*args, **kwargs) if callable(answer) else answer
