"""The budget for wrong PINs and unknown cards at one gate. It joins the counts in memory (`guess_counts`) and on disk
(`guess_store`). Used by `credential_service` and `responder`. It also stores the attacks on faces that
`attack_response` counts.
"""

import time
from collections.abc import Collection, Sequence

from gated.access.guess_counts import Guess, GuessCounts
from gated.access.guess_store import GuessStore
from gated.config import ReaderSettings


class GuessBudget:
    """The budget of one gate. Use it in the event loop's thread, except `write` and `store_clock`: they wait for the
    disk, so call them in another thread.
    """

    def __init__(self, settings: ReaderSettings, store: GuessStore | None = None) -> None:
        """`store` keeps the counts over restarts. None: the counts are in memory only."""
        self._store = store
        self._counts = GuessCounts(settings) if store is None else GuessCounts(settings, store.place, store.restored)
        self._unwritten: list[Guess] = []
        self._earlier_attacks: dict[str, list[float]] = {}
        ago_s = self._now() - time.monotonic()
        for place, guess in store.restored if store is not None else ():
            self._earlier_attacks.setdefault(place, []).append(guess.at - ago_s)

    @property
    def is_due(self) -> bool:
        """Return whether `store_clock` has something to store."""
        return self._store is not None and self._counts.has_counts and self._store.is_due

    def begin(
        self, door: str, households: Collection[str] | None, digest: bytes, waiting: Collection[str] = ()
    ) -> Guess | None:
        """Count a PIN before it is checked. Return None if it must not be checked now (see `GuessCounts.begin`)."""
        return self._counts.begin(door, households, self._now(), digest, waiting)

    def remove_correct(self, guess: Guess) -> None:
        """Remove the guess from the budget, because the PIN opened the door."""
        self._counts.remove_correct(guess)
        if self._store is not None:
            self._store.remove_correct(guess)

    def count_wrong(self, guess: Guess) -> tuple[int, int]:
        """Return two counts: the wrong PINs if the next PIN must wait, and the wrong PINs if a cap was just reached.
        Each is 0 otherwise.
        """
        return self._counts.wrong_if_resting(guess, self._now()), self._counts.mark_reached_cap(guess)

    def card_pause_s(self, reader: str) -> float:
        """Return for how many seconds the reader checks no card."""
        return self._counts.card_pause_s(reader, self._now())

    def are_short_cards_resting(self, reader: str) -> bool:
        """Return whether cards that the reader identifies by 24 bits only rest there."""
        return self._counts.are_short_cards_resting(reader, self._now())

    def count_card(self, reader: str, digest: bytes) -> int:
        """Count an unknown card. Return the count of a day if a cap was just reached, else 0.

        Does not wait for the disk: `pop_unwritten` returns the guesses that must be stored.
        """
        guess, count = self._counts.count_card(reader, self._now(), digest)
        self._unwritten += [guess] if guess is not None and self._store is not None else []
        return count

    def record_attack(self, names: Sequence[str]) -> None:
        """Store an attack on a face with the next `pop_unwritten`. `names` are those of `attack_response`."""
        if names and self._store is not None:
            self._unwritten.append(self._counts.record_attack(names, self._now()))

    def stored_attacks(self, name: str) -> list[float]:
        """Return the times of the stored attacks of a name, oldest first, in monotonic seconds of this process. An
        attack whose row was damaged has no name.
        """
        return (
            self._earlier_attacks.get(self._store.place(name), [])
            if self._store is not None and self._earlier_attacks
            else []
        )

    def pop_unwritten(self) -> list[Guess]:
        """Remove and return the cards and attacks that were counted since the last call."""
        found, self._unwritten = self._unwritten, []
        return found

    def write(self, guess: Guess) -> None:
        """Store a guess. Waits for the disk."""
        if self._store is not None:
            self._store.write(guess)

    def store_clock(self) -> None:
        """Store the clock. Waits for the disk."""
        if self._store is not None:
            self._store.store_clock()

    def close(self) -> None:
        """Close the file."""
        if self._store is not None:
            self._store.close()

    def _now(self) -> float:
        return time.monotonic() if self._store is None else self._store.now()
