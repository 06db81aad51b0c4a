"""The package as users install it: the wheel and the sdist, without the checkout, on each supported Python that this machine has."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from dicom_export.cli import main
from support.command_line import make_folder, subcommands
from support.packages import ROOT, VERSIONS, CommandFailed, Installed, built, environment, interpreter, uv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# What each command prints, in this order: each needs what those before it made.
COMMANDS = {
    "export": (("export", "scans", "--to", "scans.duckdb"), "2 of 2 instances (1 study) exported"),
    "query": (("query", "SELECT COUNT(*) AS n FROM dicom", "--from", "scans.duckdb", "--format", "csv"), "n\n2\n"),
    "columns": (("columns", "PatientID", "--from", "scans.duckdb"), "PatientID"),
    "watch": (("watch", "scans", "--to", "watched.duckdb", "--once"), ""),
    "verify": (("verify", "scans", "--from", "watched.duckdb"), "2 instances compared"),
    "dump": (("dump", "scans/000000.dcm"), '"PatientID": "P1"'),
    "operations": (("operations", "list", "--from", "scans.duckdb"), "done"),
    "dead-letters": (("dead-letters", "list", "--from", "scans.duckdb"), ""),
    "estimate": (("estimate", "scans"), "instances: about 2\n"),
    "export-files": (
        ("export-files", "scans", "--to", "copies"),
        "2 of 2 instances (1 study) exported to folder copies",
    ),
}
# These need the cloud, or do not end by themselves: other tests run them.
ELSEWHERE = {"doctor", "serve", "smoke-test"}
CLOUD = {
    "DICOM_EXPORT_PROJECT": "p",
    "DICOM_EXPORT_STATE": "gs://some-state",
    "DICOM_EXPORT_STORES": '{"projects/p/locations/l/datasets/d/dicomStores/s": {"bucket": "some-bucket"}}',
}
# As Google's buildpack calls pip, in an image of the runtime python311, whose pip is 24.0:
# https://github.com/GoogleCloudPlatform/buildpacks/blob/main/pkg/python/python.go
BUILDPACK_PIP = "24.0"
BUILDPACK_FLAGS = (
    "--upgrade",
    "--upgrade-strategy=only-if-needed",
    "--no-warn-script-location",
    "--no-warn-conflicts",
    "--force-reinstall",
    "--no-compile",
)
# Modules that only one machine needs.
LOCAL_MODULES = (
    "dicom_export.__main__",
    "dicom_export.adapters.aws",
    "dicom_export.adapters.local",
    "dicom_export.bootstrap.local",
    "dicom_export.bootstrap.reopening",
    "dicom_export.cli",
    "dicom_export.exporting",
    "dicom_export.python_api",
)
IMPORT_ALL = """
import importlib, pkgutil, sys
import dicom_export
local = tuple(sys.argv[1:])
for module in pkgutil.walk_packages(dicom_export.__path__, "dicom_export.", onerror=print):
    if not any(module.name == name or module.name.startswith(name + ".") for name in local):
        importlib.import_module(module.name)
