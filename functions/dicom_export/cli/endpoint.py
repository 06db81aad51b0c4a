"""Define the options of commands that work with a deployed installation: its address, and an identity token."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.ports import ServedExports

ENDPOINT = "DICOM_EXPORT_ENDPOINT"
TOKEN = "DICOM_EXPORT_TOKEN"  # noqa: S105 - the variable that has it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An installation that the user named, by an option or (`is_default`) by the environment variable."""

    url: str
    token: str | None = field(repr=False)
    is_default: bool = False

    def exports(self) -> ServedExports:
        """Return the installation's exports. Raises InvalidArgument, ConfigurationError."""
        # `--help` is answered without loading `bootstrap`.
        from dicom_export.bootstrap.served import served_exports

        return served_exports(self.url, self.token)

    @property
    def option(self) -> str:
        """The option that names the installation in a command to copy."""
        return f"--endpoint {shlex.quote(self.url)}"


def endpoint_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--endpoint` and `--token` to a command, which gets the Endpoint or None as `endpoint`."""

    @wraps(command)
    def with_endpoint(*, endpoint: str | None, token: str | None, **options: object) -> None:
        source = click.get_current_context().get_parameter_source("endpoint")
        named = Endpoint(endpoint, token, source is ParameterSource.ENVIRONMENT) if endpoint else None
        command(endpoint=named, **options)

    for option in reversed(_OPTIONS):
        with_endpoint = option(with_endpoint)
    return with_endpoint


_OPTIONS = (
    click.option(
        "--endpoint", metavar="URL", envvar=ENDPOINT,
        help=f"The address of an installation on Google Cloud, or of `serve`.  [env: {ENDPOINT}]",
    ),
    click.option(
        "--token", metavar="TOKEN", envvar=TOKEN,
        help="An identity token for the installation. Without it, the command gets one from Application Default Credentials or gcloud. An"
        f" address of this machine needs none.  [env: {TOKEN}]",
    ),
)  # fmt: skip
