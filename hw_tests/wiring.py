"""What is on the bench, from the environment. What is not named is not there; without GATED_HW=1 nothing is driven."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from gated.door.pins import OUTPUTS
from gated.errors import ConfigError

PREFIX = "GATED_HW"
UNARMED = f"a Raspberry Pi and {PREFIX}=1"
HIGHEST_PIN = 27
"""BCM numbers on the header of a Pi go from 0 to this."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """Pins are BCM numbers; None, empty or false: not on this bench."""

    armed: bool = False
    """GATED_HW=1: somebody has looked at the wiring, and means it."""
    lock_pin: int | None = None
    probe_pin: int | None = None
    """Wired to the relay's input, to read what the relay is told."""
    active_low: bool = False
    rex_pin: int | None = None
    button_pin: int | None = None
    """Wired to `rex_pin`, to press the button."""
    contact_pin: int | None = None
    leaf_pin: int | None = None
    """Wired to `contact_pin`, to open the leaf."""
    lamps: Mapping[str, int] = field(default_factory=dict)
    keypad: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    """Its rows and its columns."""
    wiegand: tuple[int, ...] = ()
    """D0 and D1 of the card reader."""
    reader: str = ""
    """The path of the USB reader, best in /dev/input/by-id."""
    sound: str = ""
    """The loudspeaker, a device of `aplay -L`."""
    camera: bool = False
    models: str = ""
    """The folder of the models; `model_set` names one of them."""
    model_set: str = "site"
    soak_s: float = 0.0
    """How long the whole gate is left alone."""
    person: bool = False
    """Somebody stands there and answers."""
    folder: Path = Path.home() / "gated-hw"
    """The lock file, the report, and what a power cut must not lose."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Wiring":
        """Read it all. Raises `ConfigError` with every problem at once."""
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
                problems.append(f"{name}: there is no such variable{near}")
        wiring = cls(**values)
        problems.extend(wiring._clashes())
        if problems:
            raise ConfigError("the environment", problems)
        return wiring

    @property
    def pins(self) -> dict[str, tuple[int, ...]]:
        """Every pin that is named, by what it is for."""
        single = {each.name: getattr(self, each.name) for each in fields(self) if each.name.endswith("_pin")}
        pins = {name: (pin,) for name, pin in single.items() if pin is not None}
        several = {"lamps": tuple(self.lamps.values()), "keypad": sum(self.keypad, ()), "wiegand": self.wiegand}
        return pins | {name: numbers for name, numbers in several.items() if numbers}

    def missing(self, wants: Sequence[str], phase: str = "") -> list[str]:
        """What a promise needs that is not here, in words for a person; empty: it may be tried."""
        lacks = [] if self.armed else [UNARMED]
        for want in wants:
            if want in PHASES and want != phase:
                lacks.append(f"--phase {want}")
            elif want in FIELDS and not self._has(FIELDS[want]):
                lacks.append(variable(FIELDS[want]))
        return lacks

    def uses(self, wants: Sequence[str]) -> str:
        """What a promise would touch, as "lock_pin 17, probe_pin 27"."""
        there = {name: " ".join(map(str, pins)) for name, pins in self.pins.items()}
        names = [FIELDS[want] for want in wants if want in FIELDS]
        return ", ".join(f"{name} {there[name]}" if name in there else name for name in names)

    def _has(self, name: str) -> bool:
        return bool(self.pins.get(name) if name.endswith("_pin") or name in SEVERAL else getattr(self, name))

    def _clashes(self) -> Iterator[str]:
        """Pins that are named for two things: one would drive what another drives."""
        count = Counter(pin for pins in self.pins.values() for pin in pins)
        for name, pins in self.pins.items():
            yield from (f"{variable(name)}: pin {pin} is named twice" for pin in pins if count[pin] > 1)


PHASES = ("before", "after")
SEVERAL = ("lamps", "keypad", "wiegand")
FIELDS = {each.name.removesuffix("_pin").removesuffix("_s"): each.name for each in fields(Wiring)}
"""What a promise may need, and where that is named: "lock" is `lock_pin`."""


def variable(name: str) -> str:
    """The environment's name of a field."""
    return PREFIX if name == "armed" else f"{PREFIX}_{name.upper()}"


def _pin(text: str) -> int:
    if not text.isdecimal() or int(text) > HIGHEST_PIN:
        raise ValueError(f"{text!r} is no BCM number, 0 to {HIGHEST_PIN}")
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
        raise ValueError(f"there is no {unknown[0]!r}; name some of {', '.join(OUTPUTS)}, as ready=5,open=6")
    return {name: _pin(pin) for name, pin in lamps.items()}


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text!r} is no number of seconds")
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
