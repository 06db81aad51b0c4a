"""Which module may import what: the layers of ARCHITECTURE.md, deferred and type-checking imports included."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest

from dicom_export.dicom import tags

SOURCE = Path(__file__).parents[2] / "functions"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}
ENTRY_POINTS = (
    "main",
    "dicom_export.__main__",
    "dicom_export.entry_points",
    "dicom_export.api",
    "dicom_export.cli",
    "dicom_export.folder_export",
    "dicom_export.python_api",
)
TAGS = {tag for tag in vars(tags).values() if isinstance(tag, int) and tag > 1 << 16} | {*tags.PIXELS, *tags.UIDS}
# Libraries that one kind of module may import.
OWNERS = {
    "duckdb": ("dicom_export.adapters.local",),
    "sqlglot": ("dicom_export.adapters.local",),
    "google.cloud": ("dicom_export.adapters.gcp",),
    "botocore": ("dicom_export.adapters.aws",),
    "watchdog": ("dicom_export.adapters.local",),
    "click": ("dicom_export.cli",),
    "rich": ("dicom_export.cli",),
    "flask": ("dicom_export.entry_points",),
    "functions_framework": ("dicom_export.entry_points",),
    "werkzeug": ("dicom_export.entry_points", "dicom_export.api.forms", "dicom_export.api.wsgi", "dicom_export.api.local_server"),
    "jinja2": ("dicom_export.console.templating",),
    "pydicom": ("dicom_export.dicom", "dicom_export.decoding", "dicom_export.smoke_testing.instances"),
    "dicom_export.settings": ("dicom_export.bootstrap", "dicom_export.cli", "dicom_export.folder_export", "dicom_export.python_api"),
    "dicom_export.bootstrap": ("dicom_export.entry_points", "dicom_export.cli", "dicom_export.folder_export", "dicom_export.python_api", "dicom_export.api.local_server"),
    "dicom_export.handlers": ("dicom_export.bootstrap",),
    "dicom_export.adapters": ("dicom_export.bootstrap", "dicom_export.cli.columns", "dicom_export.cli.query", "dicom_export.adapters.local.duckdb.result_files"),
    "dicom_export.folder_export": ("dicom_export.cli", "dicom_export.python_api"),
    "dicom_export.console": ("dicom_export.api.forms", "dicom_export.api.wsgi", "dicom_export.bootstrap"),
    "dicom_export.api": ("dicom_export.entry_points", "dicom_export.cli"),
    "dicom_export.cli": ("dicom_export.__main__",),
}  # fmt: skip


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@cache
def imports_of(module: str) -> set[str]:
    """Return all that the module imports: `from a import b` is `a.b`, which may be a module or a name in one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("imported", OWNERS)
def test_only_its_owners_import_it(imported: str) -> None:
    owners = (imported, *OWNERS[imported])
    importers = {name for name in MODULES if any(is_within(each, imported) for each in imports_of(name))}
    assert {name for name in importers if not any(is_within(name, owner) for owner in owners)} == set()


def test_adapters_of_different_services_do_not_know_each_other() -> None:
    for deployment, other in permutations(("local", "gcp", "aws"), 2):
        for name in MODULES:
            if is_within(name, f"dicom_export.adapters.{deployment}"):
                assert not [each for each in imports_of(name) if is_within(each, f"dicom_export.adapters.{other}")], (
                    name
                )


def test_only_settings_touches_the_environment() -> None:
    touching = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv"}
    }
    assert touching == {"dicom_export.settings"}


def test_nothing_but_entry_points_and_bootstrap_can_reach_an_adapter() -> None:
    """Follow the imports: a pure module that imports a module that imports an adapter is no pure module."""
    above = (*ENTRY_POINTS, "dicom_export.bootstrap", "dicom_export.adapters")
    for name in MODULES.keys() - {"dicom_export"}:  # which has the names of the Python API
        if not any(is_within(name, each) for each in above):
            assert not [each for each in reachable(name) if is_within(each, "dicom_export.adapters")], name


def reachable(module: str) -> set[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        for imported in imports_of(waiting.pop()):
            found = imported if imported in MODULES else imported.rpartition(".")[0]
            if found in MODULES and found not in seen:
                seen.add(found)
                waiting.append(found)
    return seen


def test_no_module_imports_one_that_imports_it() -> None:
    """Imports that only types need count too: what two modules need of each other belongs in a third."""
    for name in MODULES:
        assert name not in reachable(name), name


def test_protocols_are_declared_in_ports_only() -> None:
    declaring = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    }
    assert declaring == {"dicom_export.ports"}


def test_tags_are_written_in_one_module() -> None:
    found = Counter(
        node.value
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value in TAGS
    )
    assert [f"{tag:08X}" for tag, times in found.items() if times > 1] == []
