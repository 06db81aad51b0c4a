"""Check the subscriptions: where each pushes, as whom, how long it waits, and where its dead letters go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.diagnosing.facts import SubscriptionFacts
    from dicom_export.diagnosing.installation import Receiver

_DELETED_TOPIC = "_deleted-topic_"


def check_subscription(
    expected: Receiver, ack_deadline_seconds: int, found: SubscriptionFacts | Unreadable | None
) -> Iterator[Finding]:
    """Yield one finding per difference, or one for all."""
    subject = Subject("subscriptions", expected.subscription)
    if isinstance(found, Unreadable):
        yield subject.unknown(found)
        return
    if found is None:
        yield subject.wrong("does not exist: the messages of its topic are lost", "terraform apply")
        return
    differences = list(_differences(subject, expected, ack_deadline_seconds, found))
    yield from differences
    if not differences:
        yield subject.ok(f"pushes to {found.endpoint}; dead letters go to {found.dead_letter_topic}")


def check_lost_letters(subscription: str, found: SubscriptionFacts | Unreadable | None) -> Iterator[Finding]:
    """Yield the finding about the subscription that keeps the messages that nothing could handle."""
    subject = Subject("subscriptions", subscription)
    if isinstance(found, Unreadable):
        yield subject.unknown(found)
    elif found is None:
        yield subject.wrong("does not exist: messages that could not be handled are lost", "terraform apply")
    elif found.endpoint:
        yield subject.wrong("pushes its messages, which are kept for an operator", "terraform apply")
    else:
        yield subject.ok("keeps what could not be handled")


def _differences(
    subject: Subject, expected: Receiver, ack_deadline_seconds: int, found: SubscriptionFacts
) -> Iterator[Finding]:
    replace = f"gcloud pubsub subscriptions delete {expected.subscription}, then terraform apply"
    update = f"gcloud pubsub subscriptions update {expected.subscription}"
    if found.topic == _DELETED_TOPIC:
        yield subject.wrong("its topic was deleted: it gets no message", replace)
    elif found.topic != expected.topic:
        yield subject.wrong(f"its topic is {found.topic}, expected {expected.topic}", replace)
    push = f"modify-push-config {expected.subscription} --push-endpoint={expected.endpoint}"
    token = f"--push-auth-service-account={expected.invoker} --push-auth-token-audience={expected.endpoint}"
    mend_push = f"gcloud pubsub subscriptions {push} {token}"
    if found.endpoint != expected.endpoint:
        yield subject.wrong(f"pushes to {found.endpoint or 'nothing'}, expected {expected.endpoint}", mend_push)
    if found.invoker != expected.invoker:
        yield subject.wrong(f"pushes as {found.invoker or 'nobody'}, expected {expected.invoker}", mend_push)
    elif expected.invoker and (found.audience or found.endpoint) != expected.endpoint:
        yield subject.wrong(f"the audience of its token is {found.audience}, expected {expected.endpoint}", mend_push)
    if found.ack_deadline_seconds != ack_deadline_seconds:
        yield subject.wrong(
            f"waits {found.ack_deadline_seconds} s for an acknowledgement, expected {ack_deadline_seconds}",
            f"{update} --ack-deadline={ack_deadline_seconds}",
        )
    dead_letters = (
        f"{update} --dead-letter-topic={expected.dead_letter_topic} --max-delivery-attempts={expected.max_attempts}"
    )
    if found.dead_letter_topic != expected.dead_letter_topic:
        what = (
            f"its dead letters go to {found.dead_letter_topic}"
            if found.dead_letter_topic
            else "it has no dead-letter topic"
        )
        yield subject.wrong(f"{what}, expected {expected.dead_letter_topic}", dead_letters)
    elif found.max_attempts != expected.max_attempts:
        yield subject.wrong(
            f"a message is a dead letter after {found.max_attempts} attempts, expected {expected.max_attempts}",
            dead_letters,
        )
    if not found.is_active:
        yield subject.wrong(
            "is not active: Pub/Sub cannot push", f"gcloud pubsub subscriptions describe {expected.subscription}"
        )
