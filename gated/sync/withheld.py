"""What a gate knows that does not arrive, though the office speaks: a broker that lets some of it through holds back
the rest. Pure; all times are monotonic seconds.

That the office is alive is known by an echo of a newer challenge. What was missing before that challenge went out, and
ten minutes long, is missing for no honest reason.
"""

from collections.abc import Sequence

from gated.sync.lag import EVENTS, ORDERS, PATIENCE_S, RECEIPTS, RECORDS, WORDS, Lag, Wait
from gated.sync.messages import MAX_EVENTS

AGAIN_S = 60.0
"""A question about an order that was not answered is asked again."""
ENDS_S = 180.0
"""The office asks for a receipt with every status: not any more for so long, and it has it."""
MOST = 64
"""So many receipts are remembered."""


class Withheld:
    """What is missing. `connected`: call it for each connection."""

    def __init__(self, now: float) -> None:
        self._records, self._others, self._rows = Lag(), Wait(), Lag()
        self._acked = 0
        self._connected_at = self._novel_at = now
        self._asked: dict[str, float] = {}
        self._asked_at = now
        self._receipts: dict[str, float] = {}
        self._receipts_wanted_at: float | None = None
        self.told: Sequence[str] = ()
        """What the office says that does not arrive there."""

    def connected(self, now: float) -> None:
        """A new connection."""
        self._connected_at = now

    def novel(self, now: float) -> None:
        """Something came of the office that it had not said before."""
        self._novel_at = now

    def records(self, version: int, target: int, now: float, *, is_other: bool) -> None:
        """Records are here up to `version`, and at the office up to `target`; `is_other`: not the same ones."""
        if target > version:
            self._records.know(target, now)
        self._records.reach(version)
        self._others.note(now, is_missing=is_other)

    def rows(self, said: int, acked: int, now: float) -> None:
        """The journal was said up to row `said`, and the office acked it up to `acked`."""
        if acked < self._acked or acked >= self._acked + MAX_EVENTS:
            self._rows.forget()  # another journal; or an old one is drained, as fast as the line allows
        self._acked = acked
        if said > acked:
            self._rows.know(said, now)
        self._rows.reach(acked)

    def asked(self, order: str, now: float) -> None:
        """The office was asked about an order."""
        if order not in self._asked and len(self._asked) < MOST:
            self._asked[order] = now
        self._asked_at = now

    def answered(self, order: str) -> None:
        """The office said something about it."""
        self._asked.pop(order, None)

    def to_ask(self, now: float) -> str | None:
        """An order about which the office is to be asked again."""
        if not self._asked or now < self._asked_at + AGAIN_S:
            return None
        self._asked_at = now
        return next(iter(self._asked))

    def receipt(self, subject: str, now: float) -> None:
        """A receipt was said; the office had asked for it, not with a repetition."""
        first = self._receipts.setdefault(subject, now)
        if now >= first + PATIENCE_S:
            self._receipts_wanted_at = now
        while len(self._receipts) > MOST:
            del self._receipts[next(iter(self._receipts))]

    def known(self, now: float, proved_at: float | None) -> list[str]:
        """What is missing for too long. `proved_at`: when the newest challenge that was echoed went out."""
        alive_at = proved_at if proved_at is not None else float("-inf")
        silent_since = max(alive_at, self._connected_at)
        missing = {
            RECORDS: self._records.is_overdue(now) or self._others.is_overdue(now),
            WORDS: self._novel_at >= silent_since + PATIENCE_S,
            ORDERS: any(alive_at >= asked_at + PATIENCE_S for asked_at in self._asked.values()),
            EVENTS: self._rows.is_overdue(alive_at),
            RECEIPTS: self._receipts_wanted_at is not None and now < self._receipts_wanted_at + ENDS_S,
        }
        return [what for what, is_missing in missing.items() if is_missing]
