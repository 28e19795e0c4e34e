"""Wrong PINs and unknown cards, counted over hours: what may still be asked. Pure but for its memory.

One budget a door, whichever keypad of it is used, and one a household. Only time gives it back: no success does, for
then whoever waits for residents would guess for ever. A right PIN that may not open now counts like a wrong one, and
a duress PIN like any other. The same digits again are no second guess.

A PIN alone rests by the door's budget: from `attempts` wrong ones an hour on a minute, two, four and so on, then until
the hour's and the day's caps have room. A PIN after a flat number rests by the household's, in the same way; the door
only slows down, to one look in `SLOWEST_S`, so that no vandal keeps a courtyard from its flat numbers.

Unknown cards are counted by readers, and a reader only slows down, for a look tells who may come in from who may not:
after each unknown card it pauses, half a minute at worst. No pause follows a card that opens, so that residents in a
row move as ever. A card that was unknown before, as the bus card in a resident's purse, is no second guess.

Of a card that is told by 24 bits alone one number in some thousands opens at a large site, so that no pace is slow
enough. Such cards rest at a reader for which as many were unknown in a day as `short_cards_day` allows. Known and
unknown ones are answered alike then, and what is shown meanwhile is no look and counts for nothing but the pauses. A
card after its holder's flat number is one of a household's few, and goes on.

Time is seconds of running: monotonic, going on where the last start ended (see `access.guess_log`).
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite

from gated.config import ReaderSettings
from gated.pin.budget import DAY_S, SLOWEST_CARD_S, SLOWEST_S

HOUR_S = 3600.0
SLOW_FROM_S = 4.0
"""The first pause of a door that slows down; each one after it is twice as long."""
SLOW_CARD_FROM_S = 1.0
"""The same of a reader of cards."""
REMEMBERED = 4096
"""So many unknown cards are known again."""
MOST_DOUBLINGS = 30
EVERYWHERE = ""
"""Where a guess counts of which nobody knows any more where it was made."""
PLACES = 1000
"""So many names of doors, readers and households are known again."""


@dataclass(frozen=True, slots=True)
class Cap:
    """`free` wrong ones an hour without a rest, then rests from `rest_s` on; `hour` and `day` are the most."""

    free: int
    rest_s: float
    hour: int
    day: int


@dataclass(frozen=True, slots=True)
class Guess:
    """One PIN that is looked at: where it counts, and what it was, as a digest that tells nothing."""

    number: int
    at: float
    places: tuple[str, ...]
    """Everything that it counts for: the door first, then households."""
    is_by_flat: bool = False
    is_new: bool = True
    """False where the same was wrong there already: it counts once."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One that was wrong, or is being looked at."""

    number: int
    at: float
    what: bytes = field(default=b"", repr=False)


def rests_until(times: list[float], cap: Cap) -> float:
    """When a place is looked at again, whose wrong guesses of the last day these are, the oldest first."""
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
    """When a door looks again at a PIN after a flat number: the more wrong ones in an hour, the later."""
    lately = [at for at in times if at > times[-1] - HOUR_S]
    if len(lately) < hour:
        return -inf
    return lately[-1] + min(SLOWEST_S, _doubled(SLOW_FROM_S, len(lately) - hour))


def pause_until(times: list[float], hour: int, day: int) -> float:
    """When a reader looks at a card again, at which these were unknown."""
    if len(times) >= day:
        return times[-1] + SLOWEST_CARD_S
    lately = sum(at > times[-1] - HOUR_S for at in times)
    return times[-1] + min(SLOWEST_CARD_S, _doubled(SLOW_CARD_FROM_S, lately - hour)) if lately >= hour else -inf


