"""Count wrong PINs and unknown cards over hours, and decide which may still be checked. Pure except for its memory.

Each door has one budget for all its keypads, and each household has one. Only time restores a budget. A success does
not, because a guesser could otherwise wait for residents. A correct PIN that may not open now counts as wrong. A duress
PIN counts like any other PIN. The same digits again do not count as a second guess.

A PIN alone rests by the budget of the door. After `attempts` wrong PINs in an hour, PINs rest for `rest_s`. Each
further wrong PIN doubles the rest. The caps per hour and per day limit the guesses as well. A PIN after a flat number
rests in the same way by the budget of the household. The door then only slows down, to one check per `SLOWEST_S`. So a
vandal cannot block the flat numbers of a whole site.

Unknown cards are counted for each reader. A reader only slows down, because the gate must check each card to know
whether it is enrolled. After each unknown card above the limit the reader pauses, for `SLOWEST_CARD_S` at most. No
pause follows a card that opens, so a queue of residents is not delayed. The same unknown card, such as a bus card in a
resident's purse, counts only once.

Some cards are identified by 24 bits only. At a large site about one number in some thousands opens, so no pace is slow
enough. These cards rest at a reader after `short_cards_day` unknown cards in a day. The answer is then the same for
known and unknown cards. Further unknown cards in that time count for the pauses only. A card after its holder's flat
number still opens, because it must be one of the few cards of a household.

Times are seconds that the gate has run. They are monotonic and continue after a restart (see `guess_store`).
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite

from msgspec import Struct

from gated.config import ReaderSettings
from gated.pin.budget import DAY_S, SLOWEST_CARD_S, SLOWEST_S

HOUR_S = 3600.0
SLOW_FROM_S = 4.0
"""The first pause of a door that slows down, in seconds. Each further pause is twice as long."""
SLOW_CARD_FROM_S = 1.0
"""The first pause of a card reader that slows down, in seconds. Each further pause is twice as long."""
REMEMBERED_CARDS = 4096
"""The number of remembered unknown cards, which do not count twice."""
MOST_DOUBLINGS = 30
EVERYWHERE = ""
"""Stands for an unknown place: the row of that guess was damaged. A guess with this place counts at every place."""
CACHED_PLACES = 1000
"""The number of cached digests of doors, readers and households."""


class GuessCap(Struct, frozen=True):
    """The limits of one budget. `free` wrong guesses in an hour begin a rest of `rest_s` seconds. `hour` and `day` are
    caps.
    """

    free: int
    rest_s: float
    hour: int
    day: int


class Guess(Struct, frozen=True):
    """One PIN or card that was counted: its number, its time in seconds, and its places."""

    number: int
    at: float
    places: tuple[str, ...]
    """Everything that the guess counts for. For a PIN: the door first, then the households."""
    is_by_flat: bool = False
    is_new: bool = True
    """False if the same digits were already counted at this door. The same digits count once."""


@dataclass(frozen=True, slots=True)
class CountedGuess:
    """One guess: wrong, or not checked yet."""

    number: int
    at: float
    digest: bytes = field(default=b"", repr=False)


def rests_until(times: list[float], cap: GuessCap) -> float:
    """Return the time until which a place rests. `times` are the wrong guesses of the last day, oldest first."""
    until = times[-cap.day] + DAY_S if len(times) >= cap.day else -inf
    lately = [at for at in times if at > times[-1] - HOUR_S]
    if len(lately) >= cap.hour:
        until = max(until, lately[-cap.hour] + HOUR_S)
    if len(lately) >= cap.free:
        until = max(until, lately[-1] + min(HOUR_S, _doubled(cap.rest_s, len(lately) - cap.free)))
    return until


def _doubled(first_s: float, times: int) -> float:
    return first_s * 2.0 ** min(times, MOST_DOUBLINGS)


def slow_until(times: list[float], hour: int) -> float:
    """Return the time at which a door checks the next PIN after a flat number. It is later after more wrong PINs in an
    hour.
    """
    lately = [at for at in times if at > times[-1] - HOUR_S]
    if len(lately) < hour:
        return -inf
    return lately[-1] + min(SLOWEST_S, _doubled(SLOW_FROM_S, len(lately) - hour))


def pause_until(times: list[float], hour: int, day: int) -> float:
    """Return the time at which a reader checks the next card. `times` are the unknown cards of the last day, oldest
    first.
    """
    if len(times) >= day:
        return times[-1] + SLOWEST_CARD_S
    lately = sum(at > times[-1] - HOUR_S for at in times)
    return times[-1] + min(SLOWEST_CARD_S, _doubled(SLOW_CARD_FROM_S, lately - hour)) if lately >= hour else -inf


class GuessCounts:
    """The guesses of one day. `now` never decreases. A `now` that is not finite denies."""

    def __init__(
        self,
        settings: ReaderSettings,
        place: Callable[[str], str] = str,
        counted: Iterable[tuple[str, CountedGuess]] = (),
    ) -> None:
        """`place` returns the digest of a door, reader or household. `counted` gives the places and guesses from before
        a restart, oldest first.
        """
        free, rest_s = settings.attempts, settings.rest_s
        self._door = GuessCap(free, rest_s, settings.attempts_hour, settings.attempts_day)
        self._household = GuessCap(free, rest_s, settings.household_hour, settings.household_day)
        self._cards_hour, self._cards_day = settings.cards_hour, settings.cards_day
        self._short_day = settings.short_cards_day
        self._cards: OrderedDict[bytes, None] = OrderedDict()
        self._place, self._number = lru_cache(CACHED_PLACES)(place), 0
        self._reported_caps: dict[tuple[str, str], float] = {}
        self._counted: dict[str, list[CountedGuess]] = {}
        known = list(counted)
        self._anywhere = [guess for known_place, guess in known if known_place == EVERYWHERE]
        for known_place, guess in known:
            self._number = max(self._number, guess.number)
            if known_place != EVERYWHERE:
                self._of(known_place).append(guess)
        for alike in self._counted.values():
            alike.sort(key=lambda guess: guess.at)

    def begin(
        self,
        door: str,
        households: Collection[str] | None,
        now: float,
        digest: bytes = b"",
        waiting: Collection[str] = (),
    ) -> Guess | None:
        """Count a PIN before it is checked. Return None if it must not be checked now. Call `remove_correct` if it was
        correct.

        `households` are those of the flat number that was typed first; None for a PIN alone. A PIN alone also counts
        for the households `waiting`: a face of theirs waits at this door for a card or PIN. `digest` is the digest of
        all typed keys. Without a digest every PIN counts.
        """
        places = self._places(door, waiting if households is None else households)
        if not self._may_try(places, households is not None, now):
            return None
        self._number += 1
        known = {counted.digest for counted in self._of(places[0])}
        guess = Guess(self._number, now, places, households is not None, not digest or digest not in known)
        for place in places if guess.is_new else ():
            self._of(place).append(CountedGuess(guess.number, now, digest))
        return guess

    def remove_correct(self, guess: Guess) -> None:
        """Remove this guess, because the PIN opened the door. Other guesses stay counted."""
        for place in guess.places:
            self._counted[place] = [counted for counted in self._of(place) if counted.number != guess.number]

    def wrong_if_resting(self, guess: Guess, now: float) -> int:
        """Return the number of wrong guesses if the next similar guess must wait, else 0."""
        if self._may_try(guess.places, guess.is_by_flat, now):
            return 0
        return max(len(self._of(place)) for place in guess.places)

    def mark_reached_cap(self, guess: Guess) -> int:
        """Return the wrong guesses of a day if this guess reached a cap, else 0.

        Each cap of a door or household is reported once a day.
        """
        for at, place in enumerate(guess.places):
            cap = self._household if at else self._door
            if count := self._mark_cap(place, cap.hour, cap.day, guess.at):
                return count
        return 0

    def card_pause_s(self, reader: str, now: float) -> float:
        """Return for how many seconds the reader checks no card."""
        times = self._times(self._reader(reader), now) if self.has_counts else []
        return max(0.0, pause_until(times, self._cards_hour, self._cards_day) - now) if times else 0.0

    def count_card(self, reader: str, now: float, digest: bytes) -> tuple[Guess | None, int]:
        """Count an unknown card. Return the guess to store, and the count of a day if a cap was just reached, else 0.

        `digest` is the digest of the card. A remembered digest does not count again.
        """
        if digest in self._cards or not isfinite(now):
            return None, 0
        self._cards[digest] = None
        if len(self._cards) > REMEMBERED_CARDS:
            self._cards.popitem(last=False)
        self._number += 1
        place = self._reader(reader)
        self._times(place, now)
        alike = self._of(place)
        alike.append(CountedGuess(self._number, now))
        del alike[: -max(self._cards_hour, self._cards_day)]  # rows beyond the cap make no difference
        spent = self._mark_cap(place, self._cards_hour, self._cards_day, now)
        if self.are_short_cards_resting(reader, now):
            return Guess(self._number, now, (place,)), spent
        short = self._short(reader)
        self._of(short).append(CountedGuess(self._number, now))
        return Guess(self._number, now, (place, short)), spent or self._mark_cap(short, inf, self._short_day, now)

    def record_attack(self, names: Iterable[str], now: float) -> Guess:
        """Return the guess to store for an attack on a face. `names` come from `attack_response`, which counts it."""
        self._number += 1
        return Guess(self._number, now, tuple(map(self._place, names)))

    def are_short_cards_resting(self, reader: str, now: float) -> bool:
        """Return whether cards that are identified by 24 bits only rest at this reader."""
        return not isfinite(now) or len(self._times(self._short(reader), now)) >= self._short_day

    def _short(self, reader: str) -> str:
        return self._place(f"short/{reader}")

    def _mark_cap(self, place: str, hour: float, day: int, now: float) -> int:
        alike = self._of(place)
        lately = sum(guess.at > now - HOUR_S for guess in alike)
        for period, is_reached in (("hour", lately >= hour), ("day", len(alike) >= day)):
            if is_reached and not now < self._reported_caps.get((place, period), -inf) + DAY_S:
                self._reported_caps[place, period] = now
                return len(alike)
        return 0

    def _reader(self, reader: str) -> str:
        return self._place(f"cards/{reader}")

    @property
    def has_counts(self) -> bool:
        """Return whether any guess counts."""
        return bool(self._anywhere) or any(self._counted.values())

    def _places(self, door: str, households: Collection[str]) -> tuple[str, ...]:
        return tuple(map(self._place, (f"door/{door}", *(f"household/{each}" for each in sorted(households)))))

    def _may_try(self, places: tuple[str, ...], is_by_flat: bool, now: float) -> bool:
        if not isfinite(now):
            return False
        at_door, *of_households = (self._times(place, now) for place in places)
        if at_door and now < (slow_until(at_door, self._door.hour) if is_by_flat else rests_until(at_door, self._door)):
            return False
        return all(now >= rests_until(times, self._household) for times in of_households if times)

    def _times(self, place: str, now: float) -> list[float]:
        """Return the times of the guesses of the last day at a place. Forgets older ones."""
        self._anywhere = [guess for guess in self._anywhere if guess.at > now - DAY_S]
        alike = [guess for guess in self._of(place) if guess.at > now - DAY_S]
        if alike:
            self._counted[place] = alike
        else:
            self._counted.pop(place, None)
        return [guess.at for guess in alike]

    def _of(self, place: str) -> list[CountedGuess]:
        """Return the guesses at a place. A new place begins with the guesses that count everywhere."""
        return self._counted.setdefault(place, list(self._anywhere))
