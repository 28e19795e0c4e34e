"""How long certificates last, when they are renewed, when somebody is warned: one rule for gate and office. Pure.

Times are aware. A gate renews in time for nobody to be warned: a warning means that renewing has failed for a month.
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from zlib import crc32

WARNINGS_DAYS = (7, 30, 60)
"""So many days before the end somebody is warned."""
RENEW_BEFORE = timedelta(days=90)
"""A gate's certificate, the broker's and the office's are renewed so long before their end."""
AUTHORITY_BEFORE = timedelta(days=3 * 365)
"""The authority is renewed so early that every gate has the new one with its own next renewal, within two years."""
GATE_LIFETIME = timedelta(days=2 * 365)
SPREAD_DAYS = 90
"""The certificates of gates end within so many days before `GATE_LIFETIME`, no two on one day where that can be."""
ASK_EVERY_S = 24 * 3600.0
"""A gate that got no answer asks again after so long."""


def stage(ends: datetime, wall: datetime) -> int | None:
    """How near the end is: within 60, 30 or 7 days, 0 after it, None before all of these."""
    if wall >= ends:
        return 0
    return next((days for days in WARNINGS_DAYS if ends - wall <= timedelta(days=days)), None)


def is_due(ends: datetime, wall: datetime, before: timedelta = RENEW_BEFORE) -> bool:
    """Whether it is time to renew."""
    return wall >= ends - before


def told(ends: datetime, wall: datetime) -> str:
    """The end, in words."""
    day = f"{ends:%Y-%m-%d}"
    return f"ended on {day}" if wall >= ends else f"ends on {day}, in {(ends - wall).days} days"


def gate_end(gate: str, wall: datetime, taken: Collection[date]) -> datetime:
    """When a gate's new certificate is to end: on a day of its own. `taken`: the days on which those of others end."""
    first = crc32(gate.encode()) % SPREAD_DAYS
    ends = [wall + GATE_LIFETIME - timedelta(days=(first + step) % SPREAD_DAYS) for step in range(SPREAD_DAYS)]
    return next((end for end in ends if end.date() not in taken), ends[0])
