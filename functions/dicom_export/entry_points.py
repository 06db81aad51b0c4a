"""Define the deployed functions: each decodes its event, makes one call, and encodes the result.

Cloud Functions loads them from `main.py`, which is not part of the installed package.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import flask
import functions_framework

from dicom_export import bootstrap, logs
from dicom_export.api.wsgi import respond, respond_to_check
from dicom_export.diagnosing.check_message import CHECK_PATH, Check
from dicom_export.messages import ExportStudy, PlanExport, StudyExported
from dicom_export.pubsub import push

if TYPE_CHECKING:
    from collections.abc import Callable

    import werkzeug

    from dicom_export.messages import InstanceChanged, Message
    from dicom_export.pubsub.notifications import Notification
    from dicom_export.pubsub.push import BatchRequest, PushedMessage, UndeliveredMessage

    T = TypeVar("T")


@functions_framework.http
def export_api(request: flask.Request) -> werkzeug.Response:
    """Answer a request to the Cloud Healthcare API, or for a page of the console, or a check."""
    if request.path == CHECK_PATH:
        return respond_to_check(request, partial(_check, "export_api"))
    return respond(request, bootstrap.service, bootstrap.console)


@functions_framework.http
def start_export(request: flask.Request) -> flask.Response:
    """Start the export that a message on `export-requests` requests."""
    return _receive(request, "start_export", push.batch_request, _start)


@functions_framework.http
def plan_export(request: flask.Request) -> flask.Response:
    """Plan one page of an operation."""
    return _receive(request, "plan_export", partial(push.message, PlanExport.topic), _handle)


@functions_framework.http
def export_study(request: flask.Request) -> flask.Response:
    """Export the objects that a message names."""
    return _receive(request, "export_study", partial(push.message, ExportStudy.topic), _handle)


@functions_framework.http
def record_result(request: flask.Request) -> flask.Response:
    """Count the results of a page."""
    return _receive(request, "record_result", partial(push.message, StudyExported.topic), _handle)


@functions_framework.http
def record_dead_letter(request: flask.Request) -> flask.Response:
    """Count the instances of a message that is out of attempts as failed."""
    return _receive(request, "record_dead_letter", push.dead_letter, _give_up)


@functions_framework.http
def refuse_export(request: flask.Request) -> flask.Response:
    """Record a batch job that is out of attempts as an operation that ended with an error."""
    return _receive(request, "refuse_export", push.dead_request, _give_up)


@functions_framework.http
def stream_instance(request: flask.Request) -> flask.Response:
    """Write the row of an object that was uploaded or deleted."""
    return _receive(request, "stream_instance", push.change, _stream)


@functions_framework.http
def report_lost_instance(request: flask.Request) -> flask.Response:
    """Log an object whose row is out of attempts."""
    return _receive(request, "report_lost_instance", push.dead_change, _lose)


def _receive(
    request: flask.Request, function: str, decode: Callable[[PushedMessage], T], take: Callable[[T], None]
) -> flask.Response:
    if request.method != "POST":
        return flask.Response(status=405, headers={"Allow": "POST"})

    def handle(message: T | Check) -> None:
        if isinstance(message, Check):
            _check(function, message)
        else:
            take(message)

    with logs.traced(request.headers.get("X-Cloud-Trace-Context", "")):
        return flask.Response(status=push.answer(request.get_data(), push.or_check(decode), handle))


def _check(function: str, check: Check) -> None:
    bootstrap.check_answers()(check, function)


# These functions open the handlers outside of `hand_over`, which would make the message a dead letter at once: an
# installation that cannot be opened is not the message's fault.


def _start(request: BatchRequest) -> None:
    start = bootstrap.batch_requests()
    push.hand_over(request, lambda each: start(each.data, each.job), _give_up)


def _handle(message: Message) -> None:
    push.hand_over(message, bootstrap.handlers()[message.topic], _give_up)


def _stream(change: Notification | InstanceChanged) -> None:
    push.hand_over(change, bootstrap.instance_changes(), _lose)


def _lose(letter: UndeliveredMessage) -> None:
    bootstrap.lost_changes()(letter)


def _give_up(letter: UndeliveredMessage) -> None:
    bootstrap.dead_letters()(letter)
