"""The readers on the latch's pins: a Wiegand card reader and a matrix keypad. What they read is never logged."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gated.door.pins import claim_input, claim_row, is_mock
from gated.errors import LatchError

GAP_S = 0.025
"""A frame is over when no bit has come for so long; bits are at most 2 ms apart (SIA AC-01)."""
LEAST_BITS, MOST_BITS = 8, 128
"""Shorter is noise, longer no card of anybody's."""
SCAN_S = 0.02
KEYS = {4: "123A456B789C*0#D", 3: "123456789*0#"}
"""By the number of columns, row by row."""
PLAYED_SCANS = 4
"""A key that is played on mock pins is held for so many scans, and let go for as many."""


def frames(bits: Iterable[tuple[float, str]]) -> list[str]:
    """The frames in a run of bits, each with when it came (monotonic seconds); noise is left out."""
    whole: list[str] = []
    last_at = float("-inf")
    for at, bit in bits:
        if at - last_at < GAP_S:
            whole[-1] += bit
        else:
            whole.append(bit)
        last_at = at
    return [frame for frame in whole if LEAST_BITS <= len(frame) <= MOST_BITS]


class Wiegand:
    """A card reader on two lines: a short low on D0 is a 0, on D1 a 1."""

    def __init__(self, pins: tuple[int, int], factory: Any, on_frame: Callable[[str], None]) -> None:
        """Claim the pins; `on_frame` is called on this thread's loop. Raises `LatchError` when they cannot be had."""
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        self._bits: deque[tuple[float, str]] = deque()
        self._last_at = 0.0
        self._is_waiting = False
        self._timer: asyncio.TimerHandle | None = None
        self._lines = [claim_input(factory, pin) for pin in pins]
        self._lines[0].when_activated = lambda: self._take("0")
        self._lines[1].when_activated = lambda: self._take("1")

    def play(self, bits: str) -> None:
        """Mock pins only: hold a card before the reader. Raises `LatchError` on others, and for what are no bits."""
        if not is_mock(self._lines[0]) or set(bits) - {"0", "1"}:
            raise LatchError("wiegand: bits are played on mock pins, as 0 and 1")
        for bit in bits:
            self._lines[int(bit)].pin.drive_low()
            self._lines[int(bit)].pin.drive_high()

    def close(self) -> None:
        """Give the pins back."""
        for line in self._lines:
            line.close()
        if self._timer is not None:
            self._timer.cancel()

    def _take(self, bit: str) -> None:
        """A bit, on a thread of gpiozero's: write it down, and let our own thread see to it."""
        self._last_at = time.monotonic()
        if len(self._bits) <= MOST_BITS * 4:  # a line that chatters for ever must not fill the memory
            self._bits.append((self._last_at, bit))
        if not self._is_waiting:
            self._is_waiting = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: the end of the process
                self._loop.call_soon_threadsafe(self._wait)

    def _wait(self) -> None:
        self._timer = self._loop.call_at(self._last_at + GAP_S, self._end)

    def _end(self) -> None:
        """The end of a frame, unless a bit has come meanwhile."""
        if time.monotonic() < self._last_at + GAP_S:
            self._wait()
            return
        self._is_waiting = False  # first: a bit that comes from here on waits by itself
        taken = [self._bits.popleft() for _ in range(len(self._bits))]
        for frame in frames(taken):
            self._on_frame(frame)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a matrix keypad has been saying: what was seen last, and the key that was told and is not let go yet."""

    seen: frozenset[str] = frozenset()
    told: str = ""


def scan(keys: Keys, seen: frozenset[str]) -> tuple[Keys, str]:
    """The keypad after a scan, and the key that was pressed, or "": one that two scans saw alone, once a press."""
    if seen != keys.seen:
        return Keys(seen, keys.told), ""
    if not seen:
        return Keys(), ""
    (key, *others) = seen
    if others or key == keys.told:  # of several keys at once nobody can say which are ghosts
        return keys, ""
    return Keys(seen, key), key


class Keypad:
    """A matrix keypad: one row is pulled low at a time, and the columns are read."""

    def __init__(
        self, rows: Sequence[int], columns: Sequence[int], factory: Any, on_key: Callable[[str], None]
    ) -> None:
        """Claim the pins and begin to scan. Raises `LatchError` when they cannot be had."""
        self._on_key, self._keys = on_key, Keys()
        self._names = KEYS[len(columns)]
        self._played: deque[str] = deque()
        self._loop = asyncio.get_running_loop()
        self._rows = [claim_row(factory, pin) for pin in rows]
        self._columns = [claim_input(factory, pin) for pin in columns]
        self._timer = self._loop.call_later(SCAN_S, self._scan)

    def play(self, key: str) -> None:
        """Mock pins only: press a key and let it go. Raises `LatchError` on others, and for a key that is not there."""
        if not is_mock(self._columns[0]) or len(key) != 1 or key not in self._names:
            raise LatchError("key: keys of the keypad are played on mock pins, one at a time")
        self._played.extend([key] * PLAYED_SCANS + [""] * PLAYED_SCANS)

    def close(self) -> None:
        """Give the pins back."""
        self._timer.cancel()
        for device in (*self._rows, *self._columns):
            device.close()

    def _scan(self) -> None:
        self._timer = self._loop.call_later(SCAN_S, self._scan)
        played = self._played.popleft() if self._played else ""
        seen = frozenset(key for row in range(len(self._rows)) for key in self._row(row, played))
        self._keys, pressed = scan(self._keys, seen)
        if pressed:
            self._on_key(pressed)

    def _row(self, row: int, played: str) -> list[str]:
        """The keys that are down in a row. The other rows float, so that two keys at once short nothing."""
        names = self._names[row * len(self._columns) : (row + 1) * len(self._columns)]
        pin = self._rows[row].pin
        pin.output_with_state(False)
        for name, column in zip(names, self._columns, strict=True):
            if is_mock(column):
                (column.pin.drive_low if name == played else column.pin.drive_high)()
        down = [name for name, column in zip(names, self._columns, strict=True) if column.is_active]
        pin.function = "input"
        return down
