"""The tables of everything that hangs on a wire: locks, inputs, readers, lights and sounds; and which wiring cannot be.

A pin is a BCM number. "Normally closed" is a loop that opens when something happens, so that a cut wire is noticed.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gated.config.safe import Safe

Pin = Annotated[int, Meta(ge=0, le=27, description="a BCM number, 0 to 27")]
Unit = Annotated[float, Meta(ge=0, le=1)]
Phone = Annotated[
    str,
    Meta(
        pattern=r"^(\+?[0-9][0-9 ()-]{1,22}[0-9])?\Z", description="a telephone number: digits, spaces, -, + in front"
    ),
]
Time = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z", description="a time of day, HH:MM")]

EndTime = Annotated[
    str,
    Meta(
        pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z",
        description="a time of day, HH:MM, or 24:00 for the end of the day",
    ),
]


class Wires(msgspec.Struct, frozen=True):
    """One door: its lock, its leaf, and the inputs beside it. None: not fitted."""

    lock: Literal["strike", "reverse_strike", "maglock"] = "strike"
    """What hangs on the relay: a strike opens with power; a reverse strike and a magnet open without."""
    fail: Literal["secure", "safe"] = "secure"
    """What the site was promised for a power cut: shut to the street, or open. It must be what the lock does."""
    lock_pin: Pin = 17
    lock_active_high: bool = True
    feedback_pin: Pin | None = None
    """The relay's spare contact, to ground: closed while the coil has power."""
    contact_pin: Pin | None = None
    contact_closed_is_high: bool = False
    rex_pin: Pin | None = None
    """The exit button, to ground."""
    rex_normally_closed: bool = False
    rex_waiver: str = ""
    """Who decided, when and why, that this door needs no exit button; without either `gated check` refuses."""
    fire_pin: Pin | None = None
    fire_normally_closed: bool = True
    fire_reset_pin: Pin | None = None
    """The key switch that ends a fire release, to ground."""
    tamper_pin: Pin | None = None
    tamper_normally_closed: bool = True
    call_pin: Pin | None = None
    call_normally_closed: bool = False
    wiegand_pins: tuple[Pin, Pin] | None = None
    """D0 and D1 of a card reader, through a level shifter."""
    debounce_s: Annotated[float, Meta(ge=0, le=1)] = 0.05
    release_s: Annotated[float, Meta(ge=0.5, le=30), Safe.LESS] = 8.0
    relock_on_close: bool = True
    rex_grace_s: Annotated[float, Meta(ge=0, le=30)] = 3.0
    """A leaf that opens so soon after the lock was secured was not forced."""
    held_open_s: Annotated[float, Meta(ge=5, le=600)] = 30.0
    """After so long people are asked to shut the leaf."""
    held_open_alarm_s: Annotated[float, Meta(ge=10, le=3600)] = 60.0
    """After so long it is an alarm."""
    free_passage: str = ""
    """A schedule by which the door stands released; it ends with a fire as little as it begins one."""


class DoorSettings(Wires, frozen=True):
    """The first door, and the latch that serves both."""

    pins: Literal["gpio", "mock"] = "gpio"
    socket: str = ""
    """The latch's Unix socket; by default `latch.sock` in the state folder."""
    brain_user: str = ""
    """The one user that may command the latch; by default the latch's own. Needed when the two are services."""
    trace: str = ""
    """mock pins: the file that every transition is written to."""


class UsbSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one USB device types; `gated readers learn` finds it out."""

    kind: Literal["auto", "card", "keypad"] = "auto"
    """A card reader is never taken for a hand, and a keypad never for a card; auto: its keys tell."""
    suffix: Literal["auto", "enter", "tab", "space", "none"] = "auto"
    """The key that it types behind a number; Enter always ends one."""
    gap_ms: Annotated[int, Meta(ge=0, le=2000)] = 0
    """Keys of a card follow each other within this; 0: 50, or evenly up to 250."""


class ReaderSettings(msgspec.Struct, frozen=True):
    """The other ways in: cards, PINs, passes."""

    devices: tuple[str, ...] = ()
    """USB readers and keypads that type: paths under /dev/input, best those in by-id."""
    usb: dict[str, UsbSettings] = {}
    """How some of them type, by their paths."""
    keypad_rows: tuple[Pin, ...] = ()
    keypad_columns: tuple[Pin, ...] = ()
    """A matrix keypad of 4 rows and 3 or 4 columns."""
    pass_key: str = ""
    """The site's public key for visitor passes (Ed25519, PEM); without it no pass opens."""
    attempts: Annotated[int, Meta(ge=1, le=100), Safe.LESS] = 5
    """So many failures of one way in, within `attempts_s`, and that way rests for `rest_s`. No other does. Of PINs so
    many in an hour, and each rest is twice as long as the one before it."""
    attempts_s: Annotated[float, Meta(ge=1, le=3600), Safe.MORE] = 60.0
    rest_s: Annotated[float, Meta(ge=1, le=3600), Safe.MORE] = 60.0
    pin_digits: Annotated[int, Meta(ge=4, le=12), Safe.MORE] = 6
    """The least that a PIN has."""
    weak_pins_until: Annotated[
        str, Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z", description="a date, YYYY-MM-DD"), Safe.SOONER
    ] = ""
    """From this day on a PIN opens nothing that is a date, is made of a flat number, or is too short for `pin_digits`.
    Empty: it opens, and the office is told whose it is."""
    attempts_hour: Annotated[int, Meta(ge=1, le=100), Safe.LESS] = 8
    """So many wrong PINs at one door in an hour, and PINs alone rest there until the hour is over."""
    attempts_day: Annotated[int, Meta(ge=1, le=1000), Safe.LESS] = 12
    """The same in a day: what `gated check` reckons the PIN budget with."""
    cards_hour: Annotated[int, Meta(ge=1, le=1000), Safe.LESS] = 20
    """So many unknown cards at one reader in an hour, and after each one more it pauses for a second, two and so on up
    to half a minute. A card that opens is followed by no pause."""
    cards_day: Annotated[int, Meta(ge=1, le=10000), Safe.LESS] = 200
    """So many in a day, and each pause is half a minute."""
    short_cards_day: Annotated[int, Meta(ge=1, le=10000), Safe.LESS] = 60
    """So many unknown cards at one reader in a day, and cards that it tells by 24 bits alone rest there, as 26 bits of
    Wiegand do; one after its holder's flat number opens. Cards that it tells by more go on."""
    pin_by_household: bool = False
    """The flat number must be typed before a PIN: a guess is then against one household. It may be typed always."""
    household_hour: Annotated[int, Meta(ge=1, le=100), Safe.LESS] = 5
    """So many wrong PINs after a flat number in an hour, and the PINs of that household rest, and no others."""
    household_day: Annotated[int, Meta(ge=1, le=1000), Safe.LESS] = 10
    """The same in a day."""


