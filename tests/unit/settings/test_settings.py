"""An installation's settings: what they say, and what is wrong with them in words that help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dicom_export import settings
from dicom_export.ahead import MOST_READERS
from dicom_export.errors import ConfigurationError
from dicom_export.names import StoreName, TableName
from dicom_export.operations.planning import PlanLimits
from dicom_export.rows.layout import SchemaKind
from dicom_export.rows.partitioning import Partitioning, PartitionType
from dicom_export.settings import cloud, local
from dicom_export.settings.cloud import BucketFolder
from dicom_export.streaming.config import StreamConfig
from support.installations import description

STORE = "projects/p/locations/us/datasets/d/dicomStores/s"
OTHER = "projects/p/locations/us/datasets/d/dicomStores/t"
REQUIRED = {
    "DICOM_EXPORT_PROJECT": "my-project",
    "DICOM_EXPORT_STORES": json.dumps({STORE: {"bucket": "images", "prefix": "dicom/", "ignore": ["*.txt"]}}),
    "DICOM_EXPORT_STATE": "gs://my-state/dicom-export/",
}


def stores(**declared: Any) -> str:
    return json.dumps({STORE if name == "store" else OTHER: value for name, value in declared.items()})


def test_what_is_required_is_enough() -> None:
    found = cloud.parse(REQUIRED)
    assert found.project == "my-project"
    assert found.stores == {StoreName.parse(STORE): BucketFolder("images", "dicom/", ("*.txt",))}
    assert found.state == BucketFolder("my-state", "dicom-export/")
    assert found.limits == PlanLimits()
    assert found.failures_table is None
    assert found.topics["plan-export"] == "projects/my-project/topics/plan-export"


def test_everything_can_be_set() -> None:
    found = cloud.parse(
        REQUIRED
        | {
            "DICOM_EXPORT_STATE": "my-state",
            "DICOM_EXPORT_TOPIC_PREFIX": "dicom-",
            "DICOM_EXPORT_FAILURES_TABLE": "bq://other-project.ops.failures",
            "DICOM_EXPORT_READERS": "32",
            "DICOM_EXPORT_MAX_STALENESS_HOURS": "12",
            "DICOM_EXPORT_STAGING_DATASETS": '{"example.com:p.d": "my-project.staging"}',
            "DICOM_EXPORT_BUNDLE": "10",
            "DICOM_EXPORT_SPLIT": "20",
            "DICOM_EXPORT_PAGE_TASKS": "3",
            "DICOM_EXPORT_OUTSTANDING": "6",
            "DICOM_EXPORT_PAGE_OBJECTS": "40",
            "DICOM_EXPORT_SAMPLE": "5",
            "DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT": "127.0.0.1:9060",
        }
    )
    assert found.state == BucketFolder("my-state")
    assert found.topics["export-study"] == "projects/my-project/topics/dicom-export-study"
    assert found.failures_table == TableName("other-project", "ops", "failures")
    assert found.readers == 32
    assert found.max_staleness_hours == 12
    assert found.staging_datasets == {"example.com:p.d": "my-project.staging"}
    assert found.limits == PlanLimits(bundle=10, split=20, page_tasks=3, page_objects=40, sample=5, outstanding=6)
    assert found.write_endpoint == "127.0.0.1:9060"


def test_a_store_says_where_new_instances_go() -> None:
    configs = [
        {"bigqueryDestination": {"tableUri": "bq://p.d.flat", "schemaFlattened": {}, "includeSourceStore": True}},
        {"bigqueryDestination": {"tableUri": "bq://p.d.latest", "schemaJson": {}, "changeDataCaptureConfig": {}}},
        {"bigqueryDestination": {"tableUri": "bq://p.d.files", "schemaFlattened": {}, "includeSourceObject": True}},
        {
            "bigqueryDestination": {
                "tableUri": "bq://p.d.recent",
                "schemaJson": {},
                "lastUpdatedPartitionConfig": {"type": "DAY", "expirationMs": "2592000000"},
            }
        },
    ]
    declared = {"bucket": "images", "streamConfigs": configs}
    (store,) = cloud.parse(REQUIRED | {"DICOM_EXPORT_STORES": stores(store=declared)}).stores.values()
    assert store.streams == (
        StreamConfig(TableName("p", "d", "flat"), include_source_store=True),
        StreamConfig(TableName("p", "d", "latest"), SchemaKind.JSON, tracks_changes=True),
        StreamConfig(TableName("p", "d", "files"), include_source_object=True),
        StreamConfig(
            TableName("p", "d", "recent"),
            SchemaKind.JSON,
            partitioning=Partitioning(PartitionType.DAY, 2_592_000_000),
        ),
    )
    assert [config.to_json() for config in store.streams] == configs


def test_a_store_says_what_its_reads_may_cost_and_who_pays() -> None:
    declared = {"bucket": "images", "allowColdReads": True, "userProject": "example.com:payer"}
    for fields, expected in ((declared, (True, "example.com:payer")), ({"bucket": "images"}, (False, None))):
        (store,) = cloud.parse(REQUIRED | {"DICOM_EXPORT_STORES": stores(store=fields)}).stores.values()
        assert (store.allow_cold_reads, store.user_project) == expected


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ({}, "is not a list"),
        ([7], "must be a message"),
        ([{}], "has no bigqueryDestination"),
        ([{"bigqueryDestination": {}}], "tableUri is required"),
        ([{"bigqueryDestination": {"tableUri": "p.d.t"}}], "not a BigQuery table URI"),
        ([{"bigqueryDestination": {"tableUri": "bq://p.d.t", "force": True}}], 'Unknown name "force"'),
        ([{"bigqueryDestination": {"tableUri": "bq://p.d.t", "changeDataCaptureConfig": {}}}], 'needs "schemaJson"'),
        (
            [{"bigqueryDestination": {"tableUri": "bq://p.d.t", "last_updated_partition_config": {"type": "HOUR"}}}],
            "expected DAY, MONTH or YEAR",
        ),
        (
            [
                {
                    "bigqueryDestination": {
                        "tableUri": "bq://p.d.t",
                        "schemaJson": {},
                        "changeDataCaptureConfig": {},
                        "lastUpdatedPartitionConfig": {"type": "DAY"},
                    }
                }
            ],
            "is not for a table with changeDataCaptureConfig",
        ),
        ([{"bigqueryDestination": {"tableUri": "bq://p.d.t"}}] * 2, "names bq://p.d.t twice"),
        ([{"bigqueryDestination": {"tableUri": f"bq://p.d.t{n}"}} for n in range(6)], "has 6 entries; a store has at"),
    ],
)
def test_what_is_wrong_with_a_stream_is_said_of_its_store(configs: Any, message: str) -> None:
    declared = {"bucket": "images", "streamConfigs": configs}
    with pytest.raises(ConfigurationError, match=message) as raised:
        cloud.parse(REQUIRED | {"DICOM_EXPORT_STORES": stores(store=declared)})
    assert STORE in raised.value.message


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} not set"):
        cloud.parse({key: value for key, value in REQUIRED.items() if key != name})


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DICOM_EXPORT_STORES", "no JSON", "is not JSON"),
        ("DICOM_EXPORT_STORES", "[]", "declares no store"),
        ("DICOM_EXPORT_STORES", "{}", "declares no store"),
        ("DICOM_EXPORT_STORES", '{"archive": {"bucket": "images"}}', "'archive' is not a DICOM store name"),
        ("DICOM_EXPORT_STORES", stores(store={}), "has no bucket"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": ""}), "name of the bucket is empty"),
        (
            "DICOM_EXPORT_STORES",
            stores(store={"bucket": "images", "prefix": "a"}),
            "invalid prefix 'a'; expected an empty one",
        ),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "images", "prefix": "/"}), "not begin with one"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "images", "prefix": 7}), "invalid prefix 7"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "images", "ignore": "*.txt"}), "a list of patterns"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "images", "folder": "a/"}), "unknown field 'folder'"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "images", "allowColdReads": "yes"}), "expected true or false"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "images", "userProject": "a b"}), "userProject is 'a b'"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "images", "userProject": 7}), "userProject is 7"),
        (
            "DICOM_EXPORT_STORES",
            stores(
                store={"bucket": "images", "prefix": "a/", "userProject": "one-project"},
                other={"bucket": "images", "prefix": "b/"},
            ),
            "have different userProject",
        ),
        (
            "DICOM_EXPORT_STORES",
            stores(store={"bucket": "images", "views": "no"}),
            "views is 'no'; expected true or false",
        ),
        (
            "DICOM_EXPORT_STORES",
            stores(store={"bucket": "images", "prefix": "a/"}, other={"bucket": "images", "prefix": "a/b/"}),
            "overlap",
        ),
        ("DICOM_EXPORT_STATE", "images", "overlaps the store"),
        ("DICOM_EXPORT_STATE", "gs://", "name of the bucket is empty"),
        ("DICOM_EXPORT_STATE", "gs://my-state/state", "expected an empty one, or one that ends with a slash"),
        ("DICOM_EXPORT_FAILURES_TABLE", "p.d.t", "not a BigQuery table URI"),
        ("DICOM_EXPORT_BUNDLE", "0", "Invalid DICOM_EXPORT_BUNDLE '0': expected a number from 1"),
        ("DICOM_EXPORT_BUNDLE", "many", "Invalid DICOM_EXPORT_BUNDLE 'many'"),
        ("DICOM_EXPORT_BUNDLE", "6000", "expected at most DICOM_EXPORT_SPLIT, 5000"),
        ("DICOM_EXPORT_PAGE_TASKS", "101", "at most 100"),
        ("DICOM_EXPORT_READERS", "65", "from 1 to 64"),
        ("DICOM_EXPORT_MAX_STALENESS_HOURS", "0", "from 1 to 24"),
        ("DICOM_EXPORT_STAGING_DATASETS", "p.d", "is not JSON"),
        ("DICOM_EXPORT_STAGING_DATASETS", "[]", "is not an object of JSON"),
        ("DICOM_EXPORT_STAGING_DATASETS", '{"p.d": "p"}', "'p' is not PROJECT.DATASET"),
        ("DICOM_EXPORT_STAGING_DATASETS", '{"d": "p.d"}', "'d' is not PROJECT.DATASET"),
        ("DICOM_EXPORT_STAGING_DATASETS", '{"p.d": 1}', "1 is not PROJECT.DATASET"),
        ("DICOM_EXPORT_STAGING_DATASETS", '{"p.d": "p.s", "p.d": "p.t"}', "has 'p.d' twice"),
        ("DICOM_EXPORT_SPLIT", "5001", "Invalid DICOM_EXPORT_SPLIT '5001': expected a number from 1 to 5000"),
        (
            "DICOM_EXPORT_PAGE_OBJECTS",
            "20001",
            "Invalid DICOM_EXPORT_PAGE_OBJECTS '20001': expected a number from 1 to 20000",
        ),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "gs://images"}), "'gs://images' is not a bucket's name"),
        ("DICOM_EXPORT_STORES", stores(store={"bucket": "Images"}), "'Images' is not a bucket's name; expected"),
        ("DICOM_EXPORT_STATE", "gs://my state", "'my state' is not a bucket's name"),
        ("DICOM_EXPORT_STATE", "s3://my-state/", "is not a bucket's name"),
        ("DICOM_EXPORT_STATE", "gs://b", "'b' is not a bucket's name"),
        ("DICOM_EXPORT_PROJECT", "my project", "'my project' is not the id of a project; expected"),
        ("DICOM_EXPORT_PROJECT", "projects/p", "'projects/p' is not the id of a project"),
        ("DICOM_EXPORT_TOPIC_PREFIX", "a b/", "'a b/' cannot begin a topic's name; expected"),
        ("DICOM_EXPORT_TOPIC_PREFIX", "1-", "'1-' cannot begin"),
        ("DICOM_EXPORT_TOPIC_PREFIX", "google-", "'google-' cannot begin"),
        ("DICOM_EXPORT_TOPIC_PREFIX", "a" * 250, "cannot begin"),
        ("DICOM_EXPORT_STORES", f'{{"{STORE}": {{"bucket": "one"}}, "{STORE}": {{"bucket": "two"}}}}', "twice"),
        ("DICOM_EXPORT_STORES", f'{{"{STORE}": {{"bucket": "one", "bucket": "two"}}}}', "'bucket' twice"),
        ("DICOM_EXPORT_FAILURE_TABLE", "bq://p.d.t", "is not a setting; expected DICOM_EXPORT_FAILURES_TABLE"),
        ("DICOM_EXPORT_XYZZY", "1", "is not a setting; expected one of DICOM_EXPORT_PROJECT, "),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        cloud.parse(REQUIRED | {variable: value})
    assert variable in raised.value.message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DICOM_EXPORT_PROJECT", "example.com:my-project"),
        ("DICOM_EXPORT_STATE", "gs://state.example.com/a_b/"),
        ("DICOM_EXPORT_TOPIC_PREFIX", "dicom.export_1~"),
        ("DICOM_EXPORT_SPLIT", "5000"),
        ("DICOM_EXPORT_PAGE_OBJECTS", "20000"),
        ("DICOM_EXPORT_REQUIRE_STACK", "1"),
        ("DICOM_EXPORT_FAILURES_TABLE", ""),
    ],
)
def test_what_is_unusual_and_right_passes(variable: str, value: str) -> None:
    cloud.parse(REQUIRED | {variable: value})


def test_stores_in_different_folders_or_buckets_are_apart() -> None:
    found = cloud.parse(
        REQUIRED
        | {
            "DICOM_EXPORT_STORES": stores(
                store={"bucket": "images", "prefix": "a/"}, other={"bucket": "images", "prefix": "ab/"}
            )
        }
    )
    assert len(found.stores) == 2


def test_an_installation_is_in_one_house(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (REQUIRED | {settings.LOCAL_SETTINGS: "{}"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="are both set"):
        settings.from_environment()


def test_malformed_local_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.LOCAL_SETTINGS, "{}")
    with pytest.raises(ConfigurationError, match="DICOM_EXPORT_LOCAL is malformed: KeyError"):
        settings.from_environment()


def test_the_installation_is_read_as_terraform_writes_it() -> None:
    smoke = {"store": STORE, "bucket": "b", "prefix": "dicom/", "dataset": "p.d"}
    text = json.dumps(description(smokeTest=smoke))
    found = cloud.parse_installation({"DICOM_EXPORT_INSTALLATION": text})
    assert found.smoke_test
    assert found.smoke_test.dataset == "p.d"
    assert found.receivers["plan_export"].max_attempts == 10
    assert (
        cloud.parse_installation({"DICOM_EXPORT_INSTALLATION": json.dumps(description(smokeTest=None))}).smoke_test
        is None
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "terraform output -json environment"),
        ("no JSON", "is malformed"),
        ("[]", "is malformed"),
        ('{"region": "us-central1"}', "is malformed"),
        (json.dumps(description(receivers=[])), "is malformed"),
    ],
)
def test_a_malformed_installation_is_refused_with_where_to_get_it(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        cloud.parse_installation({"DICOM_EXPORT_INSTALLATION": text})


def test_one_machine_reads_as_many_files_at_once_as_is_set() -> None:
    assert local.readers({}) == MOST_READERS
    assert local.readers({"DICOM_EXPORT_READS_AT_ONCE": "1"}) == 1
    with pytest.raises(
        ConfigurationError, match="Invalid DICOM_EXPORT_READS_AT_ONCE '257': expected a number from 1 to 256"
    ):
        local.readers({"DICOM_EXPORT_READS_AT_ONCE": "257"})


def test_the_settings_of_one_machine_are_the_same_after_their_way_through_the_environment() -> None:
    settings = local.LocalSettings(Path("data"), {}, readers=3)
    assert local.LocalSettings.from_json(json.loads(json.dumps(settings.to_json()))).readers == 3
