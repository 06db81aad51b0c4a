"""Streaming of a changed object: one row in every table of the store's streamConfigs.

Rows are written at least once: a message that comes twice makes two rows with the same content. It
is acknowledged only after its rows are durable.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dicom_export.decoding.decoded import DecodedInstance, Skipped
from dicom_export.decoding.many import decode_in_turn
from dicom_export.errors import InstanceError, InstanceGone, NotFound, PermanentError, TransientError
from dicom_export.logs import stream_failure
from dicom_export.messages import InstanceChanged, ObjectEvent
from dicom_export.operations.planning import is_planned, named_uids
from dicom_export.rows.administrative import source_columns
from dicom_export.rows.deletion import deletion_row
from dicom_export.rows.layout import RowLayout, SchemaKind
from dicom_export.rows.schema import SOURCE_OBJECT
from dicom_export.streaming.change_row import ChangeRow
from dicom_export.streaming.read_once import ReadOnce
from dicom_export.uids import MALFORMED, InstanceUids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_export.decoding.decoded import Row
    from dicom_export.errors import DicomExportError
    from dicom_export.names import StoreName
    from dicom_export.ports import Decode
    from dicom_export.state.uploads import Uploads
    from dicom_export.stores import DeclaredStore
    from dicom_export.streaming.config import StreamConfig
    from dicom_export.streaming.writing import ChangeWriters

log = logging.getLogger(__name__)


def stream_instance(
    message: InstanceChanged,
    *,
    journal: Uploads,
    stores: Mapping[StoreName, DeclaredStore],
    writers: ChangeWriters,
    decode: Decode = decode_in_turn,
) -> None:
    """Write the row of the change to every table of its store; return when all are durable.

    A change that cannot become a row is logged for each table. Raises TransientError after the
    other tables have their rows.
    """
    store = stores.get(message.store)
    if store is None or not store.streams or not is_planned(message.stored, store.ignore):
        return
    try:
        rows = (_rows_written if message.event is ObjectEvent.WRITTEN else _rows_deleted)(
            message, store, journal, decode
        )
    except InstanceGone as error:
        log.info("%s; a later change will be streamed", error.message, extra={"store": str(message.store)})
    except PermanentError as error:
        report_lost_instance(message, error, stores=stores)
    else:
        _write(rows, store, writers)


def report_lost_instance(
    message: InstanceChanged, reason: DicomExportError, *, stores: Mapping[StoreName, DeclaredStore]
) -> None:
    """Log, for each table of its store, that the change makes no row there."""
    store = stores.get(message.store)
    uids = (reason.uids if isinstance(reason, InstanceError) else None) or InstanceUids()
    for config in store.streams if store else ():
        _report(message, store, config, uids, reason)


def _report(
    message: InstanceChanged,
    store: DeclaredStore | None,
    config: StreamConfig,
    uids: InstanceUids,
    error: DicomExportError,
) -> None:
    uri = store.objects.uri(message.stored.name) if store else message.stored.name
    stream_failure(uri, message.store, config.table, uids, error)


def _write(rows: list[ChangeRow], store: DeclaredStore, writers: ChangeWriters) -> None:
    """Write each row to its table. A table that refuses its row does not affect the others."""
    transient: list[TransientError] = []
    for row in rows:
        try:
            writers.write(row)
        except PermanentError as error:
            _report(row.change, store, row.config, row.uids, error)
        except TransientError as error:
            transient.append(error)
    if transient:
        raise transient[0]


def _rows_written(message: InstanceChanged, store: DeclaredStore, journal: Uploads, decode: Decode) -> list[ChangeRow]:
    """Return the rows of exactly the generation that was written.

    Raises InstanceGone, and the errors of decoding.
    """
    read_once = replace(store, objects=ReadOnce(store.objects))
    kinds = dict.fromkeys(config.schema for config in store.streams)
    instances = {kind: _decoded(message, read_once, kind, decode) for kind in kinds}
    rows = [
        ChangeRow(message, config, _columns(instance.row, config), instance.uids)
        for config in store.streams
        if (instance := instances[config.schema])
    ]
    if rows and named_uids(message.stored.name) != rows[0].uids and not journal.note_instance(message, rows[0].uids):
        raise InstanceGone(f"{message.stored.name!r} was deleted", rows[0].uids)
    return rows


def _decoded(
    message: InstanceChanged, store: DeclaredStore, kind: SchemaKind, decode: Decode
) -> DecodedInstance | None:
    """Return the instance, or None for an object that is not meant to be an instance."""
    (decoded,) = decode(store.objects, [message.stored], _every_column(kind, message.store))
    if isinstance(decoded, PermanentError):
        raise decoded
    return None if isinstance(decoded, Skipped) else decoded


def _every_column(kind: SchemaKind, store: StoreName) -> RowLayout:
    """Return the layout with all columns that a stream config may ask for."""
    return RowLayout(kind, str(store), has_source_object=True)


def _columns(row: Mapping[str, Any], config: StreamConfig) -> Row:
    left_out = {
        *(() if config.include_source_store else ("SourceDicomStore",)),
        *(() if config.include_source_object else (field.name for field in SOURCE_OBJECT)),
        *(("Type",) if config.tracks_changes else ()),
    }
    return {name: value for name, value in row.items() if name not in left_out}


def _rows_deleted(message: InstanceChanged, store: DeclaredStore, journal: Uploads, decode: Decode) -> list[ChangeRow]:
    """Return the rows of the deletion; none if a newer generation of the object exists."""
    if store.objects.get(message.stored.name):
        return []
    uids = _deleted_uids(message, store, journal, decode)
    layout = _every_column(SchemaKind.FLATTENED, message.store)
    row = deletion_row(uids, message.stored, source_columns(message.stored, layout, store.objects.uri))
    return [ChangeRow(message, config, _columns(row, config), uids) for config in store.streams]


def _deleted_uids(message: InstanceChanged, store: DeclaredStore, journal: Uploads, decode: Decode) -> InstanceUids:
    """Return the instance of the deleted object.

    It is known from a note of the upload, from the name, or from a generation that can still be
    read. Raises NotFound if it is unknown.
    """
    noted = journal.deleted_instance(message) or named_uids(message.stored.name)
    if noted and MALFORMED in noted:
        raise NotFound(
            f"{message.stored.name!r} was deleted, but its row stays: one of its UIDs is malformed, so that the state does"
            " not hold it"
        )
    if noted:
        return noted
    try:
        kept = _decoded(message, store, SchemaKind.JSON, decode)
    except InstanceError:
        kept = None
    uids = kept.uids if kept else journal.note_deletion(message)
    if uids is None:
        raise NotFound(
            f"{message.stored.name!r} was deleted, but its row stays: its instance is unknown, because neither its name nor"
            " an earlier event tells"
        )
    return uids
