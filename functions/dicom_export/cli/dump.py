"""`dicom-export dump`: print the row of one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dicom_export.cli.help import Command
from dicom_export.rows.layout import TABLE_SCHEMAS, SchemaKind
from dicom_export.rows.result_values import json_value

if TYPE_CHECKING:
    from dicom_export.decoding.notes import Note


@click.command(
    cls=Command,
    short_help="Print the row of one DICOM file.",
    examples=(
        "dicom-export dump scans/000000.dcm",
        "dicom-export dump scans/000000.dcm --schema json",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--schema",
    type=click.Choice([kind.value for kind in TABLE_SCHEMAS]),
    default=SchemaKind.FLATTENED.value,
    show_default=True,
    help="One column per element, or all elements in one JSON column.",
)
def dump(file: Path, schema: str) -> None:
    """Print the row of one DICOM file as JSON, with a note for each element that has no column of its own."""
    # `--help` is answered without loading pydicom.
    from dicom_export.bootstrap.local import file_and_store
    from dicom_export.decoding.decoded import Skipped
    from dicom_export.decoding.explain import explain_instance
    from dicom_export.rows.layout import RowLayout

    store, stored = file_and_store(file)
    explanation = explain_instance(store, stored, RowLayout(SchemaKind(schema), has_source_object=True))
    if isinstance(explanation, Skipped):
        click.echo(json.dumps({"skipped": explanation.kind}))
        return
    row = json.dumps(json_value(explanation.row), indent=2, ensure_ascii=False)
    notes = ",\n".join(json.dumps(_note(note)) for note in explanation.notes)
    click.echo(f'{{"row": {row},\n"notes": [\n{notes}\n]}}')


def _note(note: Note) -> dict[str, str]:
    return {"element": "/".join((*note.path, note.name)), "fate": note.fate.value, "reason": note.reason}
