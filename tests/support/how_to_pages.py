"""The commands of Google's two how-to pages, as they are printed, with placeholders and endpoint replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.raw_http import answer_of, exchange, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOGLE = "https://healthcare.googleapis.com/"
POWERSHELL = "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1"

# Where a command begins, and the line that ends it: the first that does not go on, unless it has an end of its own.
_BEGINNINGS = {
    re.compile(r"gcloud (?:beta )?healthcare "): None,
    re.compile(r"gsutil cp "): None,
    re.compile(r"curl -X "): None,
    re.compile(r"cat > request\.json"): re.compile(r"EOF$"),
    re.compile(r"@'$"): re.compile(r"'@"),
    re.compile(r"\$cred = gcloud "): re.compile(r".*Select-Object -Expand Content$"),
}
_GOES_ON = ("\\", "`", "^")


def commands(page: str) -> Iterator[str]:
    """Yield the page's commands in order, each with its lines."""
    lines = iter(page.splitlines())
    for line in lines:
        text = line.strip()
        for beginning, end in _BEGINNINGS.items():
            if beginning.match(text):
                found = [text]
                while not (end.match(found[-1]) if end else not found[-1].endswith(_GOES_ON)):
                    found.append(next(lines).strip())
                yield _in_lines("\n".join(found))


def _in_lines(command: str) -> str:
    """Return a command with the line breaks that one of the pages has lost: after each backslash or backtick."""
    return re.sub(r"(?<= [\\`]) (?=\S)", "\n", command) if "\n" not in command else command


def is_of_windows(command: str) -> bool:
    """Say whether it is one of the commands that a page has again for PowerShell or cmd.exe."""
    return command.startswith("gcloud") and bool(re.search(r"[`^]$", command, re.MULTILINE))


@dataclass
class Reader:
    """Somebody who follows a page: the last operation, and the body that was last saved as a file."""

    endpoint: str
    gcloud: dict[str, str]
    folder: Path
    placeholders: dict[str, str]
    tables: int = 0
    operation: str = ""
    saved: bytes = b""
    counters: list[dict[str, str]] = field(default_factory=list)

    def follow(self, command: str) -> None:
        """Do what the command says, and check what comes of it."""
        if command.startswith("@'"):
            # `Out-File -Encoding utf8` of Windows PowerShell begins with a byte order mark.
            content = self._filled(command.partition("\n")[2].rpartition("\n'@")[0])
            self.saved = b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode()
        elif command.startswith("$cred"):
            self._answered(self._by_powershell(self._filled(command)))
        elif command.startswith("gsutil"):
            pass  # a bucket is a folder here, which has the file already
        elif "[--overwrite-table]" in command:
            self._run(self._filled(command).replace("[--overwrite-table]", ""))
            self._run(self._filled(command, new_table=False).replace("[--overwrite-table]", "--overwrite-table"))
        else:
            self._run(self._filled(command))

    def _filled(self, command: str, *, new_table: bool = True) -> str:
        self.tables += new_table and ("BIGQUERY_TABLE_ID" in command)
        values = {
            **self.placeholders,
            **{f"{prefix}BIGQUERY_TABLE_ID": f"t{self.tables}" for prefix in ("", "DESTINATION_")},
            "OPERATION_ID": self.operation.rpartition("/")[2],
            "WRITE_DISPOSITION": "write-append" if command.startswith("gcloud") else "WRITE_APPEND",
        }
        command = command.replace("{WRITE_EMPTY|WRITE_TRUNCATE|WRITE_APPEND}", "WRITE_APPEND").replace(
            GOOGLE, self.endpoint
        )
        for name in sorted(values, key=len, reverse=True):
            command = re.sub(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", values[name], command)
        return command

    def _run(self, command: str) -> None:
        done = subprocess.run(
            ["bash", "-c", command],  # noqa: S607 - the page says `bash`, wherever it is
            env=os.environ | self.gcloud,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
        if command.startswith("curl"):
            self._answered(json.loads(done.stdout))
        elif " export bq " in command:
            self.operation = re.findall(r"Waiting for operation \[(.*?)\]", done.stderr)[-1]
            assert done.stdout.startswith("name: projects/")
        elif " describe " in command:
            assert "done: true" in done.stdout
            assert "type.googleapis.com/google.protobuf.Empty" in done.stdout
            assert "ExportDicomData_bq" in done.stdout
            self.counters.append({"success": re.findall(r"success: '(\d+)'", done.stdout)[0]})

    def _answered(self, answer: Any) -> None:
        """Take the answer to an export, which is the operation's name alone, or to a question about one."""
        if "metadata" not in answer:
            assert list(answer) == ["name"], answer
            self.operation = answer["name"]
            return
        while not answer.get("done"):
            answer = answer_of(exchange(self.endpoint, request("GET", f"/v1/{answer['name']}")))[2]
        assert answer["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
        self.counters.append({"success": answer["metadata"]["counter"]["success"]})

    def _by_powershell(self, command: str) -> Any:
        """Send what Invoke-WebRequest sends."""
        method = re.findall(r"-Method (\w+)", command)[0].upper()
        url = re.findall(r'-Uri "([^"]*)"', command)[0]
        types = re.findall(r'-ContentType: "([^"]*)"', command)
        body = (
            self.saved
            if "-InFile request.json" in command
            else "".join(re.findall(r'-Body "([^"]*)"', command)).encode()
        )
        headers = {
            "User_Agent": POWERSHELL,
            "Authorization": "Bearer ",
            **({"Content_Type": types[0]} if types else {}),
        }
        status, _, answer = answer_of(
            exchange(self.endpoint, request(method, "/" + url.split("/", 3)[3], body, **headers))
        )
        assert status == 200, (command, answer)
        return answer
