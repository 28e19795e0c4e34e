"""Everything that opens, in memory: a full or broken disk, a busy office or a lost model keeps no card from opening."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gated.config import Schedule
from gated.errors import BusyError, StateError, TornError
from gated.gallery import cards
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import AS_EVERYBODY, Credential, Days, Holder, Preferences
from gated.gallery.known_pins import KnownPins
from gated.gallery.reopening import Reopening
from gated.gallery.vault import READING_BYTES
from gated.pin.flat import flat_of, typed_for
from gated.pin.rule import is_weak
from gated.types import SubjectId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was stored at one moment."""

    cards: dict[bytes, tuple[Credential, ...]] = field(default_factory=dict)
    """By each of their readings; a reading that several cards have tells none of them from the others."""
    cards_before: dict[bytes, tuple[Credential, ...]] = field(default_factory=dict)
    """Those that were given by one number alone, before there were readings."""
    pins: KnownPins | None = None
    holders: dict[SubjectId, Holder] = field(default_factory=dict)
    flats: dict[str, frozenset[str]] = field(default_factory=dict)
    """Whose flat number each is; two names may have the same digits."""
    schedules: dict[str, Schedule] = field(default_factory=dict)
    weak: frozenset[SubjectId] = frozenset()
    """Those of whom it is remembered that a PIN of theirs is weak."""
    days: Days = field(default_factory=Days)

    def add_card(self, card: Credential) -> None:
        """Know a card by its readings."""
        place, names = (
            (self.cards, card.readings) if card.readings else (self.cards_before, (card.digest[:READING_BYTES],))
        )
        alone = (card,)
        for name in names:
            place[name] = (*place[name], card) if name in place else alone

    def lives_in(self, who: SubjectId | None, households: Collection[str]) -> bool:
        """Whether somebody lives in one of these households."""
        return who is not None and (holder := self.holders.get(who)) is not None and holder.home in households


class KeyRing:
    """Finds a credential and its holder. Another process may change them at any time; `reload_if_changed` follows.

    What is known is swapped whole, so that another thread sees the old or the new one.
    """

    def __init__(self, stores: Reopening[Credentials]) -> None:
        self._stores = stores
        self.left_out = ""
        """Which rows are too damaged to be read, in words; empty where none is."""
        self._seen: tuple[int, ...] = ()
        self._known = _Known()

    @classmethod
    def of(cls, store: Credentials) -> "KeyRing":
        """What this store holds. Raises as it does."""
        ring = cls(Reopening(lambda _: store, Path()))
        ring.reload_if_changed()
        return ring

    @classmethod
    def open_best(cls, state: Path, site: str) -> "KeyRing":
        """What can be had of the cards and PINs in a state folder, be it nothing; `reload_if_changed` looks for
        something better. Raises nothing.
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
            log.error("nobody is let in by a card or a PIN: %s", error)
            stores.failed()
        return ring

    def close(self) -> None:
        """Give the files back. May be called twice."""
        self._stores.close()

    @property
    def store(self) -> Credentials:
        """Where they lie. Raises `StateError` where nothing could be opened."""
        return self._stores.get()

    @property
    def trouble(self) -> str:
        """Why this is not what lies on the disk, or cannot be changed; empty when all is well."""
        return self._stores.why

    def reload_if_changed(self) -> bool:
        """Follow what was changed; cheap when nothing was. True when something was.

        Raises as the store does; then what was known goes on, and the next call opens the files anew.
        """
        if self._stores.improve():
            self._seen = ()
        try:
            return self._reload()
        except StateError:
            self._stores.failed()
            raise

    def _reload(self) -> bool:
        version = self.store.version()  # asked first: what changes during the load is seen the next time
        if version == self._seen:
            return False
        every, holders = self.store.all(), self.store.holders()
        known = _Known(
            pins=KnownPins(self.store.vault, every),
            holders=holders,
            flats=_flats({holder.home for holder in holders.values()}),
            schedules=self.store.schedules(),
            days=self.store.days(),
            weak=frozenset(self.store.weak()),
        )
        for credential in every:
            if credential.way == "card":
                known.add_card(credential)
        read = {"credentials": len(every), "people": len(holders)}
        self._known, self._seen, self.left_out = known, version, self.store.left_out(read)
        return True

    def card(self, number: str) -> Credential | None:
        """The card of which a reader says that number; None when there is none, or more than one."""
        found = self.cards(number)
        return found[0] if len(found) == 1 else None

    def cards(self, number: str) -> tuple[Credential, ...]:
        """Every card that may be the one of which a reader says that number, by id. Takes a few digests."""
        if self._stores.held is None:
            return ()
        known, vault = self._known, self.store.vault
        found = {each.id: each for name in vault.readings(cards.said(number)) for each in known.cards.get(name, ())}
        if known.cards_before:
            before = vault.readings(cards.said(number) | cards.said_before(number))
            found |= {each.id: each for name in before for each in known.cards_before.get(name, ())}
        return tuple(found[which] for which in sorted(found))

    def is_told_well(self, number: str, card: Credential) -> bool:
        """Whether a reader that says this number tells that card by more than 24 bits; from memory."""
        names = cards.told_well(number)
        return bool(names) if not card.readings else bool(self.store.vault.readings(names) & card.readings)

    def lives_in(self, subject: SubjectId | None, flat: str) -> bool:
        """Whether somebody has that flat number; from memory."""
        return self._known.lives_in(subject, self.households(flat))

    def households(self, flat: str) -> frozenset[str]:
        """The households whose flat number that is, in their normal form; from memory."""
        return self._known.flats.get(flat, frozenset())

    def pin(self, digits: str, households: Collection[str] | None = None) -> Credential | None:
        """The PIN of those digits, of these households where they are given; its `id` is that of the person (see
        `KnownPins.find`).

        Takes argon2's time, whether there is one or not: not for the loop.
        """
        known = self._known
        if known.pins is None:
            return None
        if households is None:
            return known.pins.find(digits)
        return known.pins.find(digits, lambda who: known.lives_in(who, households))

    def is_weak(self, digits: str, subject: SubjectId | None, least: int) -> bool:
        """Whether a PIN of somebody's is one that strangers try early; from memory."""
        holder = None if subject is None else self.holder(subject)
        return is_weak(digits, least, flat_of(holder.home) if holder is not None else "", self._known.flats)

    def is_told_weak(self, subject: SubjectId) -> bool:
        """Whether it is remembered already that somebody has such a one."""
        return subject in self._known.weak

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """The hours that the office named."""
        return self._known.schedules

    @property
    def days(self) -> Days:
        """The holidays and the make-up working days that the office named."""
        return self._known.days

    def holder(self, subject: SubjectId) -> Holder | None:
        """Somebody's rights and preferences; None for nobody that is known here."""
        return self._known.holders.get(subject)

    def preferences(self, subject: SubjectId | None) -> Preferences:
        """What somebody asked for; for a guest what everybody gets."""
        holder = None if subject is None else self.holder(subject)
        return AS_EVERYBODY if holder is None else holder.preferences


def _flats(households: Collection[str]) -> dict[str, frozenset[str]]:
    """The households by everything that may be typed for them."""
    flats: dict[str, frozenset[str]] = {}
    for household in households:
        for typed in typed_for(household):
            flats[typed] = flats.get(typed, frozenset()) | {household}
    return flats
