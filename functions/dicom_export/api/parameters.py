"""Query parameters: those of every Google API, and those of the method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://cloud.google.com/apis/docs/system-parameters; each goes by its name with a dollar sign, too.
_SYSTEM = frozenset(
    (
        *("access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser"),
        *("uploadType", "upload_protocol", "userIp", "userProject", "xgafv"),
    )
)


def method_parameters(query: Mapping[str, str], accepted: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters that the method takes. Raises InvalidArgument for what neither it nor the system does."""
    own = {name: value for name, value in query.items() if name in accepted}
    for name, value in query.items():
        system = name.removeprefix("$.").removeprefix("$")
        if name not in own and system not in _SYSTEM:
            raise InvalidArgument(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
                f" Field '{name}' could not be found in request message."
            )
        # `json;enum-encoding=int` is what Google's generated clients send.
        if system == "alt" and value.partition(";")[0] != "json":
            raise InvalidArgument(f"alt={value} is not served; it would be json.")
    return own


def system_parameter(query: Mapping[str, str], name: str) -> str:
    """Return a parameter of every Google API, by either of its names, empty if it is not given."""
    return query.get(name) or query.get(f"${name}", "")
