"""Templates as pages: everything that is put into them is escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dicom_export.console import numbers
from dicom_export.console.texts import t

_BREAKABLE = ("/", ".", "_")


@cache
def environment() -> Environment:
    """Return the environment of the templates."""
    found = Environment(
        loader=PackageLoader("dicom_export.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["t"] = t
    found.filters.update(
        n=numbers.count,
        size=numbers.size,
        duration=numbers.duration,
        moment=numbers.moment,
        clock=numbers.clock,
        about=numbers.about,
        iso=numbers.iso,
        breakable=breakable,
    )
    return found


def load() -> None:
    """Compile all templates, so that the first page does not wait for it."""
    found = environment()
    for name in found.list_templates():
        found.get_template(name)


def render(template: str, values: dict[str, Any]) -> bytes:
    """Return the page in UTF-8. Text of file names that is not Unicode is shown with its escapes."""
    return environment().get_template(template).render(values).encode("utf-8", "backslashreplace")


def breakable(text: object) -> Markup:
    """Return the text, which may break after the separators of a path or a table's name."""
    found = str(Markup.escape(str(text)))
    for separator in _BREAKABLE:
        found = found.replace(separator, f"{separator}\u200b")
    return Markup(found.replace("\u200b", "<wbr>"))  # noqa: S704 - escaped above


@cache
def static_file(name: str) -> bytes | None:
    """Return a style sheet, a script or the icon, or None."""
    found = {each.name: each for each in files("dicom_export.console").joinpath("static").iterdir()}
    return found[name].read_bytes() if name in found else None
