"""Access rules: by which doors and when a person, a household or a role may pass. Their values and database rows.

A time window is `valid_from <= at < valid_until`. None leaves that end open. All times are aware.
"""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from msgspec import Struct

from gated import names
from gated.errors import CredentialError
from gated.people.face_mark import FaceMark
from gated.people.preferences import NO_PREFERENCES, Preferences
from gated.people.stored_time import LONG_PAST, NEVER_YET, text_of, time_or_none
from gated.storage.valid_rows import copy_of

RuleOwner = Literal["subject", "household", "role"]
"""Owner of an access rule: one person, one household, or one role. A rule of a more specific owner replaces less
specific rules.
"""

RESIDENT = "resident"
"""Role of everybody without another role."""
ROLE = re.compile(r"[\w-]{1,20}")

SECOND_MARK, EVERY_DOOR = "+", "*"
"""In rows and on the wire, `+main` is the main door with a second credential, and `+*` every door with one. No gate and
no door has a name with `+`.
"""

LOST = "?"
"""Placeholder for schedules or days that a damaged database has lost. Nobody can enter this name."""


class AccessRule(Struct, frozen=True):
    """One access rule: the door and the schedule that allow a person to pass. None: every door, or all hours.

    `door`: "main" or "second"; for one gate only, "GATE/main", or "GATE/*" for all doors of the gate. An older gated
    knows no gates in access rules. It finds no door with this name and denies access.

    `needs_second`: one credential kind is not enough by this rule. The person must show two of face, card and PIN.
    """

    door: str | None = None
    schedule: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    needs_second: bool = False

    @property
    def stored_door(self) -> str | None:
        """Return the door as rows and the wire hold it: with `SECOND_MARK` in front if the rule needs a second
        credential.

        An older gated knows no such door, and so admits no person by this rule.
        """
        return f"{SECOND_MARK}{self.door or EVERY_DOOR}" if self.needs_second else self.door


@dataclass(frozen=True, slots=True)
class Holder:
    """One person with a credential or a face, as access decisions need the person.

    `rules`: the person's own access rules, else the household's, else the role's. A person without any rule may pass
    by every door at all hours.
    """

    is_suspended: bool = False
    rules: tuple[AccessRule, ...] = ()
    other_spellings: tuple[tuple[AccessRule, ...], ...] = ()
    """Access rules under other spellings of the same household or role. Each of these sets must
    also allow the access.
    """
    preferences: Preferences = NO_PREFERENCES
    mark: FaceMark | None = None
    home: str = field(default="", repr=False, compare=False)
    """The person's household, in normal form."""

    @property
    def always_needs_second(self) -> bool:
        """Return whether the person's face never opens alone, by rules or by a mark."""
        return self.mark is not None or any(
            rules and all(rule.needs_second for rule in rules) for rules in (self.rules, *self.other_spellings)
        )


def plain_role(name: str) -> str:
    """Return the normal form of a role's name. A role describes a person's work here, never the person's condition.

    Raises `CredentialError`, without the name in its message.
    """
    plain = names.plain(name)
    if not ROLE.fullmatch(plain):
        raise CredentialError("a role has a name of 1 to 20 letters, digits, _ or -, as in staff; write one word")
    return plain


def read_access_rule(row: sqlite3.Row) -> AccessRule:
    """Return the access rule of a row of `rights`."""
    begins, ends = time_or_none(row["valid_from"], NEVER_YET), time_or_none(row["valid_until"], LONG_PAST)
    return rule_at(row["door"], row["schedule"], begins, ends)


def rule_at(
    stored_door: str | None, schedule: str | None, valid_from: datetime | None, valid_until: datetime | None
) -> AccessRule:
    """Return the access rule for a door in the form of `AccessRule.stored_door`."""
    if stored_door is None or not stored_door.startswith(SECOND_MARK):
        return AccessRule(stored_door, schedule, valid_from, valid_until)
    door = stored_door.removeprefix(SECOND_MARK)
    return AccessRule(None if door == EVERY_DOOR else door, schedule, valid_from, valid_until, needs_second=True)


def put_access_rules(connection: sqlite3.Connection, owner: RuleOwner, value: str, rules: Sequence[AccessRule]) -> None:
    """Replace the access rules of one person, household or role. The caller holds the transaction.

    `value` is stored unchanged, because it is the key of the office's record in its current spelling. Rules under any
    spelling apply to everybody with that name (see `Credentials.holders`).
    """
    rows = [
        (value, r.stored_door, r.schedule and names.plain(r.schedule), text_of(r.valid_from), text_of(r.valid_until))
        for r in rules
    ]
    insert = f"INSERT INTO rights ({owner}, door, schedule, valid_from, valid_until) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
    copy = copy_of(*(value if each == owner else None for each in get_args(RuleOwner)), "")
    delete = f"DELETE FROM rights WHERE {owner} = ?1 OR substr(copy, 1, length(?2)) = ?2"  # noqa: S608 - one of three
    # The count goes first: a trigger would count it down, and a damaged count may overflow.
    connection.execute("DELETE FROM rights_said WHERE whose = ? AND value = ?", (owner, value))
    connection.execute(delete, (value, copy))  # also rows whose owner a damaged memory card has changed
    connection.executemany(insert, rows)
