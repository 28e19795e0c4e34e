"""Connect every card reader, keypad and code scanner of the gate with the decisions of `credential_service`."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, assert_never

from gated.access.credential_service import CredentialService
from gated.access.readers import wiegand
from gated.access.readers.keypad import FLAT_S, FlatPinKeypad
from gated.access.readers.keystrokes import NumberCollector, TypedNumber
from gated.access.readers.observing import ReaderReading, ReadingSender, is_borrowed
from gated.access.readers.presentations import RecentCards
from gated.access.readers.usb import UsbReader
from gated.config import ReaderSettings, UsbSettings
from gated.events import MAIN, Event, ReaderMisread
from gated.face.vision_messages import CodeSeen
from gated.runtime.tasks import Losses

log = logging.getLogger(__name__)

MOST_DECISIONS = 8
"""The most decisions of one reader that may wait for the disk or argon2. Cards above the limit must be shown again."""
ODD_S, ODD_AT_MOST = 3600.0, 5
"""The interval in seconds between reports of the same unreadable input, and the most kinds of input for each reader."""

PendingDecision = Callable[[], Coroutine[Any, Any, bool | None]]


class ReaderSet:
    """The readers of one gate. Call it on the event loop's thread. No call waits. `run` reads the USB devices."""

    def __init__(
        self,
        settings: ReaderSettings,
        credentials: CredentialService,
        state: Path | None = None,
        report: Callable[[Event], None] = lambda _: None,
        losses: Losses = lambda *_: None,
        *,
        admits_pass: Callable[[], bool] = lambda: True,
    ) -> None:
        """`state` is the folder in which an installer may observe or borrow the USB readers (see `observing`). Calls
        `losses` with the part `reader PATH` when a reader fails and when it works again.
        """
        self._credentials, self._report, self._sender = credentials, report, ReadingSender(state)
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
        self._collectors: dict[str, NumberCollector] = {}
        self._keypads: dict[str, FlatPinKeypad] = {}
        self._flat_numbers: dict[str, tuple[str, float]] = {}
        """For each door, the last flat number and its monotonic time."""
        self._by_household = settings.pin_by_household
        self._recent_cards = RecentCards()
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

    def handle_frame(self, bits: str, door: str) -> None:
        """Handle a Wiegand frame: a card, a key of the keypad, or an input error for the installer."""
        frame, reader = wiegand.decode_frame(bits), f"wiegand of the {door} door"
        if frame.key:
            self._collect_key(frame.key, door, reader)
        elif frame.card:
            self._handle_card(frame.card, door, reader, f"a card, {len(bits)} bits")
        else:
            self._misread(reader, frame.odd, door)

    def handle_key(self, key: str, door: str) -> None:
        """Handle a key press of the matrix keypad."""
        self._collect_key(key, door, f"keypad of the {door} door")

    def handle_number(self, typed: TypedNumber, door: str = MAIN, reader: str = "usb") -> None:
        """Handle a complete number from a person or a typing reader, or unreadable keys."""
        reading = reading_of(typed, reader, door)
        match typed.kind:
            case "card":
                self._handle_card(typed.text, door, reader, reading.detail)
            case "pin":
                self._sender.send(reading)
                self._handle_pin(typed.text, door, reader)
            case "odd":
                self._misread(reader, reading.detail, door)
            case _:
                assert_never(typed.kind)

    def handle_code(self, code: CodeSeen) -> None:
        """Handle a code before the camera that may be a visitor pass. The scanner reports a code that stays
        there once.
        """
        if self._admits_pass():
            self._start_decision("camera", lambda: self._credentials.handle_pass(code.text, MAIN))

    def _on_usb(self, path: str) -> Callable[[TypedNumber], None]:
        return lambda typed: self.handle_number(typed, MAIN, path)

    def _collect_key(self, key: str, door: str, reader: str) -> None:
        collector = self._collectors.setdefault(reader, NumberCollector(UsbSettings(kind="keypad"), bounce_s=0.0))
        typed = collector.add_key(key, time.monotonic())
        if typed is not None:
            self.handle_number(typed, door, reader)

    def _handle_pin(self, digits: str, door: str, reader: str) -> None:
        """Handle a number from a keypad: a flat number, after which the PIN must follow, or a PIN."""
        keypad = self._keypads.setdefault(reader, FlatPinKeypad(self._credentials.is_flat, self._by_household))
        entry = keypad.enter(digits, time.monotonic())
        if entry is None:
            self._flat_numbers[door] = digits, time.monotonic()
            self._credentials.accept_flat(door)
        else:
            self._start_decision(reader, lambda: self._credentials.handle_pin(entry.digits, door, reader, entry.flat))

    def _handle_card(self, number: str, door: str, reader: str, detail: str) -> None:
        """Handle a card. A card that stays at the reader counts once."""
        if not self._has_room(reader) or not self._recent_cards.record_presentation(reader, number, time.monotonic()):
            return
        self._sender.send(ReaderReading(reader, door, "card", number, detail))
        flat, at = self._flat_numbers.pop(door, ("", -inf))
        flat = flat if 0 <= time.monotonic() - at <= FLAT_S else ""

        async def decide() -> None:
            """Decide about the card, and let the reader present it again after a fault of the gate."""
            if await self._credentials.handle_card(number, door, reader, flat):
                self._recent_cards.forget(reader, number)

        self._start_decision(reader, decide)

    def _misread(self, reader: str, problem: str, door: str) -> None:
        """Report unreadable input to the installer. People at the reader get no cue for it."""
        self._sender.send(ReaderReading(reader, door, "odd", detail=problem))
        now, reported = time.monotonic(), self._odd.setdefault(reader, {})
        for old in [each for each, at in reported.items() if not now - at < ODD_S]:
            del reported[old]
        if problem not in reported and len(reported) < ODD_AT_MOST:
            reported[problem] = now
            log.warning("reader %s: %s; run `gated readers show` to find the cause", reader, problem)
            self._report(ReaderMisread(reader, problem, door))

    def _has_room(self, reader: str) -> bool:
        if sum(each == reader for each in self._deciding.values()) < MOST_DECISIONS:
            return True
        log.warning("too many cards and codes came at once; the gate ignored some of them")
        return False

    def _start_decision(self, reader: str, decision: PendingDecision) -> None:
        if self._has_room(reader):
            task = asyncio.create_task(decision(), name="decision")
            self._deciding[task] = reader
            task.add_done_callback(self._finish_decision)

    def _finish_decision(self, task: asyncio.Task[bool | None]) -> None:
        """Log a failed decision, so that one faulty card does not stop the gate."""
        self._deciding.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a decision failed and opened nothing: %s", type(error).__name__)


def reading_of(typed: TypedNumber, reader: str, door: str = MAIN) -> ReaderReading:
    """Return the reading that a listener receives. It contains no digits of a PIN."""
    match typed.kind:
        case "card":
            return ReaderReading(reader, door, "card", typed.text, f"a card, {len(typed.text)} keys")
        case "pin":
            return ReaderReading(reader, door, "pin")
        case "odd":
            return ReaderReading(reader, door, "odd", detail=f"{typed.length} keys were ignored: {typed.why}")
        case _:
            assert_never(typed.kind)
