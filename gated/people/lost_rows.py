"""Deny access in place of the rows that a repair of `people.db` has lost. Used by `store` and by the repair at start.

Everything that is lost only ever reduces access. A record of the office restores it.
"""

import sqlite3
from collections.abc import Collection, Sequence

from gated.people import damaged_rows, held_records
from gated.people.access_rule import LOST
from gated.people.face_mark import mark_everybody
from gated.storage.salvage import LostRows
from gated.storage.valid_rows import possible_values, sound


def deny_for_lost_rows(connection: sqlite3.Connection, torn: Collection[str], refused: LostRows) -> None:
    """Make a repaired database deny access in place of lost rows.

    If an owner has lost access rules, the lost rules deny access until new rules arrive, from the office or from here.
    If the owner is unknown, nobody without own access rules gets access. Lost schedules and calendars also deny access.
    A lost version becomes at least the newest record number, so that no older office message has an effect. Lost
    counters of new people count as spent. If marks are lost, everybody is marked.
    """
    if "replica" in torn:
        numbers = f"SELECT ifnull(max(n), 0) FROM records WHERE {sound(connection, 'records')}"  # noqa: S608 - ours
        connection.execute(f"UPDATE replica SET version = max(version, ({numbers}))")  # noqa: S608
    if "allowance" in torn:
        held_records.allow_nobody_new(connection)
    if "rights" in torn and "rights_said" in torn:
        _deny_owners(
            connection, [damaged_rows.named(row) for row in refused.get("rights", ())], is_known="rights" in refused
        )
    if "marks" in torn:
        mark_everybody(connection)
    never = "INSERT OR IGNORE INTO schedules (name, days, start, until) VALUES (?, '', '00:00', '00:00')"
    lost = {name for row in refused.get("schedules", ()) for name in possible_values(row, "schedules", "name")}
    connection.executemany(never, [(name,) for name in lost])
    if "calendars" in torn:
        doubt = "INSERT OR REPLACE INTO calendars (name, holidays, workdays) VALUES (?1, ?1, '')"
        connection.execute(doubt, (LOST,))


def _deny_owners(connection: sqlite3.Connection, lost: Sequence[set[damaged_rows.Owner]], *, is_known: bool) -> None:
    """Deny access to the owners of lost access rules. If some owners are unknown, deny access to everybody without own
    rules.
    """
    for owner, value in set[damaged_rows.Owner]().union(*lost):
        insert = f"INSERT INTO rights ({owner}, schedule) VALUES (?, ?)"  # noqa: S608 - one of three
        connection.execute(insert, (value, LOST))
    if not is_known or not all(lost):
        connection.execute(
            "INSERT INTO rights (subject, schedule) SELECT subject, ? FROM people"
            " WHERE subject NOT IN (SELECT subject FROM rights WHERE subject IS NOT NULL)",
            (LOST,),
        )
