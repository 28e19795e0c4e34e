"""Stores a batch of changes in the transaction of `people.db`. `holdings.Holdings` uses it."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from gated.gallery import person_data
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import (
    PERSON,
    Change,
    GateKeys,
    NamedCalendar,
    NamedSchedule,
    Outcome,
    SharedRules,
    people_of,
)
from gated.gallery.register import Register
from gated.people import acceptances, damaged_rows
from gated.people import held_records as holding
from gated.people.access_rule import LOST, put_access_rules
from gated.people.held_records import RecordState
from gated.storage import sql
from gated.types import SubjectId

KNOWN_DAYS = """
DELETE FROM calendars WHERE holidays = ?1 AND NOT EXISTS
 (SELECT 1 FROM records WHERE is_wanted AND key LIKE 'schedule/%')
"""
"""SQL that removes the doubt about all days, once all lost calendars have arrived."""


def apply_changes(
    register: Register, connection: sqlite3.Connection, changes: Sequence[Change], at: datetime
) -> Outcome:
    """Store these changes and return their result. `at`: the current time, aware. The caller is `register.changing`.

    The faces are stored first. They count when the rows of the people name them.
    """
    faces = [face for change in changes for face in (change.face, change.waiting) if face is not None]
    register.store(faces, at)
    touched = people_of(changes)
    outcome, before = Outcome(), _statuses(connection, touched)
    for change in changes:
        _apply_change(register, connection, change, outcome, at)
    people = [change.content for change in changes if isinstance(change.content, PersonData)]
    outcome.waiting = person_data.put(connection, people)
    acceptances.prune(connection, [each.person.subject for each in people])
    outcome.added = sum(each.person.subject not in before for each in people)
    outcome.changed = len(people) - outcome.added
    connection.execute(KNOWN_DAYS, (LOST,))
    after = _statuses(connection, touched)
    for subject in sorted(before.keys() & after.keys()):
        if before[subject] != after[subject]:
            (outcome.suspended if after[subject] == "suspended" else outcome.resumed).append(subject)
    return outcome


def _apply_change(
    register: Register, connection: sqlite3.Connection, change: Change, outcome: Outcome, at: datetime
) -> None:
    """Store a change, except a `PersonData`. All other changes must be stored before the people."""
    held = change.holding
    if held.is_gone:
        held = _remove(register, connection, held, outcome, at)
    elif change.is_suspending:
        subject = held.key.removeprefix(PERSON)
        connection.execute("UPDATE people SET status = 'suspended' WHERE subject = ?", (subject,))
    match change.content:
        case SharedRules(owner, value, rules):
            put_access_rules(connection, owner, value, rules)
        case NamedSchedule(name, schedule):
            row = (name, " ".join(schedule.days), schedule.start, schedule.end)
            _delete_schedule(connection, name)
            connection.execute("REPLACE INTO schedules (name, days, start, until) VALUES (?, ?, ?, ?)", row)
        case NamedCalendar(name, holidays, workdays):
            _delete_schedule(connection, name)
            calendar = (name, " ".join(holidays), " ".join(workdays))
            connection.execute("REPLACE INTO calendars (name, holidays, workdays) VALUES (?, ?, ?)", calendar)
        case GateKeys(gate, keys, vouches):
            acceptances.put_gate(connection, gate, keys, vouches)
    holding.put(connection, held)


def _remove(
    register: Register, connection: sqlite3.Connection, held: RecordState, outcome: Outcome, at: datetime
) -> RecordState:
    """Delete the object that a tombstone names. A repeated tombstone keeps the number of templates and the time."""
    kind, _, name = held.key.partition("/")
    before = holding.get(connection, held.key)
    if before.is_gone:
        return replace(held, templates=before.templates, at=before.at)
    match kind:
        case "person" if register.is_there(SubjectId(name)):
            outcome.removed[SubjectId(name)] = register.drop(SubjectId(name))
        case "person":
            damaged_rows.forget(connection, name)
        case "household" | "role":
            put_access_rules(connection, kind, name, ())
        case "schedule":
            _delete_schedule(connection, name)
        case "gate":
            acceptances.drop_gate(connection, name)
    return replace(held, templates=outcome.removed.get(SubjectId(name), 0), at=at.isoformat())


def _statuses(connection: sqlite3.Connection, among: Collection[SubjectId]) -> dict[SubjectId, str]:
    is_one, ids = sql.is_one_of("subject", among)
    rows = connection.execute(f"SELECT subject, status FROM people WHERE {is_one}", ids).fetchall()  # noqa: S608
    return {SubjectId(subject): status for subject, status in rows}


def _delete_schedule(connection: sqlite3.Connection, name: str) -> None:
    """Delete the schedule or calendar with this name."""
    for table in ("schedules", "calendars"):
        connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # noqa: S608 - one of two
