"""The request of the form, as gcloud, curl, PowerShell and Python send it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.console.texts import t
from dicom_export.console.views.export_form import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from dicom_export.console.views.export_form import ExportForm
    from dicom_export.names import StoreName

_TOKEN = "$(gcloud auth print-identity-token)"  # noqa: S105 - a command
_INDENT = 2
_BOOLEAN = re.compile(r"(?<=: )(true|false)(?=,?$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """A way to send the request: its id, its name, its text, and what it cannot send.

    The text is empty if the command would export other instances than the form.
    """

    id: str
    name: str
    text: str
    note: Markup | str = ""


def commands(store: StoreName, form: ExportForm, root: str, *, is_local: bool) -> list[Command]:
    """Return the request of the form for each client. `root` is the address of the server, with a slash."""
    body, address = form.request(), f"{root}v1/{store}:export"
    if form.lacks_instances:
        names = (("gcloud", "gcloud"), ("curl", "curl"), ("powershell", "PowerShell"), ("python", "Python"))
        return [Command(each, name, "", form.lacks_instances) for each, name in names]
    gcloud = "" if _is_about_others(body) else _gcloud(store, body, root, is_local=is_local)
    return [
        Command("gcloud", "gcloud", gcloud, _left_out(body)),
        Command("curl", "curl", _curl(body, address, is_local=is_local)),
        Command("powershell", "PowerShell", _powershell(body, address, is_local=is_local)),
        Command("python", "Python", _python(store, body, root, is_local=is_local)),
    ]


def _gcloud(store: StoreName, body: Mapping[str, Any], root: str, *, is_local: bool) -> str:
    parent = store.parent
    before = [f"export CLOUDSDK_API_ENDPOINT_OVERRIDES_HEALTHCARE={shlex.quote(root)}"]
    if is_local:
        before.append("export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true")
    flags = [
        f"--project={shlex.quote(parent.project)} --location={shlex.quote(parent.location)} --dataset={shlex.quote(parent.dataset)}",
    ]
    if table := body.get("bigqueryDestination"):
        flags.append(f"--bq-table={shlex.quote(table['tableUri'])}")
        flags.append(f"--write-disposition={table['writeDisposition'].lower().replace('_', '-')}")
    else:
        flags.append(f"--gcs-uri-prefix={shlex.quote(body['gcsDestination']['uriPrefix'])}")
    command = f"gcloud healthcare dicom-stores export {'bq' if table else 'gcs'} {shlex.quote(store.store)}"
    return "\n".join([*before, " \\\n  ".join([command, *flags])])


def _is_about_others(body: Mapping[str, Any]) -> bool:
    """Say whether gcloud would export other instances, because it has no flag for a part of the request."""
    return "filterConfig" in body or "_since" in body


def _left_out(body: Mapping[str, Any]) -> Markup | str:
    """Return which parts of the request gcloud has no flag for."""
    parts = []
    if "filterConfig" in body:
        parts.append(t("command.part.filter"))
    if "_since" in body:
        parts.append(t("command.part.since"))
    if "schemaJson" in body.get("bigqueryDestination", {}):
        parts.append(t("command.part.json"))
    parts += [t(f"option.{option.name}.name") for option in OPTIONS if not option.gcloud and _found(body, option.path)]
    return t("command.gcloud_lacks", parts=", ".join(parts)) if parts else ""


def _found(body: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    found: Any = body
    for name in path:
        found = found.get(name, {})
    return bool(found)


def _curl(body: Mapping[str, Any], address: str, *, is_local: bool) -> str:
    token = "" if is_local else f' -H "Authorization: Bearer {_TOKEN}"'
    return (
        f"curl -fsS -X POST -H 'Content-Type: application/json'{token} \\\n"
        f"  --data {shlex.quote(json.dumps(body, indent=_INDENT))} \\\n  {shlex.quote(address)}"
    )


def _powershell(body: Mapping[str, Any], address: str, *, is_local: bool) -> str:
    text = json.dumps(body, indent=_INDENT).replace("'", "''")
    token = "" if is_local else ' `\n  -Headers @{ Authorization = "Bearer $(gcloud auth print-identity-token)" }'
    quoted = address.replace("'", "''")
    return (
        f"Invoke-RestMethod -Method Post -ContentType 'application/json; charset=utf-8'{token} `\n"
        f"  -Uri '{quoted}' `\n  -Body '{text}'"
    )


def _python(store: StoreName, body: Mapping[str, Any], root: str, *, is_local: bool) -> str:
    if is_local:
        imports = "from google.auth.credentials import AnonymousCredentials\n"
        credentials = "credentials=AnonymousCredentials(), "
    else:
        imports, credentials = "", ""
    return (
        f"{imports}from googleapiclient.discovery import build\n\n"
        f'healthcare = build("healthcare", "v1", {credentials}client_options={{"api_endpoint": {_literal(root)}}})\n'
        "stores = healthcare.projects().locations().datasets().dicomStores()\n"
        f"operation = stores.export(\n    name={_literal(str(store))},\n    body={_indented(body)},\n).execute()"
    )


def _literal(text: str) -> str:
    return json.dumps(text)


def _indented(body: Mapping[str, Any]) -> str:
    text = _BOOLEAN.sub(lambda found: found[0].title(), json.dumps(body, indent=4))
    return text.replace("\n", "\n    ")