class Guesses:
    """What was guessed within a day. `now` is never smaller than it was; one that is no number denies."""

    def __init__(
        self,
        settings: ReaderSettings,
        place: Callable[[str], str] = str,
        counted: Iterable[tuple[str, Counted]] = (),
    ) -> None:
        """`place`: what stands for the name of a door or a household. `counted`: places and what counts there, from
        before a restart, the oldest first.
        """
        free, rest_s = settings.attempts, settings.rest_s
        self._door = Cap(free, rest_s, settings.attempts_hour, settings.attempts_day)
        self._household = Cap(free, rest_s, settings.household_hour, settings.household_day)
        self._cards_hour, self._cards_day = settings.cards_hour, settings.cards_day
        self._short_day = settings.short_cards_day
        self._cards: OrderedDict[bytes, None] = OrderedDict()
        self._place, self._number = lru_cache(PLACES)(place), 0
        self._told: dict[tuple[str, str], float] = {}
        self._counted: dict[str, list[Counted]] = {}
        known = list(counted)
        self._anywhere = [one for where, one in known if where == EVERYWHERE]
        for where, one in known:
            self._number = max(self._number, one.number)
            if where != EVERYWHERE:
                self._of(where).append(one)
        for alike in self._counted.values():
            alike.sort(key=lambda one: one.at)

    def begin(self, door: str, households: Collection[str] | None, now: float, what: bytes = b"") -> Guess | None:
        """Count a PIN before it is looked at; None where it is not looked at now. One that was right is `right`.

        `households`: those whose flat number was typed before it; None for a PIN alone. `what`: a digest of all that
        was typed; without it each counts.
        """
        places = self._places(door, households)
        if not self._may_try(places, households is not None, now):
            return None
        self._number += 1
        known = {one.what for one in self._of(places[0])}
        guess = Guess(self._number, now, places, households is not None, not what or what not in known)
        for place in places if guess.is_new else ():
            self._of(place).append(Counted(guess.number, now, what))
        return guess

    def right(self, guess: Guess) -> None:
        """It let somebody in, and so was no guess. What else was counted stays."""
        for place in guess.places:
            self._counted[place] = [one for one in self._of(place) if one.number != guess.number]

    def rests(self, guess: Guess, now: float) -> int:
        """How many wrong ones there are, where the next one like this must wait; else 0."""
        if self._may_try(guess.places, guess.is_by_flat, now):
            return 0
        return max(len(self._of(place)) for place in guess.places)

    def spent(self, guess: Guess) -> int:
        """How many wrong ones there were in a day, where this one was as many as a cap allows; else 0.

        Each cap of a door or a household is told once a day.
        """
        for at, place in enumerate(guess.places):
            cap = self._household if at else self._door
            if count := self._spent(place, cap.hour, cap.day, guess.at):
                return count
        return 0

    def card_wait_s(self, reader: str, now: float) -> float:
        """So long a reader looks at no card."""
        times = self._times(self._reader(reader), now) if self.is_counting else []
        return max(0.0, pause_until(times, self._cards_hour, self._cards_day) - now) if times else 0.0

    def card(self, reader: str, now: float, what: bytes) -> tuple[Guess | None, int]:
        """Count a card that opened nothing: what is to be written, and how many there were in a day where this one was
        as many as a cap allows, else 0. `what`: a digest of it; the same again counts nothing.
        """
        if what in self._cards or not isfinite(now):
            return None, 0
        self._cards[what] = None
        if len(self._cards) > REMEMBERED:
            self._cards.popitem(last=False)
        self._number += 1
        place = self._reader(reader)
        self._times(place, now)
        alike = self._of(place)
        alike.append(Counted(self._number, now))
        del alike[: -max(self._cards_hour, self._cards_day)]  # more than a cap tell nothing more
        spent = self._spent(place, self._cards_hour, self._cards_day, now)
        if self.short_rests(reader, now):
            return Guess(self._number, now, (place,)), spent
        short = self._short(reader)
        self._of(short).append(Counted(self._number, now))
        return Guess(self._number, now, (place, short)), spent or self._spent(short, inf, self._short_day, now)

    def short_rests(self, reader: str, now: float) -> bool:
        """Whether cards that are told by 24 bits alone rest there."""
        return not isfinite(now) or len(self._times(self._short(reader), now)) >= self._short_day

    def _short(self, reader: str) -> str:
        return self._place(f"short/{reader}")

    def _spent(self, place: str, hour: float, day: int, now: float) -> int:
        alike = self._of(place)
        lately = sum(one.at > now - HOUR_S for one in alike)
        for which, is_reached in (("hour", lately >= hour), ("day", len(alike) >= day)):
            if is_reached and not now < self._told.get((place, which), -inf) + DAY_S:
                self._told[place, which] = now
                return len(alike)
        return 0

    def _reader(self, reader: str) -> str:
        return self._place(f"cards/{reader}")

    @property
    def is_counting(self) -> bool:
        """Whether anything counts."""
        return bool(self._anywhere) or any(self._counted.values())

    def _places(self, door: str, households: Collection[str] | None) -> tuple[str, ...]:
        return tuple(map(self._place, (f"door/{door}", *(f"household/{each}" for each in sorted(households or ())))))

    def _may_try(self, places: tuple[str, ...], is_by_flat: bool, now: float) -> bool:
        if not isfinite(now):
            return False
        at_door, *of_households = (self._times(place, now) for place in places)
        if not is_by_flat:
            return not at_door or now >= rests_until(at_door, self._door)
        if at_door and now < slow_until(at_door, self._door.hour):
            return False
        return all(now >= rests_until(times, self._household) for times in of_households if times)

    def _times(self, place: str, now: float) -> list[float]:
        """When guesses of the last day were made there; older ones are forgotten."""
        self._anywhere = [one for one in self._anywhere if one.at > now - DAY_S]
        alike = [one for one in self._of(place) if one.at > now - DAY_S]
        if alike:
            self._counted[place] = alike
        else:
            self._counted.pop(place, None)
        return [one.at for one in alike]

    def _of(self, place: str) -> list[Counted]:
        """What counts at a place; it begins with what counts everywhere."""
        return self._counted.setdefault(place, list(self._anywhere))
