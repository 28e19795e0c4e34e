"""May whoever holds this pass by this door now? Pure: a credential, rights and the time become a refusal, or none.

Every rule is written so that whatever is odd (a person who is gone, a schedule that is gone, no trusted time) denies.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from gated.access.schedule import Calendar
from gated.gallery.entitlement import Credential, Holder, Right


class Refusal(StrEnum):
    """Why a way in stays shut."""

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
    """Cards of several people are the same at this reader: it opens for none of them."""
    WEAK = "weak_pin"
    """It is theirs, and so easily guessed that it opens nothing: they must be given another."""


NEAREST = (Refusal.SCHEDULE, Refusal.CLOCK, Refusal.NOT_YET, Refusal.EXPIRED, Refusal.DOOR)
"""Of several rights that all refuse, the one that came nearest to letting somebody in says why."""


def judge(
    credential: Credential | None,
    holder: Holder | None,
    door: str,
    at: datetime | None,
    calendar: Calendar,
    *,
    gate: str = "",
) -> Refusal | None:
    """Why this credential does not open this door; None when it does.

    `holder`: who has it, None for a guest's card. `at`: the time of day (aware), None while the clock is not trusted:
    then whatever depends on the time is refused, and the rest goes on. `gate`: which one this is; rights for other
    gates let nobody pass here.
    """
    if credential is None or (credential.subject is not None and holder is None):
        return Refusal.UNKNOWN
    if holder is not None and (refusal := judge_holder(holder, door, at, calendar, gate=gate)):
        return refusal
    if credential.uses_left is not None and not credential.uses_left > 0:
        return Refusal.USED_UP
    return _window(credential.valid_from, credential.valid_until, at)


def judge_holder(
    holder: Holder, door: str, at: datetime | None, calendar: Calendar, *, gate: str = ""
) -> Refusal | None:
    """Why somebody may not pass by this door now, however they come; one right that lets them is enough.

    Where their household or role was told about under several spellings, one right of each spelling is needed.
    """
    if holder.is_suspended:
        return Refusal.SUSPENDED
    doors = (None, door, f"{gate}/{door}", f"{gate}/*")
    for rights in (holder.rights, *holder.also):
        refusals = [_judge_right(right, doors, at, calendar) for right in rights]
        if refusals and None not in refusals:
            return min((refusal for refusal in refusals if refusal is not None), key=NEAREST.index)
    return None


def _judge_right(
    right: Right, doors: Collection[str | None], at: datetime | None, calendar: Calendar
) -> Refusal | None:
    if right.door not in doors:
        return Refusal.DOOR
    if refusal := _window(right.valid_from, right.valid_until, at):
        return refusal
    if right.schedule is None:
        return None
    if at is None:
        return Refusal.CLOCK
    return None if calendar.allows(right.schedule, at) else Refusal.SCHEDULE


def _window(valid_from: datetime | None, valid_until: datetime | None, at: datetime | None) -> Refusal | None:
    if valid_from is None and valid_until is None:
        return None
    if at is None:
        return Refusal.CLOCK
    if valid_from is not None and not at >= valid_from:
        return Refusal.NOT_YET
    return None if valid_until is None or at < valid_until else Refusal.EXPIRED
