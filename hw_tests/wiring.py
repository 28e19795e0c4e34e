"""Reads the wiring of the bench from the environment.

Parts without a variable are absent. Without GATED_HW=1 nothing is driven.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from gated.door.output_table import OUTPUTS
from gated.errors import ConfigError

PREFIX = "GATED_HW"
UNARMED = f"a Raspberry Pi and {PREFIX}=1"
HIGHEST_PIN = 27
"""Highest BCM number on the header of a Pi. The lowest is 0."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The wiring of one bench. Pins are BCM numbers. None, empty or false: not on this bench."""

    armed: bool = False
    """GATED_HW=1: an installer has checked the wiring and allows to drive it."""
    lock_pin: int | None = None
    probe_pin: int | None = None
    """Wired to the relay's input, to read its level."""
    active_low: bool = False
    rex_pin: int | None = None
    button_pin: int | None = None
    """Wired to `rex_pin`, to press the button."""
    contact_pin: int | None = None
    leaf_pin: int | None = None
    """Wired to `contact_pin`, to open the leaf."""
    lamps: Mapping[str, int] = field(default_factory=dict)
    keypad: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    """Rows and columns."""
    wiegand: tuple[int, ...] = ()
    """D0 and D1 of the card reader."""
    reader: str = ""
    """Path of the USB reader, preferably in /dev/input/by-id."""
    sound: str = ""
    """Loudspeaker: a device of `aplay -L`."""
    camera: bool = False
    models: str = ""
    """Folder of the models. `model_set` names the set."""
    model_set: str = "site"
    soak_s: float = 0.0
    """Duration of the endurance test of the whole gate."""
    person: bool = False
    """Whether a person is present to answer."""
    folder: Path = Path.home() / "gated-hw"
    """Folder of the lock file, the report, and the marks of a power cut."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Wiring":
        """Read all variables. Raises `ConfigError` with every problem at once."""
        problems, values = [], {}
        names = {variable(each.name): each.name for each in fields(cls)}
        for name, text in sorted(environment.items()):
            if name in names:
                try:
                    values[names[name]] = READERS[names[name]](text)
                except ValueError as error:
                    problems.append(f"{name}: {error}")
            elif name.startswith(f"{PREFIX}_"):
                near = "".join(f"; did you mean {each}?" for each in difflib.get_close_matches(name, names, 1))
                problems.append(f"{name}: unknown variable{near}")
        wiring = cls(**values)
        problems.extend(wiring._clashes())
        if problems:
            raise ConfigError("the environment", problems)
        return wiring

    @property
    def pins(self) -> dict[str, tuple[int, ...]]:
        """Every named pin, by the name of its part."""
        single = {each.name: getattr(self, each.name) for each in fields(self) if each.name.endswith("_pin")}
        pins = {name: (pin,) for name, pin in single.items() if pin is not None}
        several = {"lamps": tuple(self.lamps.values()), "keypad": sum(self.keypad, ()), "wiegand": self.wiegand}
        return pins | {name: numbers for name, numbers in several.items() if numbers}

    def missing(self, wants: Sequence[str], phase: str = "") -> list[str]:
        """Return the missing parts of a promise, in words. Empty: it can be tried."""
        lacks = [] if self.armed else [UNARMED]
        for want in wants:
            if want in PHASES and want != phase:
                lacks.append(f"--phase {want}")
            elif want in FIELDS and not self._has(FIELDS[want]):
                lacks.append(variable(FIELDS[want]))
        return lacks

    def uses(self, wants: Sequence[str]) -> str:
        """Return the parts that a promise drives, as "lock_pin 17, probe_pin 27"."""
        pin_texts = {name: " ".join(map(str, pins)) for name, pins in self.pins.items()}
        names = [FIELDS[want] for want in wants if want in FIELDS]
        return ", ".join(f"{name} {pin_texts[name]}" if name in pin_texts else name for name in names)

    def _has(self, name: str) -> bool:
        return bool(self.pins.get(name) if name.endswith("_pin") or name in SEVERAL else getattr(self, name))

    def _clashes(self) -> Iterator[str]:
        """Yield an error for each pin named for two parts: one would drive the other's output."""
        count = Counter(pin for pins in self.pins.values() for pin in pins)
        for name, pins in self.pins.items():
            yield from (f"{variable(name)}: pin {pin} is named twice" for pin in pins if count[pin] > 1)


PHASES = ("before", "after")
SEVERAL = ("lamps", "keypad", "wiegand")
FIELDS = {each.name.removesuffix("_pin").removesuffix("_s"): each.name for each in fields(Wiring)}
"""The field of each part that a promise can need: "lock" is `lock_pin`."""


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX if name == "armed" else f"{PREFIX}_{name.upper()}"


def _pin(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PIN:
        raise ValueError(f"{text!r} is not a BCM number, 0 to {HIGHEST_PIN}")
    return int(text)


def _pins(text: str) -> tuple[int, ...]:
    return tuple(_pin(each) for each in text.split(","))


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"{text!r} is neither 0 nor 1")
    return text == "1"


def _wiegand(text: str) -> tuple[int, ...]:
    if len(pins := _pins(text)) != 2:
        raise ValueError("name two pins, D0 and D1, as 14,15")
    return pins


def _keypad(text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows, _, columns = text.partition(":")
    if (rows.count(","), columns.count(",")) not in ((3, 2), (3, 3)):
        raise ValueError("name four rows and three or four columns, as 5,6,13,19:12,16,20")
    return _pins(rows), _pins(columns)


def _lamps(text: str) -> dict[str, int]:
    lamps = dict(each.partition("=")[::2] for each in text.split(","))
    if unknown := sorted(set(lamps) - set(OUTPUTS)):
        raise ValueError(f"unknown lamp {unknown[0]!r}; use {', '.join(OUTPUTS)}, as ready=5,open=6")
    return {name: _pin(pin) for name, pin in lamps.items()}


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text!r} is not a number of seconds above 0")
    return seconds


READERS: dict[str, Callable[[str], object]] = {
    "armed": _flag,
    "active_low": _flag,
    "camera": _flag,
    "person": _flag,
    "lamps": _lamps,
    "keypad": _keypad,
    "wiegand": _wiegand,
    "soak_s": _seconds,
    "folder": Path,
    **dict.fromkeys(("reader", "sound", "models", "model_set"), str),
    **dict.fromkeys((each.name for each in fields(Wiring) if each.name.endswith("_pin")), _pin),
}
