"""May whoever holds this pass by this door now? Pure: a credential, rights and the time become a refusal, or none.

Every rule is written so that whatever is odd (a door nobody named, a schedule that is gone, no trusted time) denies.
"""

from enum import StrEnum


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
