"""A short text is stored without surrounding blanks, or refused without its content in the message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import EnrolmentError
from gated.people.plain_text import LONGEST_TEXT, UNPRINTABLE, plain_text


@pytest.mark.parametrize("text", ["安妮", "ئايگۈل", "𫘝𠅤", "O'Neill-Ö.", "x" * LONGEST_TEXT])
def test_a_name_in_any_script_stays_as_typed(text):
    assert plain_text("name", f"  {text}\n") == text


@pytest.mark.parametrize(
    ("text", "why"), [(" \n", "is empty"), ("x" * (LONGEST_TEXT + 1), "has 201 characters"), ("a\u202eb", "control")]
)
def test_an_unusable_text_is_refused_with_the_reason(text, why):
    with pytest.raises(EnrolmentError, match=why):
        plain_text("name", text)


@given(st.text(max_size=300))
def test_a_stored_text_prints_on_one_line_and_an_error_contains_none_of_it(text):
    import unicodedata

    try:
        stored = plain_text("name", text)
    except EnrolmentError as error:
        assert len(text.strip()) < 20 or text.strip() not in str(error)
    else:
        assert 0 < len(stored) <= LONGEST_TEXT
        assert not UNPRINTABLE & {unicodedata.category(character) for character in stored}
