"""Much at once: exports requested of one server, instances of one operation on one machine and on the emulators. Bounded memory, nothing lost.

    python -m soak.load serve [--exports N] [--clients N]
    python -m soak.load local [--instances N]
    python -m soak.load emulators [--instances N]

Each prints a line of figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import urllib3

from local_export import PeakMemory, exported, link, make_archive
from support.clouds import Cloud
from support.command_line import make_folder, rows
from support.dicom_files import make_archive_objects
from support.emulators import bigquery, pubsub, storage
from support.infra_files import sizes
from support.local_server import BQ_DATASET, STORE, Archive, serving
from support.memory import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from support.emulators.functions import Function

MOST_MEGABYTES = {"serve": 1_024, "local": 1_536, "emulators": 2_048}
"""The most that a server, an export with its processes, and a function may take. Each function is held to its own size, too."""

_SIZES = {
    "serve": {"exports": 500, "clients": 100},
    "local": {"instances": 1_000_000},
    "emulators": {"instances": 100_000},
}

SERVED = 20
"""Instances of the store that is served."""

_STUDY = 50

_TIMEOUT_SECONDS = 300


def serve(root: Path, exports: int, clients: int) -> tuple[str, int, list[str]]:
    """Request exports at once, half of them into one table, while clients poll; return figures, peak bytes, and what is wrong."""
    archive = Archive(root)
    for name in ("broken", "filters"):
        (root / name).mkdir()
    make_folder(root / "store", SERVED)
    shared = exports // 2
    with serving(archive) as (endpoint, process):
        peak = PeakMemory(process.pid)
        begun = time.monotonic()
        with _Polled(endpoint, clients, shared) as polled:
            names = _at_once([partial(polled.export, number) for number in range(exports)])
            requested = time.monotonic() - begun
            ended = {name: polled.wait(name) for name in names}
        took = time.monotonic() - begun
        listed = set(polled.listed())
        process.terminate()
        process.wait()
    wrong = [f"{name} is not listed" for name in names if name not in listed]
    wrong += [
        f"{name}: {each}"
        for name, each in ended.items()
        if each["metadata"].get("counter", {}).get("success") != str(SERVED)
    ]
    if len(set(names)) != exports:
        wrong.append(f"{len(set(names))} operations of {exports} requests")
    wrong += polled.wrong
    for table, expected in (("shared", shared), *((f"own_{number}", 1) for number in range(shared, exports))):
        ((count, distinct),) = rows(
            root / "data" / "my-project.duckdb",
            f'SELECT count(*), count(DISTINCT SOPInstanceUID) FROM dicom."{table}"',  # noqa: S608 - our own name
        )
        if (count, distinct) != (SERVED * expected, SERVED):
            wrong.append(f"{table} has {count} rows of {distinct} instances, expected {SERVED * expected} of {SERVED}")
    line = (
        f"{exports:,} exports of {SERVED} instances requested at once, all accepted in {requested:,.1f} s, ended in {took:,.1f} s;"
        f" {clients} clients polled {polled.polls:,} times"
    )
    return line, peak.bytes(), wrong


class _Polled:
    """Requests exports, while clients ask for one operation after the other as long as the block lasts; the first half goes to one table."""

    def __init__(self, endpoint: str, clients: int, shared: int) -> None:
        self.wrong: list[str] = []
        self.polls = 0
        self._url = f"{endpoint}v1/"
        self._shared = shared
        self._http = urllib3.PoolManager(maxsize=clients, retries=False, timeout=_TIMEOUT_SECONDS)
        self._found: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._poll, args=(number, clients)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def export(self, number: int) -> str:
        """Request an export, and return the operation's name."""
        table, disposition = ("shared", "WRITE_APPEND") if number < self._shared else (f"own_{number}", "WRITE_EMPTY")
        destination = {"tableUri": f"bq://{BQ_DATASET}.{table}", "writeDisposition": disposition, "schemaJson": {}}
        name = str(self._call("POST", f"{STORE}:export", {"bigqueryDestination": destination})["name"])
        with self._changed:
            self._found[name] = {}
        return name

    def wait(self, name: str) -> dict[str, Any]:
        """Return the operation once a client has seen that it is done, or as it was last."""
        with self._changed:
            self._changed.wait_for(lambda: self._found[name].get("done"), timeout=_TIMEOUT_SECONDS)
            return self._found[name]

    def listed(self) -> Iterator[str]:
        """Yield the names of all operations that the server lists."""
        token = ""
        while True:
            page = self._call("GET", f"{STORE.parent}/operations?pageSize=100&pageToken={token}")
            yield from (each["name"] for each in page["operations"])
            token = page.get("nextPageToken", "")
            if not token:
                return

    def _poll(self, number: int, clients: int) -> None:
        """Ask for every so manieth operation, beginning with that of the number."""
        while not self._is_over.wait(0.1):
            with self._changed:
                asked = [name for name, found in list(self._found.items())[number::clients] if not found.get("done")]
            for name in asked:
                found = self._call("GET", name)
                with self._changed:
                    self.polls += 1
                    self._found[name] = found
                    self._changed.notify_all()

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self._http.request(method, self._url + path, json=body)
        found: dict[str, Any] = answer.json()
        if answer.status != HTTPStatus.OK:
            self.wrong.append(f"{method} {path}: {answer.status}, {found}")
        return found


