"""All violations of a request, so that the sender can correct them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from dicom_export.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


class Violations:
    """Collects the violations of a request's fields."""

    def __init__(self) -> None:
        # A dict keeps their order, and each of them once.
        self._found: dict[FieldViolation, None] = {}

    def add(self, field: str, description: str) -> None:
        """Record what is wrong with a field."""
        self._found[FieldViolation(field, description)] = None

    def of(self, field: str, parse: Callable[[], T]) -> T | None:
        """Return the result of `parse`, or None if it raises InvalidArgument, which is recorded."""
        try:
            return parse()
        except InvalidArgument as error:
            for violation in error.violations or (FieldViolation(field, error.message),):
                self._found[violation] = None
            return None

    def check(self) -> None:
        """Raise InvalidArgument with all violations, if there are any."""
        if self._found:
            message = "\n".join(violation.description for violation in self._found)
            raise InvalidArgument(message, tuple(self._found))
