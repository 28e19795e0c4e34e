"""Foreign text is shown so that hidden characters are visible. Programs get the same text unchanged."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.printable import MOST_MARKS, MOST_SIGNS, line, number, page, printable

UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def test_no_sign_of_unicode_that_is_not_shown_passes():
    passes = [f"{code:x}" for code in range(0x110000)
              if chr(code) not in "\n\t" and unicodedata.category(chr(code)) in UNSEEN
              and printable(chr(code)) == chr(code)]  # fmt: skip
    assert passes == []


@pytest.mark.parametrize(
    "text",
    ["王芳 · 3-502", "Wáng Fāng", "王芳（三号楼）", "Ωμέγα", "Ольга", "سلام", "한국", "カメラ", "1 ≤ 2 → 3 × ½ °",
     "☎ 😀", "a\tb\nc", "\u3000全角　", "▮▯█│─✓✗", ""],
)  # fmt: skip
def test_ordinary_text_passes_unchanged(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    "text",
    ["\x1b]0;owned\x07", "\x1b]52;c;ZXZpbA==\x07", "\x9b31m", "\x90q\x9c", "\x1b[8m", "\r", "\x08\x08", "\x7f", "\x00",
     "\u202e\u2066", "\u200b\u200d\ufeff", "\ud800", "\U000e0041", "\u2028", "\u061c", "\ufe0f", "\u3164", "\u2800",
     "\ue000", "\uffff"],
)  # fmt: skip
def test_a_control_or_invisible_character_is_written_as_its_number(text):
    shown = printable(f"a{text}b")
    assert shown.isascii()
    assert all(sign.isprintable() for sign in shown)
    assert json.loads(f'"{shown}"') == f"a{text}b"


def test_marks_over_one_letter_are_not_stacked_over_the_lines_around():
    assert printable("a" + "\u0301" * MOST_MARKS) == "a" + "\u0301" * MOST_MARKS
    assert printable("a" + "\u0301" * 100).count("\u0301") == MOST_MARKS


@given(st.text())
def test_a_json_text_stays_the_same_value_and_twice_is_once(text):
    raw = json.dumps(text, ensure_ascii=False)
    assert json.loads(printable(raw)) == text
    assert printable(printable(text)) == printable(text)


@given(st.text())
def test_a_printed_line_has_no_line_break(text):
    assert len(line(text).splitlines()) <= 1


def test_a_long_value_is_cut_in_a_line_and_its_length_told():
    shown = line("x" * 10**6)
    assert len(shown) < MOST_SIGNS + 40
    assert "1000000" in shown


def test_a_page_shows_what_is_no_letter_and_nothing_of_it_is_markup():
    assert page("<b>\u202e&\"'") == "&lt;b&gt;\\u202e&amp;&quot;&#x27;"


def test_a_number_is_as_json_has_it():
    assert [number(sign) for sign in "\x1b\u202e\U000e0041"] == ["\\u001b", "\\u202e", "\\udb40\\udc41"]
