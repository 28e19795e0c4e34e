"""Key, number and digest of records. Pure; the gate and the office use the same functions.

Each record has a key and a number. The newest number of a key counts. A tombstone (`Tombstone`) is final.
"""

from collections.abc import Iterable
from hashlib import sha256

from gated.protocol.wire_records import (
    AnyPerson,
    GateRecord,
    HouseholdRecord,
    Record,
    RoleRecord,
    ScheduleRecord,
    Tombstone,
)


def key_of(record: Record | AnyPerson) -> str:
    """Return the key of a record, such as `person/SUBJECT` or `gate/GATE`."""
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
        case Tombstone():
            return record.key


def digest_of(held: Iterable[tuple[str, int]]) -> str:
    """Return SHA-256, in hex, over one line `KEY N` for each pair in `held`.

    The caller leaves out tombstones. The lines are sorted by key, and a line feed ends each line.
    """
    lines = "".join(f"{key} {n}\n" for key, n in sorted(held))
    return sha256(lines.encode()).hexdigest()


def fingerprint(card: bytes, pin: bytes) -> str:
    """Return SHA-256, in hex, of a gate's keys for cards and PINs, as in `Heartbeat.verifiers`.

    The fingerprint does not reveal the keys.
    """
    return sha256(card + pin).hexdigest()


def removes_access(record: Record | AnyPerson) -> bool:
    """Return whether a record can only reduce access, whatever the gate stores. This record never waits for another
    record.

    The tombstone of a household or a role returns False: its members may then pass at all hours.
    """
    if isinstance(record, Tombstone):
        return not record.key.startswith(("household/", "role/"))
    return isinstance(record, AnyPerson) and record.status == "suspended"
