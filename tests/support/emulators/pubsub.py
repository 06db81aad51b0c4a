"""Google's Pub/Sub emulator, which is a part of the Google Cloud CLI.

Seen of version 0.8.20:

- Two pushes of a subscription are under way at once, not more.
- 200, 201, 203, 204 and 102 acknowledge; all else, 202 too, does not.
- What is not acknowledged comes again after 1 s, or with a retry policy after 1 to 3 s and more, so that tests have none.
  If nobody listens that is an attempt, too. If the connection breaks it comes again at once, and that is none.
- After the acknowledgement deadline it comes again while the first push is still under way.
- After the attempts of its dead-letter policy, 5 to 100, a message is published on the dead-letter topic, with a new id and
  the attributes that Pub/Sub adds. `deliveryAttempt` is missing in pushes.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from support.emulators.process import free_port, is_listening, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = "my-project"
HOST_VARIABLE = "PUBSUB_EMULATOR_HOST"

_LAUNCHER = "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
# It starts in half the time, and does not take a quarter of the machine's memory.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx512m"
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class PubSub:
    """An emulator that runs. Names are without their project, at least three characters; resource names come back."""

    host: str

    @property
    def environment(self) -> dict[str, str]:
        """What has a process' clients talk to it."""
        return {HOST_VARIABLE: self.host}

    def create_topic(self, name: str) -> str:
        """Create a topic."""
        return self._create("topics", name, {})

    def subscribe(
        self,
        name: str,
        topic: str,
        endpoint: str,
        *,
        ack_deadline_seconds: int = 60,
        dead_letter_topic: str | None = None,
        max_attempts: int = 5,
    ) -> str:
        """Have what is published on the topic, a resource name, pushed to the endpoint from now on."""
        subscription: dict[str, Any] = {
            "topic": topic,
            "pushConfig": {"pushEndpoint": endpoint},
            "ackDeadlineSeconds": ack_deadline_seconds,
        }
        if dead_letter_topic:
            policy = {"deadLetterTopic": dead_letter_topic, "maxDeliveryAttempts": max_attempts}
            subscription["deadLetterPolicy"] = policy
        return self._create("subscriptions", name, subscription)

    def hold(self, name: str, topic: str) -> str:
        """Keep what is published on the topic, a resource name, from now on; nobody is pushed to."""
        return self._create("subscriptions", name, {"topic": topic})

    def publish(self, topic: str, data: str, attributes: Mapping[str, str] | None = None) -> str:
        """Publish a message, its data in Base64, and return its id."""
        body = {"messages": [{"data": data, "attributes": dict(attributes or {})}]}
        return str(self._call("POST", f"{topic}:publish", body)["messageIds"][0])

    def delete(self, resource: str) -> None:
        """Delete a topic or a subscription, with what it holds."""
        self._call("DELETE", resource)

    def _create(self, kind: str, name: str, content: Mapping[str, Any]) -> str:
        return str(self._call("PUT", f"projects/{PROJECT}/{kind}/{name}", content)["name"])

    def _call(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        request = Request(
            f"http://{self.host}/v1/{path}",
            method=method,
            data=json.dumps(content or {}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - http, to the emulator
            return json.load(response)


def launcher() -> Path | None:
    """Return what starts the emulator, or None if there is no gcloud, no emulator or no Java."""
    gcloud = shutil.which("gcloud")
    if not gcloud or not shutil.which("java"):
        return None
    found = Path(gcloud).resolve().parents[1] / _LAUNCHER
    return found if found.exists() else None


@contextmanager
def emulator(command: Path, log: Path) -> Iterator[PubSub]:
    """Run an emulator at a free port until the block ends."""
    port = free_port()
    options = {"JAVA_OPTS": f"{os.environ.get('JAVA_OPTS', '')} {_JAVA_OPTIONS}"}
    with running([str(command), "--host=127.0.0.1", f"--port={port}"], log, lambda: is_listening(port), options):
        yield PubSub(f"127.0.0.1:{port}")
