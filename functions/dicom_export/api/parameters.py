"""Check query parameters: those of every Google API, and those of the method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.protocol.transcoding import own_name
from dicom_export.protocol.violations import Violations

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://cloud.google.com/apis/docs/system-parameters; each may also be written with a dollar sign.
_SYSTEM = frozenset(
    (
        *("access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser"),
        *("uploadType", "upload_protocol", "userIp", "userProject", "xgafv"),
    )
)
_BOOLEANS = ("true", "false", "1", "0", "")
_MAX_SHOWN_LENGTH = 200


def method_parameters(query: Mapping[str, str], accepted: tuple[str, ...]) -> dict[str, str]:
    """Return the method's parameters by their JSON names.

    Raises InvalidArgument for all parameters that are neither the method's nor system parameters.
    """
    names = {spelling: name for name in accepted for spelling in (name, own_name(name))}
    violations = Violations()
    own: dict[str, str] = {}
    for given, value in query.items():
        system = given.removeprefix("$.").removeprefix("$")
        shown = given[:_MAX_SHOWN_LENGTH]
        if given in names:
            own[names[given]] = value
        elif system not in _SYSTEM:
            violations.add(
                "",
                f'Invalid JSON payload received. Unknown name "{shown}": Cannot bind query parameter.'
                f" Field '{shown}' could not be found in request message.",
            )
        # Google's generated clients send `json;enum-encoding=int`.
        elif system == "alt" and value.partition(";")[0] != "json":
            violations.add("alt", f"alt={value[:_MAX_SHOWN_LENGTH]} is not supported; expected json.")
    violations.check()
    return own


def check_boolean(parameters: Mapping[str, str], name: str, violations: Violations) -> None:
    """Add a violation if the parameter is given and is not a bool."""
    value = parameters.get(name, "")
    if value.lower() not in _BOOLEANS:
        shown = value[:_MAX_SHOWN_LENGTH]
        violations.add(
            own_name(name), f"Invalid value at '{own_name(name)}' (TYPE_BOOL), {shown!r}; expected true or false."
        )


def system_parameter(query: Mapping[str, str], name: str) -> str:
    """Return a system parameter by either of its names, or an empty text if it is not given."""
    return query.get(name) or query.get(f"${name}", "")
