"""The composition root: open the installation that the environment describes, once per process, for the entry points."""

from __future__ import annotations

import atexit
import threading
from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING

from dicom_export import settings
from dicom_export.bootstrap.libraries import check_cloud_libraries
from dicom_export.bootstrap.wiring import (
    Ports,
    dead_letters_on,
    handlers_on,
    lost_changes_on,
    service_on,
    streaming_on,
)
from dicom_export.errors import ConfigurationError, Internal
from dicom_export.messages import InstanceChanged
from dicom_export.pubsub.notifications import Notification, instance_changed
from dicom_export.pubsub.push import BatchRequest
from dicom_export.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_export.bootstrap.local import LocalDeployment
    from dicom_export.console.installation import Installation
    from dicom_export.diagnosing.check_message import Check
    from dicom_export.diagnosing.examine import Examination
    from dicom_export.exporting.service import ExportService
    from dicom_export.pubsub.push import UndeliveredMessage
    from dicom_export.settings import CloudSettings
    from dicom_export.smoke_testing.run import SmokeTest

Change = InstanceChanged | Notification
"""A change of an object, announced by the installation or by the object's bucket."""

# Well before a push is delivered again after 600 s: a copy that was begun by then takes 210 s at most, with its retries.
_COPY_SECONDS = 240.0

_opening = threading.RLock()


def service() -> ExportService:
    """Return the installation's service. Raises ConfigurationError."""
    with _opening:
        return _service()


def console() -> Installation:
    """Return what the console shows of the installation. Raises ConfigurationError."""
    with _opening:
        return _console()


def handlers() -> Mapping[str, Callable[..., None]]:
    """Return the handler of each topic's messages. Raises ConfigurationError."""
    with _opening:
        return _handlers()


def batch_requests() -> Callable[[bytes, str], None]:
    """Return the handler of batch jobs, which takes a message's data and id. Raises ConfigurationError."""
    from dicom_export.handlers.start_export import start_batch_export

    return partial(start_batch_export, service=service())


def dead_letters() -> Callable[[UndeliveredMessage], None]:
    """Return the handler of messages that are out of attempts. Raises ConfigurationError."""
    with _opening:
        return _dead_letters()


def instance_changes() -> Callable[[Change], None]:
    """Return the handler of changes of objects. Raises ConfigurationError."""
    with _opening:
        return _instance_changes()


def lost_changes() -> Callable[[UndeliveredMessage], None]:
    """Return the handler of changes that are out of attempts. Raises ConfigurationError."""
    with _opening:
        return _lost_changes()


def check_answers() -> Callable[[Check, str], None]:
    """Return the handler of check messages: a check, and the name of the function. Raises ConfigurationError."""
    with _opening:
        return _check_answers()


def examination(api_url: str | None = None) -> Examination:
    """Return the examination of the installation on Google Cloud. Raises ConfigurationError."""
    with _opening:
        cloud, ports = _cloud()
    from dicom_export.bootstrap.cloud import examination as examination_of

    return examination_of(cloud, settings.installation(), ports, api_url)


def smoke_test(api_url: str | None = None, *, repeats: int, columns: int, wait_seconds: float) -> SmokeTest:
    """Return the smoke test of the installation on Google Cloud. Raises ConfigurationError, FailedPrecondition."""
    with _opening:
        cloud, _ = _cloud()
    from dicom_export.bootstrap.cloud import smoke_test as smoke_test_of

    return smoke_test_of(
        cloud, settings.installation(), api_url, repeats=repeats, columns=columns, wait_seconds=wait_seconds
    )


@cache
def _cloud() -> tuple[CloudSettings, Ports]:
    found = settings.from_environment()
    if isinstance(found, LocalSettings):
        raise ConfigurationError("On one machine the queue calls the handlers; this entry point is for Google Cloud")
    check_cloud_libraries()
    from dicom_export.bootstrap.cloud import cloud_ports

    return found, cloud_ports(found)


@cache
def _service() -> ExportService:
    is_local = isinstance(settings.from_environment(), LocalSettings)
    return _local()[1].service if is_local else service_on(_cloud()[1])


@cache
def _local() -> tuple[LocalSettings, LocalDeployment]:
    found = settings.from_environment()
    if not isinstance(found, LocalSettings):
        raise ConfigurationError(
            "The environment describes an installation on Google Cloud; expected one on one machine"
        )
    from dicom_export.bootstrap.local import resumed

    stack = ExitStack()
    atexit.register(stack.close)
    return found, resumed(stack, found)


@cache
def _console() -> Installation:
    # The API is answered without the console and what it imports.
    from dicom_export.bootstrap.web_console import cloud_console, local_console

    if isinstance(settings.from_environment(), LocalSettings):
        return local_console(*_local())
    return cloud_console(*_cloud(), service())


@cache
def _handlers() -> Mapping[str, Callable[..., None]]:
    from dicom_export.decoding.threads import DecodeAhead

    cloud, ports = _cloud()
    return handlers_on(
        ports, cloud.limits, DecodeAhead(cloud.readers, cloud.limits.objects), copy_seconds=_COPY_SECONDS
    )


@cache
def _dead_letters() -> Callable[[UndeliveredMessage], None]:
    from dicom_export.handlers.start_export import give_up_batch_export

    record, asked = dead_letters_on(_cloud()[1]), service()

    def take(letter: UndeliveredMessage) -> None:
        if isinstance(letter.message, BatchRequest):
            give_up_batch_export(letter.message.data, letter.message.job, letter.reason, asked)
        elif isinstance(letter.message, Notification):
            raise Internal("A notification of a bucket is not a dead letter of an operation")
        else:
            record(letter.message, letter.reason)

    return take


@cache
def _instance_changes() -> Callable[[Change], None]:
    cloud, ports = _cloud()
    stream = streaming_on(ports, cloud.limits)

    def take(change: Change) -> None:
        found = _of_a_store(change, cloud)
        if found:
            stream(found)

    return take


@cache
def _check_answers() -> Callable[[Check, str], None]:
    cloud, ports = _cloud()
    from dicom_export.bootstrap.cloud import check_answers as answers_on

    return answers_on(cloud, ports)


@cache
def _lost_changes() -> Callable[[UndeliveredMessage], None]:
    cloud, ports = _cloud()
    report = lost_changes_on(ports)

    def take(letter: UndeliveredMessage) -> None:
        found = _of_a_store(letter.message, cloud) if isinstance(letter.message, Change) else None
        if found:
            report(found, letter.reason)

    return take


def _of_a_store(change: Change, cloud: CloudSettings) -> InstanceChanged | None:
    if isinstance(change, InstanceChanged):
        return change
    return instance_changed(change, {name: (each.bucket, each.prefix) for name, each in cloud.stores.items()})
