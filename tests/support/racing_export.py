"""A process that exports a folder on one machine, every message twice and in any order: python racing_export.py FOLDER DATA SEED."""

from __future__ import annotations

import sys
from pathlib import Path

from dicom_export.adapters.local.queue import Disorder
from dicom_export.bootstrap.local import local_deployment
from dicom_export.operations.planning import PlanLimits
from dicom_export.operations.request import ExportRequest
from dicom_export.rows.layout import SchemaKind
from dicom_export.settings import LocalSettings
from support.factories import PARENT, STORE, TABLE

LIMITS = PlanLimits(bundle=250, page_tasks=12, sample=20, outstanding=6)


def export(folder: Path, data: Path, seed: int) -> None:
    """Go on with the export that is there, or start one, and return when nothing is left to do."""
    local = LocalSettings(data, {STORE: folder}, datasets=((TABLE.project, TABLE.dataset),), workers=2, limits=LIMITS)
    with local_deployment(local, Disorder(seed, duplicate=1.0)) as deployment:
        begun = next(deployment.service.list_operations(PARENT), None)
        if begun is None:
            deployment.service.create_export(ExportRequest(STORE, TABLE, schema=SchemaKind.JSON))
        elif not begun[1].is_done:
            deployment.service.resume(begun[1])
        deployment.wait()


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
