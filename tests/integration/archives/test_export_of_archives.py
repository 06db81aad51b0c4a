"""An export with `--archives` writes the rows that the unpacked folder gives, and names each failure."""

from __future__ import annotations

import json
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any, Literal

import pytest

from support.archive import Archive
from support.command_line import rows, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARCHIVE = Archive(10, 2, 50)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    ARCHIVE.write(folder)
    return folder


@pytest.fixture(scope="module")
def expected(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    file = tmp_path_factory.mktemp("expected") / "scans.duckdb"
    assert run("export", unpacked, "--to", file, "--schema", "json").exit_code == 0
    return content(file)


def content(file: Path) -> list[Any]:
    return rows(file, "SELECT SOPInstanceUID, Metadata, BlobStorageSize FROM dicom ORDER BY SOPInstanceUID")


def zip_of(method: int) -> Callable[[Path, Path], None]:
    def pack(folder: Path, file: Path) -> None:
        with zipfile.ZipFile(file.with_suffix(".zip"), "w", method) as archive:
            for path in sorted(folder.rglob("*.dcm")):
                archive.write(path, path.relative_to(folder))

    return pack


def tar_of(mode: Literal["w", "w:gz"], suffix: str) -> Callable[[Path, Path], None]:
    def pack(folder: Path, file: Path) -> None:
        with tarfile.open(file.with_suffix(suffix), mode) as archive:
            archive.add(folder, "data")

    return pack


@pytest.mark.parametrize(
    "pack",
    [zip_of(zipfile.ZIP_STORED), zip_of(zipfile.ZIP_DEFLATED), tar_of("w", ".tar"), tar_of("w:gz", ".tar.gz")],
    ids=["stored zip", "deflated zip", "tar", "tar.gz"],
)
def test_a_thousand_members_are_the_rows_of_their_files(
    unpacked: Path, expected: list[Any], tmp_path: Path, pack: Callable[[Path, Path], None]
) -> None:
    folder, file = tmp_path / "packed" / "nested", tmp_path / "scans.duckdb"
    folder.mkdir(parents=True)
    pack(unpacked, folder / "scans")

    result = run("export", folder.parent, "--to", file, "--schema", "json", "--archives")

    assert result.exit_code == 0, result.output
    assert content(file) == expected
    assert run("verify", folder.parent, "--from", file, "--archives").exit_code == 0


def test_each_broken_archive_and_member_is_one_failure(unpacked: Path, tmp_path: Path) -> None:
    folder, file = tmp_path / "packed", tmp_path / "scans.duckdb"
    folder.mkdir()
    zip_of(zipfile.ZIP_STORED)(unpacked, folder / "whole")
    whole = (folder / "whole.zip").read_bytes()
    (folder / "cut.zip").write_bytes(whole[:-100])
    (folder / "junk.tgz").write_bytes(b"\x1f\x8b\x08" + b"junk" * 100)
    with zipfile.ZipFile(folder / "encrypted.zip", "w") as archive:
        archive.writestr("secret.dcm", b"x" * 1000)
    encrypted = bytearray((folder / "encrypted.zip").read_bytes())
    encrypted[encrypted.rfind(b"PK\x01\x02") + 8] |= 1
    (folder / "encrypted.zip").write_bytes(encrypted)

    result = run("export", folder, "--to", file, "--archives", "--format", "json")

    operation = json.loads(result.stdout)
    assert operation["metadata"]["counter"] == {"success": "1000", "failure": "3", "secondarySuccess": "10"}
    failures = run("operations", "failures", "--from", file, "--format", "json").stdout
    assert {name for name in ("cut.zip", "junk.tgz", "encrypted.zip#secret.dcm") if name in failures} == {
        "cut.zip",
        "junk.tgz",
        "encrypted.zip#secret.dcm",
    }


def test_without_the_option_an_archive_is_passed_over(unpacked: Path, tmp_path: Path) -> None:
    folder, file = tmp_path / "packed", tmp_path / "scans.duckdb"
    folder.mkdir()
    zip_of(zipfile.ZIP_STORED)(unpacked, folder / "scans")

    assert run("export", folder, "--to", file).exit_code == 0
    assert rows(file, "SELECT count(*) FROM dicom") == [(0,)]
