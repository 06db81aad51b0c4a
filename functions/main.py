"""The deployed functions: each decodes its event, makes one call, and encodes what comes of it."""

from __future__ import annotations

import flask
import functions_framework

from dicom_export import api, bootstrap, logs

logs.configure()


@functions_framework.http
def export_api(request: flask.Request) -> flask.Response:
    """Answer a request to the Cloud Healthcare API."""
    with logs.traced(request.headers.get("X-Cloud-Trace-Context", "")):
        response = _respond(
            api.HttpRequest(request.method, request.path, request.args, request.get_data(), request.host_url)
        )
    return flask.Response(
        response.encode(), response.status, response.headers, content_type="application/json; charset=UTF-8"
    )


def _respond(request: api.HttpRequest) -> api.HttpResponse:
    try:
        service = bootstrap.service()
    except Exception as error:  # noqa: BLE001 - an installation that cannot be opened is answered like any failure
        return api.refuse(error)
    return api.answer(request, service)
