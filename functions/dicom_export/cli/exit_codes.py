"""How a command ends: 0 all well, 1 what was tried failed, 2 wrong usage."""

from __future__ import annotations

from typing import Any

import click

from dicom_export.errors import Cancelled, DicomExportError, InstanceError, Internal, TransientError

FAILED = 1
WRONG_USAGE = 2

# The user did nothing wrong: the world, the file or this program is not as it should be.
_NOT_THE_USERS = (Cancelled, InstanceError, Internal, TransientError)


class Refusal(click.ClickException):
    """An error of the system as one line on standard error, after which the command fails."""

    exit_code = FAILED


class WrongUsage(Refusal):
    """A request that cannot be met, and that did nothing."""

    exit_code = WRONG_USAGE


class Commands(click.Group):
    """Commands whose errors end in a message, not in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        try:
            return super().invoke(ctx)
        except DicomExportError as error:
            kind = Refusal if isinstance(error, _NOT_THE_USERS) else WrongUsage
            raise kind(error.message) from error
