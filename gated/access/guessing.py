"""The budget of PINs and unknown cards at one gate: what counts in memory (`guesses`) and on disk (`guess_log`)."""

import time
from collections.abc import Collection

from gated.access.guess_log import GuessLog
from gated.access.guesses import Guess, Guesses
from gated.config import ReaderSettings


class Guessing:
    """Used in the loop's thread, but for `write` and `keep`, which wait for the disk in another."""

    def __init__(self, settings: ReaderSettings, log: GuessLog | None = None) -> None:
        """`log`: what is kept over restarts; None: nothing is."""
        self._log = log
        self._guesses = Guesses(settings) if log is None else Guesses(settings, log.place, log.counted)
        self._unwritten: list[Guess] = []

    @property
    def is_due(self) -> bool:
        """Whether `keep` has something to do."""
        return self._log is not None and self._guesses.is_counting and self._log.is_due

    def begin(self, door: str, households: Collection[str] | None, what: bytes) -> Guess | None:
        """Count a PIN that is looked at now; None where it is not (see `Guesses.begin`)."""
        return self._guesses.begin(door, households, self._now(), what)

    def right(self, guess: Guess) -> None:
        """It let somebody in."""
        self._guesses.right(guess)
        if self._log is not None:
            self._log.right(guess)

    def wrong(self, guess: Guess) -> tuple[int, int]:
        """How many wrong ones there are where the next must wait, and how many where a cap was just reached; else 0."""
        return self._guesses.rests(guess, self._now()), self._guesses.spent(guess)

    def card_wait_s(self, reader: str) -> float:
        """So long a reader looks at no card."""
        return self._guesses.card_wait_s(reader, self._now())

    def short_rests(self, reader: str) -> bool:
        """Whether cards that a reader tells by 24 bits alone rest there."""
        return self._guesses.short_rests(reader, self._now())

    def card(self, reader: str, what: bytes) -> int:
        """A card opened nothing: how many there were in a day where a cap was just reached, else 0. Nobody waits for
        the disk: `unwritten` gives what is to be written.
        """
        guess, spent = self._guesses.card(reader, self._now(), what)
        self._unwritten += [guess] if guess is not None and self._log is not None else []
        return spent

    def unwritten(self) -> list[Guess]:
        """The cards that were counted since the last call."""
        found, self._unwritten = self._unwritten, []
        return found

    def write(self, guess: Guess) -> None:
        """Write a guess down."""
        if self._log is not None:
            self._log.write(guess)

    def keep(self) -> None:
        """Write down how much time has gone by."""
        if self._log is not None:
            self._log.keep()

    def close(self) -> None:
        """Give the file back."""
        if self._log is not None:
            self._log.close()

    def _now(self) -> float:
        return time.monotonic() if self._log is None else self._log.now()
