"""The tables of everything with a wire: locks, inputs, readers, lamps and sounds. It also checks for impossible wiring.

A pin is a BCM number. A normally closed input opens when its event happens, so a cut wire is noticed.
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
    """One door: its lock, its leaf, and its inputs. None means not fitted."""

    lock: Literal["strike", "reverse_strike", "maglock"] = "strike"
    """The lock on the relay. A strike opens with power; a reverse strike and a magnet open without power."""
    fail: Literal["secure", "safe"] = "secure"
    """The behaviour in a power cut that the site requires: locked ("secure") or open ("safe").

    It must match the lock.
    """
    lock_pin: Pin = 17
    lock_active_high: bool = True
    feedback_pin: Pin | None = None
    """The relay's spare contact, to ground. It is closed while the coil has power."""
    contact_pin: Pin | None = None
    contact_closed_is_high: bool = False
    rex_pin: Pin | None = None
    """The exit button, to ground."""
    rex_normally_closed: bool = False
    rex_waiver: str = ""
    """The person, the date and the reason of the decision that this door needs no exit button. `gated check` refuses a
    door without button and waiver.
    """
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
    """A leaf that opens within this many seconds after the lock was secured is not a forced door."""
    held_open_s: Annotated[float, Meta(ge=5, le=600)] = 30.0
    """After this many seconds the gate asks people to shut the leaf."""
    held_open_alarm_s: Annotated[float, Meta(ge=10, le=3600)] = 60.0
    """After this many seconds an open leaf raises an alarm."""
    free_passage: str = ""
    """The name of the unlock schedule: the door stays released in its hours.

    It neither starts nor ends a fire release.
    """


class DoorSettings(Wires, frozen=True):
    """The first door, and the latch process that serves both doors."""

    pins: Literal["gpio", "mock"] = "gpio"
    socket: str = ""
    """The latch's Unix socket. By default `latch.sock` in the state folder."""
    brain_user: str = ""
    """The only user that may send commands to the latch. By default the latch's own user. Required if both are
    services.
    """
    trace: str = ""
    """mock pins: the file that receives every transition."""


class UsbSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one USB device types. `gated readers learn` detects these values."""

    kind: Literal["auto", "card", "keypad"] = "auto"
    """The type of the device. A card reader's keys never count as typed by hand, a keypad's never as a card. auto:
    detect it.
    """
    suffix: Literal["auto", "enter", "tab", "space", "none"] = "auto"
    """The key that the device types after a number. Enter always ends a number."""
    gap_ms: Annotated[int, Meta(ge=0, le=2000)] = 0
    """The longest gap between two keys of a card, in milliseconds. 0: 50 ms, or even gaps of up to 250 ms."""


class ReaderSettings(msgspec.Struct, frozen=True):
    """The readers of the other credentials: cards, PINs, passes. It also limits wrong attempts."""

    devices: tuple[str, ...] = ()
    """USB readers and keypads that type: paths under /dev/input, preferably those in by-id."""
    usb: dict[str, UsbSettings] = {}
    """How some of these devices type, by path."""
    keypad_rows: tuple[Pin, ...] = ()
    keypad_columns: tuple[Pin, ...] = ()
    """A matrix keypad of 4 rows and 3 or 4 columns."""
    pass_key: str = ""
    """The site's public key for visitor passes (Ed25519, PEM). Without it no pass opens."""
    attempts: Annotated[int, Meta(ge=1, le=100), Safe.LESS] = 5
    """The number of failures of one credential type at one reader, within `attempts_s`, after which this type rests for
    `rest_s`. Other types do not rest. For PINs the number counts in an hour, and each rest is twice as long as the one
    before.
    """
    attempts_s: Annotated[float, Meta(ge=1, le=3600), Safe.MORE] = 60.0
    rest_s: Annotated[float, Meta(ge=1, le=3600), Safe.MORE] = 60.0
    pin_digits: Annotated[int, Meta(ge=4, le=12), Safe.MORE] = 6
    """The least number of digits in a PIN."""
    weak_pins_until: Annotated[
        str, Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z", description="a date, YYYY-MM-DD"), Safe.SOONER
    ] = ""
    """From this day on weak PINs open nothing: dates, PINs made of a flat number, and PINs shorter than `pin_digits`.
    Empty: a weak PIN opens, and the office is told its holder.
    """
    attempts_hour: Annotated[int, Meta(ge=1, le=100), Safe.LESS] = 8
    """The number of wrong PINs at one door in an hour. After that, PINs without a flat number rest there until the hour
    is over.
    """
    attempts_day: Annotated[int, Meta(ge=1, le=1000), Safe.LESS] = 12
    """The number of wrong PINs at one door in a day. `gated check` uses it to calculate the PIN budget."""
    cards_hour: Annotated[int, Meta(ge=1, le=1000), Safe.LESS] = 20
    """The number of unknown cards at one reader in an hour before the reader slows down. After each further one it
    pauses for 1 s, 2 s, 4 s and so on, up to 30 s. No pause follows a card that opens.
    """
    cards_day: Annotated[int, Meta(ge=1, le=10000), Safe.LESS] = 200
    """The number of unknown cards at one reader in a day. After that, each pause is 30 s."""
    short_cards_day: Annotated[int, Meta(ge=1, le=10000), Safe.LESS] = 60
    """The number of unknown cards at one reader in a day. After that, cards that the reader identifies by only 24 bits
    (Wiegand 26) rest there. After the holder's flat number, such a card still opens the door. Longer cards do not rest.
    """
    pin_by_household: bool = False
    """Whether a PIN must follow a flat number: a guess is then against one household only.

    It is always allowed.
    """
    household_hour: Annotated[int, Meta(ge=1, le=100), Safe.LESS] = 5
    """The number of wrong PINs after one flat number in an hour. After that, only the PINs of that household rest."""
    household_day: Annotated[int, Meta(ge=1, le=1000), Safe.LESS] = 10
    """The number of wrong PINs after one flat number in a day."""


