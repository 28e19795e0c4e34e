"""One rule for every certificate: renew it in time, and warn 60, 30 and 7 days before its end.

The certificates of gates paired on one day end on different days.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.protocol.certificate_lifetime import (
    GATE_LIFETIME,
    RENEW_BEFORE,
    SPREAD_DAYS,
    WARNINGS_DAYS,
    end_text,
    gate_end,
    is_due,
    stage,
)

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "near"),
    [(400, None), (60.01, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (0.1, 7), (0, 0), (-9, 0)],
)
def test_warnings_come_60_30_and_7_days_before_the_end(days, near):
    assert stage(NOW + timedelta(days=days), NOW) == near


@given(st.timedeltas(timedelta(days=-10), timedelta(days=1000)))
def test_a_certificate_is_renewed_long_before_the_first_warning(left):
    ends = NOW + left
    if stage(ends, NOW) is not None:
        assert is_due(ends, NOW)
    assert is_due(ends, NOW) == (left <= RENEW_BEFORE)
    assert timedelta(days=max(WARNINGS_DAYS)) < RENEW_BEFORE


def test_gates_paired_on_one_day_expire_on_different_days():
    taken: set[date] = set()
    for number in range(SPREAD_DAYS):
        ends = gate_end(f"gate-{number}", NOW, taken)
        assert NOW + GATE_LIFETIME - timedelta(days=SPREAD_DAYS) < ends <= NOW + GATE_LIFETIME
        assert ends.date() not in taken
        taken.add(ends.date())
    assert gate_end("one more", NOW, taken) <= NOW + GATE_LIFETIME


def test_the_end_has_a_text():
    assert end_text(NOW + timedelta(days=9, hours=1), NOW) == "ends on 2026-12-09, in 9 days"
    assert end_text(NOW, NOW) == "ended on 2026-11-30"
