"""What clients do to an installation: upload, overwrite and delete objects, start, cancel and follow exports, query tables."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import urllib3
from google.api_core.exceptions import GoogleAPICallError

from support.clouds import STORE
from support.dicom_files import make_instance

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_export.names import StoreName
    from soak.proxies import HttpProxy
    from support.clouds import Cloud

_TIMEOUT_SECONDS = 30
_FOLLOWED_SECONDS = 30
_LIVE = 150
"""How many objects the store has at most that is written to."""


class Clients:
    """They try again what fails, as clients do. `versions` are the last versions of the objects; None of one that is deleted."""

    def __init__(self, cloud: Cloud, storage: HttpProxy, archive: StoreName, total: int, seed: int) -> None:
        self.stop = threading.Event()
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.versions: dict[str, int | None] = {}
        self._cloud = cloud
        self._storage = f"http://127.0.0.1:{storage.port}"
        self._archive = archive
        self._total = total
        self._seed = seed
        self._operations: dict[str, int] = {}
        self._lock = threading.Lock()
        self._numbers = iter(range(1_000_000))

    def threads(self) -> list[threading.Thread]:
        """Return threads that go on until `stop` is set, not started yet."""
        works: list[Callable[[random.Random], None]] = [
            self._upload,
            self._export,
            self._export,
            self._export,
            self._query,
        ]
        return [
            threading.Thread(target=self._repeat, args=(work, random.Random(self._seed * 100 + number)))
            for number, work in enumerate(works)
        ]

    def line(self) -> str:
        """Return what was done."""
        return ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))

    def _repeat(self, work: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self.stop.is_set():
            try:
                work(chance)
            except Exception as error:  # noqa: BLE001 - a client that ends early would test nothing
                self.wrong.append(f"a client ended: {type(error).__name__}: {error}")
                return

    def _upload(self, chance: random.Random) -> None:
        """Write, overwrite or delete an object."""
        uid = f"1.2.{chance.randrange(_LIVE // 10)}.{chance.randrange(10)}"
        study = uid.rpartition(".")[0]
        name = quote(f"dicom/{study}/1.3.1/{uid}.dcm", safe="")
        if self.versions.get(uid) is not None and chance.random() < 0.3:
            self._until_done("DELETE", f"/storage/v1/b/{self._cloud.bucket}/o/{name}", None, (200, 204, 404))
            self.versions[uid] = None
            self.counts["deletions"] += 1
        else:
            version = next(self._numbers)
            content = make_instance(
                StudyInstanceUID=study, SeriesInstanceUID="1.3.1", SOPInstanceUID=uid, PatientComments=f"v{version}"
            )
            path = f"/upload/storage/v1/b/{self._cloud.bucket}/o?uploadType=media&name={name}"
            self._until_done("POST", path, content, (200,))
            self.versions[uid] = version
            self.counts["uploads"] += 1
        self.stop.wait(chance.uniform(0, 0.5))

    def _until_done(self, method: str, path: str, body: bytes | None, statuses: tuple[int, ...]) -> None:
        """Send the request until it is answered so: a change that may be done is made once more."""
        headers = {"Content-Type": "application/octet-stream"}
        while True:
            try:
                answer = urllib3.request(
                    method, self._storage + path, body=body, headers=headers, retries=False, timeout=_TIMEOUT_SECONDS
                )
            except urllib3.exceptions.HTTPError:
                continue
            if answer.status in statuses:
                return
            if answer.status < 500:
                raise RuntimeError(f"{method} {path}: {answer.status}")
            time.sleep(0.2)

    def _export(self, chance: random.Random) -> None:
        """Start an export, perhaps cancel it, and follow it for a while."""
        store, disposition, table = (
            self._archive,
            *chance.choice(
                [
                    ("WRITE_EMPTY", f"empty_{next(self._numbers)}"),
                    ("WRITE_APPEND", f"appended_{chance.randrange(3)}"),
                    ("WRITE_APPEND", f"appended_{chance.randrange(3)}"),
                    ("WRITE_TRUNCATE", f"replaced_{chance.randrange(2)}"),
                    ("WRITE_TRUNCATE", "live_json"),
                ]
            ),
        )
        if table == "live_json":
            store = STORE
        destination = {
            "tableUri": f"bq://{self._cloud.dataset}.{table}",
            "writeDisposition": disposition,
            "schemaJson": {},
        }
        operation = self._start(chance, store, {"bigqueryDestination": destination})
        if operation is None:
            self.stop.wait(1)
            return
        self.counts[f"exports {disposition}"] += 1
        with self._lock:
            self._operations[operation] = 0
        if chance.random() < 0.25:
            self.stop.wait(chance.uniform(0, 5))
            if self._call("POST", f"{operation}:cancel", {}) == {}:
                self.counts["cancels"] += 1
        deadline = time.monotonic() + _FOLLOWED_SECONDS
        while not (self.stop.is_set() or time.monotonic() > deadline or self._is_done(operation)):
            self.stop.wait(0.5)

    def _start(self, chance: random.Random, store: StoreName, body: dict[str, Any]) -> str | None:
        """Return the name of the operation, or None if it is not known: of a lost answer `Ledger` finds what it began."""
        if chance.random() < 0.2:
            job = self._cloud.publish("export-requests", json.dumps({"name": str(store), **body}).encode())
            self.counts["batch jobs"] += 1
            return f"{store.parent}/operations/{job}"
        answer = self._call("POST", f"{store}:export", body)
        return str(answer["name"]) if answer and "name" in answer else None

    def _is_done(self, operation: str) -> bool:
        """Look at an operation: what was counted as exported stays so."""
        found = self._call("GET", operation)
        if found is None or "metadata" not in found:
            return False
        success = int(found["metadata"].get("counter", {}).get("success", 0))
        with self._lock:
            before = self._operations.get(operation, 0)
            self._operations[operation] = max(before, success)
        if success < before:
            self.wrong.append(f"{operation} had {before} instances exported, and then {success}")
        return bool(found.get("done"))

    def _query(self, chance: random.Random) -> None:
        """Ask the API for this and that, and count the rows of a table that is overwritten: the old or the new ones."""
        self._call("GET", f"{STORE.parent}/operations?pageSize=20")
        with self._lock:
            known = list(self._operations)
        if known:
            self._is_done(operation := chance.choice(known))
            self._call("GET", f"{operation}/failures")
        table = f"replaced_{chance.randrange(2)}"
        try:
            found = self._cloud.count(table) if table in self._cloud.tables() else (0, 0)
        except GoogleAPICallError as error:  # of the emulator: BigQuery replaces a table in one step
            self.counts[f"queries that failed with {error.code}"] += 1
            return
        if found not in ((0, 0), (self._total, self._total)):
            self.wrong.append(f"who reads {table} sees {found[0]} rows of {found[1]} instances")
        self.counts["queries"] += 1
        self.stop.wait(chance.uniform(0, 1))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the API answers, or None if it does not, or with an error that may pass."""
        request = Request(  # noqa: S310 - http, to this machine
            f"{self._cloud.api_url}v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
                return json.load(response)
        except HTTPError as error:
            return None if error.code >= 500 else json.load(error)
        except (URLError, OSError, ValueError):
            return None