class CueSettings(msgspec.Struct, frozen=True):
    """The lamps, sounds and vibration for people at the gate."""

    ready_pin: Pin | None = None
    open_pin: Pin | None = None
    refused_pin: Pin | None = None
    fault_pin: Pin | None = None
    """Lamps of four shapes: a ring, a tick, a card, a triangle."""
    red_pin: Pin | None = None
    green_pin: Pin | None = None
    blue_pin: Pin | None = None
    """One lamp with three colours, instead of the four lamps or beside them."""
    buzzer_pin: Pin | None = None
    vibration_pin: Pin | None = None
    """The vibration pad on the post, for touch."""
    sound: Literal["alsa", "none"] = "none"
    sound_device: str = "default"
    languages: Annotated[tuple[Literal["zh", "en"], ...], Safe.SOME] = ("zh", "en")
    """The languages, in this order. In quiet hours only the first is spoken."""
    prompts: str = ""
    """The folder of spoken prompts. By default `prompts` in the state folder."""
    volume: Annotated[Unit, Safe.AUDIBLE] = 0.8
    quiet_volume: Annotated[Unit, Safe.AUDIBLE] = 0.3
    quiet_from: Annotated[EndTime, Safe.ANY] = "22:00"
    quiet_to: Annotated[EndTime, Safe.ANY] = "07:00"
    """In quiet hours the sound is lower. Lamps and vibration do not change."""
    screen_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """The port of the gate screen's page, on this machine only; 0: no page."""
    phone: Phone = ""
    """The telephone number for people whom the gate cannot help. It is shown large and spoken digit by digit."""
    ways: tuple[Literal["card", "code", "call"], ...] | None = None
    """The credentials that the prompts name. By default the credentials with a wired reader or button."""
    locate: str = ""
    """The schedule of a quiet sound that guides blind people to the idle gate. Empty: never."""
    locate_volume: Annotated[float, Meta(ge=0.01, le=0.3)] = 0.1
    """The volume of the locating sound. It is never louder than `volume`, and at night never louder than
    `quiet_volume`.
    """

    def __post_init__(self) -> None:
        """Replace the time 24:00 by 00:00, which means the same."""
        for name in ("quiet_from", "quiet_to"):
            if getattr(self, name) == "24:00":
                msgspec.structs.force_setattr(self, name, "00:00")


FAILS = {"strike": "secure", "reverse_strike": "safe", "maglock": "safe"}
"""The behaviour of each lock without power."""


def pin_problems(door: Wires, second: Wires | None, readers: ReaderSettings, cues: CueSettings) -> list[str]:
    """Return the contradictions of the wiring. Examples: a pin with two functions, or a lock that does not meet the
    requirements of the site.
    """
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
                f"{name}.held_open_alarm_s: must be longer than held_open_s, so that the gate asks people first"
            )
    problems += [
        f"readers.usb: {path} is not in readers.devices; add it there, or remove its table"
        for path in readers.usb
        if path not in readers.devices
    ]
    if bool(readers.keypad_rows) != bool(readers.keypad_columns):
        problems.append("readers.keypad_rows: a matrix keypad has rows and columns; name both")
    elif readers.keypad_rows and (len(readers.keypad_rows) != 4 or len(readers.keypad_columns) not in (3, 4)):
        problems.append("readers.keypad_rows: a matrix keypad has 4 rows, and 3 or 4 columns")
    return problems


def used_pins(door: Wires, second: Wires | None, readers: ReaderSettings, cues: CueSettings) -> list[tuple[str, int]]:
    """Return every used pin as a BCM number, with the key that names it (`door.lock_pin`)."""
    tables = [("door", door), ("second_door", second), ("readers", readers), ("cues", cues)]
    return [(f"{name}.{key}", pin) for name, table in tables if table is not None for key, pin in _pins(table)]


def unsafe_wiring(door: DoorSettings, second: Wires | None) -> list[str]:
    """Return the problems of a door that people cannot leave by.

    Such wiring is allowed for now, but must be changed.
    """
    return [
        f"{name}.rex_pin: no exit button is connected; connect one, or name in rex_waiver the person who waived it"
        for name, wires in (("door", door), ("second_door", second))
        if wires is not None and wires.rex_pin is None and not wires.rex_waiver.strip()
    ]


def _pins(table: msgspec.Struct) -> Iterator[tuple[str, int]]:
    """Yield every pin of a table, with the key that names it."""
    for field in table.__struct_fields__:
        value = getattr(table, field)
        if field.endswith("_pin") and value is not None:
            yield field, value
        elif field in ("wiegand_pins", "keypad_rows", "keypad_columns"):
            yield from ((field, pin) for pin in value or ())
