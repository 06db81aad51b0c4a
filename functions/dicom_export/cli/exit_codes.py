"""Define how a command ends: 0 after success, 1 after a failure, 2 for wrong usage, 130 after an interruption."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

import click

from dicom_export.cli.help import Group
from dicom_export.cli.interruption import INTERRUPTED, interruptible
from dicom_export.crashes import keep_values_back, stack_trace
from dicom_export.errors import DISK_FULL, Cancelled, DicomExportError, InstanceError, Internal, TransientError
from dicom_export.folder_export.systems import check_system

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED = 1
WRONG_USAGE = 2

_DEFECT = (
    "This is a defect of dicom-export. Please report these lines; what the error quotes was left out, because it may be a value of a"
    " file:\n{}"
)

# The user did nothing wrong: the cause is the environment, the file or this program.
_NOT_THE_USERS = (Cancelled, InstanceError, Internal, TransientError)


class Refusal(click.ClickException):
    """An error that is printed as one line on standard error, and ends the command with exit code 1."""

    exit_code = FAILED


class WrongUsage(Refusal):
    """A wrong request, which did nothing and ends the command with exit code 2."""

    exit_code = WRONG_USAGE


class Interrupted(Refusal):
    """Ctrl-C ended the command, which had no work of its own to end."""

    exit_code = INTERRUPTED

    def __init__(self) -> None:
        super().__init__("Interrupted.")

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, which is not about an error."""
        click.echo(f"\n{self.message}", file=file or sys.stderr)


class Commands(Group):
    """Commands whose errors become messages, not tracebacks.

    Each command is a function in the module of the same name. A module is imported only when its command is used, because
    every decoding process imports this program.
    """

    def __init__(self, *args: Any, names: Sequence[str] = (), **options: Any) -> None:  # noqa: ANN401 - as click has it
        super().__init__(*args, **options)
        self._names = names

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click has it
        """Return the commands in order of use."""
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as click has it
        if cmd_name not in self._names:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"dicom_export.cli.{name}"), name)
        return command

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click has it
        keep_values_back()
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        try:
            check_system()
            with interruptible():
                return super().invoke(ctx)
        except DicomExportError as error:
            kind = Refusal if isinstance(error, _NOT_THE_USERS) else WrongUsage
            raise kind(error.message) from error
        except KeyboardInterrupt as error:
            raise Interrupted from error
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except OSError as error:
            raise Refusal(_of_the_system(error)) from error
        except Exception as error:
            raise Refusal(_DEFECT.format(stack_trace(error))) from error


def _of_the_system(error: OSError) -> str:
    """Return the operating system's message. An error without a number is a library's, and may quote a value."""
    if error.errno is None:
        return _DEFECT.format(stack_trace(error))
    if error.errno in DISK_FULL:
        where = f" ({error.filename!r})" if error.filename else ""
        return f"A disk is full{where}: free space, then run the same command again to resume"
    return f"{error.filename or 'The system'}: {os.strerror(error.errno)}"
