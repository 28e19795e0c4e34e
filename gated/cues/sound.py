"""What people hear, through `aplay`: one child at a time, the newest sound wins, and nobody waits for any of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo

from gated.cues.samples import NO_SAMPLES, RATE, Samples, pcm

log = logging.getLogger(__name__)

LEAST_VOLUME = 0.05
"""Quiet hours lower sound and never take it away: whoever cannot see needs it at night as well."""
BUFFER_US = 100_000
LEAD_S = 0.05
"""So much is written ahead of what is heard."""


@dataclass(frozen=True, slots=True)
class Sounding:
    """A sound: `once`, and then what `again` gives, over and over, asked each time. Samples at full volume."""

    once: Samples = field(default_factory=lambda: NO_SAMPLES)
    again: Callable[[], Samples] | None = None
    volume: float = 1.0


def is_quiet(at: datetime | None, zone: tzinfo, quiet_from: str, quiet_to: str) -> bool:
    """Whether it is night. `at` is aware, None where the clock cannot be trusted: then it counts as night.

    `quiet_from` after `quiet_to` runs past midnight; the two alike are all day, as in a schedule.
    """
    if at is None:
        return True
    now = at.astimezone(zone).time()
    begin, end = time.fromisoformat(quiet_from), time.fromisoformat(quiet_to)
    return begin <= now < end if begin < end else now >= begin or now < end


def volume(normal: float, quiet: float, is_night: bool) -> float:
    """How loud, 0 to 1: at night never louder than by day, and never nothing."""
    return max(LEAST_VOLUME, min(normal, quiet) if is_night else normal)


class Sound:
    """The loudspeaker. `run` plays what `play` was last given; a loudspeaker that is not there is warned of once."""

    def __init__(self, device: str) -> None:
        self._command = ("aplay", "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(RATE))
        self._next = Sounding()
        self._changed = asyncio.Event()
        self.is_mute = False
        """Whether nothing is heard at the moment, because `aplay` or its device is missing."""

    def play(self, sounding: Sounding) -> None:
        """From now on this, and nothing of what was before."""
        self._next = sounding
        self._changed.set()

    async def run(self) -> None:
        """Play; for ever."""
        playing: asyncio.Task[None] | None = None
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await _ended(playing)
                playing = asyncio.create_task(self._play(self._next), name="sound")
        finally:
            await _ended(playing)

    async def _play(self, sounding: Sounding) -> None:
        if sounding.once.size == 0 and sounding.again is None:
            return
        try:
            await self._through_aplay(sounding)
        except OSError as error:
            if not self.is_mute:
                log.warning(
                    "no sound (%s); install alsa-utils, or name a device of `aplay -L` in [cues] sound_device", error
                )
            self.is_mute = True
        else:
            self.is_mute = False

    async def _through_aplay(self, sounding: Sounding) -> None:
        """Feed one child. Raises `OSError` when it is missing, or ends before we do."""
        child = await asyncio.create_subprocess_exec(
            *self._command, f"--buffer-time={BUFFER_US}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert child.stdin is not None
            await _feed(child.stdin, sounding)
            child.stdin.close()
            if await child.wait() != 0:
                raise OSError("aplay failed")
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _feed(pipe: asyncio.StreamWriter, sounding: Sounding) -> None:
    """Write the samples, a little ahead of when they are heard, so that what comes next can still be chosen."""
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    samples = sounding.once
    while True:
        pipe.write(pcm(samples * sounding.volume))
        await pipe.drain()
        heard_at += samples.size / RATE
        await asyncio.sleep(max(0.0, heard_at - loop.time() - LEAD_S))
        if sounding.again is None:
            return
        samples = sounding.again()


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, once, so that it can clean up behind itself, and wait for its end."""
    if task is not None:
        if not task.cancelling():
            task.cancel()
        await asyncio.wait([task])
