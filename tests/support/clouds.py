"""An installation on the emulators: every deployed function a process of its own, behind push subscriptions."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from dicom_export.messages import ExportStudy, InstanceChanged, PlanExport, StudyExported
from dicom_export.names import DatasetName, StoreName
from support.emulators.functions import Function
from support.emulators.storage import HOST_VARIABLE
from support.infra_files import sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from google.cloud.bigquery import Row

    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub
    from support.emulators.storage import Storage

PROJECT = "my-project"
STORE = StoreName(DatasetName(PROJECT, "us-central1", "imaging"), "archive")

_HANDLERS = {
    PlanExport.topic: "plan_export",
    ExportStudy.topic: "export_study",
    StudyExported.topic: "record_result",
    "export-requests": "start_export",
}
_DEAD = {"dead-letters": "record_dead_letter", "dead-export-requests": "refuse_export"}
_STREAMING = {InstanceChanged.topic: "stream_instance"}
_DEAD_STREAMING = {"dead-instance-changes": "report_lost_instance"}
_DEAD_OF = {"export-requests": "dead-export-requests", InstanceChanged.topic: "dead-instance-changes"}
# Of these each subscription has a worker of its own.
_WORK = (ExportStudy.topic, InstanceChanged.topic)
_TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.2


class Cloud:
    """One DICOM store and all functions. `deliveries` is how many subscriptions a topic has: each message comes so often at least.

    Each subscription to `export-study` has a worker of its own, so that as many race for every message. With `streams`, which is
    what the store's streamConfigs are in the dataset, by table, there are the API and the functions of the automatic export instead,
    or with `exports` as well. `more_stores` are declared beside it; `between` returns the address of what stands before a function.
    `as_deployed` lets each function take as many requests at once as Terraform does, instead of eight.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        emulators: tuple[PubSub, Storage, BigQuery],
        *,
        deliveries: int = 1,
        max_attempts: int = 100,
        settings: Mapping[str, str] | None = None,
        streams: Mapping[str, Mapping[str, Any]] | None = None,
        exports: bool = False,
        more_stores: Mapping[str, Any] | None = None,
        between: Callable[[str], str] = str,
        as_deployed: bool = False,
    ) -> None:
        self._pubsub, self.storage, bigquery = emulators
        self._folder = folder
        self._prefix = f"{name}-"
        self._deliveries = deliveries
        self._max_attempts = max_attempts
        self._stack = ExitStack()
        self.bucket = self.storage.make_bucket()
        self.state = self.storage.make_bucket()
        self.warehouse = Client(PROJECT, AnonymousCredentials())
        self.dataset = f"{PROJECT}.{name.replace('-', '_')}"
        self.warehouse.create_dataset(self.dataset)
        self.staging = f"{self.dataset}_staging"
        self.warehouse.create_dataset(self.staging)
        self._between = between
        self._as_deployed = as_deployed
        has_exports = exports or not streams
        self._handlers = {**(_HANDLERS if has_exports else {}), **(_STREAMING if streams else {})}
        self._dead = {**(_DEAD if has_exports else {}), **(_DEAD_STREAMING if streams else {})}
        declared: dict[str, Any] = {"bucket": self.bucket, "prefix": "dicom/"}
        if streams:
            declared["streamConfigs"] = [
                {"bigqueryDestination": {"tableUri": f"bq://{self.dataset}.{table}", **config}}
                for table, config in streams.items()
            ]
        self.environment = {
            "DICOM_EXPORT_PROJECT": PROJECT,
            "DICOM_EXPORT_STORES": json.dumps({str(STORE): declared, **(more_stores or {})}),
            "DICOM_EXPORT_STATE": f"gs://{self.state}",
            "DICOM_EXPORT_TOPIC_PREFIX": self._prefix,
            "DICOM_EXPORT_STAGING_DATASETS": json.dumps({self.dataset: self.staging}),
            "THREADS": "8",
            HOST_VARIABLE: self.storage.url,
            "DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT": bigquery.write_endpoint,
            **(settings or {}),
        }
        self.topics: dict[str, str] = {}
        self.receivers: dict[str, dict[str, Any]] = {}
        self.functions: list[Function] = []
        self.workers: list[Function] = []

    def __enter__(self) -> Self:
        self.topics = {
            kind: self._pubsub.create_topic(f"{self._prefix}{kind}") for kind in (*self._handlers, *self._dead)
        }
        self.api = self._start("export_api")
        self.api_url = self._between(self.api.url)
        for kind, target in self._handlers.items():
            self._receive(kind, target)
        for kind, target in self._dead.items():
            url = self._between(self._start(target).url)
            self._subscribe(target, f"{self._prefix}{kind}", kind, url)
        return self

    def __exit__(self, *_: object) -> None:
        for function in self.functions:
            function.kill()
        self._stack.close()

    def put(self, objects: Iterable[tuple[str, bytes]]) -> None:
        """Write objects of the store, by name and content."""
        self.storage.put_all(self.bucket, ((f"dicom/{name}", content) for name, content in objects))

    def objects(self) -> list[str]:
        """Return the names of the store's objects."""
        return [blob.name for blob in self.storage.client.list_blobs(self.bucket)]

    def forget_operations(self) -> None:
        """Delete the state of all operations, which the emulator would look through at each listing."""
        for blob in self.storage.client.list_blobs(self.state):
            blob.delete()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the API answers."""
        request = Request(  # noqa: S310 - http, to this machine
            f"{self.api_url}v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - http, to this machine
                return json.load(response)
        except HTTPError as error:
            return json.load(error)

    def export(self, table: str, disposition: str = "WRITE_EMPTY", **more: Any) -> str:
        """Start an export by HTTP, and return the operation's name."""
        destination = {"tableUri": f"bq://{self.dataset}.{table}", "writeDisposition": disposition, "schemaJson": {}}
        answer = self.call("POST", f"{STORE}:export", {"bigqueryDestination": destination, **more})
        assert "name" in answer, answer
        return str(answer["name"])

    def wait(self, operation: str, seconds: float = 300) -> Any:
        """Return the operation once it is done."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.call("GET", operation)
            if answer.get("done"):
                return answer
            time.sleep(_POLL_SECONDS)
        raise AssertionError(f"{operation} did not end: {answer}\n{self.log()[-20_000:]}")

    @contextmanager
    def without_workers(self) -> Iterator[None]:
        """Have nobody take the messages of `export-study` until the block ends."""
        for worker in self.workers:
            worker.kill()
        try:
            yield
        finally:
            for worker in self.workers:
                worker.start()

    def publish(self, kind: str, data: bytes) -> str:
        """Publish a message, and return its id."""
        return self._pubsub.publish(self.topics[kind], b64encode(data).decode())

    def count(self, table: str, condition: str = "TRUE") -> tuple[int, int]:
        """Return how many rows a table has, of those that meet the condition, and how many different instances they are of."""
        sql = f"SELECT COUNT(*), COUNT(DISTINCT SOPInstanceUID) FROM `{self.dataset}.{table}` WHERE {condition}"  # noqa: S608 - a test's own name
        ((rows, instances),) = (tuple(row.values()) for row in self.query(sql))
        return rows, instances

    def query(self, sql: str) -> Iterable[Row]:
        """Return the rows of a query. Raises GoogleAPICallError if it fails: the emulator answers `query_and_wait` without rows then."""
        return self.warehouse.query(sql).result()

    def wait_for_rows(self, table: str, instances: int, of_type: str, seconds: float = 300) -> None:
        """Return once the table has rows of this `Type` of so many instances."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.count(table, f"Type = '{of_type}'")[1] if table in self.tables() else 0
            if found == instances:
                return
            time.sleep(5 * _POLL_SECONDS)  # each look counts all rows
        raise AssertionError(f"{table} has {found} of {instances} instances\n{self.log()[-20_000:]}")

    def tell_again(self, names: Iterable[str]) -> None:
        """Have the bucket's notification of each object come once more, as Pub/Sub may."""
        for name in names:
            blob = self.storage.client.bucket(self.bucket).get_blob(f"dicom/{name}")
            resource = {"name": blob.name, "size": str(blob.size), "timeCreated": blob.time_created.isoformat()}
            attributes = {
                "bucketId": self.bucket,
                "eventType": "OBJECT_FINALIZE",
                "objectGeneration": str(blob.generation),
                "objectId": blob.name,
            }
            data = b64encode(json.dumps({**resource, "storageClass": "STANDARD"}).encode()).decode()
            self._pubsub.publish(self.topics[InstanceChanged.topic], data, attributes)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects of the store."""
        for name in names:
            self.storage.delete(self.bucket, f"dicom/{name}")

    def tables(self) -> set[str]:
        """Return the names of the dataset's tables."""
        return {table.table_id for table in self.warehouse.list_tables(self.dataset)}

    def log(self) -> str:
        """Return what all functions logged."""
        return "".join(function.output() for function in self.functions)

    def _receive(self, kind: str, target: str) -> None:
        """Have the messages of a kind pushed to their function; each subscription of workers has one of its own."""
        shared = None if kind in _WORK else self._start(target)
        for number in range(self._deliveries):
            function = shared or self._start_worker(target)
            dead_letters = self.topics[_DEAD_OF.get(kind, "dead-letters")]
            self._subscribe(target, f"{self._prefix}{kind}-{number}", kind, self._between(function.url), dead_letters)

    def _subscribe(self, target: str, name: str, kind: str, url: str, dead_letters: str | None = None) -> None:
        """Subscribe a function, and note how, as Terraform describes it."""
        attempts = self._max_attempts if dead_letters else 0
        subscription = self._pubsub.subscribe(
            name, self.topics[kind], url, dead_letter_topic=dead_letters, max_attempts=self._max_attempts
        )
        self.receivers[target] = {
            "function": target.replace("_", "-"),
            "topic": self.topics[kind],
            "subscription": subscription,
            "endpoint": url,
            "invoker": "",
            "deadLetterTopic": dead_letters or "",
            "maxDeliveryAttempts": attempts,
        }

    def _start_worker(self, target: str) -> Function:
        self.workers.append(self._start(target))
        return self.workers[-1]

    def _start(self, target: str) -> Function:
        log = self._folder / f"{self._prefix}{target}-{len(self.functions)}.log"
        threads = {"THREADS": str(sizes()[target].concurrency)} if self._as_deployed else {}
        function = Function(target, log, environment={**self.environment, **threads})
        self.functions.append(self._stack.enter_context(function))
        return function
