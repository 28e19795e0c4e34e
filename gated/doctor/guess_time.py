"""Computes how long a stranger must guess PINs or card numbers at this gate, with the credentials stored here.

The doctor, `gated check` and the office use it.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

from gated.config import Settings
from gated.doctor.finding import Finding, amber, green
from gated.errors import BusyError, StateError
from gated.people.credential import by_kind
from gated.people.credential_store import Credentials
from gated.pin.budget import YEAR_DAYS, GuessLimits, GuessTime, card_days, duration_text, guess_days, short_card_days
from gated.pin.flat_numbers import typed_for
from gated.pin.random_pins import MADE_DIGITS
from gated.protocol.status_messages import GuessingLimits

PART, CARDS = "PIN budget", "card budget"
STRONG_BITS = 32
"""Length of the card number that a 34-bit Wiegand reader sends, without parity bits.

The settings do not contain the number of bits (26 or 34) of a reader.
"""
CARD_STEP = "fit readers that send 32-bit numbers (34-bit Wiegand), and revoke unused cards"
STEP = "set [readers] pin_by_household = true, or raise pin_digits and give new PINs"
WEAK_STEP = "give them new PINs, and set [readers] weak_pins_until to the last day of the old PINs"
NUMBERLESS = "their household has no flat number to type"
NUMBER_STEP = "name the household by its number, or set [readers] pin_by_household = false"
OFFICE_STEP = "set [readers] pin_by_household = true"
OFFICE_STEP_BY_HOUSEHOLD = "lower [readers] household_day"
STEP_BY_HOUSEHOLD = "raise [readers] pin_digits and give new PINs, or lower household_day"


def pin_budget(settings: Settings) -> GuessTime | None:
    """Return the PIN budget; None if the gate has no keypad or the credentials cannot be read. Creates no file."""
    doors = keypads(settings)
    if not doors or not (settings.state / "people.db").exists():
        return None
    try:
        with closing(Credentials.open(settings.state, settings.site.id)) as store:
            homes = {subject: holder.home for subject, holder in store.holders().items()}
            households = [homes.get(each.subject, "") for each in by_kind(store.all())[1] if each.subject]
    except (BusyError, StateError):
        return None
    readers = settings.readers
    caps = GuessLimits(readers.attempts_day, readers.household_day, readers.pin_by_household, doors)
    counts = Counter(home for home in households if typed_for(home))
    return guess_days(counts.values(), len(households) - counts.total(), _digits(settings), caps)


def _digits(settings: Settings) -> int:
    """Return the fewest digits that a PIN has.

    The office makes PINs of `MADE_DIGITS`, and the gate cannot tell them apart.
    """
    return min(settings.readers.pin_digits, MADE_DIGITS) if settings.sync.url else settings.readers.pin_digits


def guess_limits(settings: Settings) -> GuessingLimits:
    """Return this gate's limits on guessing, for the office."""
    readers = settings.readers
    return GuessingLimits(
        keypads(settings),
        card_readers(settings),
        readers.pin_by_household,
        readers.attempts_day,
        readers.household_day,
        readers.cards_hour,
        readers.cards_day,
        readers.short_cards_day,
        readers.pin_digits,
    )


def weak_pin_holders(settings: Settings) -> list[str]:
    """Return the ids of people who have typed a weak PIN. Creates no file."""
    if not (settings.state / "people.db").exists():
        return []
    try:
        with closing(Credentials.open(settings.state, settings.site.id)) as store:
            return sorted(store.weak())
    except (BusyError, StateError):
        return []


def _weak_text(weak: list[str]) -> str:
    return f"{len(weak)} people have a weak PIN that strangers try first ({', '.join(weak)})"


