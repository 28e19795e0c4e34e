"""Read the newest rows of the journal when a gate starts, as far as they are readable and unchanged."""

import logging
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from gated.errors import BusyError, StateError
from gated.journal.chain import row_digest
from gated.journal.entry import Entry
from gated.journal.journal import Journal
from gated.journal.journal_file import JOURNAL_DB

log = logging.getLogger(__name__)

NEWEST_ROWS = 1000
"""The count of the newest rows that are read."""


def read_newest(state: Path, site: str, gate: str) -> list[Entry]:
    """Return the newest rows in order. Empty if there is no journal or it cannot be read. Creates no file."""
    if not (state / JOURNAL_DB).exists():
        return []
    try:
        with closing(Journal.to_read(state, site, gate)) as journal:
            return journal.last(NEWEST_ROWS)
    except (BusyError, StateError) as error:
        log.error("the journal of the previous run cannot be read: %s", error)
        return []


def last_time(entries: list[Entry]) -> datetime:
    """Return the time of the newest row whose hash fits the previous row, or 1970 without one.

    Without this check, one damaged byte could give a year in the far future. The gate would then trust no clock.
    """
    for place in range(len(entries) - 1, -1, -1):
        entry = entries[place]
        if place == 0 or _fits(entries[place - 1], entry):
            with suppress(ValueError):
                return datetime.fromisoformat(entry.at)
    return datetime.fromtimestamp(0, UTC)


def _fits(before: Entry, entry: Entry) -> bool:
    text = entry.at.encode(), entry.kind.encode(), entry.body.encode()
    return entry.hash == row_digest(before.hash, entry.seq, *text)
