"""What records are: each has a key and a number, the newest number of a key counts, and nothing that is gone returns.

Pure, and the same for both ends.
"""

from collections.abc import Iterable
from hashlib import sha256

from gated.sync.messages import AnyPerson, GateRecord, Gone, HouseholdRecord, Record, RoleRecord, ScheduleRecord


def key_of(record: Record | AnyPerson) -> str:
    """What a record is about."""
    match record:
        case AnyPerson():
            return f"person/{record.subject}"
        case HouseholdRecord():
            return f"household/{record.household}"
        case RoleRecord():
            return f"role/{record.role}"
        case ScheduleRecord():
            return f"schedule/{record.name}"
        case GateRecord():
            return f"gate/{record.gate}"
        case Gone():
            return record.key


def digest_of(held: Iterable[tuple[str, int]]) -> str:
    """SHA-256, in hex, of a line `KEY N` for each record that is not gone, sorted by key, each ended by a line feed."""
    lines = "".join(f"{key} {n}\n" for key, n in sorted(held))
    return sha256(lines.encode()).hexdigest()


def fingerprint(card: bytes, pin: bytes) -> str:
    """Of a gate's keys for cards and PINs, as `Word.verifiers` has it: whoever knows it cannot tell the keys."""
    return sha256(card + pin).hexdigest()


def takes_away(record: Record | AnyPerson) -> bool:
    """Whether a record lets somebody in less than before, whatever there was: it never waits for another.

    That a household or a role is gone is none: whoever is still in it may pass at all hours then.
    """
    if isinstance(record, Gone):
        return not record.key.startswith(("household/", "role/"))
    return isinstance(record, AnyPerson) and record.status == "suspended"
