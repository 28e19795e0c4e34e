"""Opens `people.db` and `templates.db` together, with the key that seals templates and digests credentials."""

import sqlite3
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from gated.people import lost_database
from gated.people.store import People
from gated.people.template_store import Templates
from gated.storage.rescue import trouble
from gated.storage.vault import Vault, site_key


class Stores(Struct, frozen=True):
    """Both open databases of one gate, and their vault."""

    people: People
    templates: Templates
    vault: Vault

    @property
    def why(self) -> str:
        """Return the reason why a database is a read-only copy; empty if both are the real databases."""
        return trouble((self.people.best, self.templates.best))

    @property
    def connections(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        """Return the connections of both databases."""
        return self.people.connection, self.templates.connection

    def close(self) -> None:
        """Close both files. Callers may call it twice."""
        for connection in self.connections:
            connection.close()


def open_stores(state: Path, site: str, why: str = "") -> Stores:
    """Open both databases in the state folder; create a missing one. The site key is created only for a new gate.

    Open read-only copies of the readable parts if the disk accepts no writes or `why` names a damage. Raises
    `StateError` if a database or the site key cannot be used.
    """
    with ExitStack() as opened:
        lost_database.refuse(state, why)
        templates = Templates(state, why)
        opened.callback(templates.connection.close)
        people = People(state, why)
        opened.callback(people.connection.close)
        is_copy = bool(people.best.why or templates.best.why)
        is_new = not is_copy and templates.is_empty() and not people.has_credentials()
        vault = Vault(site_key(state, may_create=is_new), site)
        opened.pop_all()
    return Stores(people, templates, vault)
