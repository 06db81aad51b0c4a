"""Read the settings of an installation on Google Cloud: one environment variable per setting, as Terraform sets them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from dicom_export.diagnosing.installation import Installation
from dicom_export.errors import ConfigurationError, InvalidArgument
from dicom_export.messages import TOPICS
from dicom_export.names import StoreName, TableName
from dicom_export.operations.planning import MAX_PAGE_OBJECTS, MAX_PAGE_TASKS, MAX_SPLIT, PlanLimits
from dicom_export.operations.reserved_names import check_table
from dicom_export.ports import MAX_STALENESS_HOURS
from dicom_export.settings import limits as common_limits
from dicom_export.settings.limits import column_limits, number, object_limits
from dicom_export.streaming.config import StreamConfig, parse_stream_configs

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROJECT = "DICOM_EXPORT_PROJECT"
_STORES = "DICOM_EXPORT_STORES"
_STATE = "DICOM_EXPORT_STATE"
_TOPIC_PREFIX = "DICOM_EXPORT_TOPIC_PREFIX"
_FAILURES_TABLE = "DICOM_EXPORT_FAILURES_TABLE"
_READERS = "DICOM_EXPORT_READERS"
_STALENESS = "DICOM_EXPORT_MAX_STALENESS_HOURS"
_STAGING = "DICOM_EXPORT_STAGING_DATASETS"
_WRITE_ENDPOINT = "DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT"
_INSTALLATION = "DICOM_EXPORT_INSTALLATION"
_SPLIT = "DICOM_EXPORT_SPLIT"
_LIMITS = {
    "DICOM_EXPORT_BUNDLE": "bundle",
    _SPLIT: "split",
    "DICOM_EXPORT_PAGE_TASKS": "page_tasks",
    "DICOM_EXPORT_PAGE_OBJECTS": "page_objects",
    "DICOM_EXPORT_SAMPLE": "sample",
    "DICOM_EXPORT_OUTSTANDING": "outstanding",
}

VARIABLES = (
    _PROJECT,
    _STORES,
    _STATE,
    _TOPIC_PREFIX,
    _FAILURES_TABLE,
    _READERS,
    _STALENESS,
    _STAGING,
    _WRITE_ENDPOINT,
    _INSTALLATION,
    *_LIMITS,
)
"""The environment variables of an installation on Google Cloud."""

_MOST = {"split": MAX_SPLIT, "page_objects": MAX_PAGE_OBJECTS}
_ANY_NUMBER = 1_000_000
_OURS = "DICOM_EXPORT_"
# The variables of an installation on one machine, and of the tests.
_KNOWN_ELSEWHERE = {"DICOM_EXPORT_LOCAL", "DICOM_EXPORT_READS_AT_ONCE", "DICOM_EXPORT_REQUIRE_STACK"}
_MAX_READERS = 64
_MOST_STALENESS_HOURS = 24
_PROJECT_ID = re.compile(r"(?:[a-z0-9.-]+:)?[A-Za-z0-9_-]+")
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET_PART = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_BUCKET_NAME = re.compile(rf"(?=.{{3,222}}$){_BUCKET_PART}(?:\.{_BUCKET_PART})*")
# https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
_LONGEST_PREFIX = 255 - max(map(len, TOPICS))
_PREFIX_OF_TOPICS = re.compile(rf"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{{0,{_LONGEST_PREFIX - 1}}}")
_STORE_FIELDS = {"bucket", "prefix", "ignore", "streamConfigs", "views", "allowColdReads", "userProject", "archives"}


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """The objects of a bucket whose names begin with `prefix`, which is empty or ends with a slash.

    `ignore` are patterns of names, after the prefix, that are not instances. `streams` are the tables for rows of new objects.
    `views` says whether tables get views.
    `allow_cold_reads` says whether exports may read objects in cold storage classes. `user_project` pays for the requests.
    """

    bucket: str
    prefix: str = ""
    ignore: tuple[str, ...] = ()
    streams: tuple[StreamConfig, ...] = ()
    views: bool = True
    allow_cold_reads: bool = False
    user_project: str | None = None
    archives: bool = False

    def overlaps(self, other: BucketFolder) -> bool:
        """Return whether an object can be in both folders."""
        is_within = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        return self.bucket == other.bucket and is_within

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """An installation on Google Cloud.

    `project` runs the jobs and has the topics, which are named `topic_prefix` + the message's kind. `state` holds the
    operations. `failures_table`, if given, gets a row per failed instance. `readers` is the number of headers that a
    worker reads at once. A new table with change data capture may lag by `max_staleness_hours`. `staging_datasets` has the
    dataset for the staging tables of each dataset, both as PROJECT.DATASET; those of another dataset are in it.
    `write_endpoint` is the host and port of an emulator of the Storage Write API.
    """

    project: str
    stores: Mapping[StoreName, BucketFolder]
    state: BucketFolder
    topic_prefix: str = ""
    failures_table: TableName | None = None
    readers: int = 16
    max_staleness_hours: int = MAX_STALENESS_HOURS
    staging_datasets: Mapping[str, str] = field(default_factory=dict)
    write_endpoint: str | None = None
    limits: PlanLimits = field(default_factory=PlanLimits)

    @property
    def topics(self) -> dict[str, str]:
        """The resource name of the topic of each kind of message."""
        return {kind: f"projects/{self.project}/topics/{self.topic_prefix}{kind}" for kind in TOPICS}


def parse(environment: Mapping[str, str]) -> CloudSettings:
    """Return the settings. Raises ConfigurationError, which names the variable and what is expected."""
    missing = [name for name in (_PROJECT, _STORES, _STATE) if not environment.get(name)]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)} not set. For a command about an installation on Google Cloud, set what"
            " `terraform output -json environment` prints: see docs/how-to/check-an-installation.md"
        )
    _check_known(environment)
    stores = _stores(environment[_STORES])
    state = _folder(_STATE, *_split_uri(environment[_STATE]))
    _check_apart(stores, state)
    return CloudSettings(
        project=_project(environment[_PROJECT]),
        stores=stores,
        state=state,
        topic_prefix=_topic_prefix(environment.get(_TOPIC_PREFIX, "")),
        failures_table=_failures_table(environment.get(_FAILURES_TABLE)),
        readers=number(environment, _READERS, 16, _MAX_READERS),
        max_staleness_hours=number(environment, _STALENESS, MAX_STALENESS_HOURS, _MOST_STALENESS_HOURS),
        staging_datasets=_staging_datasets(environment.get(_STAGING)),
        write_endpoint=environment.get(_WRITE_ENDPOINT) or None,
        limits=_limits(environment),
    )


def parse_installation(environment: Mapping[str, str]) -> Installation:
    """Return what Terraform installed. Raises ConfigurationError, which says where to get it."""
    text = environment.get(_INSTALLATION)
    if not text:
        raise ConfigurationError(
            f"{_INSTALLATION} is not set; expected the content of `terraform output -json environment`"
        )
    try:
        return Installation.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{_INSTALLATION} is malformed ({type(error).__name__}: {error}); expected the content of"
            " `terraform output -json environment`, of the same version of dicom-export"
        ) from error


def _check_known(environment: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a variable that looks like a misspelt setting, which has no effect."""
    names = sorted(name for name in environment if name.startswith(_OURS))
    for name in names:
        known = (*VARIABLES, *common_limits.VARIABLES)
        if name not in known and name not in _KNOWN_ELSEWHERE:
            meant = get_close_matches(name, known, 1, cutoff=0.85) or [f"one of {', '.join(known)}"]
            raise ConfigurationError(f"{name} is not a setting; expected {meant[0]}")


