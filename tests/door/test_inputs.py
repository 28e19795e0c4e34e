"""When an input is believed, and when it is said to be odd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.door.inputs import MOST_CHANGES, RESTLESS_S, WINDOW_S, Reading, oddity, read


def believed(looks, settle_s=0.05):
    """Every change of what is believed, as (time, active), after looks at (time, raw)."""
    reading, changes = Reading(settle_s), []
    for at, raw in looks:
        before = reading.is_active
        reading = read(reading, raw, at)
        if reading.is_active != before:
            changes.append((at, reading.is_active))
    return changes


def test_a_level_that_lasts_is_believed():
    assert believed([(0.0, True), (0.04, True), (0.05, True), (0.2, False), (0.25, False)]) == [
        (0.05, True),
        (0.25, False),
    ]


def test_a_spike_is_not():
    assert believed([(0.0, True), (0.01, False), (0.06, False), (1.0, True), (1.04, False), (1.1, False)]) == []


def test_each_bounce_begins_the_wait_anew():
    assert believed([(0.0, True), (0.02, False), (0.03, True), (0.06, True), (0.08, True)]) == [(0.08, True)]


def test_without_a_wait_every_look_is_believed():
    assert believed([(0.0, True), (0.0, False)], settle_s=0.0) == [(0.0, True), (0.0, False)]


def test_an_edge_that_was_lost_is_found_by_the_next_look():
    assert believed([(0.0, False), (0.5, True), (1.0, True)]) == [(1.0, True)]


def test_it_says_when_it_wants_to_be_looked_at_again():
    reading = Reading(0.05)
    assert reading.due_at == float("inf")
    reading = read(reading, True, 1.0)
    assert reading.due_at == 1.05
    assert read(reading, True, reading.due_at).due_at == float("inf")


def story(period_s, seconds, settle_s=0.02):
    """A line that changes so often, looked at as the latch does it: at each edge and when it is due."""
    reading, now, raw, whys = Reading(settle_s), 0.0, False, []
    while now < seconds:
        raw = not raw
        for at in (now, min(now + settle_s, now + period_s)):
            reading = read(reading, raw, at)
            whys.append(oddity(reading, at))
        now += period_s
    return reading, whys


def test_a_leaf_in_a_busy_hour_is_sound():
    """Open and shut every second is twenty changes in ten seconds."""
    reading, whys = story(period_s=1.0, seconds=60.0)
    assert not reading.is_odd
    assert set(whys) == {""}


def test_a_contact_that_chatters_is_odd():
    reading, whys = story(period_s=0.3, seconds=10.0)
    assert reading.is_odd
    assert "20 times in 10 s" in whys[-1]


def test_a_contact_that_chatters_too_fast_to_be_believed_is_odd_too():
    reading, whys = story(period_s=0.001, seconds=2.0)
    assert reading.is_odd
    assert not reading.is_active
    assert "still" in whys[-1]


def test_it_is_sound_again_only_after_a_calm_window():
    reading, _ = story(period_s=0.3, seconds=10.0)
    last = reading.raw_since
    reading = read(reading, reading.raw, last + WINDOW_S - 0.1)
    assert reading.is_odd
    reading = read(reading, reading.raw, last + WINDOW_S + 0.1)
    assert not reading.is_odd


def test_two_bounces_of_a_slammed_leaf_are_not_odd():
    looks = [(i / 1000, i % 2 == 0) for i in range(9)] + [(0.1, True), (RESTLESS_S + 1, True)]
    reading = Reading(0.02)
    for at, raw in looks:
        reading = read(reading, raw, at)
        assert not reading.is_odd
    assert reading.is_active


@given(st.lists(st.tuples(st.floats(0, 0.2), st.booleans()), max_size=200))
def test_what_is_believed_was_always_so_for_long_enough(looks):
    """And the memory of a line that never stops is bounded."""
    reading, now, since, last = Reading(0.05), 0.0, 0.0, False
    for wait_s, raw in looks:
        now += wait_s
        since, last = (now, raw) if raw != last else (since, last)
        before = reading.is_active
        reading = read(reading, raw, now)
        assert len(reading.changes) <= MOST_CHANGES + 1
        if reading.is_active != before:
            assert reading.is_active == raw
            assert now >= since + 0.05


@pytest.mark.parametrize("raw", [True, False])
def test_left_alone_for_long_enough_what_is_believed_is_what_is(raw):
    reading = read(Reading(0.05), not raw, 0.0)
    reading = read(reading, raw, 0.01)
    assert read(reading, raw, 10.0).is_active == raw
