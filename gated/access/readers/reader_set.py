"""Connect every card reader, keypad and code scanner of the gate with the decisions in `ways`."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from gated.access.credential_service import Ways
from gated.access.readers import wiegand
from gated.access.readers.keypad import FLAT_S, Keypad
from gated.access.readers.keystrokes import Typed, Typist
from gated.access.readers.observing import Said, Teller, is_borrowed
from gated.access.readers.presentations import Presented
from gated.access.readers.usb import UsbReader
from gated.config import ReaderSettings, UsbSettings
from gated.events import MAIN, Event, ReaderMisread
from gated.face.vision_messages import CodeSeen
from gated.runtime.tasks import Losses

log = logging.getLogger(__name__)

AT_ONCE = 8
"""The most decisions of one reader that may wait for the disk or argon2. Cards above the limit must be shown again."""
ODD_S, ODD_AT_MOST = 3600.0, 5
"""The interval in seconds in which the same unreadable input is reported once, and the most kinds for each reader."""

Decision = Callable[[], Coroutine[Any, Any, bool | None]]


class Readers:
    """The readers of one gate. Call it on the event loop's thread. No call waits. `run` reads the USB devices."""

    def __init__(
        self,
        settings: ReaderSettings,
        ways: Ways,
        state: Path | None = None,
        report: Callable[[Event], None] = lambda _: None,
        losses: Losses = lambda *_: None,
        *,
        admits_pass: Callable[[], bool] = lambda: True,
    ) -> None:
        """`state` is the folder in which an installer may listen or borrow the USB readers (see `listening`). `losses`
        is told as `reader PATH` when a reader fails and when it works again.
        """
        self._ways, self._report, self._teller = ways, report, Teller(state)
        self._admits_pass = admits_pass
        self.usb = {
            path: UsbReader(
                path,
                self._on_usb(path),
                partial(losses, f"reader {path}"),
                settings.usb.get(path),
                lambda: not is_borrowed(state),
            )
            for path in settings.devices
        }
        """The USB readers by path. All of them belong to the main door."""
        self._typists: dict[str, Typist] = {}
        self._keypads: dict[str, Keypad] = {}
        self._flats: dict[str, tuple[str, float]] = {}
        """For each door, the last flat number and its monotonic time."""
        self._by_household = settings.pin_by_household
        self._presented = Presented()
        self._deciding: dict[asyncio.Task[bool | None], str] = {}
        self._odd: dict[str, dict[str, float]] = {}

    async def run(self) -> None:
        """Read the USB devices. Runs until cancelled, and then cancels the open decisions."""
        try:
            async with asyncio.TaskGroup() as group:
                for path, reader in self.usb.items():
                    group.create_task(reader.run(), name=f"reader {path}")
                await asyncio.Event().wait()
        finally:
            for task in self._deciding:
                task.cancel()

    def bits(self, bits: str, door: str) -> None:
        """Handle a Wiegand frame: a card, a key of the keypad, or an input error for the installer."""
        heard, reader = wiegand.read(bits), f"wiegand of the {door} door"
        if heard.key:
            self._press(heard.key, door, reader)
        elif heard.card:
            self._card(heard.card, door, reader, f"a card, {len(bits)} bits")
        else:
            self._misread(reader, heard.odd, door)

    def key(self, key: str, door: str) -> None:
        """Handle a key press of the matrix keypad."""
        self._press(key, door, f"keypad of the {door} door")

    def typed(self, typed: Typed, door: str = MAIN, reader: str = "usb") -> None:
        """Handle a complete number from a person or a typing reader, or unreadable keys."""
        said = said_of(typed, reader, door)
        if said.kind == "odd":
            self._misread(reader, said.what, door)
        elif said.kind == "card":
            self._card(said.number, door, reader, said.what)
        else:
            self._teller.tell(said)
            self._pin(typed.text, door, reader)

    def code(self, code: CodeSeen) -> None:
        """Handle a code before the camera that may be a visitor pass. The scanner reports a code that stays
        there once.
        """
        if self._admits_pass():
            self._decide("camera", lambda: self._ways.visitor_pass(code.text, MAIN))

    def _on_usb(self, path: str) -> Callable[[Typed], None]:
        return lambda typed: self.typed(typed, MAIN, path)

    def _press(self, key: str, door: str, reader: str) -> None:
        typist = self._typists.setdefault(reader, Typist(UsbSettings(kind="keypad"), bounce_s=0.0))
        typed = typist.key(key, time.monotonic())
        if typed is not None:
            self.typed(typed, door, reader)

    def _pin(self, digits: str, door: str, reader: str) -> None:
        """Handle a number from a keypad: a flat number, after which the PIN must follow, or a PIN."""
        keypad = self._keypads.setdefault(reader, Keypad(self._ways.is_flat, self._by_household))
        entry = keypad.typed(digits, time.monotonic())
        if entry is None:
            self._flats[door] = digits, time.monotonic()
            self._ways.flat(door)
        else:
            self._decide(reader, lambda: self._ways.pin(entry.digits, door, reader, entry.flat))

    def _card(self, number: str, door: str, reader: str, what: str) -> None:
        """Handle a card. A card that stays at the reader is handled once."""
        if not self._has_room(reader) or not self._presented.is_news(reader, number, time.monotonic()):
            return
        self._teller.tell(Said(reader, door, "card", number, what))
        flat, at = self._flats.pop(door, ("", -inf))
        flat = flat if 0 <= time.monotonic() - at <= FLAT_S else ""

        async def decide() -> None:
            if await self._ways.card(number, door, reader, flat):
                self._presented.forget(reader, number)

        self._decide(reader, decide)

    def _misread(self, reader: str, what: str, door: str) -> None:
        """Report unreadable input to the installer. People at the reader get no cue for it."""
        self._teller.tell(Said(reader, door, "odd", what=what))
        now, told = time.monotonic(), self._odd.setdefault(reader, {})
        for old in [each for each, at in told.items() if not now - at < ODD_S]:
            del told[old]
        if what not in told and len(told) < ODD_AT_MOST:
            told[what] = now
            log.warning("reader %s: %s; `gated readers show` helps to find out why", reader, what)
            self._report(ReaderMisread(reader, what, door))

    def _has_room(self, reader: str) -> bool:
        if sum(each == reader for each in self._deciding.values()) < AT_ONCE:
            return True
        log.warning("too much is shown at once, and some of it is not looked at")
        return False

    def _decide(self, reader: str, decision: Decision) -> None:
        if self._has_room(reader):
            task = asyncio.create_task(decision(), name="decision")
            self._deciding[task] = reader
            task.add_done_callback(self._decided)

    def _decided(self, task: asyncio.Task[bool | None]) -> None:
        """Log a failed decision, so that one faulty card does not stop the gate."""
        self._deciding.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a decision failed, and opened nothing: %s", type(error).__name__)


def said_of(typed: Typed, reader: str, door: str = MAIN) -> Said:
    """Return the reading that a listener receives. It contains no digits of a PIN."""
    if typed.kind == "odd":
        return Said(reader, door, "odd", what=f"{typed.length} keys were not understood: {typed.why}")
    if typed.kind == "card":
        return Said(reader, door, "card", typed.text, f"a card, {len(typed.text)} keys")
    return Said(reader, door, "pin")
