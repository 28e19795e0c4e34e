"""Detects changes of the searched data. The use of a card also changes `people.db`, but needs no reload."""

import sqlite3

from gated.people.opening import Stores
from gated.people.store import SearchablePerson
from gated.storage import sql
from gated.types import SubjectId


class SearchVersion:
    """Counts the changes of the people that the search knows. The caller holds the connections."""

    def __init__(self, stores: Stores) -> None:
        self._people, self._templates = stores.people, stores.templates
        self._seen: tuple[int, int] | None = None
        self._fingerprint: int | None = None
        self._searchable = 0
        self._consented: dict[SubjectId, SearchablePerson] | None = None
        self._changes = 0

    def current(self) -> tuple[int, ...]:
        """Return a value that differs after any change of the searched data, by any process. Cheap."""
        people = _number(self._people.connection)
        with self._templates.guard as connection:
            templates = _number(connection)
        if people != self._seen:
            self._compare()
            self._seen = people
        return (self._changes, *templates)

    def consented(self) -> dict[SubjectId, SearchablePerson]:
        """Return the people with consent. Use the result that `current` has just read, if nothing has changed since; do
        not keep it.
        """
        known, self._consented = self._consented, None
        if known is None or _number(self._people.connection) != self._seen:
            return self._people.consented()
        return known

    def _compare(self) -> None:
        """Compare the searched data with the last time. Most changes of `people.db` are only card uses."""
        fingerprint = self._people.fingerprint()  # read first, so that the next call sees changes made meanwhile
        if fingerprint == self._fingerprint:
            return
        consented = self._people.consented()
        searchable = hash((frozenset(consented.items()), frozenset(self._people.subjects())))
        if searchable != self._searchable:
            self._changes, self._consented = self._changes + 1, consented
        self._fingerprint, self._searchable = fingerprint, searchable


def _number(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return a value that differs after any change of the database, by any process."""
    return sql.version(connection), connection.total_changes
