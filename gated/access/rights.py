"""May whoever holds this pass by this door now? Pure: a credential, rights and the time become a refusal, or none.

Every rule is written so that whatever is odd (a person who is gone, a schedule that is gone, no trusted time) denies.
"""

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


NEAREST = (Refusal.SCHEDULE, Refusal.CLOCK, Refusal.NOT_YET, Refusal.EXPIRED, Refusal.DOOR)
"""Of several rights that all refuse, the one that came nearest to letting somebody in says why."""


def judge(
    credential: Credential | None, holder: Holder | None, door: str, at: datetime | None, calendar: Calendar
) -> Refusal | None:
    """Why this credential does not open this door; None when it does.

    `holder`: who has it, None for a guest's card. `at`: the time of day (aware), None while the clock is not trusted:
    then whatever depends on the time is refused, and the rest goes on.
    """
    if credential is None or (credential.subject is not None and holder is None):
        return Refusal.UNKNOWN
    if holder is not None and (refusal := judge_holder(holder, door, at, calendar)):
        return refusal
    if credential.uses_left is not None and not credential.uses_left > 0:
        return Refusal.USED_UP
    return _window(credential.valid_from, credential.valid_until, at)


def judge_holder(holder: Holder, door: str, at: datetime | None, calendar: Calendar) -> Refusal | None:
    """Why somebody may not pass by this door now, however they come; one right that lets them is enough."""
    if holder.is_suspended:
        return Refusal.SUSPENDED
    refusals = [_judge_right(right, door, at, calendar) for right in holder.rights]
    if not refusals or None in refusals:
        return None
    return min((refusal for refusal in refusals if refusal is not None), key=NEAREST.index)


def _judge_right(right: Right, door: str, at: datetime | None, calendar: Calendar) -> Refusal | None:
    if right.door is not None and right.door != door:
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
