"""Rows as text: all of it in a pipe, what fits on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dicom_export.cli import text_table
from dicom_export.cli.text_table import as_text, as_vertical
from support.terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

UID = "1.2.826.0.1.3680043.8.498." + "7" * 38


def test_nothing_is_cut_in_a_pipe() -> None:
    long = "x" * 5000
    assert list(as_text(["a", "b"], [[long, 1]]))[2] == f"{long}  1"
    assert f"a  {long}" in list(as_vertical(["a", "b"], [[long, 1]]))


def test_a_long_value_does_not_pad_the_others_to_its_length() -> None:
    lines = list(as_text(["a", "b"], [["x" * 5000, 1], ["y", 2]]))
    assert len(lines[3]) < 300
    assert lines[3].split() == ["y", "2"]


def test_a_column_is_narrowed_to_fit_the_terminal() -> None:
    lines = list(as_text(["Modality", "StudyInstanceUID"], [["CT", UID]], terminal_width=40))
    assert lines == [
        "Modality  StudyInstanceUID",
        "--------  ------------------------------",
        f"CT        {UID[:29]}…",
        "(1 row)",
    ]


def test_what_fits_is_not_narrowed() -> None:
    lines = list(as_text(["StudyInstanceUID"], [[UID]], terminal_width=64))
    assert UID in lines
    assert list(as_text(["a", "b"], [[1, 2]], terminal_width=4)) == ["a  b", "-  -", "1  2", "(1 row)"]


def test_full_width_characters_are_two_cells_wide() -> None:
    rows = [["山田　太郎", "M"], ["김희중", "F"], ["e\u0301", "O"]]
    assert list(as_text(["Name", "Sex"], rows)) == [
        "Name        Sex",
        "----------  ---",
        "山田　太郎  M",
        "김희중      F",
        "e\u0301           O",
        "(3 rows)",
    ]


def test_a_full_width_character_is_not_cut_in_half() -> None:
    lines = list(as_text(["Name", "Id"], [["山田太郎" * 5, "1"]], terminal_width=22))
    assert lines[2] == "山田太郎山田太郎 …  1"
    assert cell_len(lines[2]) == 21


def test_too_many_columns_are_shown_vertically_on_a_terminal() -> None:
    columns = [f"StudyInstanceUID{number}" for number in range(5)]
    assert next(as_text(columns, [[UID] * 5] * 2, terminal_width=84)) == "-[ row 1 ]-"
    assert next(as_text(columns, [[UID] * 5] * 2)).startswith(columns[0])


def test_vertical_values_go_on_in_the_next_line_of_a_terminal() -> None:
    assert list(as_vertical(["PatientID", "Text"], [["1CT1", "abcdefghijklmno"], [None, ""]], terminal_width=20)) == [
        "-[ row 1 ]-",
        "Patient…  1CT1",
        "Text      abcdefghij",
        "          klmno",
        "-[ row 2 ]-",
        "Patient…  NULL",
        "Text      ",
        "(2 rows)",
    ]


def test_no_rows_are_a_header_and_their_count() -> None:
    assert list(as_text(["a"], [])) == ["a", "-", "(0 rows)"]
    assert list(as_text(["a" * 30, "b" * 30], [], terminal_width=20)) == ["(0 rows)"]
    assert list(as_vertical(["a"], [])) == ["(0 rows)"]


@pytest.mark.parametrize("render", [as_text, as_vertical])
def test_text_cannot_steer_the_terminal(
    render: Callable[[Sequence[str], Sequence[Sequence[object]]], Iterator[str]],
) -> None:
    text = "\n".join(render(["\x1b[2J"], [["\x1b[31mred\nline\u202e\u200b"]]))
    assert r"\x1b[31mred\nline\u202e\u200b" in text
    assert r"\x1b[2J" in text
    assert "\x1b" not in text


texts = st.text(st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Z", "Cc")), max_size=60)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(texts, min_size=n, max_size=n), min_size=1)),
    st.integers(20, 90),
)
def test_no_line_is_wider_than_the_terminal(rows: list[list[str]], width: int) -> None:
    columns = [f"ColumnOfANumber{number}" for number in range(len(rows[0]))]
    for render in (as_text, as_vertical):
        assert max(map(cell_len, render(columns, rows, width))) <= width


def test_rows_are_printed_before_the_last_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_table, "_ALIGNED_ROWS", 2)
    read = 0

    def rows() -> Iterator[list[object]]:
        nonlocal read
        for read in range(1, 6):
            yield [read * "x"]

    lines = as_text(["a"], rows())
    assert [next(lines), next(lines), next(lines)] == ["a", "--", "x"]
    assert read == 2
    assert list(lines) == ["xx", "xxx", "xxxx", "xxxxx", "(5 rows)"]


def lines_on_terminal(columns: int, *arguments: object) -> list[str]:
    """Run the command in a terminal of so many columns."""
    code, sent = on_terminal(columns, *arguments)
    assert code == 0, sent
    return sent.splitlines()


def test_the_width_is_that_of_the_terminal_and_vertical_can_be_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute(f"CREATE TABLE dicom AS SELECT 'CT' AS Modality, '{UID}' AS StudyInstanceUID")
    query = ("query", "SELECT * FROM dicom", "--from", file)
    assert lines_on_terminal(40, *query)[2] == f"CT        {UID[:29]}…"
    assert lines_on_terminal(100, *query)[2] == f"CT        {UID}"
    assert lines_on_terminal(24, *query)[0] == "-[ row 1 ]-"
    assert lines_on_terminal(100, *query, "--format", "vertical")[:2] == ["-[ row 1 ]-", "Modality          CT"]
