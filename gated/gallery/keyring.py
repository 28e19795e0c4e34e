"""Everything that opens, in memory: a full or broken disk, a busy office or a lost model keeps no card from opening."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gated.config import Schedule
from gated.gallery import pins
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import AS_EVERYBODY, Credential, Holder, Preferences
from gated.gallery.issuing import plain_number
from gated.types import SubjectId


@dataclass(frozen=True, slots=True)
class _Known:
    """What was stored at one moment."""

    cards: dict[bytes, Credential] = field(default_factory=dict)
    pins: dict[bytes, list[Credential]] = field(default_factory=dict)
    holders: dict[SubjectId, Holder] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)

    @property
    def tries(self) -> int:
        """So many PINs share the fullest bucket; every PIN that is typed costs as many verifications."""
        return max(map(len, self.pins.values()), default=1)


class KeyRing:
    """Finds a credential and its holder. Another process may change them at any time; `reload_if_changed` follows.

    What is known is swapped whole, so that another thread sees the old or the new one.
    """

    def __init__(self, store: Credentials) -> None:
        self.store = store
        self._seen: tuple[int, ...] = ()
        self._known = _Known()
        self.reload_if_changed()

    def reload_if_changed(self) -> bool:
        """Follow what was changed; cheap when nothing was. True when something was. Raises as the store does."""
        version = self.store.version()  # asked first: what changes during the load is seen the next time
        if version == self._seen:
            return False
        known = _Known(holders=self.store.holders(), schedules=self.store.schedules())
        for credential in self.store.all():
            if credential.way == "card":
                known.cards[credential.digest] = credential
            else:
                known.pins.setdefault(credential.digest, []).append(credential)
        self._known, self._seen = known, version
        return True

    def card(self, number: str) -> Credential | None:
        """The card of that number."""
        return self._known.cards.get(self.store.vault.digest("card", plain_number(number)))

    def pin(self, digits: str) -> Credential | None:
        """The PIN of those digits. Takes argon2's time, whether there is one or not: not for the loop."""
        known = self._known
        alike = known.pins.get(pins.bucket(self.store.vault, digits), [])
        return pins.find(self.store.vault, digits, alike, known.tries)

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """The hours that the office named."""
        return self._known.schedules

    def holder(self, subject: SubjectId) -> Holder | None:
        """Somebody's rights and preferences; None for nobody that is known here."""
        return self._known.holders.get(subject)

    def preferences(self, subject: SubjectId | None) -> Preferences:
        """What somebody asked for; for a guest what everybody gets."""
        holder = None if subject is None else self.holder(subject)
        return AS_EVERYBODY if holder is None else holder.preferences
