"""Everything at the gate that reads a card, a key or a code, and the way from there to a decision."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from gated.access import wiegand
from gated.access.keypad import FLAT_S, Keypad
from gated.access.listening import Said, Teller, is_borrowed
from gated.access.presented import Presented
from gated.access.typed import Typed, Typist
from gated.access.usb import UsbReader
from gated.access.ways import Ways
from gated.config import ReaderSettings, UsbSettings
from gated.events import MAIN, Event, ReaderMisread
from gated.face.messages import CodeSeen
from gated.runtime.tasks import Losses

log = logging.getLogger(__name__)

AT_ONCE = 8
"""So many decisions of one reader may wait for the disk or for argon2; what is shown meanwhile must be shown again."""
ODD_S, ODD_AT_MOST = 3600.0, 5
"""What is not understood is told once in so long, and so many kinds of it at one reader."""

Decision = Callable[[], Coroutine[Any, Any, bool | None]]


class Readers:
    """The readers of one gate. Calls come on the loop's thread and wait for nothing; `run` reads the USB devices."""

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
        """`state`: where somebody may listen, or borrow the USB readers (see `listening`). `losses`: told which reader
        cannot be read, as `reader PATH`, and when it can again.
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
        """By their paths; all of them are at the first door."""
        self._typists: dict[str, Typist] = {}
        self._keypads: dict[str, Keypad] = {}
        self._flats: dict[str, tuple[str, float]] = {}
        """By doors, the flat number that was typed last, and when."""
        self._by_household = settings.pin_by_household
        self._presented = Presented()
        self._deciding: dict[asyncio.Task[bool | None], str] = {}
        self._odd: dict[str, dict[str, float]] = {}

    async def run(self) -> None:
        """Read the USB devices, for ever, and see every decision to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                for path, reader in self.usb.items():
                    group.create_task(reader.run(), name=f"reader {path}")
                await asyncio.Event().wait()
        finally:
            for task in self._deciding:
                task.cancel()

    def bits(self, bits: str, door: str) -> None:
        """A Wiegand reader has read something: a card, a key of its keypad, or what the installer must see to."""
        heard, reader = wiegand.read(bits), f"wiegand of the {door} door"
        if heard.key:
            self._press(heard.key, door, reader)
        elif heard.card:
            self._card(heard.card, door, reader, f"a card, {len(bits)} bits")
        else:
            self._misread(reader, heard.odd, door)

    def key(self, key: str, door: str) -> None:
        """A key of the matrix keypad was pressed."""
        self._press(key, door, f"keypad of the {door} door")

    def typed(self, typed: Typed, door: str = MAIN, reader: str = "usb") -> None:
        """A whole number was typed, by a person or by a reader that types, or something that is none."""
        said = said_of(typed, reader, door)
        if said.kind == "odd":
            self._misread(reader, said.what, door)
        elif said.kind == "card":
            self._card(said.number, door, reader, said.what)
        else:
            self._teller.tell(said)
            self._pin(typed.text, door, reader)

    def code(self, code: CodeSeen) -> None:
        """Something that may be a visitor's pass was held before the camera; one that stays there comes once."""
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
        """A number by a hand: a flat number, after which the PIN is waited for, or a PIN."""
        keypad = self._keypads.setdefault(reader, Keypad(self._ways.is_flat, self._by_household))
        entry = keypad.typed(digits, time.monotonic())
        if entry is None:
            self._flats[door] = digits, time.monotonic()
            self._ways.flat(door)
        else:
            self._decide(reader, lambda: self._ways.pin(entry.digits, door, reader, entry.flat))

    def _card(self, number: str, door: str, reader: str, what: str) -> None:
        """A card was shown. As long as it is held there, it is shown once."""
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
        """For the installer: a reader that nobody understands stays silent for whoever stands before it."""
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
        """A border: what went wrong with one card must not end the gate for all the others."""
        self._deciding.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a decision failed, and opened nothing: %s", type(error).__name__)


def said_of(typed: Typed, reader: str, door: str = MAIN) -> Said:
    """What was typed, as whoever listens is told it: of a PIN nothing."""
    if typed.kind == "odd":
        return Said(reader, door, "odd", what=f"{typed.length} keys were not understood: {typed.why}")
    if typed.kind == "card":
        return Said(reader, door, "card", typed.text, f"a card, {len(typed.text)} keys")
    return Said(reader, door, "pin")
