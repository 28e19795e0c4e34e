"""Times in database rows: aware, as ISO 8601 text. An invalid time becomes a time that denies access."""

from datetime import UTC, datetime

NEVER_YET, LONG_PAST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
"""Replacements for an invalid begin and an invalid end of a time window."""


def time_or_none(stored: str | None, fallback: datetime) -> datetime | None:
    """Return a stored time, or None. For an invalid time return `fallback`; the caller chooses a value
    that denies access.
    """
    return None if stored is None else time_of(stored, fallback)


def time_of(stored: str, fallback: datetime) -> datetime:
    """Return a stored time. Return `fallback` for a text that is no time, has no zone, or cannot be shown in UTC."""
    try:
        at = datetime.fromisoformat(stored)
        at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return fallback
    return fallback if at.tzinfo is None else at


def text_of(at: datetime | None) -> str | None:
    """Return a time as text for storage."""
    return None if at is None else at.isoformat()
