"""Define how much a command says on standard error and in its summary: `--quiet` and `--verbose`."""

from __future__ import annotations

from enum import Enum
from functools import wraps
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable


class Verbosity(Enum):
    """How much a command says."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"

    @property
    def is_quiet(self) -> bool:
        """Whether only problems are reported."""
        return self is Verbosity.QUIET

    @property
    def is_verbose(self) -> bool:
        """Whether each warning and each failure is printed when it happens."""
        return self is Verbosity.VERBOSE


def verbosity_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--quiet` and `--verbose` to a command, which gets the choice as `verbosity`."""

    @wraps(command)
    def with_verbosity(*, quiet: bool, verbose: bool, **options: object) -> None:
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose contradict each other: leave one out.")
        chosen = Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
        command(verbosity=chosen, **options)

    for option in reversed(_OPTIONS):
        with_verbosity = option(with_verbosity)
    return with_verbosity


_OPTIONS = (
    click.option(
        "-q", "--quiet", is_flag=True, help="Print only warnings, failures and errors: no progress, no summary of a success."
    ),
    click.option(
        "-v", "--verbose", is_flag=True, help="Print each warning and each failure when it happens."
    ),
)  # fmt: skip
