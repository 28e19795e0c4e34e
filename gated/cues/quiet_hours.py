"""The quiet hours of a gate, in which its sounds are quieter. Used by the stage."""

from datetime import datetime, time, tzinfo


def is_quiet(at: datetime | None, zone: tzinfo, quiet_from: str, quiet_to: str) -> bool:
    """Return whether quiet hours apply. `at` is an aware time, or None without a trusted clock, which counts as quiet.

    `quiet_from` later than `quiet_to` runs past midnight. Two equal times mean all day, as in a schedule.
    """
    if at is None:
        return True
    now = at.astimezone(zone).time()
    begin, end = time.fromisoformat(quiet_from), time.fromisoformat(quiet_to)
    return begin <= now < end if begin < end else now >= begin or now < end
