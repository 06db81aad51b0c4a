"""`dicom-export estimate`: of a folder, and of a store that a service serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.command_line import make_folder, run
from support.local_server import STORE, make_archive, running

if TYPE_CHECKING:
    from pathlib import Path


def test_the_estimate_of_a_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "scans", 12)
    (folder / "notes.txt").write_text("plain text " * 100)
    result = run("estimate", folder, "--format", "json")
    found = json.loads(result.output)
    assert result.exit_code == 0
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert (found["exact"]["objects"], found["exact"]["storedBytes"]) == ("13", str(size))
    assert found["estimated"]["instances"] == "12"
    assert int(found["estimated"]["readBytes"]) <= size
    text = run("estimate", folder, "--ignore", "*.txt").output
    assert text.startswith("objects: 12, ")
    assert "\ninstances: about 12\n" in text
    assert "dollars" not in text


def test_the_estimate_of_a_store_comes_from_the_service(tmp_path: Path) -> None:
    with running(make_archive(tmp_path)) as endpoint:
        result = run("estimate", STORE, "--endpoint", endpoint, "--schema", "json")
        assert result.exit_code == 0
        assert "instances: about 2\n" in result.output
        refused = run("estimate", f"{STORE}x", "--endpoint", endpoint)
        assert "DICOM store" in refused.output
        assert refused.exit_code == 2


def test_what_is_no_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    result = run("estimate", tmp_path / "missing")
    assert "is not a folder; expected a folder, a bucket, or a DICOM store with --endpoint URL" in result.output
    assert "expected https://" in run("estimate", STORE, "--endpoint", "ftp://x").output
    assert "cannot be reached: Connection refused" in run("estimate", STORE, "--endpoint", "http://127.0.0.1:9").output
