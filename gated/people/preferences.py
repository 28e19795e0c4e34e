"""Preferences of one person for the gate's behaviour, and their database rows."""

import sqlite3
from dataclasses import astuple, dataclass
from typing import Literal, get_args

from gated.types import SubjectId

FirstCue = Literal["speech", "light", "touch"]
"""The cue that comes first."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Preferences of one person for the gate's behaviour. None: the default for everybody. The
    reason is never stored.
    """

    release_s: float | None = None
    """Seconds that the lock stays released for this person, 5 to 30."""
    search_s: float | None = None
    """Seconds that the gate searches for the face before it names other credentials, 1 to 30."""
    first: FirstCue | None = None
    """The preferred cue: it comes before all other cues. The person gets all other cues, too."""


NO_PREFERENCES = Preferences()
"""Preferences of a person who has set none."""


def read_preferences(row: sqlite3.Row) -> Preferences:
    """Return the preferences of a row; `NO_PREFERENCES` if a value is out of range."""
    return valid_preferences(Preferences(row["release_s"], row["search_s"], row["first"]))


def valid_preferences(asked: Preferences) -> Preferences:
    """Return the preferences unchanged; `NO_PREFERENCES` if a value is out of range."""
    is_possible = (
        (asked.release_s is None or 5 <= asked.release_s <= 30)
        and (asked.search_s is None or 1 <= asked.search_s <= 30)
        and asked.first in (None, *get_args(FirstCue))
    )
    return asked if is_possible else NO_PREFERENCES


def put_preferences(connection: sqlite3.Connection, subject: SubjectId, preferences: Preferences) -> None:
    """Store a person's preferences. The caller holds the transaction."""
    connection.execute("DELETE FROM preferences WHERE subject = ?", (subject,))
    if preferences != NO_PREFERENCES:
        connection.execute("INSERT INTO preferences VALUES (?, ?, ?, ?)", (subject, *astuple(preferences)))
