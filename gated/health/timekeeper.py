"""The gate's clock with all that it knows: the kernel, the chip, what is on disk, and what the office says."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from gated.config import Settings
from gated.events import ClockDoubted
from gated.health.chip import boot_id, chip_began, is_synchronised, steady
from gated.health.clock import WallClock, not_before
from gated.health.timekept import WRITE_S, KeptFile, load

WATCH_S = 1.0
"""How often the clock is looked at."""


class Timekeeper:
    """A `WallClock` that remembers. For the event loop; the disk has a thread of its own."""

    def __init__(self, settings: Settings, last_fact: datetime, report: Callable[[ClockDoubted], None]) -> None:
        """`last_fact`: when the newest fact of the journal was written down."""
        self.clock = clock_of(settings, last_fact, report)
        self._file = KeptFile(settings.state, load(settings.state))

    async def run(self) -> None:
        """Look at the clock for ever, and keep on disk how late it is."""
        while True:
            self.clock.now()
            kept, now = self.clock.kept(), steady()
            if self._file.is_due(kept, now):
                await asyncio.to_thread(self._file.keep, kept, now)
            await asyncio.sleep(WATCH_S)

    def close(self) -> None:
        """The gate ends with a word: keep how late it is."""
        self._file.keep(self.clock.kept(is_end=True), steady(), is_end=True)


def clock_of(settings: Settings, last_fact: datetime, report: Callable[[ClockDoubted], None]) -> WallClock:
    """The clock of this gate as it is known on disk; it writes nothing."""
    kept = load(settings.state)
    return WallClock(
        not_before(kept, last_fact, WRITE_S),
        report,
        is_synchronised if settings.site.clock == "auto" else lambda: True,
        kept=kept,
        boot=boot_id(),
        chip=chip_began(steady()),
        has_office=bool(settings.sync.url),
        is_vouched=settings.site.clock == "trusted",
    )
