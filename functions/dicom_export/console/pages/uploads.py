"""New uploads: where their rows go, and what could not be delivered."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from dicom_export.console.exchange import see_other
from dicom_export.console.shell import page
from dicom_export.console.views.operation import table_address
from dicom_export.exporting.replay import replay_name
from dicom_export.messages import ExportStudy
from dicom_export.names import OperationName

if TYPE_CHECKING:
    from dicom_export.console.exchange import Page, PageRequest
    from dicom_export.console.installation import Installation
    from dicom_export.names import StoreName
    from dicom_export.state.dead_letters import DeadLetter
    from dicom_export.streaming.config import StreamConfig

_MOST_LETTERS = 500
_CLOUD_CONSOLE = "https://console.cloud.google.com"


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A store that streams, and one of its tables."""

    store: StoreName
    table: str
    href: str
    tracks_changes: bool


@dataclass(frozen=True, slots=True)
class LetterRow:
    """The dead letters of an operation. `replay_href` leads to the operation that replays them, if there is one."""

    operation: OperationName
    letters: tuple[DeadLetter, ...]
    replay_href: str

    @property
    def href(self) -> str:
        """The address of the operation."""
        return _address(self.operation)

    @property
    def objects(self) -> int:
        """The number of objects in the letters."""
        return sum(len(each.message.objects) for each in self.letters if isinstance(each.message, ExportStudy))

    @property
    def has_plan(self) -> bool:
        """Whether a part of the store was not even listed."""
        return any(not isinstance(each.message, ExportStudy) for each in self.letters)

    @property
    def reasons(self) -> list[str]:
        """The reasons, each once."""
        return list(dict.fromkeys(each.reason.message for each in self.letters))


def show(request: PageRequest, installation: Installation) -> Page:
    """Show where uploads go, and the dead letters."""
    service = installation.service
    stores = [each for parent in service.datasets() for each in service.list_stores(parent)]
    streams = [_row(store, config, installation) for store in stores for config in service.stream_configs(store)]
    project = stores[0].parent.project
    failures = quote(
        'jsonPayload.@type="type.googleapis.com/google.cloud.healthcare.logging.DicomStreamLogEntry"', safe=""
    )
    return page(
        request,
        installation,
        "uploads.html",
        streams=streams,
        letters=_letters(installation),
        dashboards=f"{_CLOUD_CONSOLE}/monitoring/dashboards?{urlencode({'project': project})}",
        failures=f"{_CLOUD_CONSOLE}/logs/query;query={failures}?{urlencode({'project': project})}",
    )


def replay(request: PageRequest, installation: Installation) -> Page:
    """Export what the dead letters of an operation are about."""
    name = OperationName.parse(request.form.get("name", ""))
    return see_other(_address(installation.service.replay(name).name))


def _row(store: StoreName, config: StreamConfig, installation: Installation) -> StreamRow:
    table = config.table
    return StreamRow(
        store,
        f"{table.project}.{table.dataset}.{table.table}",
        table_address(table, is_local=installation.is_local),
        config.tracks_changes,
    )


def _letters(installation: Installation) -> list[LetterRow]:
    service = installation.service
    found: dict[OperationName, list[DeadLetter]] = {}
    for parent in service.datasets():
        for letter in islice(service.dead_letters(parent), _MOST_LETTERS):
            found.setdefault(letter.message.operation, []).append(letter)
    return [LetterRow(name, tuple(letters), _replay(name, installation)) for name, letters in found.items()]


def _replay(name: OperationName, installation: Installation) -> str:
    again = replay_name(name)
    return _address(again) if installation.service.journal.operations.find(again) else ""


def _address(name: OperationName) -> str:
    return f"operation?{urlencode({'name': str(name)})}"
