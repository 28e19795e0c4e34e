"""`gated` learns the timing and format of a USB reader from one card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.readers.keystrokes import NumberCollector, TypedNumber
from gated.access.readers.learning import learn_settings
from gated.config import UsbSettings


def typed(text, gap_s=0.01, at=100.0):
    return [(key, at + i * gap_s) for i, key in enumerate(text)]


@pytest.mark.parametrize(
    ("end", "suffix"),
    [("\n", "enter"), ("\t", "tab"), (" ", "space"), (" \n", "enter"), ("\t\n", "enter"), ("", "none")],
)
def test_the_key_at_the_end_is_learnt(end, suffix):
    found = learn_settings(typed("0006729715" + end))
    assert (found.settings.kind, found.settings.suffix) == ("card", suffix)
    assert (found.number, found.trouble, found.length) == ("0006729715", "", 10)


@pytest.mark.parametrize(("gap_s", "gap_ms"), [(0.002, 50), (0.02, 50), (0.06, 120), (0.2, 400), (0.4, 800)])
def test_the_gap_between_keys_is_learnt_with_a_margin(gap_s, gap_ms):
    assert learn_settings(typed("0006729715\n", gap_s)).settings.gap_ms == pytest.approx(gap_ms, abs=10)


def test_a_reader_that_is_slow_before_its_last_key_is_still_a_reader():
    keys = [*typed("0006729715"), ("\n", 100.09 + 0.7)]
    found = learn_settings(keys)
    assert (found.trouble, found.settings.suffix) == ("", "enter")
    assert found.settings.gap_ms >= 1400


@pytest.mark.parametrize(
    ("keys", "trouble"),
    [
        (typed("12\n"), "are no card"),
        (typed("\n"), "are no card"),
        (typed("ZZ;;ZZ\n"), "no card's number"),
        ([(key, at) for key, at in zip("13579\n", (0, 0.3, 0.9, 1.1, 1.9, 2.2), strict=True)], "a hand has typed this"),
        (typed("13579246\n", 0.8), "a hand has typed this"),
    ],
)
def test_unusable_keys_are_refused_with_the_reason(keys, trouble):
    found = learn_settings(keys)
    assert trouble in found.trouble
    assert found.number == ""


def test_the_description_of_a_reader_contains_no_digit_of_the_card():
    found = learn_settings(typed("0006729715\t"))
    assert found.description == "10 keys, at most 10 ms apart, then Tab"
    assert "6729715" not in repr(found)


@given(
    st.text("0123456789", min_size=8, max_size=14).filter(lambda text: text.strip("0")),
    st.floats(0.001, 0.4),
    st.sampled_from(["\n", "\t", " ", ""]),
)
def test_the_learnt_settings_read_the_next_card(text, gap_s, end):
    found = learn_settings(typed(text + end, gap_s))
    assert found.trouble == ""
    collector = NumberCollector(found.settings)
    told = [collector.add_key(key, at) for key, at in typed(text + end, gap_s, at=500.0)]
    if collector.wait_s is not None:
        assert collector.wait_s >= gap_s
        told.append(collector.silence())
    assert [each for each in told if each] == [TypedNumber("card", text)]


@given(st.lists(st.tuples(st.text(max_size=2), st.floats(0, 1e9)), max_size=60))
def test_any_typed_keys_give_settings_or_a_reason(keys):
    found = learn_settings(keys)
    assert isinstance(found.settings, UsbSettings)
    assert 0 <= found.settings.gap_ms <= 2000
    assert bool(found.number) != bool(found.trouble)
