"""The lifetime of certificates, the time of their renewal, and the warnings: one rule for gate and office. Pure.

Times are aware. A gate renews before any warning is due. A warning therefore means that renewal has failed for a month.
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from zlib import crc32

WARNINGS_DAYS = (7, 30, 60)
"""Days before the end at which a person is warned."""
RENEW_BEFORE = timedelta(days=90)
"""Time before the end at which the certificates of a gate, the broker and the office are renewed."""
AUTHORITY_BEFORE = timedelta(days=3 * 365)
"""Time before the end at which the authority is renewed. Every gate then receives the new certificate at its next
renewal, within two years.
"""
GATE_LIFETIME = timedelta(days=2 * 365)
"""Longest lifetime of a gate's certificate."""
SPREAD_DAYS = 90
"""The certificates of gates end within this many days before `GATE_LIFETIME`, on different days where possible."""
ASK_EVERY_S = 24 * 3600.0
"""Interval between renewal requests without an answer, in seconds."""


def stage(ends: datetime, wall: datetime) -> int | None:
    """Return the smallest warning that applies, in days: 7, 30 or 60; 0 after the end; None before all of these."""
    if wall >= ends:
        return 0
    return next((days for days in WARNINGS_DAYS if ends - wall <= timedelta(days=days)), None)


def is_due(ends: datetime, wall: datetime, before: timedelta = RENEW_BEFORE) -> bool:
    """Return whether it is time to renew."""
    return wall >= ends - before


def end_text(ends: datetime, wall: datetime) -> str:
    """Return the end in words."""
    day = f"{ends:%Y-%m-%d}"
    return f"ended on {day}" if wall >= ends else f"ends on {day}, in {(ends - wall).days} days"


def gate_end(gate: str, wall: datetime, used_days: Collection[date]) -> datetime:
    """Return the end of a gate's new certificate, on a day without another gate's certificate.

    `used_days` holds the days on which the certificates of other gates end. If every day is used, the result is the
    gate's own day.
    """
    first = crc32(gate.encode()) % SPREAD_DAYS
    ends = [wall + GATE_LIFETIME - timedelta(days=(first + step) % SPREAD_DAYS) for step in range(SPREAD_DAYS)]
    return next((end for end in ends if end.date() not in used_days), ends[0])
