"""The paths of the console. Every other path belongs to the API.

All pages are in one folder, so that their links work below any address.
"""

from __future__ import annotations

PAGES = (
    "/",
    "/export",
    "/operations",
    "/operation",
    "/failures.csv",
    "/data",
    "/result",
    "/uploads",
)
STATIC = "/static/"


def is_console(path: str) -> bool:
    """Say whether the console answers the path."""
    return path in PAGES or path.startswith(STATIC)
