"""What the office itself keeps of people: what it must know to make a gate its own digests, and no PIN."""

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from gated.gallery.verifiers import Recipe, secret_of
from gated.sync.messages import (
    AnyPerson,
    GateRecord,
    Gone,
    HouseholdRecord,
    RoleRecord,
    ScheduleRecord,
    Seq,
    Short,
    Text,
    Time,
)


class KeptCard(msgspec.Struct, frozen=True):
    """A card. Its number is kept, sealed to the office, because every gate that joins needs digests of its own."""

    id: Short
    number: Short
    label: Text = ""
    valid_from: Time | None = None
    valid_until: Time | None = None
    uses: Seq | None = None


class KeptPin(msgspec.Struct, frozen=True):
    """A PIN, as argon2id made it of the digits, which nobody keeps (see `gallery.verifiers`)."""

    salt: bytes
    result: bytes
    is_duress: bool = False


class KeptPerson(AnyPerson, frozen=True, tag="person", kw_only=True):
    """Somebody. Key: `person/SUBJECT`."""

    cards: Annotated[list[KeptCard], Meta(max_length=20)] = msgspec.field(default_factory=list)
    pins: Annotated[list[KeptPin], Meta(max_length=2)] = msgspec.field(default_factory=list)
    pin: Annotated[str, Meta(max_length=12)] = ""
    """Only in a database from before `pins`; `settled` makes one of it."""
    duress_pin: Annotated[str, Meta(max_length=12)] = ""
    withdrawn: dict[Short, Time] = msgspec.field(default_factory=dict)
    """Which consents they took back, and when: a gate that tells later of an older one changes nothing."""

    @property
    def has_pin(self) -> bool:
        """Whether they have a PIN."""
        return bool(self.pin) or any(not pin.is_duress for pin in self.pins)

    @property
    def has_duress_pin(self) -> bool:
        """Whether they have a duress PIN as well."""
        return bool(self.duress_pin) or any(pin.is_duress for pin in self.pins)


Kept = KeptPerson | HouseholdRecord | RoleRecord | ScheduleRecord | GateRecord | Gone


def kept_pin(digits: str, salt: bytes, *, is_duress: bool) -> KeptPin:
    """What is kept of a PIN. Takes argon2's time."""
    return KeptPin(salt, Recipe(salt).result(secret_of(digits)), is_duress)


def settled(who: KeptPerson, salt: bytes) -> KeptPerson:
    """The same person without a readable PIN. Takes argon2's time for each that there was."""
    if not who.pin and not who.duress_pin:
        return who
    readable = [(digits, is_duress) for digits, is_duress in ((who.pin, False), (who.duress_pin, True)) if digits]
    made = [kept_pin(digits, salt, is_duress=is_duress) for digits, is_duress in readable]
    kinds = {pin.is_duress for pin in made}
    kept = [pin for pin in who.pins if pin.is_duress not in kinds]
    return replace(who, pins=[*kept, *made], pin="", duress_pin="")
