"""The API's methods: each decodes what its request says, makes one call, and encodes what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.api.paging import page_size, start_position, take_page
from dicom_export.discovery import discovery_document
from dicom_export.errors import InvalidArgument
from dicom_export.export_request import parse_export_request
from dicom_export.names import DatasetName, OperationName, StoreName
from dicom_export.operations_filter import parse_operations_filter
from dicom_export.operations_json import failure_to_json, operation_to_json
from dicom_export.transcoding import JsonMessage, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.api.exports import Exports

    Json = dict[str, Any]


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


def get_store(call: Call, service: Exports) -> Json:
    """dicomStores.get."""
    return _store_json(service.get_store(StoreName.parse(call.name)), service)


def list_stores(call: Call, service: Exports) -> Json:
    """dicomStores.list."""
    size, start_after = page_size(call.query), start_position(call.query, call.name)
    stores = [store for store in service.list_stores(DatasetName.parse(call.name)) if str(store) > start_after]
    page, more = take_page(((str(store), _store_json(store, service)) for store in stores), size, call.name)
    return {"dicomStores": page, **more}


def _store_json(store: StoreName, service: Exports) -> Json:
    streams = [config.to_json() for config in service.stream_configs(store)]
    return {"name": str(store), **({"streamConfigs": streams} if streams else {})}


def get_operation(call: Call, service: Exports) -> Json:
    """operations.get."""
    return operation_to_json(service.get_operation(OperationName.parse(call.name)), call.version)


def list_operations(call: Call, service: Exports) -> Json:
    """operations.list."""
    text = call.query.get("filter", "")
    is_wanted = parse_operations_filter(text)
    size, start_after = page_size(call.query), start_position(call.query, call.name, text)
    found = service.list_operations(DatasetName.parse(call.name), start_after=start_after)
    page, more = take_page(((at, each) for at, each in found if is_wanted(each)), size, call.name, text)
    return {"operations": [operation_to_json(operation, call.version) for operation in page], **more}


def cancel_operation(call: Call, service: Exports) -> Json:
    """operations.cancel."""
    JsonMessage.root(parse_json(call.body), ())
    service.cancel_operation(OperationName.parse(call.name))
    return {}


def list_failures(call: Call, service: Exports) -> Json:
    """Return a page of what failed in an operation, as far as that is; the managed service tells it in the logs only."""
    size, start_after = page_size(call.query), start_position(call.query, call.name)
    found = service.failures_behind(OperationName.parse(call.name), start_after=start_after)
    page, more = take_page(found, size, call.name)
    return {"failures": [failure_to_json(failure) for failure in page], **more}


def get_health(_call: Call, _service: Exports) -> Json:
    """Tell that the process answers. It asks nothing of the services behind it."""
    return {"status": "ok"}


def get_discovery(call: Call, _service: Exports) -> Json:
    """Return the discovery document of the version that is asked for."""
    version = call.query.get("version", "v1")
    if version not in ("v1", "v1beta1"):
        raise InvalidArgument(f"version is {version!r}; it would be v1 or v1beta1.")
    return discovery_document(version, call.host_url)
