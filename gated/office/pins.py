"""PINs at the office: the one function that gives somebody a PIN, and whose is easily guessed.

Every way that a readable PIN enters the office (command line, console, lists) goes through `give_pin`.
"""

from datetime import UTC, datetime

from msgspec.structs import replace

from gated.config import ReaderSettings
from gated.errors import CredentialError
from gated.journal.entry import stamp
from gated.office.alarms import WEAK
from gated.office.kept import KeptPerson, kept_pin
from gated.office.store import Store
from gated.pin.flat import all_typed, flat_of
from gated.pin.making import made
from gated.pin.rule import is_weak, will_not_do


def give_pin(store: Store, subject: str, digits: str | None = None, *, is_duress: bool = False) -> str:
    """Give somebody a PIN, or a duress PIN, in place of the one they had; gives its digits, which are shown once.

    `digits`: what they insist on; None: the office makes one. Raises `OfficeError` for nobody, and `CredentialError`
    for a PIN that will not do: in the same words for a weak one and for one that exists, so that this is no way to
    learn a neighbour's.
    """
    with store.file.writing():
        who = store.book.without_readable(store.book.person(subject))
        if is_duress and not who.has_pin:
            raise CredentialError("a duress PIN is somebody's second: set their PIN first")
        chosen = _made(store, who) if digits is None else _checked(store, who, digits)
        kept = kept_pin(chosen, store.book.pin_salt, is_duress=is_duress)
        store.book.put(replace(who, pins=[*(pin for pin in who.pins if pin.is_duress != is_duress), kept]))
        _forget_weak(store, subject, is_all=not is_duress and not who.has_duress_pin)
    return chosen


def take_pin(store: Store, subject: str, *, only_duress: bool = False) -> None:
    """Take somebody's PIN away, and the duress PIN with it. Raises `OfficeError` for nobody."""
    with store.file.writing():
        who = store.book.without_readable(store.book.person(subject))
        store.book.put(replace(who, pins=[pin for pin in who.pins if only_duress and not pin.is_duress]))
        _forget_weak(store, subject, is_all=not only_duress)


def weak(store: Store) -> list[str]:
    """Ids of those who have typed a PIN of theirs that strangers try early, and were given no other since."""
    return sorted({alarm.detail for alarm in store.alarms.all() if alarm.kind == WEAK})


def _forget_weak(store: Store, subject: str, *, is_all: bool) -> None:
    """Somebody has other PINs now. Where one of two stays nobody knows which was weak: then somebody looks at it."""
    if is_all:
        store.alarms.end_of(WEAK, subject, stamp(datetime.now(UTC)))


def _checked(store: Store, who: KeptPerson, digits: str) -> str:
    least = ReaderSettings().pin_digits
    if is_weak(digits, least, flat_of(who.household), _flats(store)) or _is_taken(store, digits):
        raise CredentialError(will_not_do(least))
    return digits


def _made(store: Store, who: KeptPerson) -> str:
    flats = _flats(store)
    while True:
        digits = made(ReaderSettings().pin_digits, flat_of(who.household), flats)
        if not _is_taken(store, digits):
            return digits


def _flats(store: Store) -> frozenset[str]:
    return all_typed(who.household for who in store.book.live(KeptPerson))


def _is_taken(store: Store, digits: str) -> bool:
    """Whether anybody has this PIN, of either kind. Takes argon2's time: what is kept of a PIN is only its result."""
    result = kept_pin(digits, store.book.pin_salt, is_duress=False).result
    people = (store.book.without_readable(who) for who in store.book.live(KeptPerson))
    return any(pin.result == result for who in people for pin in who.pins)


def guessable(store: Store) -> list[str]:
    """Ids of those whose readable PIN will not do: nobody can tell once no PIN is readable any more."""
    least, flats = ReaderSettings().pin_digits, _flats(store)
    readable = [(who, pin) for who in store.book.live(KeptPerson) for pin in (who.pin, who.duress_pin) if pin]
    return sorted({who.subject for who, pin in readable if is_weak(pin, least, flat_of(who.household), flats)})
