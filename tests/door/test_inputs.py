"""When a new level of an input is accepted, and when the input is implausible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.door.inputs import CHANGES_WINDOW_S, MOST_CHANGES, UNSTABLE_S, InputState, fault, update_input


def accepted(readings, debounce_s=0.05):
    """Return each change of the accepted level as (time, active), after readings at (time, raw)."""
    reading, changes = InputState(debounce_s), []
    for at, raw in readings:
        before = reading.is_active
        reading = update_input(reading, raw, at)
        if reading.is_active != before:
            changes.append((at, reading.is_active))
    return changes


def test_a_level_that_lasts_is_accepted():
    assert accepted([(0.0, True), (0.04, True), (0.05, True), (0.2, False), (0.25, False)]) == [
        (0.05, True),
        (0.25, False),
    ]


def test_a_spike_is_not_accepted():
    assert accepted([(0.0, True), (0.01, False), (0.06, False), (1.0, True), (1.04, False), (1.1, False)]) == []


def test_each_bounce_restarts_the_debounce_time():
    assert accepted([(0.0, True), (0.02, False), (0.03, True), (0.06, True), (0.08, True)]) == [(0.08, True)]


def test_without_a_debounce_time_every_reading_is_accepted():
    assert accepted([(0.0, True), (0.0, False)], debounce_s=0.0) == [(0.0, True), (0.0, False)]


def test_a_lost_edge_is_found_by_the_next_reading():
    assert accepted([(0.0, False), (0.5, True), (1.0, True)]) == [(1.0, True)]


def test_due_at_is_the_time_of_the_next_reading():
    reading = InputState(0.05)
    assert reading.due_at == float("inf")
    reading = update_input(reading, True, 1.0)
    assert reading.due_at == 1.05
    assert update_input(reading, True, reading.due_at).due_at == float("inf")


def story(period_s, seconds, debounce_s=0.02):
    """Read a line that changes every `period_s`, as the latch does: at each edge and when a reading is due."""
    reading, now, raw, whys = InputState(debounce_s), 0.0, False, []
    while now < seconds:
        raw = not raw
        for at in (now, min(now + debounce_s, now + period_s)):
            reading = update_input(reading, raw, at)
            whys.append(fault(reading, at))
        now += period_s
    return reading, whys


def test_a_leaf_in_a_busy_hour_is_plausible():
    """One change per second is ten changes in the window of ten seconds."""
    reading, whys = story(period_s=1.0, seconds=60.0)
    assert not reading.is_implausible
    assert set(whys) == {""}


def test_a_chattering_contact_is_implausible():
    reading, whys = story(period_s=0.3, seconds=10.0)
    assert reading.is_implausible
    assert "20 times in 10 s" in whys[-1]


def test_a_contact_that_chatters_faster_than_the_debounce_time_is_implausible():
    reading, whys = story(period_s=0.001, seconds=2.0)
    assert reading.is_implausible
    assert not reading.is_active
    assert "still" in whys[-1]


def test_a_line_is_plausible_again_only_after_a_calm_window():
    reading, _ = story(period_s=0.3, seconds=10.0)
    last = reading.raw_since
    reading = update_input(reading, reading.raw, last + CHANGES_WINDOW_S - 0.1)
    assert reading.is_implausible
    reading = update_input(reading, reading.raw, last + CHANGES_WINDOW_S + 0.1)
    assert not reading.is_implausible


def test_the_bounces_of_a_slammed_leaf_are_plausible():
    readings = [(i / 1000, i % 2 == 0) for i in range(9)] + [(0.1, True), (UNSTABLE_S + 1, True)]
    reading = InputState(0.02)
    for at, raw in readings:
        reading = update_input(reading, raw, at)
        assert not reading.is_implausible
    assert reading.is_active


@given(st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), max_size=200))
def test_an_accepted_level_has_always_lasted_the_debounce_time(waits):
    """The list of changes is bounded, too, for a line that never stops."""
    reading, now, since, last = InputState(0.05), 0.0, 0.0, False
    for wait_s, raw in waits:
        now += wait_s
        since, last = (now, raw) if raw != last else (since, last)
        before = reading.is_active
        reading = update_input(reading, raw, now)
        assert len(reading.changes) <= MOST_CHANGES + 1
        if reading.is_active != before:
            assert reading.is_active == raw
            assert now >= since + 0.05


@pytest.mark.parametrize("raw", [True, False])
def test_after_a_long_calm_the_accepted_level_is_the_raw_level(raw):
    reading = update_input(InputState(0.05), not raw, 0.0)
    reading = update_input(reading, raw, 0.01)
    assert update_input(reading, raw, 10.0).is_active == raw
