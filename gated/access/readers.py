"""Everything at the gate that reads a card, a key or a code, and the way from there to a decision."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from gated.access.typed import Typed, Typist
from gated.access.usb import UsbReader
from gated.access.ways import Ways
from gated.access.wiegand import card_number
from gated.config import ReaderSettings
from gated.events import MAIN
from gated.face.messages import CodeSeen

log = logging.getLogger(__name__)

AT_ONCE = 8
"""So many decisions may wait for the disk or for argon2; what is shown meanwhile has to be shown again."""


class Readers:
    """The readers of one gate. Calls come on the loop's thread and wait for nothing; `run` reads the USB devices."""

    def __init__(self, settings: ReaderSettings, ways: Ways) -> None:
        self._ways = ways
        self.usb = {path: UsbReader(path, self.typed) for path in settings.devices}
        """By their paths; all of them are at the first door."""
        self._keypads: dict[str, Typist] = {}
        self._deciding: set[asyncio.Task[None]] = set()

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
        """A Wiegand reader has read something; noise is nothing."""
        number = card_number(bits)
        if number is not None:
            self._decide(lambda: self._ways.card(number, door))

    def key(self, key: str, door: str) -> None:
        """A key of the matrix keypad was pressed."""
        typed = self._keypads.setdefault(door, Typist()).key(key, time.monotonic())
        if typed is not None:
            self.typed(typed, door)

    def typed(self, typed: Typed, door: str = MAIN) -> None:
        """A whole number was typed, by a person or by a reader that types."""
        way = self._ways.pin if typed.kind == "pin" else self._ways.card
        self._decide(lambda: way(typed.text, door))

    def code(self, code: CodeSeen) -> None:
        """Something that may be a visitor's pass was held before the camera."""
        self._decide(lambda: self._ways.visitor_pass(code.text, MAIN))

    def _decide(self, decision: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if len(self._deciding) >= AT_ONCE:
            log.warning("too much is shown at once, and some of it is not looked at")
            return
        task = asyncio.create_task(decision(), name="decision")
        self._deciding.add(task)
        task.add_done_callback(self._decided)

    def _decided(self, task: asyncio.Task[None]) -> None:
        """A border: what went wrong with one card must not end the gate for all the others."""
        self._deciding.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a decision failed, and opened nothing: %s", type(error).__name__)
