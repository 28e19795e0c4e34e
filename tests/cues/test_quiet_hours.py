"""Quiet hours follow the clock of the site. Without a trusted clock they always apply."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.cues.quiet_hours import is_quiet

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(hour, minute=0):
    return datetime(2026, 6, 1, hour, minute, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("now", "night"),
    [(at(21, 59), False), (at(22), True), (at(3), True), (at(6, 59), True), (at(7), False), (at(12), False)],
)
def test_quiet_hours_run_past_midnight(now, night):
    assert is_quiet(now, SHANGHAI, "22:00", "07:00") is night


def test_quiet_hours_use_the_time_zone_of_the_site():
    assert is_quiet(datetime(2026, 6, 1, 15, tzinfo=UTC), SHANGHAI, "22:00", "07:00")
    assert not is_quiet(datetime(2026, 6, 1, 23, tzinfo=UTC), SHANGHAI, "22:00", "07:00")


def test_quiet_hours_within_a_day_and_all_day():
    assert is_quiet(at(13), SHANGHAI, "12:00", "14:00")
    assert not is_quiet(at(14), SHANGHAI, "12:00", "14:00")
    assert all(is_quiet(at(hour), SHANGHAI, "05:00", "05:00") for hour in range(24))


def test_without_a_trusted_clock_it_counts_as_night():
    assert is_quiet(None, SHANGHAI, "22:00", "07:00")


@given(st.times(), st.times(), st.times())
def test_quiet_hours_and_the_other_hours_make_a_whole_day(now, begin, end):
    """A time is quiet between two other times, or between them the other way round, and never both."""
    instant = at(now.hour, now.minute)
    first, last = (f"{each.hour:02}:{each.minute:02}" for each in (begin, end))
    is_whole_day = first == last
    assert is_quiet(instant, SHANGHAI, first, last) != is_quiet(instant, SHANGHAI, last, first) or is_whole_day