def of_cards(settings: Settings) -> Iterator[Finding]:
    """Yield how long a stranger must guess card numbers, for readers of 26 and of 34 bits."""
    cards, most = _cards(settings)
    readers, count = settings.readers, card_readers(settings)
    weak = short_card_days(cards, most, readers.short_cards_day, count)
    strong = card_days(cards, STRONG_BITS, readers.cards_hour, readers.cards_day, count)
    if weak is None or strong is None:
        return
    days = (
        f"a stranger who tries card numbers needs on average {weak:.0f} days (26 bits) or {strong:.0f} days (34 bits)"
    )
    figures = {"cards": cards, "days_26_bits": round(weak), "days_34_bits": round(strong)}
    if min(weak, strong) < YEAR_DAYS:  # the settings do not contain the kind of the fitted reader
        yield amber(CARDS, days, CARD_STEP, **figures)
    else:
        yield green(CARDS, days, **figures)


def _cards(settings: Settings) -> tuple[int, int]:
    """Return the number of cards, and the most cards of one household."""
    if not (settings.state / "people.db").exists():
        return 0, 0
    try:
        with closing(Credentials.open(settings.state, settings.site.id)) as store:
            holders = store.holders()
            given = by_kind(store.all())[0]
    except (BusyError, StateError):
        return 0, 0
    homes = Counter(holders[each.subject].home for each in given if each.subject in holders)
    return len(given), max(homes.values(), default=0)


def card_readers(settings: Settings) -> int:
    """Return the number of card readers. A USB device of unset kind may be one."""
    readers = settings.readers
    usb = sum(path not in readers.usb or readers.usb[path].kind != "keypad" for path in readers.devices)
    return usb + sum(wires.wiegand_pins is not None for wires in settings.doors.values())


def keypads(settings: Settings) -> int:
    """Return the number of doors where a PIN can be typed. A Wiegand reader may have keys; a card reader has none."""
    readers = settings.readers
    has_usb = any(path not in readers.usb or readers.usb[path].kind != "card" for path in readers.devices)
    doors = list(settings.doors.values())
    first = has_usb or bool(readers.keypad_rows) or doors[0].wiegand_pins is not None
    return first + sum(wires.wiegand_pins is not None for wires in doors[1:])


def sentence(settings: Settings, found: GuessTime) -> str:
    """Return the budget in words, with the next step if it is below a year."""
    result = _budget_text(found)
    parts = [f"{result}, below a year; {_step(settings)}" if found.is_short else result]
    parts += [f"{_weak_text(weak)}; {WEAK_STEP}"] if (weak := weak_pin_holders(settings)) else []
    parts += [f"{found.shut_out} PINs cannot be used: {NUMBERLESS}; {NUMBER_STEP}"] if found.shut_out else []
    return "; ".join(parts)


def of_pins(settings: Settings) -> Iterator[Finding]:
    """Yield the same as `sentence`, as findings of the doctor."""
    found = pin_budget(settings)
    if found is not None and found.shut_out:
        result = f"{found.shut_out} PINs cannot be used: their household has no flat number to type"
        yield amber("PINs", result, NUMBER_STEP, pins=found.shut_out)
    if weak := weak_pin_holders(settings):
        yield amber("PINs", _weak_text(weak), WEAK_STEP, weak=len(weak))
    if found is None or found.days is None:
        return
    figures = {"pins": found.pins, "digits": found.digits, "days": round(found.days)}
    if found.is_short:
        result = f"a stranger who tries PINs needs {found.days:.0f} days on average, less than a year"
        yield amber(PART, result, _step(settings), **figures)
    else:
        yield green(PART, f"a stranger who tries PINs needs {found.days:.0f} days on average", **figures)


def _budget_text(found: GuessTime) -> str:
    if found.days is None:
        return "nobody has a PIN that can be typed here"
    needed = duration_text(found.days)
    return f"{found.pins} PINs of {found.digits} digits; a stranger who tries PINs needs {needed} on average"


def _step(settings: Settings) -> str:
    if settings.sync.url:
        return OFFICE_STEP_BY_HOUSEHOLD if settings.readers.pin_by_household else OFFICE_STEP
    return STEP_BY_HOUSEHOLD if settings.readers.pin_by_household else STEP
