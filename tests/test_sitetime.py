"""Days begin and end by the clock of the site, and times are shown by that clock."""

import os
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated import sitetime
from gated.sitetime import day_begins, format_time, is_past, iso, window, zone_of

SHANGHAI, HAVANA, BEIRUT = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/Havana"), ZoneInfo("Asia/Beirut")
ZONES = [SHANGHAI, HAVANA, BEIRUT, *map(ZoneInfo, ("UTC", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu"))]
ALMOST = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        (SHANGHAI, date(2026, 12, 1), "2026-12-01T00:00:00+08:00"),
        (HAVANA, date(2026, 3, 8), "2026-03-08T01:00:00-04:00"),  # this day has no midnight
        (HAVANA, date(2026, 11, 1), "2026-11-01T00:00:00-04:00"),  # midnight comes twice; this is the first
        (HAVANA, date(2026, 11, 2), "2026-11-02T00:00:00-05:00"),
        (BEIRUT, date(2026, 3, 29), "2026-03-29T01:00:00+03:00"),
        (BEIRUT, date(2026, 10, 25), "2026-10-25T00:00:00+02:00"),
        (ZoneInfo("Pacific/Apia"), date(2011, 12, 30), "2011-12-31T00:00:00+14:00"),  # this day did not exist
    ],
)
def test_a_day_begins_with_the_first_moment_that_the_clock_shows(zone, day, begins):
    assert day_begins(day, zone).isoformat() == begins


@given(st.dates(date(1990, 1, 1), date(2099, 12, 30)), st.sampled_from(ZONES))
def test_a_day_follows_the_day_before_without_a_gap(day, zone):
    begin, end = window(day, day, zone)
    assert begin.astimezone(UTC) <= end.astimezone(UTC)
    assert end == day_begins(day + timedelta(days=1), zone)
    if begin.astimezone(UTC) < end.astimezone(UTC):  # Samoa skipped one day
        assert begin.astimezone(zone).date() == day
        assert (end.astimezone(UTC) - ALMOST).astimezone(zone).date() == day
    assert (begin.astimezone(UTC) - ALMOST).astimezone(zone).date() < day


@pytest.mark.parametrize("day", [date.min, date.max])
def test_no_day_is_too_early_or_too_late(day):
    for zone in ZONES:
        begin, end = window(day, day, zone)
        assert begin.utcoffset() is not None
        assert end.utcoffset() is not None


def test_an_open_end_stays_open():
    assert window(None, None, SHANGHAI) == (None, None)
    assert not is_past(None, None, datetime.now(UTC))


def test_a_window_is_past_when_its_last_day_is_over_at_the_site():
    window_ = window(None, date(2026, 11, 30), SHANGHAI)
    assert not is_past(*window_, datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC))
    assert is_past(*window_, datetime(2026, 11, 30, 16, 0, tzinfo=UTC))
    assert is_past(*window(date(2027, 1, 2), date(2027, 1, 1), SHANGHAI), datetime(2026, 1, 1, tzinfo=UTC))


def test_a_time_is_shown_in_the_zone_of_the_site_with_its_name():
    assert format_time("2026-11-29T23:48:12.123456Z", SHANGHAI) == "2026-11-30 07:48:12 Asia/Shanghai"
    assert (
        format_time(datetime(2026, 11, 29, 23, 48, 12, tzinfo=UTC), SHANGHAI, is_named=False) == "2026-11-30 07:48:12"
    )
    assert iso("2026-11-29T23:48:12.123456Z", SHANGHAI) == "2026-11-30T07:48:12+08:00"


def test_an_hour_that_comes_twice_is_shown_with_its_offset():
    first, second = (datetime(2026, 11, 1, 4 + hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert format_time(first, HAVANA) == "2026-11-01 00:30:00 UTC-0400 America/Havana"
    assert format_time(second, HAVANA) == "2026-11-01 00:30:00 UTC-0500 America/Havana"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-29T23:48:12"])
def test_an_invalid_time_is_shown_unchanged(text):
    assert format_time(text, SHANGHAI) == text
    assert iso(text, SHANGHAI) == text


def test_a_missing_time_is_shown_as_empty():
    assert format_time(None, SHANGHAI) == ""
    assert iso(None, SHANGHAI) is None


@pytest.fixture
def damaged(tmp_path):
    """Return damaged zone files."""
    for name, content in {
        "Asia/Shanghai": b"TZif2" + b"\xa5" * 99,
        "Europe/Paris": b"",
        "Asia/Tokyo": bytes(512),
    }.items():
        file = tmp_path / "zones" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    was = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[tmp_path / "zones"])
    ZoneInfo.clear_cache()
    yield tmp_path / "zones"
    zoneinfo.reset_tzpath(to=was)
    ZoneInfo.clear_cache()


@pytest.mark.parametrize("name", ["Asia/Shanghai", "Europe/Paris", "Asia/Tokyo"])
def test_where_the_machines_file_of_a_zone_is_damaged_that_of_the_package_counts(damaged, name):
    summer = datetime(2026, 7, 1, 12, tzinfo=zone_of(name))
    assert summer.utcoffset() == timedelta(hours={"Asia/Shanghai": 8, "Europe/Paris": 2, "Asia/Tokyo": 9}[name])
    assert format_time(summer, zone_of(name)).endswith(name)


def test_without_any_file_china_has_its_time_all_the_same(damaged, monkeypatch):
    monkeypatch.setattr("importlib.resources.files", lambda package: damaged / package)
    for moment in ("2026-01-01T00:00+00:00", "2026-07-01T12:00+00:00", "2055-12-31T20:00+00:00"):
        local = datetime.fromisoformat(moment).astimezone(zone_of("Asia/Shanghai"))
        assert local.utcoffset() == timedelta(hours=8)
        assert format_time(local, local.tzinfo).endswith("Asia/Shanghai")
    assert zone_of("Europe/Paris") is None
    assert sitetime.zone("Europe/Paris").key == "Asia/Shanghai"


def test_the_latch_serves_where_the_machines_zones_are_damaged(gate, damaged):
    done = gate.run("latch", "--exit-when-idle", "0.1", env={**os.environ, "PYTHONTZPATH": str(damaged)}, check=0)
    assert "Traceback" not in done.stderr


def test_a_zone_that_is_none_is_none():
    assert zone_of("Asia/Shanghai").key == SHANGHAI.key
    assert [zone_of(name) for name in ("", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "a\0b")] == [None] * 5
