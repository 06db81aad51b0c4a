"""Which permissions each method of the adapters to Google Cloud needs, by the calls of client libraries that it can come to.

The source is read, not run: what a method calls is found through the types that its class and its arguments are annotated with.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_ADAPTERS = Path(__file__).parents[2] / "functions" / "dicom_export" / "adapters" / "gcp"

# Who may not list a bucket is told 403 of an object that is not there, and not 404.
_READ = frozenset({"storage.objects.get", "storage.objects.list"})
_ROWS = frozenset({"bigquery.tables.updateData"})
_JOB = frozenset({"bigquery.jobs.create", "bigquery.jobs.get"})
_REPLACED = frozenset({"bigquery.tables.create", "bigquery.tables.getData", "bigquery.tables.get"}) | _ROWS

PERMISSIONS: dict[str, frozenset[str]] = {
    # Only `smoke-test` calls BigQuery's REST API by itself, as whoever runs it.
    "api_request": frozenset(),
    "append_rows": _ROWS,
    "batch_commit_write_streams": _ROWS,
    "create_table": frozenset({"bigquery.tables.create"}),
    "create_write_stream": _ROWS,
    "delete": frozenset({"storage.objects.delete"}),
    "delete_table": frozenset({"bigquery.tables.delete"}),
    "download_as_bytes": _READ,
    "finalize_write_stream": _ROWS,
    "get_blob": _READ,
    "get_bucket": frozenset({"storage.buckets.get"}),
    "get_dataset": frozenset({"bigquery.datasets.get"}),
    "get_job": frozenset({"bigquery.jobs.get"}),
    "get_subscription": frozenset({"pubsub.subscriptions.get"}),
    "get_table": frozenset({"bigquery.tables.get"}),
    "get_topic": frozenset({"pubsub.topics.get"}),
    "get_write_stream": frozenset({"bigquery.tables.get"}) | _ROWS,
    "list_blobs": frozenset({"storage.objects.list"}),
    # The lists of the console. Who may not list the tables of a dataset types the name.
    "list_datasets": frozenset(),
    "list_tables": frozenset(),
    "list_notifications": frozenset({"storage.buckets.get"}),
    "publish": frozenset({"pubsub.topics.publish"}),
    "query": _REPLACED | {"bigquery.jobs.create"},
    "read": _READ,
    "rewrite": frozenset({"storage.objects.create"}),
    "reload": frozenset({"bigquery.jobs.get"}),
    # Only `doctor` and `smoke-test` send requests of their own, as whoever runs them.
    "request": frozenset(),
    "result": _JOB,
    "update_table": frozenset({"bigquery.tables.update", "bigquery.tables.get"}),
    # An object that is there is replaced: its earlier generation is deleted.
    "upload_from_string": frozenset({"storage.objects.create", "storage.objects.delete"}),
}
"""What a call of a client library takes. Sources: https://cloud.google.com/storage/docs/access-control/iam-json and
https://cloud.google.com/bigquery/docs/access-control, with https://cloud.google.com/pubsub/docs/access-control.
"""


@dataclass
class _Function:
    """A function or a method: what it may come to next, as (class or "", name), and the libraries' methods that it calls."""

    next: set[tuple[str, str]] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)


def permissions_of(owner: str, name: str) -> frozenset[str]:
    """Return what a method of a class, or a function if the class is "", takes in all that it can come to."""
    functions = _functions()
    seen: set[tuple[str, str]] = set()
    waiting = [(owner, name)]
    assert (owner, name) in functions, f"{owner}.{name} was not found in the adapters"
    while waiting:
        place = waiting.pop()
        if place not in seen and place in functions:
            seen.add(place)
            waiting += functions[place].next
    return frozenset().union(*(PERMISSIONS[call] for place in seen for call in functions[place].calls))


def calls() -> set[str]:
    """Return the methods of client libraries that the adapters call."""
    return {call for function in _functions().values() for call in function.calls}


def calls_with_timeout() -> set[str]:
    """Return the names of all methods that the adapters call with a timeout, as every call of a client library has one."""
    return {
        node.func.attr
        for module in _modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and any(keyword.arg == "timeout" for keyword in node.keywords)
        and ast.unparse(node.func) != "subprocess.run"
    }


@cache
def _modules() -> tuple[ast.Module, ...]:
    return tuple(ast.parse(path.read_text()) for path in sorted(_ADAPTERS.rglob("*.py")))


@cache
def _classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for module in _modules() for node in module.body if isinstance(node, ast.ClassDef)}


@cache
def _functions() -> dict[tuple[str, str], _Function]:
    found: dict[tuple[str, str], _Function] = defaultdict(_Function)
    for module in _modules():
        for node in module.body:
            if isinstance(node, ast.FunctionDef):
                found["", node.name] = _read(node, "")
    for owner in _classes():
        for cls in _with_bases(owner):
            for node in cls.body:
                if isinstance(node, ast.FunctionDef) and (owner, node.name) not in found:
                    found[owner, node.name] = _read(node, owner)
    return dict(found)


def _with_bases(name: str) -> list[ast.ClassDef]:
    """Return the class, then those of the adapters that it is derived from."""
    cls = _classes()[name]
    bases = [base.id for base in cls.bases if isinstance(base, ast.Name) and base.id in _classes()]
    return [cls, *(each for base in bases for each in _with_bases(base))]


def _read(function: ast.FunctionDef, owner: str) -> _Function:
    found = _Function()
    arguments = {each.arg: _named(each.annotation) for each in function.args.args if each.annotation}
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            found.next |= {("", node.id), *((node.id, "__init__"),)}
        elif isinstance(node, ast.Attribute):
            cls = _class_of(node.value, owner, arguments)
            if cls:
                found.next.add((cls, node.attr))
            elif node.attr in PERMISSIONS and not _is_of_another_kind(node):
                found.calls.add(node.attr)
    return found


def _is_of_another_kind(node: ast.Attribute) -> bool:
    """Say whether the name is that of a library's method, and the method is another object's."""
    if node.attr == "read":
        return not (isinstance(node.value, ast.Name) and node.value.id == "ranges")
    if node.attr in {"append_rows", "publish", "query"}:
        return not (isinstance(node.value, ast.Attribute | ast.Name) and "client" in ast.unparse(node.value))
    return False


def _class_of(value: ast.expr, owner: str, arguments: dict[str, str]) -> str:
    """Return the adapters' class that an expression is of, or "" if it is of none."""
    name = ""
    if isinstance(value, ast.Name):
        name = owner if value.id == "self" else arguments.get(value.id, "")
    elif isinstance(value, ast.Call):
        name = _named(value.func)
    elif isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id == "self" and owner:
        name = _attributes(owner).get(value.attr, "")
    return name if name in _classes() else ""


@cache
def _attributes(owner: str) -> dict[str, str]:
    """Return the classes of the attributes that a class is annotated with, or gets by its constructor."""
    found: dict[str, str] = {}
    for cls in _with_bases(owner):
        for node in cls.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = _named(node.annotation)
            if isinstance(node, ast.FunctionDef) and node.decorator_list and node.returns:
                found[node.name] = _named(node.returns)
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                found |= _assigned(node)
    return found


def _assigned(constructor: ast.FunctionDef) -> dict[str, str]:
    types = {each.arg: _named(each.annotation) for each in constructor.args.args if each.annotation}
    found: dict[str, str] = {}
    for node in ast.walk(constructor):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in types:
            found |= {target.attr: types[node.value.id] for target in node.targets if isinstance(target, ast.Attribute)}
    return found


def _named(annotation: ast.expr | None) -> str:
    return annotation.id if isinstance(annotation, ast.Name) else ""
