"""Read the people with their access rules, the schedules and the calendar from `people.db`. Used by `credential_store`.

Damaged rows only reduce access: a rule, a schedule or a day that cannot be read denies. The caller holds the
connection.
"""

import sqlite3

from gated import names
from gated.config import Schedule
from gated.people import damaged_rows
from gated.people.access_rule import LOST, AccessRule, Holder, RuleOwner, read_access_rule
from gated.people.face_mark import read_marks
from gated.people.preferences import NO_PREFERENCES, read_preferences
from gated.people.schedule_values import CalendarDays, intersection, schedule_of
from gated.storage import sql
from gated.storage.valid_rows import possible_values, sound
from gated.types import SubjectId

OWNER_KINDS: tuple[RuleOwner, ...] = ("subject", "household", "role")
NEVER: tuple[AccessRule, ...] = (AccessRule(schedule=LOST),)
"""Replacement for access rules that a damaged memory card has destroyed. It never allows access."""


def read_holders(connection: sqlite3.Connection) -> dict[SubjectId, Holder]:
    """Return all people with the access rules and preferences that apply to them. Any status other than "active"
    counts as suspended.
    """
    query = f"SELECT subject, household, role, status FROM people WHERE {sound(connection, 'people')}"  # noqa: S608
    people = sql.rows(connection, query)
    query = f"SELECT * FROM preferences WHERE {sound(connection, 'preferences')}"  # noqa: S608
    preferences = {row[0]: read_preferences(row) for row in connection.execute(query)}
    rules, is_lost = _rules_of_owners(connection)
    marks = read_marks(connection)
    holders, kinds = {}, {owner_kind for owner_kind, _ in rules}
    for subject, household, role, status in people:
        nearest = (("subject", subject), ("household", household), ("role", role))[: 1 if is_lost else 3]
        stored_rules = next(
            (
                stored_rules
                for kind, name in nearest
                if kind in kinds and (stored_rules := rules.get((kind, names.plain(name))))
            ),
            [NEVER if is_lost else ()],
        )
        holders[SubjectId(subject)] = Holder(
            is_suspended=status != "active",
            rules=stored_rules[0],
            other_spellings=tuple(stored_rules[1:]),
            preferences=preferences.get(subject, NO_PREFERENCES),
            mark=marks.get(SubjectId(subject)),
            home=names.plain(household),
        )
    return holders


def read_schedules(connection: sqlite3.Connection) -> dict[str, Schedule]:
    """Return the schedules that the office sent, by normal name.

    Two spellings of one name give the hours that both allow. A damaged schedule gives no hours.
    """
    query = f"SELECT name, days, start, until FROM schedules WHERE {sound(connection, 'schedules')}"  # noqa: S608
    rows = connection.execute(query).fetchall()
    damaged = [possible_values(row, "schedules", "name") for row in damaged_rows.rows(connection, "schedules")]
    found: dict[str, Schedule] = {}
    for spelling, days, start, until in rows:
        times, name = schedule_of(days.split(), start, until), names.plain(spelling)
        found[name] = intersection(found[name], times) if name in found else times
    return found | {names.plain(name): Schedule(days=()) for spellings in damaged for name in spellings}


def read_days(connection: sqlite3.Connection) -> CalendarDays:
    """Return the holidays and make-up working days that the office sent. A day in both sets counts as a holiday."""
    query = f"SELECT holidays, workdays FROM calendars WHERE {sound(connection, 'calendars')}"  # noqa: S608
    rows = connection.execute(query).fetchall()
    damaged = damaged_rows.rows(connection, "calendars")
    holidays, workdays = (frozenset(day for row in rows for day in row[column].split()) for column in (0, 1))
    readable = [possible_values(row, "calendars", column) for row in damaged for column in ("holidays", "workdays")]
    doubtful = frozenset(day for texts in readable for text in texts for day in text.split())
    return CalendarDays(holidays, workdays - holidays, doubtful, is_doubtful=LOST in holidays or not all(readable))


def _rules_of_owners(
    connection: sqlite3.Connection,
) -> tuple[dict[damaged_rows.Owner, list[tuple[AccessRule, ...]]], bool]:
    """Return the access rules of each name in normal form, one tuple for each spelling, and a flag.

    An owner with missing rules also gets `NEVER`. The flag is True if some lost rules name no owner.
    """
    spelt: dict[damaged_rows.Owner, tuple[AccessRule, ...]] = {}
    query = f"SELECT * FROM rights WHERE {sound(connection, 'rights')} ORDER BY rowid"  # noqa: S608
    for row in connection.execute(query):
        for kind in OWNER_KINDS:
            if row[kind] is not None:
                spelt[kind, row[kind]] = (*spelt.get((kind, row[kind]), ()), read_access_rule(row))
    short, damaged = damaged_rows.missing(connection), damaged_rows.rows(connection, "rights")
    uncounted = damaged if len(damaged) > sum(short.values()) else []
    for owner in {*short, *(owner for row in uncounted for owner in damaged_rows.named(row))}:
        spelt[owner] = (*spelt.get(owner, ()), *NEVER)
    stored_rules: dict[damaged_rows.Owner, list[tuple[AccessRule, ...]]] = {}
    for (column, value), rules in spelt.items():
        stored_rules.setdefault((column, names.plain(value)), []).append(rules)
    return stored_rules, not all(map(damaged_rows.named, uncounted))