def _at_once(works: Sequence[Callable[[], str]]) -> list[str]:
    """Return what each returns; all begin at the same time."""
    together = threading.Barrier(len(works))

    def begin(work: Callable[[], str]) -> str:
        together.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


def local(root: Path, instances: int) -> tuple[str, int, list[str]]:
    """Export so many instances by one operation on this machine."""
    archive = make_archive(root / "archive")
    link(archive, root / "store", instances)
    file = root / "out.duckdb"
    seconds, peak = exported(root / "store", file, instances)
    ((count,),) = rows(file, "SELECT count(*) FROM dicom")
    wrong = [] if count == instances else [f"{count:,} rows of {instances:,} instances"]
    return f"{instances:,} instances in one local operation, {seconds:,.0f} s", peak, wrong


def emulators(root: Path, instances: int) -> tuple[str, int, list[str]]:
    """Export so many instances by the deployed functions on the emulators, each message delivered twice."""
    studies = -(-instances // _STUDY)
    with ExitStack() as stack:
        cloud = stack.enter_context(_cloud(root, stack))
        cloud.put(make_archive_objects(studies, _STUDY))
        begun = time.monotonic()
        operation = cloud.wait(cloud.export("loaded"), seconds=24 * 3600)
        took = time.monotonic() - begun
        total = studies * _STUDY
        counter = operation["metadata"]["counter"]
        expected = {"success": str(total), "secondarySuccess": str(studies)}
        wrong = [] if counter == expected and "error" not in operation else [f"{operation}, expected {expected}"]
        if (found := cloud.count("loaded")) != (total, total):
            wrong.append(f"{found[0]:,} rows of {found[1]:,} instances, expected {total:,}")
        peaks: dict[str, int] = {}
        for function in cloud.functions:
            peaks[function.target] = max(_peak_of_group(function), peaks.get(function.target, 0))
    wrong += [
        f"{name} took {peak >> 20:,} MiB of {sizes()[name].memory >> 20:,}"
        for name, peak in peaks.items()
        if peak > sizes()[name].memory
    ]
    listed = ", ".join(f"{name} {peak >> 20:,} MiB" for name, peak in peaks.items())
    return f"{total:,} instances on the emulators, {took:,.0f} s; {listed}", max(peaks.values()), wrong


def _cloud(root: Path, stack: ExitStack) -> Cloud:
    launcher, binary, python = pubsub.launcher(), storage.binary(), bigquery.python()
    if not (launcher and binary and python):
        raise SystemExit("The emulators are not installed; `make test` installs them, and says what it cannot")
    topics = stack.enter_context(pubsub.emulator(launcher, root / "pubsub.log"))
    objects = stack.enter_context(storage.emulator(binary, root / "storage.log", root / "objects"))
    warehouse = stack.enter_context(bigquery.emulator(python, root / "bigquery.log"))
    os.environ |= {pubsub.HOST_VARIABLE: topics.host, bigquery.HOST_VARIABLE: warehouse.url}
    return Cloud(root, "load", (topics, objects, warehouse), deliveries=2, as_deployed=True)


def _peak_of_group(function: Function) -> int:
    """Return the most memory that a function's processes had, each at its worst, in bytes."""
    found = 0
    for process in (int(path.name) for path in Path("/proc").glob("[0-9]*")):
        with suppress(OSError):
            if os.getpgid(process) == function.pid:
                found += peak_bytes(process)
    return found


_LOADS: dict[str, Callable[..., tuple[str, int, list[str]]]] = {"serve": serve, "local": local, "emulators": emulators}


def main() -> None:
    """Load what is named, and print the figures. Ends with an error if anything was wrong."""
    parser = argparse.ArgumentParser()
    what = parser.add_subparsers(dest="what", required=True)
    for name, defaults in _SIZES.items():
        subparser = what.add_parser(name)
        for option, default in defaults.items():
            subparser.add_argument(f"--{option}", type=int, default=default)
    sizes = vars(parser.parse_args())
    name = sizes.pop("what")
    root = Path(tempfile.mkdtemp(prefix="dicom-export-load-"))
    try:
        line, peak, wrong = _LOADS[name](root, **sizes)
    finally:
        shutil.rmtree(root)
    if peak > MOST_MEGABYTES[name] << 20:
        wrong.append(f"{peak >> 20:,} MiB, more than {MOST_MEGABYTES[name]:,}")
    print(f"{line}; peak {peak >> 20:,} MiB; {len(wrong)} wrong")
    sys.exit("\n".join(wrong[:20]) or 0)


if __name__ == "__main__":
    main()
