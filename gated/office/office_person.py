"""The office's own record of a person: enough to compute digests for each gate, but no PIN."""

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from gated.people.pin_verifiers import Recipe, secret_of
from gated.protocol.wire_records import AnyPerson, GateRecord, HouseholdRecord, RoleRecord, ScheduleRecord, Tombstone
from gated.protocol.wire_types import Seq, Short, Text, Time


class OfficeCard(msgspec.Struct, frozen=True):
    """A card. The office stores the card's number, sealed: every new gate needs its own digests."""

    id: Short
    number: Short
    label: Text = ""
    valid_from: Time | None = None
    valid_until: Time | None = None
    uses: Seq | None = None


class OfficePin(msgspec.Struct, frozen=True):
    """The argon2id result of a PIN's digits (see `people.pin_verifiers`). The digits are not stored."""

    salt: bytes
    result: bytes
    is_duress: bool = False


class OfficePerson(AnyPerson, frozen=True, tag="person", kw_only=True):
    """A person's record. Key: `person/SUBJECT`."""

    cards: Annotated[list[OfficeCard], Meta(max_length=20)] = msgspec.field(default_factory=list)
    pins: Annotated[list[OfficePin], Meta(max_length=2)] = msgspec.field(default_factory=list)
    pin: Annotated[str, Meta(max_length=12)] = ""
    """A readable PIN, only in an old database. `without_readable_pins` converts it to `pins`."""
    duress_pin: Annotated[str, Meta(max_length=12)] = ""
    withdrawn: dict[Short, Time] = msgspec.field(default_factory=dict)
    """Withdrawn consents, with the time. A gate's later report of an older consent changes nothing."""

    @property
    def has_pin(self) -> bool:
        """Return whether the person has a PIN."""
        return bool(self.pin) or any(not pin.is_duress for pin in self.pins)

    @property
    def has_duress_pin(self) -> bool:
        """Return whether the person has a duress PIN."""
        return bool(self.duress_pin) or any(pin.is_duress for pin in self.pins)


StoredRecord = OfficePerson | HouseholdRecord | RoleRecord | ScheduleRecord | GateRecord | Tombstone


def hashed_pin(digits: str, salt: bytes, *, is_duress: bool) -> OfficePin:
    """Return the stored form of a PIN. Runs argon2."""
    return OfficePin(salt, Recipe(salt).result(secret_of(digits)), is_duress)


def without_readable_pins(person: OfficePerson, salt: bytes) -> OfficePerson:
    """Return the person without readable PINs. Runs argon2 for each readable PIN."""
    if not person.pin and not person.duress_pin:
        return person
    readable = [(digits, is_duress) for digits, is_duress in ((person.pin, False), (person.duress_pin, True)) if digits]
    made = [hashed_pin(digits, salt, is_duress=is_duress) for digits, is_duress in readable]
    kinds = {pin.is_duress for pin in made}
    remaining = [pin for pin in person.pins if pin.is_duress not in kinds]
    return replace(person, pins=[*remaining, *made], pin="", duress_pin="")
