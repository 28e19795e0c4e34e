"""The budget for wrong PINs and unknown cards at one gate. It joins the counts in memory (`guesses`) and on disk
(`guess_log`). Used by `ways` and `answers`. It also stores the attacks on faces that `impostors` counts.
"""

import time
from collections.abc import Collection, Sequence

from gated.access.guess_counts import Guess, Guesses
from gated.access.guess_store import GuessLog
from gated.config import ReaderSettings


class Guessing:
    """The budget of one gate. Use it in the event loop's thread, except `write` and `keep`: they wait for the disk, so
    call them in another thread.
    """

    def __init__(self, settings: ReaderSettings, log: GuessLog | None = None) -> None:
        """`log` keeps the counts over restarts. None: the counts are in memory only."""
        self._log = log
        self._guesses = Guesses(settings) if log is None else Guesses(settings, log.place, log.counted)
        self._unwritten: list[Guess] = []
        self._before: dict[str, list[float]] = {}
        ago_s = self._now() - time.monotonic()
        for place, one in log.counted if log is not None else ():
            self._before.setdefault(place, []).append(one.at - ago_s)

    @property
    def is_due(self) -> bool:
        """Return whether `keep` has something to store."""
        return self._log is not None and self._guesses.is_counting and self._log.is_due

    def begin(self, door: str, households: Collection[str] | None, what: bytes) -> Guess | None:
        """Count a PIN before it is checked. Return None if it must not be checked now (see `Guesses.begin`)."""
        return self._guesses.begin(door, households, self._now(), what)

    def right(self, guess: Guess) -> None:
        """Remove the guess from the budget, because the PIN opened the door."""
        self._guesses.right(guess)
        if self._log is not None:
            self._log.right(guess)

    def wrong(self, guess: Guess) -> tuple[int, int]:
        """Return two counts: the wrong PINs if the next PIN must wait, and the wrong PINs if a cap was just reached.
        Each is 0 otherwise.
        """
        return self._guesses.rests(guess, self._now()), self._guesses.spent(guess)

    def card_wait_s(self, reader: str) -> float:
        """Return for how many seconds the reader checks no card."""
        return self._guesses.card_wait_s(reader, self._now())

    def short_rests(self, reader: str) -> bool:
        """Return whether cards that the reader identifies by 24 bits only rest there."""
        return self._guesses.short_rests(reader, self._now())

    def card(self, reader: str, what: bytes) -> int:
        """Count an unknown card. Return the count of a day if a cap was just reached, else 0.

        Does not wait for the disk: `unwritten` returns the guesses that must be stored.
        """
        guess, spent = self._guesses.card(reader, self._now(), what)
        self._unwritten += [guess] if guess is not None and self._log is not None else []
        return spent

    def attack(self, names: Sequence[str]) -> None:
        """Store an attack on a face with the next `unwritten`. `names` are those of `impostors`."""
        if names and self._log is not None:
            self._unwritten.append(self._guesses.attack(names, self._now()))

    def attacks(self, name: str) -> list[float]:
        """Return the times of the stored attacks of a name, oldest first, in monotonic seconds of this process. An
        attack whose row was damaged has no name.
        """
        return self._before.get(self._log.place(name), []) if self._log is not None and self._before else []

    def unwritten(self) -> list[Guess]:
        """Return the cards and attacks that were counted since the last call."""
        found, self._unwritten = self._unwritten, []
        return found

    def write(self, guess: Guess) -> None:
        """Store a guess. Waits for the disk."""
        if self._log is not None:
            self._log.write(guess)

    def keep(self) -> None:
        """Store the clock. Waits for the disk."""
        if self._log is not None:
            self._log.keep()

    def close(self) -> None:
        """Close the file."""
        if self._log is not None:
            self._log.close()

    def _now(self) -> float:
        return time.monotonic() if self._log is None else self._log.now()
