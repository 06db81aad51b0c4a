"""All texts of the console are in one place, and what is put into them is escaped."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from dicom_export.console import paths
from dicom_export.console.templating import breakable, environment, static_file
from dicom_export.console.texts import TEXTS, t
from dicom_export.console.views.data import samples
from dicom_export.names import TableName

PACKAGE = Path(str(files("dicom_export.console")))
TEMPLATES = sorted((PACKAGE / "templates").glob("*.html"))
SOURCES = "\n".join(path.read_text() for path in [*TEMPLATES, *PACKAGE.rglob("*.py")])
CALLED = set(re.findall(r"""\bt\(\s*f?["']([\w.]+)["']\s*[,)]""", SOURCES))
BEGINNINGS = set(re.findall(r"""\b(?:t\(|FormError\(name, )f?["']([\w.]+[._])(?:["{])""", SOURCES))


def test_every_text_that_is_named_is_there() -> None:
    assert CALLED - set(TEXTS) == set()


def test_every_text_is_used() -> None:
    quoted = set(re.findall(r"""["']([\w]+\.[\w.]+)["']""", SOURCES.replace((PACKAGE / "texts.py").read_text(), "")))
    singular = {f"{key}.one" for key in TEXTS}
    unused = {
        key
        for key in set(TEXTS) - singular
        if key not in CALLED | quoted and not any(key.startswith(each) for each in BEGINNINGS)
    }
    assert unused == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_words_of_its_own(template: Path) -> None:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", template.read_text(), flags=re.DOTALL)
    text = re.sub(r"<svg.*?</svg>|<[^>]*>|\b[a-z-]+=\"[^\"]*\"", " ", text, flags=re.DOTALL)
    words = set(re.findall(r"[A-Za-z]{2,}", text)) - {
        "dicom",
        "export",
        "Google",
        "Cloud",
        "CSV",
        "Ctrl",
        "Enter",
        "nbsp",
    }
    assert words - {"doctype", "html", "JSON", "Parquet", "BigQuery", "SQL"} == set()


def test_a_value_in_a_text_is_escaped() -> None:
    assert t("check.table_new", table="<b>\"'&") == (
        "Table <code>&lt;b&gt;&#34;&#39;&amp;</code> does not exist. The export creates it."
    )
    assert breakable("a/<b>.dcm") == "a/<wbr>&lt;b&gt;.<wbr>dcm"


def test_every_sample_query_has_a_name() -> None:
    table = TableName("p", "d", "dicom")
    found = samples(table, [TableName("p", "d", "dicomView")], lambda _: ())
    assert len(samples(table, [], lambda _: ())) < len(found)
    assert {f"query.sample.{each.name}" for each in found} == {key for key in TEXTS if key.startswith("query.sample.")}


def test_one_is_not_many() -> None:
    assert t("figure.studies", n="1") == "1 study"
    assert t("figure.studies", n="2") == "2 studies"
    assert all(key.removesuffix(".one") in TEXTS for key in TEXTS if key.endswith(".one"))


def test_no_template_turns_escaping_off() -> None:
    assert environment().autoescape is True
    for template in TEMPLATES:
        assert not re.search(r"\|\s*safe\b|autoescape", template.read_text()), template.name


def test_pages_have_no_style_and_no_script_in_them() -> None:
    for template in TEMPLATES:
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), template.name
        assert set(re.findall(r"<script[^>]*>", text)) <= {'<script type="module" src="static/console.js">'}


def test_nothing_of_the_console_names_another_server() -> None:
    for path in [*TEMPLATES, *(PACKAGE / "static").iterdir()]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.", text), path.name


def test_only_files_of_the_folder_are_served() -> None:
    assert static_file("console.css")
    for name in ("", "..", "../texts.py", "console.css/", "none.css"):
        assert static_file(name) is None


def test_no_path_of_the_console_is_one_of_the_api() -> None:
    for path in (*paths.PAGES, "/static/console.css"):
        assert paths.is_console(path)
        assert not path.startswith(("/v1", "/health", "/$"))
        assert not path.endswith("z")  # Cloud Run keeps these
    for path in ("/v1/projects/p", "/healthz", "/$discovery/rest", "/static", "/exports"):
        assert not paths.is_console(path)
