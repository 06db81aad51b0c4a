"""An installation on the emulators while everything goes wrong; at the end rows, counters, operations and tables have to agree exactly.

    python -m soak.chaos [--minutes N] [--seed N]

Clients upload, overwrite and delete objects, start exports with each disposition, cancel some, and query, while functions are killed, services are away,
answers are late, are 503, or are lost after what they answer was done. Then all is calm, what is under way ends, and `soak.ledger` looks at it.

What a restart is depends on what the service would never lose. Cloud Storage is killed and started again: its emulator keeps its objects on the disk, and
is killed between two requests, as it does not write atomically. The emulators of Pub/Sub and BigQuery keep messages, streams and tables in memory:
for their clients they are gone for some seconds, with all connections broken and all calls under way in doubt.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dicom_export.names import StoreName
from soak.clients import Clients
from soak.ledger import Ledger
from soak.proxies import HttpProxy, TcpProxy, Weather
from support.clouds import PROJECT, STORE, Cloud
from support.dicom_files import make_archive_objects
from support.emulators import bigquery, pubsub, storage
from support.emulators.process import free_port, is_listening, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARCHIVE = StoreName(STORE.parent, "unchanging")
"""A store that nobody writes to: each export of it has to come to the same."""

STUDIES, INSTANCES, BROKEN = 30, 20, 2
STREAMS: dict[str, dict[str, Any]] = {"live_flat": {"schemaFlattened": {}}, "live_json": {"schemaJson": {}}}
LIMITS = {"DICOM_EXPORT_BUNDLE": "60", "DICOM_EXPORT_PAGE_TASKS": "4", "DICOM_EXPORT_SAMPLE": "5"}
_STORES_BUCKET = "bucket-2"
_SETTLE_SECONDS = 1.0


class Chaos:
    """The installation, and what goes wrong in it."""

    def __init__(self, folder: Path, seed: int, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._seed = seed
        self.counts: Counter[str] = Counter()
        self.calls = Weather(seed, delayed=0.05, refused=0.01, lost=0.01)
        self.bytes = Weather(seed + 1, delayed=0.01)
        self.stop = threading.Event()
        self.cloud = self._start()

    def threads(self) -> list[threading.Thread]:
        """Return what kills, restarts and cuts at random until `stop` is set, not started yet."""
        services = [self._restart_storage, self._pubsub_away, self._bigquery_away, self._cut]
        return [
            threading.Thread(target=self._repeat, args=(ways, random.Random(self._seed * 10 + number)))
            for number, ways in enumerate(([self._kill_a_function], services))
        ]

    def calm(self) -> None:
        """End it all."""
        self.calls.calm()
        self.bytes.calm()

    def line(self) -> str:
        """Return what went wrong."""
        calls = self.calls.counts
        did = ", ".join(f"{number} {what}" for what, number in sorted(self.counts.items()))
        return (
            f"{did}; of {calls['requests']:,} requests {calls['delayed']:,} delayed, {calls['refused']:,} answered with 503,"
            f" {calls['lost']:,} done with their answer lost"
        )

    def _start(self) -> Cloud:
        stack, folder = self._stack, self._folder
        launcher, binary, python = pubsub.launcher(), storage.binary(), bigquery.python()
        if not (launcher and binary and python):
            raise SystemExit("The emulators are not installed; `make test` installs them, and says what it cannot")
        topics = stack.enter_context(pubsub.emulator(launcher, folder / "pubsub.log"))
        warehouse = stack.enter_context(bigquery.emulator(python, folder / "bigquery.log"))
        self._port = free_port()
        direct = {
            pubsub.HOST_VARIABLE: topics.host,
            bigquery.HOST_VARIABLE: warehouse.url,
            storage.HOST_VARIABLE: f"http://127.0.0.1:{self._port}",
        }
        stack.enter_context(_environment(direct))
        self._command = storage.command(
            binary, self._port, folder / "objects", topic="chaos-instance-changed", bucket=_STORES_BUCKET
        )
        self._storage = stack.enter_context(ExitStack())
        self._start_storage()
        self.objects = storage.connected(self._port)
        unchanging = self.objects.make_bucket()
        self.objects.put_all(unchanging, ((f"dicom/{name}", data) for name, data in _archive()))
        self.storage = HttpProxy(("127.0.0.1", self._port), self.calls)
        self._warehouse = HttpProxy(_place(warehouse.url), self.calls)
        self._appends = TcpProxy(_place(f"http://{warehouse.write_endpoint}"), self.bytes)
        self._topics = TcpProxy(_place(f"http://{topics.host}"), self.bytes)
        through = {
            storage.HOST_VARIABLE: self.storage.start(),
            bigquery.HOST_VARIABLE: self._warehouse.start(),
            pubsub.HOST_VARIABLE: self._topics.start(),
            "DICOM_EXPORT_BIGQUERY_WRITE_ENDPOINT": self._appends.start(),
            "DICOM_EXPORT_FAILURES_TABLE": f"bq://{PROJECT}.chaos.failures",
        }
        cloud = Cloud(
            folder,
            "chaos",
            (topics, self.objects, warehouse),
            deliveries=2,
            settings={**LIMITS, **through},
            streams=STREAMS,
            exports=True,
            more_stores={str(ARCHIVE): {"bucket": unchanging, "prefix": "dicom/"}},
            between=lambda url: f"{HttpProxy(_place(url), self.calls).start()}/",
        )
        assert cloud.bucket == _STORES_BUCKET
        return stack.enter_context(cloud)

    def _repeat(self, ways: list[Callable[[random.Random], None]], chance: random.Random) -> None:
        while not self.stop.wait(chance.uniform(2, 8)):
            chance.choice(ways)(chance)

    def _start_storage(self) -> None:
        log = self._folder / f"storage-{self.counts['restarts of Cloud Storage']}.log"
        self._storage.enter_context(running(self._command, log, lambda: is_listening(self._port)))

    def _kill_a_function(self, chance: random.Random) -> None:
        victim = chance.choice(self.cloud.functions)
        victim.kill()
        victim.start()
        self.counts["kills"] += 1

    def _restart_storage(self, _: random.Random) -> None:
        """Restart it between two requests; what it tells of its objects it sends a moment after it has answered."""
        with self.storage.down(settle_seconds=_SETTLE_SECONDS):
            self._storage.close()
            self.counts["restarts of Cloud Storage"] += 1
            self._start_storage()

    def _pubsub_away(self, chance: random.Random) -> None:
        with self._topics.away():
            time.sleep(chance.uniform(1, 5))
        self.counts["outages of Pub/Sub"] += 1

    def _bigquery_away(self, chance: random.Random) -> None:
        with self._appends.away(), self._warehouse.away():
            time.sleep(chance.uniform(1, 5))
        self.counts["outages of BigQuery"] += 1

    def _cut(self, chance: random.Random) -> None:
        chance.choice([self._appends, self._topics]).cut()
        self.counts["cuts"] += 1


def _archive() -> Iterator[tuple[str, bytes]]:
    yield from make_archive_objects(STUDIES, INSTANCES)
    yield from ((f"1.2.1003/1.3.1/broken-{number}.dcm", b"\0no DICOM") for number in range(BROKEN))


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Have these variables in the environment until the block ends."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def run(folder: Path, seconds: float, seed: int = 0) -> tuple[str, list[str]]:
    """Return a line of figures and what is wrong at the end."""
    with ExitStack() as stack:
        chaos = Chaos(folder, seed, stack)
        clients = Clients(chaos.cloud, chaos.storage, ARCHIVE, STUDIES * INSTANCES, seed)
        threads = [*chaos.threads(), *clients.threads()]
        for thread in threads:
            thread.start()
        clients.stop.wait(seconds)
        clients.stop.set()
        chaos.stop.set()
        for thread in threads:
            thread.join()
        chaos.calm()
        ledger = Ledger(chaos.cloud, ARCHIVE, (STUDIES * INSTANCES, BROKEN), clients.versions)
        wrong = [*clients.wrong, *ledger.wrong()]
        if wrong:
            with suppress(OSError):
                (folder / "functions.log").write_text(chaos.cloud.log())
        return f"{chaos.line()}; {clients.line()}; {ledger.line()}; {len(wrong)} wrong", wrong


def main() -> None:
    """Wreak havoc, and print the figures. Ends with an error if anything was wrong at the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Terminated"))  # so that nothing that was started is left
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="dicom-export-chaos-"))
    line, wrong = run(folder, options.minutes * 60, options.seed)
    print(line)
    if wrong:
        print(f"The logs are in {folder}")
    else:
        shutil.rmtree(folder)
    sys.exit("\n".join(wrong[:50]) or 0)


if __name__ == "__main__":
    main()
