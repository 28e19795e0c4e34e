from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.schedules import WEEKDAYS, Calendar, is_within, years_unknown
from gated.config import Schedule

ZHENGZHOU, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
WORKDAYS = WEEKDAYS[:5]

moments = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
days = st.sets(st.sampled_from((*WEEKDAYS, "holiday"))).map(tuple)
schedules = st.builds(Schedule, days=days, start=clocks, end=clocks)
zones = st.sampled_from([ZHENGZHOU, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Pacific/Apia"), ZoneInfo("UTC")])


def at(text: str, zone: ZoneInfo = ZHENGZHOU, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def within(schedule: Schedule, text: str, holidays: tuple[str, ...] = ()) -> bool:
    return is_within(schedule, at(text), holidays, ZHENGZHOU)


def test_the_start_is_inside_a_schedule_and_the_end_is_not() -> None:
    office = Schedule(WORKDAYS, "08:00", "18:00")
    assert not within(office, "2026-05-04T07:59:59")  # a Monday
    assert within(office, "2026-05-04T08:00:00")
    assert within(office, "2026-05-04T17:59:59.999999")
    assert not within(office, "2026-05-04T18:00:00")


def test_an_unlisted_weekday_is_outside() -> None:
    assert not within(Schedule(WORKDAYS, "08:00", "18:00"), "2026-05-03T12:00:00")  # a Sunday


def test_a_schedule_uses_the_time_zone_of_the_site() -> None:
    morning = Schedule(("mon",), "08:00", "09:00")
    assert is_within(morning, datetime(2026, 5, 4, 0, 30, tzinfo=UTC), (), ZHENGZHOU)
    assert not is_within(morning, datetime(2026, 5, 4, 8, 30, tzinfo=UTC), (), ZHENGZHOU)


def test_hours_past_midnight_belong_to_the_day_of_their_start() -> None:
    friday_night = Schedule(("fri",), "22:00", "06:00")
    assert within(friday_night, "2026-05-08T23:00:00")
    assert within(friday_night, "2026-05-09T05:59:59")
    assert not within(friday_night, "2026-05-09T06:00:00")
    assert not within(friday_night, "2026-05-08T03:00:00")  # the night of Thursday
    assert not within(friday_night, "2026-05-09T23:00:00")


def test_equal_start_and_end_mean_the_whole_day() -> None:
    sunday = Schedule(("sun",), "08:00", "08:00")
    assert within(sunday, "2026-05-03T00:00:00")
    assert within(sunday, "2026-05-03T23:59:59")
    assert not within(sunday, "2026-05-04T00:00:00")


def test_a_holiday_does_not_count_as_a_weekday() -> None:
    holidays = ("2026-05-04",)
    assert not within(Schedule(WORKDAYS, "08:00", "18:00"), "2026-05-04T12:00:00", holidays)
    assert within(Schedule(("holiday",), "08:00", "18:00"), "2026-05-04T12:00:00", holidays)
    assert not within(Schedule(("holiday",), "08:00", "18:00"), "2026-05-05T12:00:00", holidays)


def test_the_night_before_a_holiday_continues_and_the_holidays_own_night_does_not_start() -> None:
    nights, holidays = Schedule(WORKDAYS, "22:00", "06:00"), ("2026-05-05",)
    assert within(nights, "2026-05-05T05:00:00", holidays)
    assert not within(nights, "2026-05-05T23:00:00", holidays)
    assert not within(nights, "2026-05-06T05:00:00", holidays)


def test_a_schedule_without_days_never_applies() -> None:
    assert not within(Schedule((), "00:00", "00:00"), "2026-05-04T12:00:00")


def test_a_repeated_hour_in_autumn_is_inside_both_times() -> None:
    hour = Schedule(("sun",), "02:00", "03:00")
    for fold in (0, 1):
        assert is_within(hour, at("2026-10-25T02:30:00", BERLIN, fold), (), BERLIN)
    assert not is_within(hour, at("2026-10-25T03:00:00", BERLIN), (), BERLIN)


def test_a_skipped_hour_in_spring_is_no_time() -> None:
    hour, before = Schedule(("sun",), "02:00", "03:00"), datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)
    assert not is_within(hour, before, (), BERLIN)
    assert not is_within(hour, before + timedelta(seconds=1), (), BERLIN)


def test_a_night_with_a_clock_change_ends_at_its_wall_clock_time() -> None:
    night = Schedule(("sat",), "22:00", "06:00")
    for text in ("2026-03-29T05:59:00", "2026-10-25T05:59:00"):
        assert is_within(night, at(text, BERLIN), (), BERLIN)
    for text in ("2026-03-29T06:00:00", "2026-10-25T06:00:00"):
        assert not is_within(night, at(text, BERLIN), (), BERLIN)


@given(schedules, moments)
def test_a_time_without_a_zone_is_never_inside(schedule: Schedule, moment: datetime) -> None:
    assert not is_within(schedule, moment.replace(tzinfo=None), (), ZHENGZHOU)


@given(schedules, moments, zones)
def test_the_same_moment_in_any_zone_gives_the_same_answer(
    schedule: Schedule, moment: datetime, zone: ZoneInfo
) -> None:
    answers = {is_within(schedule, moment.astimezone(other), (), zone) for other in (UTC, ZHENGZHOU, BERLIN)}
    assert len(answers) == 1


@given(schedules, moments, zones)
def test_every_day_all_day_is_always_inside_and_contains_every_schedule(
    schedule: Schedule, moment: datetime, zone: ZoneInfo
) -> None:
    assert is_within(Schedule(), moment, (), zone)
    wider = Schedule((*WEEKDAYS, "holiday"), schedule.start, schedule.end)
    if is_within(schedule, moment, (), zone):
        assert is_within(wider, moment, (), zone)


@given(moments, clocks, clocks, zones)
def test_exactly_one_of_a_schedule_and_its_complement_applies(
    moment: datetime, start: str, end: str, zone: ZoneInfo
) -> None:
    if start != end:
        day, night = Schedule(start=start, end=end), Schedule(start=end, end=start)
        assert is_within(day, moment, (), zone) != is_within(night, moment, (), zone)


@given(schedules, moments, zones)
def test_if_every_day_is_a_holiday_only_holiday_schedules_apply(
    schedule: Schedule, moment: datetime, zone: ZoneInfo
) -> None:
    today = moment.astimezone(zone).date()
    holidays = {date.fromordinal(today.toordinal() + n).isoformat() for n in (-1, 0)}
    if is_within(schedule, moment, holidays, zone):
        assert "holiday" in schedule.days


def test_a_calendar_allows_no_schedule_that_is_not_in_the_settings() -> None:
    calendar = Calendar({"always": Schedule()}, (), ZHENGZHOU)
    assert calendar.allows("always", at("2026-05-04T12:00:00"))
    assert not calendar.allows("gone", at("2026-05-04T12:00:00"))


@pytest.mark.parametrize("holiday", ["2026-05-04", "2026-05-05"])
def test_a_calendar_knows_its_holidays(holiday: str) -> None:
    calendar = Calendar({"work": Schedule(WORKDAYS)}, (holiday,), ZHENGZHOU)
    assert calendar.allows("work", at("2026-05-04T12:00:00")) == (holiday != "2026-05-04")


# -- make-up working days (调休) --------------------------------------------------------------------------------------

MADE_UP = ("2026-02-14",)
"""A Saturday before the Spring Festival that is a working day."""


def made_up(schedule: Schedule, text: str, holidays: tuple[str, ...] = ()) -> bool:
    return is_within(schedule, at(text), holidays, ZHENGZHOU, MADE_UP)


def test_a_make_up_saturday_counts_for_monday_to_friday_schedules() -> None:
    office = Schedule(WORKDAYS, "08:00", "18:00")
    assert made_up(office, "2026-02-14T09:00")
    assert not within(office, "2026-02-14T09:00")
    assert not made_up(office, "2026-02-14T07:59")
    assert not made_up(office, "2026-02-21T09:00")  # another Saturday


def test_a_make_up_saturday_counts_for_no_weekend_or_partial_week_schedule() -> None:
    for days in (("sat", "sun"), ("sat",), ("mon",), ("mon", "wed", "fri"), ("holiday",), ()):
        assert not made_up(Schedule(days), "2026-02-14T09:00")


def test_an_every_day_schedule_includes_a_make_up_day() -> None:
    assert made_up(Schedule(), "2026-02-14T09:00")


def test_a_day_named_as_both_is_a_holiday() -> None:
    office = Schedule(WORKDAYS, "08:00", "18:00")
    assert not made_up(office, "2026-02-14T09:00", holidays=MADE_UP)


def test_the_night_of_a_make_up_day_lasts_until_morning() -> None:
    night = Schedule(WORKDAYS, "22:00", "06:00")
    assert made_up(night, "2026-02-14T23:00")
    assert made_up(night, "2026-02-15T05:59")
    assert not made_up(night, "2026-02-15T23:00")


@pytest.mark.parametrize(("start", "inside", "outside"), [("08:00", "23:59:59", "07:59"), ("00:00", "00:00", None)])
def test_the_end_of_a_day_may_be_written_24_00(start: str, inside: str, outside: str | None) -> None:
    day = Schedule(("mon",), start, "24:00")
    assert within(day, f"2026-05-04T{inside}")
    assert not within(day, "2026-05-05T00:00")
    assert outside is None or not within(day, f"2026-05-04T{outside}")


@pytest.mark.parametrize(
    ("days", "on", "unknown"),
    [
        (["2026-10-01"], "2026-11-30T23:59", []),
        (["2026-10-01"], "2026-12-01T00:00", [2027]),
        (["2026-10-01", "2027-01-01"], "2026-12-01T00:00", []),
        (["2026-10-01"], "2027-01-05T12:00", [2027]),
        ([], "2026-06-01T12:00", []),
        ([], "2026-12-31T12:00", [2027]),
        (["rubbish"], "2026-12-31T12:00", [2027]),
    ],
)
def test_from_december_on_a_missing_next_year_is_reported(days: list[str], on: str, unknown: list[int]) -> None:
    assert years_unknown(days, at(on), ZHENGZHOU) == unknown


def test_december_begins_in_the_time_zone_of_the_site() -> None:
    assert years_unknown([], datetime(2026, 11, 30, 16, 0, tzinfo=UTC), ZHENGZHOU) == [2027]
