"""The tables of methods and messages of the API, from its discovery document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_export.protocol.discovery import discovery_document
from support.reference_pages.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Json = dict[str, Any]

_DOCUMENT = discovery_document("v1beta1", "https://example.com/")
_COLLECTION = "projects/{projectsId}/locations"
# A page of results, and messages without a field: their names say it all.
_NOT_SHOWN = ("List", "Empty", "CancelOperationRequest")


def methods() -> str:
    """Return the table of the methods: name, HTTP request below `…/locations`, query parameters, request and response."""
    rows = []
    for method in _methods(_DOCUMENT["resources"]):
        request = method.get("request", {}).get("$ref", "")
        query = [f"`{name}`" for name, each in method["parameters"].items() if each["location"] == "query"]
        rows.append(
            (
                f"`{method['id'].removeprefix('healthcare.projects.')}`",
                f"{method['httpMethod']} `{_path(method)}`",
                ", ".join(query),
                f"`{_short(request)}`" if request else "",
                f"`{_short(method['response']['$ref'])}`",
            )
        )
    return table(("method", "request", "query parameters", "body", "response"), rows)


def messages() -> str:
    """Return a table of fields for each message."""
    shown = {
        name: schema
        for name, schema in _DOCUMENT["schemas"].items()
        if schema["properties"] and not name.startswith(_NOT_SHOWN)
    }
    return "\n".join(f"### {_short(name)}\n\n{_fields(schema['properties'])}" for name, schema in shown.items())


def _fields(properties: Json) -> str:
    rows = ((f"`{name}`", _type(each), each.get("description", "")) for name, each in properties.items())
    return table(("field", "type", "meaning"), rows)


def _type(field: Json) -> str:
    if "$ref" in field:
        return f"`{_short(field['$ref'])}`"
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"]).replace("\\|", "or")
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    return str(field.get("format", field["type"]))


def _methods(resources: Mapping[str, Json]) -> Iterator[Json]:
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from _methods(resource.get("resources", {}))


def _path(method: Json) -> str:
    """Return the path below `projects/P/locations`, with a letter per variable."""
    path = str(method["flatPath"]).partition(_COLLECTION)[2]
    letters = {"locations": "L", "datasets": "D", "dicomStores": "S", "operations": "O"}
    for collection, letter in letters.items():
        path = path.replace(f"{{{collection}Id}}", letter)
    return f"…/locations{path}"


def _short(name: str) -> str:
    """Return the name of a message without the prefix that it has from the managed service."""
    return name.removeprefix("GoogleCloudHealthcareV1beta1Dicom")
