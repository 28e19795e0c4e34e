"""The access rules: may the holder of a credential pass a door now? Pure: credential, rules and time give a `Refusal`
or None. Used by `permissions`.

Every rule denies on unexpected input: a removed person, a removed schedule, no trusted time.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from gated.access.schedules import Calendar
from gated.people.access_rule import AccessRule, Holder
from gated.people.credential import Credential
from gated.types import CredentialKind


class Refusal(StrEnum):
    """The reason why a credential opens nothing."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    USED_UP = "used_up"
    SUSPENDED = "suspended"
    SCHEDULE = "schedule"
    DOOR = "door"
    RESTING = "resting"
    REPLAYED = "replayed"
    FORGED = "forged"
    CLOCK = "clock"
    LOCKDOWN = "lockdown"
    UNDECIDED = "undecided"
    AMBIGUOUS = "ambiguous"
    """This reader cannot distinguish the cards of several people. It opens for none of them."""
    SECOND_MISSING = "second_credential_missing"
    """An access rule, or the mark of this person, demands a second credential kind."""
    WEAK = "weak_pin"
    """The PIN is correct, but too easy to guess. It opens nothing, and the person needs a new PIN."""


CLOSEST_FIRST = (
    Refusal.SECOND_MISSING,
    Refusal.SCHEDULE,
    Refusal.CLOCK,
    Refusal.NOT_YET,
    Refusal.EXPIRED,
    Refusal.DOOR,
)
"""If several access rules all refuse, the first of these refusals is the answer. It is the closest to a grant."""
FACE_ALONE = frozenset({CredentialKind.FACE})
PERSONAL = frozenset({CredentialKind.FACE, CredentialKind.CARD, CredentialKind.PIN})
"""The credential kinds that count where a person must show two. A visitor pass and a remote command belong to no
person.
"""


def judge_credential(
    credential: Credential | None,
    holder: Holder | None,
    door: str,
    at: datetime | None,
    calendar: Calendar,
    *,
    gate: str = "",
    kinds: frozenset[CredentialKind] = frozenset(),
) -> Refusal | None:
    """Return why this credential does not open this door, or None if it does.

    `kinds` are the other credential kinds that the same person has just shown at this door. A credential that opens
    nothing itself is no second one.

    `holder` is the owner of the credential, or None for a guest's card. `at` is the aware time of day, or None while
    the clock is not trusted. Without a trusted clock, only rules that depend on the time refuse. `gate` is the id of
    this gate. A rule for another gate grants nothing here.
    """
    if credential is None or (credential.subject is not None and holder is None):
        return Refusal.UNKNOWN
    shown = kinds | {credential.kind}
    refusal = None if holder is None else judge_holder(holder, door, at, calendar, gate=gate, kinds=shown)
    if refusal not in (None, Refusal.SECOND_MISSING):
        return refusal
    return _judge_own(credential, at) or refusal


def _judge_own(credential: Credential, at: datetime | None) -> Refusal | None:
    """Return why this credential itself is not valid now, or None."""
    if credential.uses_left is not None and not credential.uses_left > 0:
        return Refusal.USED_UP
    return _window(credential.valid_from, credential.valid_until, at)


def judge_holder(
    holder: Holder,
    door: str,
    at: datetime | None,
    calendar: Calendar,
    *,
    gate: str = "",
    kinds: frozenset[CredentialKind] = FACE_ALONE,
    has_own_threshold: bool = False,
) -> Refusal | None:
    """Return why this person may not pass this door now, or None. One rule that allows it is enough.

    `kinds` are the credential kinds that the person has shown. A mark demands a second kind after a face, even if a
    rule does not. `has_own_threshold`: the face reached a threshold that was calibrated for this child.

    Rules may exist under several spellings of the household or role. Then each spelling needs a rule that allows the
    person.
    """
    if holder.is_suspended:
        return Refusal.SUSPENDED
    doors = (None, door, f"{gate}/{door}", f"{gate}/*")
    for rules in (holder.rules, *holder.other_spellings):
        refusals = [_judge_rule(rule, doors, at, calendar, kinds) for rule in rules]
        if refusals and None not in refusals:
            return min((refusal for refusal in refusals if refusal is not None), key=CLOSEST_FIRST.index)
    is_face_alone = CredentialKind.FACE in kinds and not _are_two(kinds)
    is_marked = holder.mark is not None and holder.mark.demands_second(at, has_own_threshold=has_own_threshold)
    return Refusal.SECOND_MISSING if is_face_alone and is_marked else None


def _are_two(kinds: frozenset[CredentialKind]) -> bool:
    return len(kinds & PERSONAL) >= 2


def _judge_rule(
    rule: AccessRule,
    doors: Collection[str | None],
    at: datetime | None,
    calendar: Calendar,
    kinds: frozenset[CredentialKind],
) -> Refusal | None:
    """Return why this rule does not let the person pass now, or None. The demand of a second credential comes last."""
    if rule.door not in doors:
        return Refusal.DOOR
    if refusal := _window(rule.valid_from, rule.valid_until, at):
        return refusal
    if rule.schedule is not None and at is None:
        return Refusal.CLOCK
    if rule.schedule is not None and at is not None and not calendar.allows(rule.schedule, at):
        return Refusal.SCHEDULE
    return Refusal.SECOND_MISSING if rule.needs_second and not _are_two(kinds) else None


def _window(valid_from: datetime | None, valid_until: datetime | None, at: datetime | None) -> Refusal | None:
    if valid_from is None and valid_until is None:
        return None
    if at is None:
        return Refusal.CLOCK
    if valid_from is not None and not at >= valid_from:
        return Refusal.NOT_YET
    return None if valid_until is None or at < valid_until else Refusal.EXPIRED
