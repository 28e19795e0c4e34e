"""What the office knows that does not arrive at a gate, or from it, though the gate speaks. Pure; `now` is monotonic.

Whoever was removed keeps coming in where the record of it is held back. So the office says so after ten minutes, also
of a gate that is offline: a broker may say that of any gate.
"""

from collections.abc import Sequence

from gated.sync.lag import EVENTS, HELD_LISTS, ORDERS, PATIENCE_S, RECEIPTS, RECORDS, WHATS, WORDS, Lag, Wait
from gated.sync.messages import MAX_EVENTS, JournalMark

PROBE_S = 20.0
"""An order of which a gate has said nothing is offered again so often, also when nobody waits for it any more: the gate
asks, and hears that it is not wanted."""
MOST = 64


class Withholding:
    """One gate's. What a status says counts where it is fresh."""

    def __init__(self) -> None:
        self._records, self._rows = Lag(), Lag()
        self._receipts, self._lists, self._words = Wait(), Wait(), Wait()
        self._held, self._journal = 0, ""
        self._offered: dict[str, float] = {}
        self._probed_at = float("-inf")
        self._challenge, self._fresh_at = "", float("-inf")
        self._first_fresh_at: float | None = None
        self._is_deaf = False
        self.told: Sequence[str] = ()
        """What the gate says that does not arrive there."""

    def given(self, version: int, now: float) -> None:
        """Records are here up to `version`."""
        self._records.know(version, now)

    def has(self, version: int) -> None:
        """The gate has them up to `version`."""
        self._records.reach(version)

    def stale(self, challenge: str, now: float) -> None:
        """A status came that does not know of our words; the same again says nothing."""
        if challenge != self._challenge:
            self._challenge = challenge
            self._words.note(now, is_missing=True)
            self._is_deaf = self._words.is_overdue(now)

    def fresh(self, now: float) -> None:
        """A status came that does."""
        self._fresh_at, self._is_deaf = now, False
        self._first_fresh_at = now if self._first_fresh_at is None else self._first_fresh_at
        self._words.note(now, is_missing=False)

    def rows(self, mark: JournalMark, held: int, now: float) -> None:
        """The gate's journal is so far, and the office holds it up to row `held`."""
        if mark.id != self._journal or held >= self._held + MAX_EVENTS:
            self._rows.forget()  # another journal; or an old one is drained, as fast as the line allows
        self._journal, self._held = mark.id, held
        if mark.head > held:
            self._rows.know(mark.head, now)
        self._rows.reach(held)

    def owes(self, now: float, *, receipts: bool, lists: bool) -> None:
        """Whether receipts are missing of people who are gone there, and the list of those who are held back."""
        self._receipts.note(now, is_missing=receipts)
        self._lists.note(now, is_missing=lists)

    def offered(self, order: str, now: float) -> None:
        """The gate was offered an order, or given a command."""
        if len(self._offered) < MOST:
            self._offered.setdefault(order, now)
        self._probed_at = now

    def answered(self, order: str) -> None:
        """The gate said something about it."""
        self._offered.pop(order, None)

    def to_probe(self, now: float) -> str | None:
        """An order that is to be offered again, now that the gate has shown that it is there."""
        if not self._offered or now < self._probed_at + PROBE_S:
            return None
        self._probed_at = now
        return next(iter(self._offered))

    def known(self, now: float) -> list[str]:
        """What is missing for too long."""
        missing = {
            RECORDS: self._records.is_overdue(now),
            WORDS: self._is_deaf,
            ORDERS: any(self._fresh_at >= offered_at + PATIENCE_S for offered_at in self._offered.values()),
            EVENTS: self._rows.is_overdue(self._fresh_at),
            RECEIPTS: self._receipts.is_overdue(self._fresh_at),
            HELD_LISTS: self._lists.is_overdue(self._fresh_at),
        }
        return [what for what in WHATS if missing[what]]

    def there(self) -> list[str]:
        """What is known not to be missing: a life of the office that has just begun does not know it yet."""
        if self._first_fresh_at is None:
            return []
        if self._fresh_at >= self._first_fresh_at + PATIENCE_S:
            known = self.known(self._fresh_at)
            return [what for what in WHATS if what not in known and what not in self.told]
        missing = {
            RECORDS: self._records.is_missing,
            WORDS: self._is_deaf,
            ORDERS: bool(self._offered),
            EVENTS: self._rows.is_missing,
            RECEIPTS: self._receipts.since is not None,
            HELD_LISTS: self._lists.since is not None,
        }
        return [what for what in WHATS if not missing[what] and what not in self.told]
