"""README and docs cannot rot: their commands, options, links, files and queries are checked against what there is."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from dicom_export.cli import main
from dicom_export.settings import cloud, limits
from support import reference_pages
from support.command_line import make_folder, run, subcommands

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WRITTEN_BY_HAND = [
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/tutorial.md"),
    *sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ("how-to", "explanation")
        for path in (ROOT / "docs" / folder).glob("*.md")
        if path.name != "deploy.md"  # test_deploy_page runs it
    ),
    *(f"docs/reference/{name}.md" for name in ("api", "settings", "table")),
]
PAGES = {page: (ROOT / page).read_text() for page in WRITTEN_BY_HAND}
LINKED = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("infra/**/*.md"))
    if not {"node_modules", ".terraform"} & set(path.parts)
)
TEXT = "\n".join(PAGES.values())
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
MOST_LINES = 120
UNWANTED = {
    r"\bhouses?\b": "deployment",
    r"\banew\b": "again",
    r"\b(?:there|it) no more\b": "gone",
    r"(?<!there )\bis no (?!longer\b)": "is not a",
    r"\bare none\b": "are not",
    r"\bwould be\b": "expected",
    r"\b(?:lies|lie) (?:in|beside|behind)\b": "is in",
    r"\b(?:told|hears?) of\b": "is notified",
    r"\bone row an? (?:instance|element)\b": "one row per instance",
}
"""Words that must not come back, as regular expressions, and what to write instead."""


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


def shell_lines() -> Iterator[str]:
    """Yield the commands of the shell blocks, each on one line."""
    for text in blocks("sh"):
        yield from (line for line in text.replace("\\\n", " ").splitlines() if line)


def commands() -> list[list[str]]:
    """Return the arguments of each `dicom-export` that the pages show, without where its output goes."""
    split = (shlex.split(line.partition(" > ")[0], comments=True) for line in shell_lines())
    return [words[1:] for words in split if words[0] == ".venv/bin/dicom-export"]


def find(arguments: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the arguments name, and what is left of them."""
    command: click.Command = main
    while isinstance(command, click.Group):
        command = subcommands(command)[arguments[0]]
        arguments = arguments[1:]
    return command, arguments


def all_options(command: click.Command) -> set[str]:
    own = {name for parameter in command.params for name in parameter.opts}
    inner = subcommands(command).values() if isinstance(command, click.Group) else ()
    return own.union(*map(all_options, inner))


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_each_command_shown_is_understood(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "scans")
    (tmp_path / "run").mkdir()
    for file in ("scans.duckdb", "run/dicom.duckdb", "filter.csv"):
        (tmp_path / file).touch()
    command, rest = find(arguments)
    command.make_context("dicom-export", rest)


def test_each_option_of_a_command_about_folders_is_described() -> None:
    for name in ("export", "watch", "verify", "serve"):
        for parameter in subcommands(main)[name].params:
            if isinstance(parameter, click.Option):
                assert any(f"`{option}" in TEXT for option in parameter.opts), parameter.opts


def test_no_option_is_described_that_is_not_there() -> None:
    text = "\n".join(line for line in TEXT.splitlines() if "gcloud" not in line and "--bq-table" not in line)
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--data-binary"}
    assert shown - all_options(main) <= {"--overwrite-table"}


def test_each_command_is_mentioned() -> None:
    for name, command in subcommands(main).items():
        names = [f"{name} {inner}" for inner in subcommands(command)] if isinstance(command, click.Group) else [name]
        for each in names:
            assert f"dicom-export {each}" in TEXT, each


def test_each_entry_point_is_described_and_no_other() -> None:
    functions = ast.parse((ROOT / "functions" / "dicom_export" / "entry_points.py").read_text())
    entry_points = {
        node.name for node in functions.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    assert set(re.findall(r"^\| `([a-z]+_[a-z_]+)` \|", TEXT, re.MULTILINE)) == entry_points


def test_each_environment_variable_is_described_and_no_other() -> None:
    assert set(re.findall(r"`(DICOM_EXPORT_[A-Z_]+)`", TEXT)) == set(cloud.VARIABLES) | set(limits.VARIABLES)


def test_each_make_target_shown_is_there_and_explained() -> None:
    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert {"run", "test"} <= shown <= TARGETS
    assert re.search(r"^\.DEFAULT_GOAL := help$", MAKEFILE, re.MULTILINE)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "DICOM_EXPORT_REQUIRE_STACK=1 make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in TEXT


@pytest.mark.parametrize("page", LINKED)
def test_each_link_leads_to_a_page_and_to_a_heading_of_it(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)", (ROOT / page).read_text()):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text()), f"{target}#{anchor}"


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_for_the_first_ten_minutes() -> None:
    assert len(PAGES["README.md"].splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", WRITTEN_BY_HAND)
def test_no_unwanted_word_is_on_a_page(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    found = {word: instead for word, instead in UNWANTED.items() if re.search(word, text, re.IGNORECASE)}
    assert found == {}


@pytest.mark.parametrize("name", [*reference_pages.PAGES, *reference_pages.PARTS])
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    assert (reference_pages.FOLDER / name).read_text() == reference_pages.page(name), "`make reference` writes it"


def test_the_map_of_the_package_has_each_folder_and_module_once() -> None:
    rows = re.findall(r"^\| `([a-z_]+(?:/|\.py))` \|", PAGES["ARCHITECTURE.md"], re.MULTILINE)
    package = ROOT / "functions" / "dicom_export"
    there = {f"{path.name}/" if path.is_dir() else path.name for path in package.iterdir()}
    assert sorted(rows) == sorted(there - {"__init__.py", "__main__.py", "__pycache__/", "py.typed"})


@pytest.mark.parametrize("page", WRITTEN_BY_HAND)
def test_each_module_that_is_named_is_there(page: str) -> None:
    package = ROOT / "functions" / "dicom_export"
    for name in re.findall(r"`((?:functions/|tests/)?[a-z_]+/[a-z_/]+\.py)`", PAGES[page]):
        assert (ROOT / name).exists() or (package / name).exists(), name


@pytest.mark.parametrize("path", ["queries", ".ci/run", "LICENSE"])
def test_each_path_that_is_mentioned_is_there(path: str) -> None:
    assert path in TEXT
    assert (ROOT / path).exists()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table that has every column that the queries of the pages name."""
    from pydicom.data import get_testdata_file  # noqa: PLC0415 - only this fixture needs it

    folder = tmp_path_factory.mktemp("store")
    (folder / "ct.dcm").write_bytes(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())
    file = tmp_path_factory.mktemp("out") / "dicom.duckdb"
    assert run("export", folder, "--to", file).exit_code == 0
    return file


QUERIES = [*blocks("sql"), *(arguments[1] for arguments in commands() if arguments[0] == "query")]


@pytest.mark.parametrize("sql", QUERIES)
def test_each_query_gives_a_row(exported: Path, sql: str) -> None:
    result = run("query", sql, "--from", exported)
    assert result.exit_code == 0, result.output
    assert "(1 row)" in result.stdout


def test_the_query_files_are_the_samples_of_the_pages() -> None:
    samples = {" ".join(sql.split()) for sql in blocks("sql")}
    files = {" ".join(path.read_text().split()) for path in (ROOT / "queries").glob("*.sql")}
    assert files == samples


def test_python_shown_is_python() -> None:
    for text in blocks("python"):
        compile(text, "page", "exec")
