"""All credentials and access rules of a gate in memory. Credentials open the gate despite a full or broken disk, a busy
office or a missing model. The access decisions use it.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from gated.config import Schedule
from gated.errors import BusyError, StateError, TornError
from gated.people import card_readings as cards
from gated.people.access_rule import Holder
from gated.people.credential import Credential, by_kind
from gated.people.credential_store import Credentials
from gated.people.face_mark import FaceMark
from gated.people.known_pins import KnownPins
from gated.people.preferences import NO_PREFERENCES, Preferences
from gated.people.schedule_values import CalendarDays
from gated.pin.flat_numbers import flat_of, typed_for
from gated.pin.rule import is_weak
from gated.storage.reopening import Reopening
from gated.storage.vault import READING_BYTES
from gated.types import CredentialKind, SubjectId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """The stored credentials and access rules at one moment."""

    cards: dict[bytes, tuple[Credential, ...]] = field(default_factory=dict)
    """Cards by each of their readings. If a reading belongs to several cards, it identifies none of them."""
    cards_before: dict[bytes, tuple[Credential, ...]] = field(default_factory=dict)
    """Cards that were stored by one number, before readings existed."""
    pins: KnownPins | None = None
    holders: dict[SubjectId, Holder] = field(default_factory=dict)
    flats: dict[str, frozenset[str]] = field(default_factory=dict)
    """Households by flat number. Two household names may have the same digits."""
    schedules: dict[str, Schedule] = field(default_factory=dict)
    weak: frozenset[SubjectId] = frozenset()
    """People with a recorded weak PIN."""
    days: CalendarDays = field(default_factory=CalendarDays)
    children: dict[SubjectId, FaceMark] = field(default_factory=dict)

    def add_card(self, card: Credential) -> None:
        """Add a card under its readings."""
        place, names = (
            (self.cards, card.readings) if card.readings else (self.cards_before, (card.digest[:READING_BYTES],))
        )
        alone = (card,)
        for name in names:
            place[name] = (*place[name], card) if name in place else alone

    def lives_in(self, subject: SubjectId | None, households: Collection[str]) -> bool:
        """Return whether a person lives in one of these households."""
        return subject is not None and (holder := self.holders.get(subject)) is not None and holder.home in households


class KeyRing:
    """The credentials in memory, with their holders. Another process may change them at any time; `reload_if_changed`
    follows changes by other processes.

    The data is replaced as a whole, so another thread sees either the old or the new data.
    """

    def __init__(self, stores: Reopening[Credentials]) -> None:
        self._stores = stores
        self.left_out = ""
        """Text that names the rows too damaged to read; empty without such rows."""
        self._seen: tuple[int, ...] = ()
        self._known = _Known()

    @classmethod
    def of(cls, store: Credentials) -> "KeyRing":
        """Return a key ring with the data of this store. Raises the errors of the store."""
        ring = cls(Reopening(lambda _: store, Path()))
        ring.reload_if_changed()
        return ring

    @classmethod
    def open_best(cls, state: Path, site: str) -> "KeyRing":
        """Open the readable credentials in a state folder, possibly none. `reload_if_changed` later tries for a better
        store. Raises nothing.
        """
        stores = Reopening(lambda why: Credentials.open(state, site, why), state)
        ring = cls(stores)
        try:
            try:
                ring._reload()
            except TornError as error:
                stores.salvage(str(error))
                ring._reload()
        except (BusyError, StateError) as error:
            log.error("no card and no PIN opens: %s", error)
            stores.failed()
        return ring

    def close(self) -> None:
        """Close the files. Callers may call it twice."""
        self._stores.close()

    @property
    def store(self) -> Credentials:
        """Return the open store. Raises `StateError` if nothing could be opened."""
        return self._stores.get()

    @property
    def trouble(self) -> str:
        """Return why the data differs from the disk or cannot be changed; empty without a problem."""
        return self._stores.why

    def reload_if_changed(self) -> bool:
        """Load changes. Return True if anything changed. The call is cheap without changes.

        Raises the errors of the store. After an error the old data stays in use, and the next call opens the files
        again.
        """
        if self._stores.improve():
            self._seen = ()
        try:
            return self._reload()
        except StateError:
            self._stores.failed()
            raise

    def _reload(self) -> bool:
        version = self.store.version()  # read first, so that the next call sees changes made during the load
        if version == self._seen:
            return False
        every, holders = self.store.all(), self.store.holders()
        cards, pins = by_kind(every)
        known = _Known(
            pins=KnownPins(self.store.vault, pins),
            holders=holders,
            flats=_flats({holder.home for holder in holders.values()}),
            schedules=self.store.schedules(),
            days=self.store.days(),
            weak=frozenset(self.store.weak()),
            children=children_of(holders),
        )
        for each in cards:
            known.add_card(each)
        read = {"credentials": len(every), "people": len(holders)}
        self._known, self._seen, self.left_out = known, version, self.store.left_out(read)
        return True

    def card(self, number: str) -> Credential | None:
        """Return the card with this reader number; None for no card or for several cards."""
        found = self.cards(number)
        return found[0] if len(found) == 1 else None

    def cards(self, number: str) -> tuple[Credential, ...]:
        """Return all cards that this reader number may belong to, by id. Computes a few digests."""
        if self._stores.held is None:
            return ()
        known, vault = self._known, self.store.vault
        found = {
            each.id: each for name in vault.readings(cards.numbers_in(number)) for each in known.cards.get(name, ())
        }
        if known.cards_before:
            before = vault.readings(cards.numbers_in(number) | cards.names_before_readings(number))
            found |= {each.id: each for name in before for each in known.cards_before.get(name, ())}
        return tuple(found[reading] for reading in sorted(found))

    def identifies_precisely(self, number: str, card: Credential) -> bool:
        """Return whether this reader number identifies the card by more than 24 bits. Uses memory only."""
        names = cards.precise_names(number)
        return bool(names) if not card.readings else bool(self.store.vault.readings(names) & card.readings)

    def lives_in(self, subject: SubjectId | None, flat: str) -> bool:
        """Return whether a person has this flat number. Uses memory only."""
        return self._known.lives_in(subject, self.households(flat))

    def households(self, flat: str) -> frozenset[str]:
        """Return the households with this flat number, in normal form. Uses memory only."""
        return self._known.flats.get(flat, frozenset())

    @property
    def children(self) -> Mapping[SubjectId, FaceMark]:
        """Return the marks of the people who are marked as children."""
        return self._known.children

    def homes(self, subjects: Collection[SubjectId]) -> frozenset[str]:
        """Return the households of these people, in normal form. Uses memory only."""
        known = self._known.holders
        return frozenset(known[each].home for each in subjects if each in known)

    def pin(self, digits: str, households: Collection[str] | None = None) -> Credential | None:
        """Return the PIN with these digits, among these households if given. Its `id` is the person's id (see
        `KnownPins.find`).

        Runs argon2, also without a match. So do not call it from the event loop.
        """
        known = self._known
        if known.pins is None:
            return None
        if households is None:
            return known.pins.find(digits)
        return known.pins.find(digits, lambda subject: known.lives_in(subject, households))

    def present(self, shown: Credential, number: str) -> Credential | None:
        """Return what is stored now of a card or PIN that was shown before; None if it was removed or replaced.

        `number`: the reader number of the card. Uses memory only.
        """
        match shown.kind:
            case CredentialKind.CARD:
                return next((each for each in self.cards(number) if each.id == shown.id), None)
            case CredentialKind.PIN:
                return None if self._known.pins is None else self._known.pins.present(shown)
            case _:
                assert_never(shown.kind)

    def is_weak(self, digits: str, subject: SubjectId | None, least: int) -> bool:
        """Return whether a person's PIN is weak: strangers try it early. Uses memory only."""
        holder = None if subject is None else self.holder(subject)
        return is_weak(digits, least, flat_of(holder.home) if holder is not None else "", self._known.flats)

    def is_known_weak(self, subject: SubjectId) -> bool:
        """Return whether a weak PIN of this person is recorded already."""
        return subject in self._known.weak

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Return the schedules that the office sent, by name."""
        return self._known.schedules

    @property
    def days(self) -> CalendarDays:
        """Return the holidays and make-up working days that the office sent."""
        return self._known.days

    def holder(self, subject: SubjectId) -> Holder | None:
        """Return a person's access rules and preferences; None for an unknown person."""
        return self._known.holders.get(subject)

    def preferences(self, subject: SubjectId | None) -> Preferences:
        """Return a person's preferences; for a guest the defaults."""
        holder = None if subject is None else self.holder(subject)
        return NO_PREFERENCES if holder is None else holder.preferences


def children_of(holders: Mapping[SubjectId, Holder]) -> dict[SubjectId, FaceMark]:
    """Return the marks of the people who are marked as children."""
    marks = {subject: holder.mark for subject, holder in holders.items()}
    return {subject: mark for subject, mark in marks.items() if mark is not None and mark.kind == "child"}


def _flats(households: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the households by each keypad entry for them."""
    flats: dict[str, frozenset[str]] = {}
    for household in households:
        for typed in typed_for(household):
            flats[typed] = flats.get(typed, frozenset()) | {household}
    return flats
