"""The readers on the latch's pins: a Wiegand card reader and a matrix keypad. Cards and keys are never logged.

A Wiegand pulse lasts 20 to 100 microseconds. The kernel stores the time of an edge at once, but reads the level later,
when the pulse is over. If both edges are requested, it reports most falling edges as rising, and bits are lost. So the
latch requests only falling edges, and each edge is one bit. The kernel's edge times alone group the bits into frames.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from msgspec import Struct

from gated.door.pin_source import claim_input, claim_row, is_mock
from gated.errors import LatchError

FRAME_GAP_S = 0.025
"""The pause that ends a frame. Bits are at most 20 ms apart (SIA AC-01, Wiegand interface)."""
LATE_EDGE_S = 0.01
"""The extra wait after the gap, for edges that a busy machine delivers late."""
LEAST_BITS, MOST_BITS = 4, 128
"""The length of a valid frame. A key of a keypad has 4 bits; shorter is noise, and no card is longer."""
SCAN_S = 0.02
KEYS_BY_COLUMNS = {4: "123A456B789C*0#D", 3: "123456789*0#"}
"""The keys row by row, for each number of columns."""
PLAYED_SCANS = 4
"""A key played on mock pins is down for this many scans, and then up for as many."""


def split_frames(bits: Iterable[tuple[float, str]]) -> list[str]:
    """Return the frames in a sequence of bits, without noise.

    Each bit is `(time, "0" or "1")`, with the kernel's time of its edge in seconds. Bits of the two lines may arrive
    out of order; they are sorted by time.
    """
    return frames_after(float("-inf"), bits)[0]


def frames_after(previous_at: float, bits: Iterable[tuple[float, str]]) -> tuple[list[str], float]:
    """Return the frames in `bits` as `split_frames` does, and the time of the last bit.

    `previous_at` is the time of the last bit of the previous frames. A frame that begins within the gap after another
    frame is dropped, because it is the rest of a frame that was reported too early.
    """
    whole: list[str] = []
    last_at = previous_at
    for at, bit in sorted(bits, key=lambda each: each[0]):
        if not whole or at - last_at >= FRAME_GAP_S:
            whole.append("" if 0 <= at - last_at < FRAME_GAP_S else bit)
        elif whole[-1]:
            whole[-1] += bit
        last_at = at
    return [frame for frame in whole if LEAST_BITS <= len(frame) <= MOST_BITS], last_at


class WiegandReader:
    """A Wiegand card reader on two lines: a low pulse on D0 is a 0, on D1 a 1."""

    def __init__(self, pins: tuple[int, int], factory: Any, on_frame: Callable[[str], None]) -> None:
        """Claim the pins (D0, D1). `on_frame(bits)` is called on this thread's event loop.

        Raises `LatchError` when a pin cannot be claimed.
        """
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        self._bits: deque[tuple[float, str]] = deque()
        self._edge_at, self._frame_end_at = 0.0, float("-inf")
        self._is_waiting = False
        self._timer: asyncio.TimerHandle | None = None
        self._lines = [claim_input(factory, pin) for pin in pins]
        self._callbacks = [partial(self._add_bit, bit) for bit in "01"]  # gpiozero keeps only weak references
        for line, callback in zip(self._lines, self._callbacks, strict=True):
            line.pin.when_changed = None  # gpiozero's device requested both edges
            line.pin.edges = "falling"
            line.pin.when_changed = callback

    def play(self, bits: str) -> None:
        """Send the bits of a card. Raises `LatchError` on real pins, and for characters other than 0 and 1."""
        if not is_mock(self._lines[0]) or set(bits) - {"0", "1"}:
            raise LatchError("wiegand: bits are played on mock pins, as 0 and 1")
        for bit in bits:
            self._lines[int(bit)].pin.drive_low()
            self._lines[int(bit)].pin.drive_high()

    def close(self) -> None:
        """Give the pins back."""
        if self._timer is not None:
            self._timer.cancel()
        for line in self._lines:
            if not line.closed:
                with contextlib.suppress(LatchError):
                    line.pin.when_changed = None  # else lgpio goes on calling a pin that is closed
            line.close()

    def _add_bit(self, bit: str, at: float, _level: int) -> None:
        """Store a bit, on gpiozero's thread, and wake the event loop. `at` is the kernel's time of the edge."""
        self._edge_at = time.monotonic()
        if len(self._bits) <= MOST_BITS * 4:  # a line that never stops must not fill the memory
            self._bits.append((at, bit))
        if not self._is_waiting:
            self._is_waiting = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: the end of the process
                self._loop.call_soon_threadsafe(self._wait)

    def _wait(self) -> None:
        self._timer = self._loop.call_at(self._edge_at + FRAME_GAP_S, self._wait_for_late_edges, self._edge_at)

    def _wait_for_late_edges(self, edge_at: float) -> None:
        """Wait a little longer if no bit came during the gap; else wait for a new gap."""
        if self._edge_at != edge_at:
            self._wait()
        else:
            self._timer = self._loop.call_later(LATE_EDGE_S, self._end_frame, edge_at)

    def _end_frame(self, edge_at: float) -> None:
        """Report the frames if no bit came meanwhile; else wait for a new gap."""
        if self._edge_at != edge_at:
            self._wait()
            return
        self._is_waiting = False  # before reading the bits: a bit that comes now starts another wait
        bits = [self._bits.popleft() for _ in range(len(self._bits))]
        whole, self._frame_end_at = frames_after(self._frame_end_at, bits)
        for frame in whole:
            self._on_frame(frame)


class KeypadScan(Struct, frozen=True):
    """The scan state of a matrix keypad."""

    down: frozenset[str] = frozenset()
    """The keys that were down in the last scan."""
    reported: str = ""
    """The reported key that is still pressed, or empty."""


def scan_keys(keys: KeypadScan, down: frozenset[str]) -> tuple[KeypadScan, str]:
    """Return the state after a scan, and the pressed key or "".

    It reports a key once per press: after two scans in a row with only this key pressed.
    """
    if down != keys.down:
        return KeypadScan(down, keys.reported), ""
    if not down:
        return KeypadScan(), ""
    (key, *others) = down
    if others or key == keys.reported:  # with several keys down, some may be ghosts
        return keys, ""
    return KeypadScan(down, key), key


class MatrixKeypad:
    """A matrix keypad. The scan pulls one row low at a time and reads the columns."""

    def __init__(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        factory: Any,
        on_key: Callable[[str], None],
        on_failure: Callable[[LatchError], None] = lambda _: None,
    ) -> None:
        """Claim the pins and begin to scan. When a pin fails later, `on_failure` is called and the scan stops.

        Raises `LatchError` when a pin cannot be claimed.
        """
        self._on_key, self._on_failure, self._keys = on_key, on_failure, KeypadScan()
        self._names = KEYS_BY_COLUMNS[len(columns)]
        self._played: deque[str] = deque()
        self._loop = asyncio.get_running_loop()
        with ExitStack() as undo:  # claim all pins or none
            self._rows = [undo.enter_context(claim_row(factory, pin)) for pin in rows]
            self._columns = [undo.enter_context(claim_input(factory, pin)) for pin in columns]
            undo.pop_all()
        self._timer = self._loop.call_later(SCAN_S, self._scan)

    def play(self, key: str) -> None:
        """Press and release a key. Raises `LatchError` on real pins, and for a key that this keypad does not have."""
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
        try:
            down = frozenset(key for row in range(len(self._rows)) for key in self._scan_row(row, played))
        except LatchError as error:
            self._timer.cancel()
            self._on_failure(error)
            return
        self._keys, pressed = scan_keys(self._keys, down)
        if pressed:
            self._on_key(pressed)

    def _scan_row(self, row: int, played: str) -> list[str]:
        """Return the keys that are down in a row. The other rows float, so two keys at once short no pins."""
        names = self._names[row * len(self._columns) : (row + 1) * len(self._columns)]
        pin = self._rows[row].pin
        pin.output_with_state(False)
        for name, column in zip(names, self._columns, strict=True):
            if is_mock(column):
                (column.pin.drive_low if name == played else column.pin.drive_high)()
        down = [name for name, column in zip(names, self._columns, strict=True) if column.is_active]
        pin.function = "input"
        return down