def _project(text: str) -> str:
    if not _PROJECT_ID.fullmatch(text):
        raise ConfigurationError(
            f"{_PROJECT}: {text!r} is not the id of a project; expected one like my-project, or example.com:my-project"
        )
    return text


def _topic_prefix(text: str) -> str:
    if text and not _PREFIX_OF_TOPICS.fullmatch(text):
        raise ConfigurationError(
            f"{_TOPIC_PREFIX}: {text!r} cannot begin a topic's name; expected a letter followed by letters,"
            f" digits and -._~+%, at most {_LONGEST_PREFIX}, and not goog"
        )
    return text


def _stores(text: str) -> dict[StoreName, BucketFolder]:
    example = '{"projects/P/locations/L/datasets/D/dicomStores/S": {"bucket": "B", "prefix": "dicom/", "ignore": []}}'
    try:
        declared = json.loads(text, object_pairs_hook=partial(_once_each, _STORES))
    except ValueError as error:
        raise ConfigurationError(f"{_STORES} is not JSON: {error}; expected {example}") from error
    if not isinstance(declared, dict) or not declared:
        raise ConfigurationError(f"{_STORES} declares no store; expected {example}")
    return {_store_name(name): _store(name, value) for name, value in declared.items()}


def _once_each(variable: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of JSON. Raises ConfigurationError if it has a name twice: JSON keeps only the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"{variable} has {twice!r} twice; expected it once")
    return found


def _store_name(name: str) -> StoreName:
    try:
        return StoreName.parse(name)
    except InvalidArgument as error:
        raise ConfigurationError(f"{_STORES}: {error.message}") from error


