"""Gives people their PINs, and finds PINs that are easy to guess.

Every way for a readable PIN into the office (command line, console, lists) uses `give_pin`.
"""

from datetime import UTC, datetime

from msgspec.structs import replace

from gated.config import ReaderSettings
from gated.errors import CredentialError
from gated.journal.entry import stamp
from gated.office.alarm_meanings import WEAK
from gated.office.office_person import OfficePerson, hashed_pin
from gated.office.store import Store
from gated.pin.flat_numbers import all_typed, flat_of
from gated.pin.random_pins import random_pin
from gated.pin.rule import is_weak, will_not_do


def give_pin(store: Store, subject: str, digits: str | None = None, *, is_duress: bool = False) -> str:
    """Give a person a PIN or a duress PIN, replacing the former one. Return its digits; the caller shows them once.

    `digits`: the person's own choice; None: the office makes one. Raises `OfficeError` for an unknown person, and
    `CredentialError` for an unsuitable PIN. The message is the same for a weak PIN and a PIN in use, so nobody can
    discover a neighbour's PIN.
    """
    with store.file.writing():
        person = store.book.without_readable_pins(store.book.person(subject))
        if is_duress and not person.has_pin:
            raise CredentialError("a duress PIN needs a PIN beside it: set the PIN first")
        chosen = _made(store, person) if digits is None else _checked(store, person, digits)
        hashed = hashed_pin(chosen, store.book.pin_salt, is_duress=is_duress)
        store.book.put(replace(person, pins=[*(pin for pin in person.pins if pin.is_duress != is_duress), hashed]))
        _forget_weak(store, subject, is_all=not is_duress and not person.has_duress_pin)
    return chosen


def remove_pin(store: Store, subject: str, *, only_duress: bool = False) -> None:
    """Remove a person's PIN and duress PIN, or only the duress PIN. Raises `OfficeError` for an unknown person."""
    with store.file.writing():
        person = store.book.without_readable_pins(store.book.person(subject))
        store.book.put(replace(person, pins=[pin for pin in person.pins if only_duress and not pin.is_duress]))
        _forget_weak(store, subject, is_all=not only_duress)


def weak(store: Store) -> list[str]:
    """Return the ids of people who have typed a weak PIN and have received no new PIN since then."""
    return sorted({alarm.detail for alarm in store.alarms.all() if alarm.kind == WEAK})


def _forget_weak(store: Store, subject: str, *, is_all: bool) -> None:
    """End the weak-PIN alarm if all of a person's PINs are new.

    If one PIN stays, it is unknown which PIN was weak. The staff must decide.
    """
    if is_all:
        store.alarms.end_of(WEAK, subject, stamp(datetime.now(UTC)))


def _checked(store: Store, person: OfficePerson, digits: str) -> str:
    least = ReaderSettings().pin_digits
    if is_weak(digits, least, flat_of(person.household), _flats(store)) or _is_in_use(store, digits):
        raise CredentialError(will_not_do(least))
    return digits


def _made(store: Store, person: OfficePerson) -> str:
    flats = _flats(store)
    while True:
        digits = random_pin(ReaderSettings().pin_digits, flat_of(person.household), flats)
        if not _is_in_use(store, digits):
            return digits


def _flats(store: Store) -> frozenset[str]:
    return all_typed(person.household for person in store.book.live(OfficePerson))


def _is_in_use(store: Store, digits: str) -> bool:
    """Return whether a PIN or duress PIN of anybody has these digits.

    Runs argon2, because only its result is stored.
    """
    result = hashed_pin(digits, store.book.pin_salt, is_duress=False).result
    people = (store.book.without_readable_pins(person) for person in store.book.live(OfficePerson))
    return any(pin.result == result for person in people for pin in person.pins)


def guessable(store: Store) -> list[str]:
    """Return the ids of people whose readable PIN is weak. Works only before readable PINs are removed."""
    least, flats = ReaderSettings().pin_digits, _flats(store)
    readable = [
        (person, pin) for person in store.book.live(OfficePerson) for pin in (person.pin, person.duress_pin) if pin
    ]
    return sorted({person.subject for person, pin in readable if is_weak(pin, least, flat_of(person.household), flats)})
