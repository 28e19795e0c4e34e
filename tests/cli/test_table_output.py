"""People read and copy from a table. No id, time or number is cut or broken at any width."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gated.cli import table_output
from gated.cli.table_output import WHOLE, show, widths_in

ID, COMMAND, AT = "3f2a9c1b7d00aa11", "0123456789abcdef0123456789abcdef", "2026-11-30T08:15:00+08:00"
TEXT = "somebody has opened it from outside without a right, and the alarm is still on"


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Return a function that prints a table on a terminal of that many columns and returns the text."""

    def print_on(width, columns, rows):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(table_output.Console, "is_terminal", property(lambda _: True))
        show(columns, rows)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

    return print_on


@pytest.mark.parametrize("width", [10, 20, 30, 40, 60, 80, 100, 160])
def test_no_terminal_width_breaks_an_id_a_time_or_a_number(terminal, width):
    printed = terminal(width, ["id", "at", "gate", "subject", "what"], [[COMMAND, AT, "gate-2", ID, TEXT]] * 2)
    for whole in (COMMAND, AT, "gate-2", ID):
        assert len(re.findall(rf"(?<!\S){re.escape(whole)}(?!\S)", printed)) == 2, printed
    assert "…" not in printed
    assert " ".join(printed.split()).count("somebody") == 2


def test_free_text_is_wrapped_between_words(terminal):
    printed = terminal(40, ["subject", "name", "status"], [[ID, "Wang Fang", TEXT]])
    assert printed.splitlines()[2].startswith(f"{ID}  Wang")
    assert max(map(cell_len, printed.splitlines())) <= 40
    assert set(TEXT.split()) <= set(printed.split())


def test_if_no_table_fits_each_row_takes_a_few_lines(terminal):
    printed = terminal(30, ["id", "at", "what"], [[COMMAND, AT, TEXT], [COMMAND, "", "short"]])
    first, second = printed.split("\n\n")
    assert first.splitlines()[:2] == ["id:", f"  {COMMAND}"]
    assert f"at: {AT}" in first
    assert second.splitlines()[-1] == "what: short"


def test_chinese_characters_count_as_two_cells(terminal):
    printed = terminal(40, ["subject", "name", "household"], [[ID, "欧阳 王芳", "三号楼 二单元 五零二"]])
    assert ID in printed.split()
    assert max(map(cell_len, printed.splitlines())) <= 40


def test_a_pipe_gets_each_row_as_one_uncut_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    columns = [f"c{number}" for number in range(6)]
    show(columns, [[COMMAND] * 6])
    assert capsys.readouterr().out.splitlines()[-1].split() == [COMMAND] * 6


def test_a_name_is_not_parsed_as_markup_and_an_empty_table_is_named(capsys):
    show(["name"], [["[red]Wang[/red]"], [""]])
    assert "[red]Wang[/red]" in capsys.readouterr().out
    show(["name"], [])
    assert capsys.readouterr().out == "nothing to list\n"


words = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=50)
cell = st.lists(words, max_size=4).map(" ".join)


@given(
    st.integers(1, 200),
    st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(cell, min_size=2), min_size=n, max_size=n)),
)
def test_the_columns_fit_and_every_word_has_room(room, cells):
    widths = widths_in(room, cells)
    least = [max([1, *(min(WHOLE, cell_len(w)) for c in column for w in c.split())]) for column in cells]
    total = sum(least) + table_output.BETWEEN * (len(cells) - 1)
    if total > room:
        assert widths is None
    else:
        assert sum(widths) + table_output.BETWEEN * (len(cells) - 1) <= room
        assert all(map(int.__le__, least, widths))
