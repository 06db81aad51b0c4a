"""Examine an installation: read each resource, and check it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dicom_export.diagnosing.accounts import check_account
from dicom_export.diagnosing.apis import check_apis
from dicom_export.diagnosing.asking import ask
from dicom_export.diagnosing.buckets import check_state_bucket, check_store_bucket
from dicom_export.diagnosing.check_message import Check
from dicom_export.diagnosing.datasets import check_dataset
from dicom_export.diagnosing.findings import tried
from dicom_export.diagnosing.notifications import check_notifications
from dicom_export.diagnosing.reachability import check_api
from dicom_export.diagnosing.runtimes import check_runtime
from dicom_export.diagnosing.subscriptions import check_lost_letters, check_subscription
from dicom_export.diagnosing.topics import check_topic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from dicom_export.diagnosing.findings import Finding
    from dicom_export.diagnosing.installation import Installation
    from dicom_export.ports import CheckSender, Inspection
    from dicom_export.state.checks import Checks


@dataclass(frozen=True)
class Examination:
    """The installation, and the adapters that read it. `buckets` are those of the stores."""

    project: str
    state_bucket: str
    buckets: Collection[str]
    installation: Installation
    inspection: Inspection
    sender: CheckSender
    checks: Checks

    def findings(self, check_id: str, *, today: date, seconds: float) -> Iterator[Finding]:
        """Yield all findings, in the order in which they should be mended. Changes nothing but the answers in the state."""
        yield from self._resources(today)
        yield from self._accounts(check_id, seconds)

    def _resources(self, today: date) -> Iterator[Finding]:
        found, inspection = self.installation, self.inspection
        yield from check_apis(
            self.project, found.apis, tried(lambda: inspection.enabled_apis(self.project, found.apis))
        )
        yield from self._buckets()
        for topic in found.topics:
            yield from check_topic(topic, tried(partial(inspection.has_topic, topic)))
        for receiver in found.receivers.values():
            subscription = tried(partial(inspection.subscription, receiver.subscription))
            yield from check_subscription(receiver, found.ack_deadline_seconds, subscription)
        yield from check_lost_letters(found.lost_letters, tried(lambda: inspection.subscription(found.lost_letters)))
        for dataset in found.datasets:
            yield from check_dataset(
                dataset,
                tried(partial(inspection.dataset, dataset.name)),
                tried(partial(inspection.dataset, dataset.staging)),
            )
        runtimes = tried(lambda: inspection.runtimes(self.project, found.region))
        yield from check_runtime(found.runtime, runtimes, today)
        yield from check_api(found.api_url, tried(lambda: inspection.call_api(f"{found.api_url}/health")))

    def _buckets(self) -> Iterator[Finding]:
        region, inspection = self.installation.region, self.inspection
        yield from check_state_bucket(self.state_bucket, region, tried(lambda: inspection.bucket(self.state_bucket)))
        buckets = {name: tried(partial(inspection.bucket, name)) for name in sorted(set(self.buckets))}
        for name, bucket in buckets.items():
            yield from check_store_bucket(name, region, bucket)
        changes = self.installation.receivers["stream_instance"].topic
        for notified in self.installation.notifications:
            configurations = tried(partial(inspection.notifications, notified.bucket))
            yield from check_notifications(notified, changes, configurations, buckets.get(notified.bucket))

    def _accounts(self, check_id: str, seconds: float) -> Iterator[Finding]:
        installation = self.installation
        check = Check(
            check_id,
            tuple(each.name for each in installation.datasets),
            tuple(each.staging for each in installation.datasets),
        )
        deployed = {name: receiver.function for name, receiver in installation.receivers.items()}
        for function, answers in ask(check, installation, self.sender, self.checks, seconds=seconds).items():
            yield from check_account(function, deployed.get(function, installation.api_function), answers)
