"""Open the API of a deployed installation, as its caller."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from dicom_export.adapters.http.address import Address
from dicom_export.adapters.http.calls import Api
from dicom_export.adapters.http.exports import HttpExports
from dicom_export.bootstrap.libraries import check_identity_libraries
from dicom_export.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.ports import ServedExports

_TOKEN = re.compile(r"[\x21-\x7e]+")


def served_exports(url: str, token: str | None = None) -> ServedExports:
    """Return the exports of the installation with this address.

    Requests to an https address of another machine have an identity token of the caller, unless `token` is given.
    Raises InvalidArgument for an address or a token that cannot be one, ConfigurationError if a library is missing.
    """
    address = Address.parse(url)
    return HttpExports(Api(address, _token_source(address, token)))


def _token_source(address: Address, token: str | None) -> Callable[[], str | None]:
    if token:
        given = token.strip()
        if not _TOKEN.fullmatch(given):
            raise InvalidArgument("The token has spaces or other characters that no identity token has")
        if not (address.is_encrypted or address.is_local):
            raise InvalidArgument(
                f"A token is not sent to {address.url}, where others could read it; expected https://"
            )
        return lambda: given
    if address.is_local or not address.is_encrypted:
        return lambda: None
    check_identity_libraries()
    return partial(_identity_token, address.url)


def _identity_token(audience: str) -> str:
    from dicom_export.adapters.gcp.identity import identity_token

    try:
        return identity_token(audience)
    except Unavailable as error:
        raise Unavailable(f"{error.message}. Or set DICOM_EXPORT_TOKEN to a token for {audience}") from error
