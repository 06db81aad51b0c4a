"""One machine on which the same command is run again and again: its processes die at any effect, its files come back from older copies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

from dicom_export.adapters.local.duckdb.destinations import KnownFiles
from dicom_export.adapters.local.duckdb.tables import DuckDbTables
from dicom_export.adapters.local.folder.state import FolderState
from dicom_export.adapters.local.folder.store import FolderStore
from dicom_export.bootstrap.reopening import reopen
from dicom_export.bootstrap.wiring import Ports, handlers_on, service_on
from dicom_export.cli.running import folder_run
from dicom_export.decoding.counted import DecodedCounts
from dicom_export.folder_export.ignored import Ignored
from dicom_export.operations.counters import Counters
from dicom_export.operations.planning import PlanLimits
from dicom_export.operations.request import ExportRequest, WriteDisposition
from dicom_export.rows.layout import SchemaKind
from dicom_export.stores import DeclaredStore
from support.command_line import rows
from support.dicom_files import make_instance
from support.factories import PARENT, STORE, TABLE
from support.faults import Crash, Faults, Faulty, Mailbox

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_export.operations.operation import Operation

LIMITS = PlanLimits(bundle=3, split=4, page_tasks=2, page_objects=6)
INSTANCES = [f"1.2.{study}.{number}" for study in range(1, 4) for number in range(study)]
EXPECTED = Counters(planned=7, success=6, failure=1, studies=3)
"""The counters of an export of the store of `make_store`."""


def make_store(root: Path) -> Path:
    """Write three studies of one to three instances, and a file that is not DICOM. Return the folder."""
    for uid in INSTANCES:
        study = uid.rpartition(".")[0]
        folder = root / study / "1.3"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{uid}.dcm").write_bytes(make_instance(StudyInstanceUID=study, SOPInstanceUID=uid))
    (root / "1.2.3/1.3/1.2.3.9.dcm").write_bytes(b"\0no DICOM at all")
    return root


@dataclass
class Machine:
    """A folder of DICOM files, a DuckDB file and the state next to it, below `root`."""

    root: Path
    store: Path
    disposition: WriteDisposition
    reported: list[Operation] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The DuckDB file."""
        return self.root / "table.duckdb"

    @property
    def data(self) -> Path:
        """The folder of the state and of the streams."""
        return self.root / "data"

    def run(self, faults: Faults | None = None) -> bool:
        """Run the command; return whether it noted that it had reported the operation, rather than being killed before that."""
        faults = faults or Faults()
        tables = DuckDbTables({"local": self.file}, streams=self.data / "streams")
        try:
            tables.create_dataset(TABLE.project, TABLE.dataset)
            self._run(tables, faults)
        except Crash:
            return "report" in faults.log[:-1]
        finally:
            tables.close()
        return True

    def _run(self, tables: DuckDbTables, faults: Faults) -> None:
        state, mailbox = Faulty(FolderState(self.data / "state"), faults), Mailbox(faults)
        ports = Ports(
            cast("Any", state),
            {STORE: DeclaredStore(FolderStore(self.store, ("*.txt",)), ("*.txt",))},
            lambda _: None,
            cast("Any", Faulty(tables, faults)),
            mailbox,
        )
        service, handlers = service_on(ports), handlers_on(ports, LIMITS)
        known_files = KnownFiles(cast("Any", state), tables)
        reopen(service, cast("Any", Faulty(tables, faults)), known_files, {PARENT}, [(TABLE.project, TABLE.dataset)])

        def wait(_: float | None = None) -> bool:
            while mailbox.waiting:
                mailbox.deliver(handlers, 0)
            return True

        deployment = cast("Any", SimpleNamespace(service=service, wait=wait, decoded=DecodedCounts()))
        request = ExportRequest(STORE, TABLE, self.disposition, SchemaKind.JSON)
        console = Console(file=(self.root / "errors.txt").open("a"), force_terminal=False)
        ignored = Ignored(frozenset(), self.data / "ignored")
        operation = folder_run(deployment, request, ignored, console, self.store, reports=True).to_its_end()
        faults.reach("end")
        self.reported.append(operation)
        faults.reach("report")
        service.set_reported(operation.name)

    def effects(self) -> list[str]:
        """Run the command to its end, and return the effects that it had."""
        faults = Faults()
        assert self.run(faults)
        return faults.log

    def instances(self) -> list[str]:
        """Return the SOP Instance UIDs in the table."""
        return [uid for (uid,) in rows(self.file, "SELECT SOPInstanceUID FROM main.dicom ORDER BY 1")]

    def streams(self) -> list[Path]:
        """Return the files that hold rows outside of the table."""
        return list((self.data / "streams").glob("*/*.arrow"))

    def copy(self, name: str) -> Machine:
        """Return a machine that is as this one is now."""
        shutil.copytree(self.root, self.root.with_name(name))
        return Machine(self.root.with_name(name), self.store, self.disposition)

    def restore_file(self, older: Machine) -> None:
        """Have the file as it was."""
        for left in self.root.glob("table.duckdb*"):
            left.unlink()
        for path in older.root.glob("table.duckdb*"):
            shutil.copy(path, self.root)

    def restore_state(self, older: Machine) -> None:
        """Have the state as it was."""
        shutil.rmtree(self.data)
        shutil.copytree(older.data, self.data)