class CueSettings(msgspec.Struct, frozen=True):
    """What people see, hear and feel."""

    ready_pin: Pin | None = None
    open_pin: Pin | None = None
    refused_pin: Pin | None = None
    fault_pin: Pin | None = None
    """Lamps of four shapes: a ring, a tick, a card, a triangle."""
    red_pin: Pin | None = None
    green_pin: Pin | None = None
    blue_pin: Pin | None = None
    """One lamp of three colours, instead of or beside the four."""
    buzzer_pin: Pin | None = None
    vibration_pin: Pin | None = None
    """The pad on the post that is felt."""
    sound: Literal["alsa", "none"] = "none"
    sound_device: str = "default"
    languages: Annotated[tuple[Literal["zh", "en"], ...], Safe.SOME] = ("zh", "en")
    """In this order; the first alone in quiet hours."""
    prompts: str = ""
    """The folder of spoken prompts; by default `prompts` in the state folder."""
    volume: Annotated[Unit, Safe.HEARD] = 0.8
    quiet_volume: Annotated[Unit, Safe.HEARD] = 0.3
    quiet_from: Annotated[EndTime, Safe.ANY] = "22:00"
    quiet_to: Annotated[EndTime, Safe.ANY] = "07:00"
    """Lower sound; never light, never touch."""
    screen_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """The gate screen's page on this machine alone; 0: none."""
    phone: Phone = ""
    """Whom people can call when the gate cannot help: shown large, and said digit by digit."""
    ways: tuple[Literal["card", "code", "call"], ...] | None = None
    """Which ways in the words name; by default those that are wired."""
    locate: str = ""
    """A schedule: in its hours a quiet sound leads blind people to the idle gate. Empty: never."""
    locate_volume: Annotated[float, Meta(ge=0.01, le=0.3)] = 0.1
    """Of the locating sound; never louder than `volume`, and at night than `quiet_volume`."""

    def __post_init__(self) -> None:
        """24:00 is the end of the day, which the day after calls 00:00."""
        for name in ("quiet_from", "quiet_to"):
            if getattr(self, name) == "24:00":
                msgspec.structs.force_setattr(self, name, "00:00")


FAILS = {"strike": "secure", "reverse_strike": "safe", "maglock": "safe"}
"""What each lock does without power."""


def pin_problems(door: Wires, second: Wires | None, readers: ReaderSettings, cues: CueSettings) -> list[str]:
    """Wires that contradict each other: two functions on a pin, a lock that cannot do what was promised."""
    used = used_pins(door, second, readers, cues)
    count = Counter(pin for _, pin in used)
    problems = [f"{key}: pin {pin} is used twice" for key, pin in used if count[pin] > 1]
    for name, wires in (("door", door), ("second_door", second)):
        if wires is not None and wires.fail != FAILS[wires.lock]:
            problems.append(
                f"{name}.fail: a {wires.lock} without power is fail-{FAILS[wires.lock]}; "
                f'set fail = "{FAILS[wires.lock]}" or fit another lock'
            )
        if wires is not None and not wires.held_open_alarm_s > wires.held_open_s:
            problems.append(
                f"{name}.held_open_alarm_s: must be longer than held_open_s, so that people are asked first"
            )
    problems += [
        f"readers.usb: {path} is not among readers.devices; add it there, or take its table away"
        for path in readers.usb
        if path not in readers.devices
    ]
    if bool(readers.keypad_rows) != bool(readers.keypad_columns):
        problems.append("readers.keypad_rows: a matrix keypad has rows and columns, name both")
    elif readers.keypad_rows and (len(readers.keypad_rows) != 4 or len(readers.keypad_columns) not in (3, 4)):
        problems.append("readers.keypad_rows: a matrix keypad has 4 rows, and 3 or 4 columns")
    return problems


def used_pins(door: Wires, second: Wires | None, readers: ReaderSettings, cues: CueSettings) -> list[tuple[str, int]]:
    """Every pin that is used, as a BCM number, and the key that names it (`door.lock_pin`)."""
    tables = [("door", door), ("second_door", second), ("readers", readers), ("cues", cues)]
    return [(f"{name}.{key}", pin) for name, table in tables if table is not None for key, pin in _pins(table)]


def unsafe_wiring(door: DoorSettings, second: Wires | None) -> list[str]:
    """Wiring that may be what is there, and must not stay so: a door that nobody can leave by."""
    return [
        f"{name}.rex_pin: no exit button is wired; wire one, or write into rex_waiver who decided that none is needed"
        for name, wires in (("door", door), ("second_door", second))
        if wires is not None and wires.rex_pin is None and not wires.rex_waiver.strip()
    ]


def _pins(table: msgspec.Struct) -> Iterator[tuple[str, int]]:
    """Every pin of a table, and the key that names it."""
    for field in table.__struct_fields__:
        value = getattr(table, field)
        if field.endswith("_pin") and value is not None:
            yield field, value
        elif field in ("wiegand_pins", "keypad_rows", "keypad_columns"):
            yield from ((field, pin) for pin in value or ())
