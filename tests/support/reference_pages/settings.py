"""The tables of environment variables: defaults and maxima from the settings, what each is for from here."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from dicom_export.operations.planning import MAX_PAGE_TASKS, MAX_SPLIT, PlanLimits
from dicom_export.settings import cloud
from dicom_export.settings import limits as common
from support.reference_pages.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER = ("environment variable", "default", "maximum", "meaning")

_FUNCTIONS = {
    "DICOM_EXPORT_PROJECT": "the project that has the topics and runs the jobs",
    "DICOM_EXPORT_STORES": "the DICOM stores, as JSON: see below",
    "DICOM_EXPORT_STATE": "where the state of the operations is: `gs://BUCKET` or `gs://BUCKET/FOLDER/`, outside of every store",
    "DICOM_EXPORT_TOPIC_PREFIX": "the prefix of the topics' names",
    "DICOM_EXPORT_FAILURES_TABLE": "a table that gets one row per failed instance: `bq://PROJECT.DATASET.TABLE`",
    "DICOM_EXPORT_READERS": "how many headers a worker reads at the same time",
    "DICOM_EXPORT_MAX_STALENESS_HOURS": "by how many hours a new table with `changeDataCaptureConfig` may lag behind",
    "DICOM_EXPORT_STAGING_DATASETS": "the dataset for the [staging tables](../explanation/exactly-once.md#the-table) of each dataset, as JSON:"
    ' `{"PROJECT.DATASET": "PROJECT.STAGING_DATASET"}`. Staging tables of another dataset are in that dataset itself',
    "DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT": "host and port of an emulator of the Storage Write API",
    "DICOM_EXPORT_INSTALLATION": "what Terraform installed, as JSON; only the output `environment` has it, for `doctor` and `smoke-test`",
    "DICOM_EXPORT_BUNDLE": "small studies share a message of up to this many instances; at most `DICOM_EXPORT_SPLIT`",
    "DICOM_EXPORT_SPLIT": "a study of more instances gets several messages",
    "DICOM_EXPORT_PAGE_TASKS": "messages per page of the plan; also at most half of `DICOM_EXPORT_OUTSTANDING`",
    "DICOM_EXPORT_OUTSTANDING": "[how far the planner may be ahead of the workers](../explanation/exactly-once.md#back-pressure), in messages of"
    " one operation; two per message that the workers handle at once",
    "DICOM_EXPORT_PAGE_OBJECTS": "objects per page of the plan",
    "DICOM_EXPORT_SAMPLE": "how many headers the planner reads to find the columns of a page",
}
# What an installation has to set at least.
_LEAST = {
    "DICOM_EXPORT_PROJECT": "my-project",
    "DICOM_EXPORT_STORES": '{"projects/P/locations/L/datasets/D/dicomStores/S": {"bucket": "my-scans"}}',
    "DICOM_EXPORT_STATE": "gs://my-state",
}
_NO_NUMBERS = (
    *_LEAST,
    "DICOM_EXPORT_TOPIC_PREFIX",
    "DICOM_EXPORT_FAILURES_TABLE",
    "DICOM_EXPORT_STAGING_DATASETS",
    "DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT",
    "DICOM_EXPORT_INSTALLATION",
)
_LIMITS = {
    "DICOM_EXPORT_MAX_ELEMENTS": "elements and items; those of a sequence over 1 MiB that is left out count by a quarter",
    "DICOM_EXPORT_MAX_VALUES": "values; a person's name counts as 10",
    "DICOM_EXPORT_MAX_HEADER_BYTES": "bytes of all values",
    "DICOM_EXPORT_MAX_INFLATED_BYTES": "bytes before the pixels of a deflated file",
    "DICOM_EXPORT_MAX_DEPTH": "levels of nested sequences",
    "DICOM_EXPORT_MAX_SECONDS": "seconds of processor time",
    "DICOM_EXPORT_MAX_TABLE_COLUMNS": "columns of a table, nested fields included",
    "DICOM_EXPORT_MAX_INSTANCE_COLUMNS": "columns that one instance may add",
}


def functions_settings() -> str:
    """Return the table of the variables of an installation on Google Cloud."""
    rows = ((f"`{name}`", *_default_and_most(name), _FUNCTIONS[name]) for name in _checked(cloud.VARIABLES, _FUNCTIONS))
    return table(_HEADER, rows)


def limits() -> str:
    """Return the table of the variables that limit what one object and one table may take."""
    default = PlanLimits()
    defaults = asdict(default.objects) | asdict(default.columns)
    known = {**common._OBJECT, **common._COLUMNS}
    rows = (
        (f"`{name}`", _number(defaults[known[name][0]]), _number(known[name][1]), _LIMITS[name])
        for name in _checked(common.VARIABLES, _LIMITS)
    )
    return table(_HEADER, rows)


def _checked(known: tuple[str, ...], described: Mapping[str, str]) -> tuple[str, ...]:
    """Return the known variables. Raises ValueError, naming them, if others are described."""
    if set(known) != set(described):
        raise ValueError(f"These variables are either not known or not described: {set(known) ^ set(described)}")
    return known


def _default_and_most(name: str) -> tuple[str, str]:
    if name in _NO_NUMBERS:
        return ("required" if name in _LEAST else "none"), ""
    settings = cloud.parse(_LEAST)
    if name == cloud._READERS:
        return _number(settings.readers), _number(cloud._MAX_READERS)
    if name == cloud._STALENESS:
        return _number(settings.max_staleness_hours), _number(cloud._MOST_STALENESS_HOURS)
    field = cloud._LIMITS[name]
    most = {"page_tasks": MAX_PAGE_TASKS, "bundle": MAX_SPLIT} | cloud._MOST
    return _number(getattr(settings.limits, field)), _number(most.get(field, cloud._ANY_NUMBER))


def _number(value: float) -> str:
    return f"{value:,g}" if value < 1_000 else f"{int(value):,}"
