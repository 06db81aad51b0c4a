"""README and docs cannot rot: their commands, options, links, files and queries are checked against what there is."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import click
import pytest

from dicom_export.cli import main
from dicom_export.cli.endpoint import ENDPOINT, TOKEN
from dicom_export.settings import cloud, limits, local
from support import reference_pages
from support.command_line import run, subcommands
from support.doc_pages import ROOT, code

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
# Of gcloud and of bq, whose options have underscores.
OPTIONS_OF_OTHERS = {"--overwrite-table", "--use", "--max"}
TEXT = "\n".join(PAGES.values())
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
MOST_LINES = 120


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


def commands() -> list[list[str]]:
    """Return the arguments of each `dicom-export` in a shell block, without where its input comes from and its output goes."""
    joined = (text.replace("\\\n", " ").splitlines() for text in blocks("sh"))
    shown = [line for lines in joined for line in lines if line.startswith(".venv/bin/dicom-export ")]
    return [shlex.split(re.split(r" [<>] ", line)[0], comments=True)[1:] for line in shown]


def mentioned(page: str) -> list[list[str]]:
    """Return the arguments of each `dicom-export` in the running text of a page, as far as they are given."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    shown = re.findall(r"(?<!`)`(?:\.venv/bin/)?dicom-export (-?[a-z][^`]*)`(?!`)", text)
    return [shlex.split(re.split(r" [<>] ", each)[0]) for each in shown]


def find(arguments: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the arguments name, and what is left of them."""
    command: click.Command = main
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        command = subcommands(command)[arguments[0]]
        arguments = arguments[1:]
    return command, arguments


def all_options(command: click.Command) -> set[str]:
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    inner = subcommands(command).values() if isinstance(command, click.Group) else ()
    return own.union(*map(all_options, inner))


@pytest.mark.parametrize("page", LINKED)
def test_each_command_mentioned_is_there_with_its_options(page: str) -> None:
    for arguments in mentioned(page):
        command, rest = find(arguments)
        options = {word.partition("=")[0] for word in rest if word.startswith("--")}
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert options <= known | {"--help"}, arguments


def test_each_option_of_a_command_about_folders_is_described() -> None:
    for command in ("export", "watch", "verify", "serve"):
        for parameter in subcommands(main)[command].params:
            if isinstance(parameter, click.Option):
                names = [*parameter.opts, *parameter.secondary_opts]
                assert any(f"`{name}" in TEXT for name in names), names


def test_no_option_is_described_that_is_not_there() -> None:
    """The commands of the shell blocks need no look: other tests run them."""
    text = re.sub(r"^```sh.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - all_options(main) == OPTIONS_OF_OTHERS


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
    assert set(re.findall(r"`(DICOM_EXPORT_[A-Z_]+)`", TEXT)) == {
        *cloud.VARIABLES,
        *limits.VARIABLES,
        ENDPOINT,
        TOKEN,
        local.READS_AT_ONCE,
    }


def test_each_make_target_shown_is_there_and_explained() -> None:
    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert {"run", "test"} <= shown <= TARGETS
    assert re.search(r"^\.DEFAULT_GOAL := help$", MAKEFILE, re.MULTILINE)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "DICOM_EXPORT_REQUIRE_STACK=1 make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in TEXT


HOW_TO = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "how-to").glob("*.md"))
FIRST_LINES = 6


@pytest.mark.parametrize("page", [page for page in HOW_TO if page != "docs/how-to/deploy.md"])  # which is a guide
def test_each_how_to_page_begins_with_its_command(page: str) -> None:
    assert "```sh" in PAGES[page].splitlines()[:FIRST_LINES]


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


@pytest.mark.parametrize("name", [*reference_pages.PAGES, *reference_pages.PARTS])
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / name).read_text() == reference_pages.page(name), "`make reference` writes it"


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


SHOWN = [arguments[1] for arguments in commands() if arguments[0] == "query"]
QUERIES = [*blocks("sql"), *(sql for sql in SHOWN if sql != "-")]


@pytest.mark.parametrize("sql", QUERIES)
def test_each_query_gives_a_row(exported: Path, sql: str) -> None:
    result = run("query", sql, "--from", exported)
    assert result.exit_code == 0, result.output
    assert "(1 row)" in result.stdout


def test_each_soak_of_the_reliability_page_is_run_by_a_test() -> None:
    shown = set(re.findall(r"-m soak\.(\w+)", (ROOT / "docs" / "reliability.md").read_text()))
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "end_to_end").glob("test_soak*.py"))
    assert shown
    run = re.findall(r'figures\(\s*"(\w+)"|^from soak\.(\w+) import \2\b', tests, re.MULTILINE)
    assert shown <= {name for names in run for name in names}


def test_python_shown_is_python() -> None:
    for text in blocks("python"):
        compile(text, "page", "exec")


def test_the_stores_and_stream_configs_shown_are_settings() -> None:
    (stores,), (configs,) = code("docs/reference/settings.md", "json"), code("docs/how-to/new-uploads.md", "json")
    required = {"DICOM_EXPORT_PROJECT": "p", "DICOM_EXPORT_STATE": "gs://state"}
    bucket = {"bucket": "scans"}
    (declared,) = json.loads(stores.replace('"B"', '"scans"')).items()
    for store in (declared[1], bucket | {"streamConfigs": json.loads(configs)}):
        parsed = cloud.parse({**required, "DICOM_EXPORT_STORES": json.dumps({declared[0]: store})})
        (folder,) = parsed.stores.values()
        assert len(folder.streams) == len(store["streamConfigs"])
