"""Implement the API's methods: each decodes its request, makes one call, and encodes the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dicom_export.api.paging import page_size, start_position, take_page
from dicom_export.api.parameters import check_boolean
from dicom_export.errors import FailedPrecondition, InvalidArgument, NotFound
from dicom_export.names import DatasetName, OperationName, StoreName
from dicom_export.protocol.discovery import VERSIONS, discovery_document
from dicom_export.protocol.export_request import parse_export_request
from dicom_export.protocol.operations_filter import parse_operations_filter
from dicom_export.protocol.operations_json import failure_to_json, operation_to_json
from dicom_export.protocol.resource_filter import fulfils_without_labels, parse_location_filter
from dicom_export.protocol.tolerant_json import parse_json
from dicom_export.protocol.transcoding import JsonMessage
from dicom_export.protocol.violations import Violations
from dicom_export.rows.layout import TABLE_SCHEMAS, SchemaKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dicom_export.operations.operation import Operation
    from dicom_export.ports import Exports

    Json = dict[str, Any]
    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a method: the API version and the resource name in its path, its own query parameters, its body."""

    version: str
    name: str
    query: Mapping[str, str]
    body: bytes
    host_url: str


def export_store(call: Call, service: Exports) -> Json:
    """dicomStores.export."""
    request = parse_export_request(StoreName.parse(call.name), parse_json(call.body), api_version=call.version)
    return {"name": str(service.create_export(request, api_version=call.version).name)}


def estimate_export(call: Call, service: Exports) -> Json:
    """Return what an export of the store would take; the managed service has no such method."""
    kinds = {kind.value: kind for kind in TABLE_SCHEMAS}
    kind = call.query.get("schema", SchemaKind.FLATTENED.value)
    if kind not in kinds:
        raise InvalidArgument(f"schema is {kind[:100]!r}; expected {' or '.join(kinds)}.")
    return service.estimate(StoreName.parse(call.name), kinds[kind]).to_json()


def get_store(call: Call, service: Exports) -> Json:
    """dicomStores.get."""
    return _store_json(service.get_store(StoreName.parse(call.name)), call, service)


def list_stores(call: Call, service: Exports) -> Json:
    """dicomStores.list."""
    parent = _dataset(call, service)
    violations = Violations()
    are_wanted = violations.of("filter", lambda: fulfils_without_labels(call.query.get("filter", "")))
    size, start_after = _page(call, violations)
    wanted = service.list_stores(parent) if are_wanted else []
    found = ((str(store), _store_json(store, call, service)) for store in wanted if str(store) > start_after)
    return _paged("dicomStores", found, size, call)


def _store_json(store: StoreName, call: Call, service: Exports) -> Json:
    streams = [config.to_json(call.version) for config in service.stream_configs(store)]
    return {"name": str(store), **({"streamConfigs": streams} if streams else {})}


def get_operation(call: Call, service: Exports) -> Json:
    """operations.get."""
    return _operation_json(service.get_operation(OperationName.parse(call.name)), call)


def list_operations(call: Call, service: Exports) -> Json:
    """operations.list."""
    parent = _dataset(call, service)
    violations = Violations()
    is_wanted = violations.of("filter", lambda: parse_operations_filter(call.query.get("filter", "")))
    # All operations of a dataset are in one place, so none is unreachable.
    check_boolean(call.query, "returnPartialSuccess", violations)
    size, start_after = _page(call, violations)
    found = service.list_operations(parent, start_after=start_after)
    wanted = ((at, _operation_json(each, call)) for at, each in found if is_wanted and is_wanted(each))
    return _paged("operations", wanted, size, call)


def _operation_json(operation: Operation, call: Call) -> Json:
    return operation_to_json(operation, call.version, f"{call.host_url}{call.version}/")


def cancel_operation(call: Call, service: Exports) -> Json:
    """operations.cancel."""
    JsonMessage.root(parse_json(call.body), ()).check()
    operation = service.cancel_operation(OperationName.parse(call.name))
    if operation.is_done:
        raise FailedPrecondition("operation has already completed")
    return {}


def list_failures(call: Call, service: Exports) -> Json:
    """Return a page of an operation's failures so far. The managed service has them only in the logs."""
    name = OperationName.parse(call.name)
    size, start_after = _page(call, Violations())
    found = service.failures_after(name, start_after=start_after)
    return _paged("failures", ((at, failure_to_json(failure)) for at, failure in found), size, call)


def get_dataset(call: Call, service: Exports) -> Json:
    """datasets.get."""
    return {"name": str(_dataset(call, service))}


def list_datasets(call: Call, service: Exports) -> Json:
    """Return the datasets of the declared stores in a location, or in all for `-`."""
    _, project, _, location = call.name.split("/")
    found = [each for each in service.datasets() if each.project == project and location in ("-", each.location)]
    _require(found, call.name)
    size, start_after = _page(call, Violations())
    names = [str(each) for each in found]
    return _paged("datasets", ((name, {"name": name}) for name in names if name > start_after), size, call)


def get_location(call: Call, service: Exports) -> Json:
    """locations.get."""
    names = _locations(call.name.rpartition("/locations/")[0], service)
    _require([name for name in names if name == call.name], call.name)
    return _location_json(call.name)


def list_locations(call: Call, service: Exports) -> Json:
    """Return the locations of the declared stores."""
    names = _require(_locations(call.name, service), call.name)
    violations = Violations()
    is_wanted = violations.of("filter", lambda: parse_location_filter(call.query.get("filter", "")))
    size, start_after = _page(call, violations)
    found = [_location_json(name) for name in names if name > start_after]
    return _paged("locations", ((each["name"], each) for each in found if is_wanted and is_wanted(each)), size, call)


def _locations(project: str, service: Exports) -> list[str]:
    names = {f"projects/{each.project}/locations/{each.location}" for each in service.datasets()}
    return sorted(name for name in names if name.startswith(f"{project}/"))


def _location_json(name: str) -> Json:
    location = name.rpartition("/")[2]
    return {"name": name, "locationId": location, "displayName": location}


def _dataset(call: Call, service: Exports) -> DatasetName:
    """Return the dataset in the path. Raises NotFound if no declared store is in it."""
    parent = DatasetName.parse(call.name)
    _require([each for each in service.datasets() if each == parent], call.name)
    return parent


def _require(found: list[T], name: str) -> list[T]:
    if not found:
        raise NotFound(f"{name} was not found: no declared DICOM store is in it.")
    return found


def _page(call: Call, violations: Violations) -> tuple[int, str]:
    """Return the size and the start of a page. Raises InvalidArgument with these violations and those of the two parameters."""
    bound_to = _bound_to(call)
    size = violations.of("page_size", lambda: page_size(call.query))
    start_after = violations.of("page_token", lambda: start_position(call.query, *bound_to))
    violations.check()
    return size or 0, start_after or ""


def _paged(kind: str, found: Iterable[tuple[str, Json]], size: int, call: Call) -> Json:
    page, more = take_page(found, size, *_bound_to(call))
    return {kind: page, **more}


def _bound_to(call: Call) -> tuple[str, ...]:
    """Return the list that a page token continues: its name and its filter."""
    return call.name, call.query.get("filter", "")


def get_health(_call: Call, _service: Exports) -> Json:
    """Answer that the process runs. No service is called."""
    return {"status": "ok"}


def get_discovery(call: Call, _service: Exports) -> Json:
    """Return the discovery document of the requested version."""
    version = call.query.get("version", "v1")
    if version not in VERSIONS:
        raise InvalidArgument(f"version is {version[:100]!r}; expected {' or '.join(VERSIONS)}.")
    return discovery_document(version, call.host_url)