def _store(name: str, value: Any) -> BucketFolder:
    what = f"{_STORES}: store {name}"
    if not isinstance(value, dict) or not isinstance(value.get("bucket"), str):
        raise ConfigurationError(f'{what} has no bucket; expected {{"bucket": "B", "prefix": "dicom/"}}')
    unknown = sorted(set(value) - _STORE_FIELDS)
    if unknown:
        raise ConfigurationError(f"{what} has the unknown field {unknown[0]!r}; known are {sorted(_STORE_FIELDS)}")
    ignore = value.get("ignore", [])
    if not isinstance(ignore, list) or not all(isinstance(pattern, str) for pattern in ignore):
        raise ConfigurationError(f"{what}: ignore is not a list; expected a list of patterns such as *.txt")
    folder = _folder(what, value["bucket"], value.get("prefix", ""), tuple(ignore))
    return replace(
        folder,
        streams=tuple(
            replace(each, views=_boolean(what, value, "views", default=True))
            for each in _streams(what, value.get("streamConfigs", []))
        ),
        views=_boolean(what, value, "views", default=True),
        allow_cold_reads=_boolean(what, value, "allowColdReads", default=False),
        archives=_boolean(what, value, "archives", default=False),
        user_project=_user_project(what, value.get("userProject")),
    )


def _boolean(what: str, store: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = store.get(name, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{what}: {name} is {value!r}; expected true or false")
    return value


def _user_project(what: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and _PROJECT_ID.fullmatch(value)):
        raise ConfigurationError(f"{what}: userProject is {value!r}; expected the id of a project, like my-project")
    return value


def _streams(what: str, value: Any) -> tuple[StreamConfig, ...]:
    try:
        return parse_stream_configs(value)
    except InvalidArgument as error:
        raise ConfigurationError(f"{what}: {error.message}") from error


def _folder(what: str, bucket: str, prefix: Any, ignore: tuple[str, ...] = ()) -> BucketFolder:
    if not bucket:
        raise ConfigurationError(f"{what}: the name of the bucket is empty")
    if not _BUCKET_NAME.fullmatch(bucket):
        raise ConfigurationError(
            f"{what}: {bucket!r} is not a bucket's name; expected 3 or more lower-case letters, digits and -_. without gs://"
        )
    if not isinstance(prefix, str) or prefix.startswith("/") or (prefix and not prefix.endswith("/")):
        raise ConfigurationError(
            f"{what}: invalid prefix {prefix!r}; expected an empty one, or one that ends with a slash and does not begin with one"
        )
    return BucketFolder(bucket, prefix, ignore)


def _split_uri(text: str) -> tuple[str, str]:
    bucket, _, prefix = text.removeprefix("gs://").partition("/")
    return bucket, prefix


def _check_apart(stores: Mapping[StoreName, BucketFolder], state: BucketFolder) -> None:
    for (name, folder), (other, others) in combinations(stores.items(), 2):
        if folder.overlaps(others):
            raise ConfigurationError(f"{_STORES}: {name} ({folder}) and {other} ({others}) overlap")
    for (name, folder), (other, others) in combinations(stores.items(), 2):
        if folder.bucket == others.bucket and folder.user_project != others.user_project:
            raise ConfigurationError(
                f"{_STORES}: {name} and {other} are in one bucket, and have different userProject; expected the same"
            )
    for name, folder in stores.items():
        if folder.overlaps(state):
            raise ConfigurationError(f"{_STATE} {state} overlaps the store {name} ({folder})")


def _failures_table(text: str | None) -> TableName | None:
    if not text:
        return None
    try:
        return check_table(TableName.parse(text))
    except InvalidArgument as error:
        raise ConfigurationError(f"{_FAILURES_TABLE}: {error.message}") from error


def _staging_datasets(text: str | None) -> dict[str, str]:
    """Return the staging dataset of each dataset. Raises ConfigurationError."""
    example = '{"my-project.dicom": "my-project.dicom_export_staging_dicom"}'
    try:
        declared = json.loads(text or "{}", object_pairs_hook=partial(_once_each, _STAGING))
    except ValueError as error:
        raise ConfigurationError(f"{_STAGING} is not JSON: {error}; expected {example}") from error
    if not isinstance(declared, dict):
        raise ConfigurationError(f"{_STAGING} is not an object of JSON; expected {example}")
    return {_dataset(dataset, example): _dataset(staging, example) for dataset, staging in declared.items()}


def _dataset(text: Any, example: str) -> str:
    try:
        TableName.parse(f"bq://{text}.table")
    except InvalidArgument as error:
        raise ConfigurationError(f"{_STAGING}: {text!r} is not PROJECT.DATASET; expected {example}") from error
    return str(text)


def _limits(environment: Mapping[str, str]) -> PlanLimits:
    default = PlanLimits()
    numbers = {
        name: number(environment, variable, getattr(default, name), _MOST.get(name, _ANY_NUMBER))
        for variable, name in _LIMITS.items()
    }
    limits = replace(default, **numbers, objects=object_limits(environment), columns=column_limits(environment))
    if limits.bundle > limits.split:
        raise ConfigurationError(f"DICOM_EXPORT_BUNDLE is {limits.bundle}; expected at most {_SPLIT}, {limits.split}")
    if limits.page_tasks > MAX_PAGE_TASKS:
        raise ConfigurationError(f"DICOM_EXPORT_PAGE_TASKS is {limits.page_tasks}; expected at most {MAX_PAGE_TASKS}")
    return limits