import main
print(main.__all__)
"""


@pytest.fixture(scope="module")
def packages(pypi: None, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:  # noqa: ARG001 - it is reachable
    """Return the wheel and the sdist."""
    return built(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module", params=[("wheel", version) for version in VERSIONS] + [("sdist", "")], ids=" ".join)
def installed(
    request: pytest.FixtureRequest, packages: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """Return an environment with the package, once it has the folder `scans` and the tables of the commands."""
    kind, version = request.param
    python = interpreter(version or VERSIONS[0])
    if python is None:
        pytest.skip(f"Python {version} is not on this machine")
    made = Installed(tmp_path_factory.mktemp("installed"), python)
    made.install("--constraint", ROOT / "requirements-local.txt", packages[kind])
    make_folder(made.folder / "scans")
    return made


@pytest.fixture(scope="module")
def printed(installed: Installed) -> dict[str, str]:
    """Return what each command prints."""
    return {name: installed.run("dicom-export", *arguments) for name, (arguments, _) in COMMANDS.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_installed_command_works(printed: dict[str, str], name: str) -> None:
    assert COMMANDS[name][1] in printed[name]


def test_each_command_is_tried() -> None:
    assert {*COMMANDS, *ELSEWHERE} == set(subcommands(main))


def test_the_installed_server_answers(installed: Installed) -> None:
    command = [
        str(installed.program("dicom-export")),
        "serve",
        "--store",
        "scans=scans",
        "--data",
        "data",
        "--port",
        "0",
    ]
    with subprocess.Popen(
        command, cwd=installed.folder, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        try:
            assert found, line + process.stderr.read()
            path = "v1/projects/local/locations/local/datasets/local/dicomStores"
            with urlopen(found[0] + path, timeout=30) as answer:  # noqa: S310 - the server just started
                stores = json.load(answer)["dicomStores"]
        finally:
            process.terminate()
    assert [store["name"].rpartition("/")[2] for store in stores] == ["scans"]


def test_python_runs_the_installed_package_as_a_module(installed: Installed) -> None:
    assert "version 0." in installed.run("python", "-m", "dicom_export", "--version")


def test_an_installed_package_needs_no_library_of_google(installed: Installed) -> None:
    installed.check()
    with pytest.raises(CommandFailed, match="No module named 'google"):
        installed.run("python", "-c", "import google.cloud.storage")
    with pytest.raises(CommandFailed) as failed:
        installed.run("dicom-export", "operations", "list", **CLOUD)
    assert "pip install 'dicom-export[cloud]'" in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_the_package_is_typed_and_has_no_tests(packages: Mapping[str, Path], tmp_path: Path) -> None:
    for name, package in packages.items():
        shutil.unpack_archive(package, tmp_path / name, "zip" if name == "wheel" else None)
        files = {path.relative_to(tmp_path / name).as_posix() for path in (tmp_path / name).rglob("*")}
        assert any(each.endswith("dicom_export/py.typed") for each in files)
        folders = {part for each in files for part in each.split("/")[:-1]}
        assert not folders & {"tests", "support"}
        assert not [each for each in files if each.rpartition("/")[2].startswith(("test_", "conftest"))]


def test_a_tool_is_installed_from_the_wheel_alone(packages: Mapping[str, Path], tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    constraint = ("--constraint", ROOT / "requirements-local.txt")
    uv("tool", "install", "--quiet", *constraint, packages["wheel"], folder=tmp_path, **folders)
    program = tmp_path / "bin" / "dicom-export"
    done = subprocess.run(
        [program, "--version"], cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True
    )
    assert "version 0." in done.stdout


def test_each_supported_python_is_classified() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert tuple(said) == VERSIONS
    assert project["requires-python"] == f">={VERSIONS[0]}"


@pytest.mark.parametrize("version", VERSIONS)
def test_each_module_compiles_on_each_supported_python(version: str) -> None:
    """Hold on machines that lack a version too: the grammar is that of the version."""
    minor = int(version.partition(".")[2])
    for path in (ROOT / "functions").rglob("*.py"):
        ast.parse(path.read_text(), str(path), feature_version=(3, minor))


@pytest.fixture(scope="module")
def runtime(pypi: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Installed]:  # noqa: ARG001 - it is reachable
    """Return what makes an empty environment with the Python of the deployed functions."""
    python = interpreter(VERSIONS[0])
    if python is None:
        pytest.skip(f"Python {VERSIONS[0]}, which the functions run on, is not on this machine")
    return lambda: Installed(tmp_path_factory.mktemp("runtime"), python)


def test_the_lock_of_the_functions_installs_as_their_image_installs_it(runtime: Callable[[], Installed]) -> None:
    image = runtime()
    image.install(f"pip=={BUILDPACK_PIP}")
    told = image.run(
        "python", "-m", "pip", "install", "--dry-run", "--requirement", ROOT / "requirements.txt", *BUILDPACK_FLAGS
    )
    assert "Would install" in told
    assert re.search(r"functions-framework-\d", told)


def test_the_lock_of_the_functions_has_all_that_they_import(runtime: Callable[[], Installed]) -> None:
    image = runtime()
    image.install("--require-hashes", "--requirement", ROOT / "requirements.txt")
    image.check()
    shutil.copytree(ROOT / "functions", image.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.egg-info"))
    assert "export_api" in image.run("python", "-c", IMPORT_ALL, *LOCAL_MODULES)
    with pytest.raises(CommandFailed, match="No module named 'duckdb'"):
        image.run("python", "-c", "import duckdb")
