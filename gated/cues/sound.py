"""The loudspeaker, through `aplay`: one child process at a time. The newest sound replaces the current one."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from math import inf

from msgspec import Struct, field

from gated.cues.samples import NO_SAMPLES, RATE, WAKE_S, Samples, lead_in, pcm, silence
from gated.errors import StateError

log = logging.getLogger(__name__)

LEAST_VOLUME = 0.05
"""The lowest volume. Quiet hours never mute the sound, because blind people need it at night, too."""
BUFFER_US = 100_000
SOUND_PROBE_S, SOUND_ANSWER_S = 0.05, 1.0
"""The length of a silent test sound, and the time in which a broken player fails."""
MOST_ERROR_BYTES = 4096
"""The most bytes that are kept of aplay's error output."""
LEAD_S = 0.05
"""How far the samples are written ahead of the playback."""
AWAKE_S = 3.0
"""How long the amplifier stays awake after a sound. ALSA keeps a codec on for 5 s (`pmdown_time`)."""


class Sounding(Struct, frozen=True):
    """A sound: `once`, then the result of `again`, which is called anew for each repetition. Samples at full volume."""

    once: Samples = field(default_factory=lambda: NO_SAMPLES)
    again: Callable[[], Samples] | None = None
    volume: float = 1.0


def volume(normal: float, quiet: float, is_night: bool) -> float:
    """Return the volume, 0 to 1. At night it is never louder than by day, and never zero."""
    return max(LEAST_VOLUME, min(normal, quiet) if is_night else normal)


class Sound:
    """The loudspeaker. `run` plays the last sound given to `play`. A missing loudspeaker is logged once."""

    def __init__(self, device: str) -> None:
        self._command = ("aplay", "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(RATE))
        self._next = Sounding()
        self._changed = asyncio.Event()
        self._awake_until = -inf
        self.is_mute = False
        """Whether the last sound failed, because `aplay` or its device is missing."""
        self._why = ""
        self._failed = asyncio.Event()
        self._playing: asyncio.Task[None] | None = None

    def play(self, sounding: Sounding) -> None:
        """Play a sound from now on, in place of the current one."""
        self._next = sounding
        self._changed.set()

    async def run(self) -> None:
        """Play sounds until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await _ended(self._playing)
                self._playing = asyncio.create_task(self._play(self._next), name="sound")
        finally:
            await _ended(self._playing)

    async def keep(self, works: Callable[[], None]) -> None:
        """Watch that sound works, until cancelled. Calls `works` once it does. Raises `StateError` when it fails."""
        if not self._changed.is_set() and (self._playing is None or self._playing.done()):
            self.play(Sounding(silence(SOUND_PROBE_S)))  # an inaudible test of the player
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SOUND_ANSWER_S):
                await self._failed.wait()
        if not self._failed.is_set():
            works()
        await self._failed.wait()
        self._failed.clear()
        raise StateError(self._why)

    async def _play(self, sounding: Sounding) -> None:
        if sounding.once.size == 0 and sounding.again is None:
            return
        try:
            await self._through_aplay(sounding)
        except OSError as error:
            self._why = f"no sound ({error}); {_step(str(error))}"
            if not self.is_mute:
                log.warning("%s", self._why)
            self.is_mute = True
            self._failed.set()
        else:
            self.is_mute = False

    async def _through_aplay(self, sounding: Sounding) -> None:
        """Play a sound through one aplay process. Raises `OSError` when aplay is missing or ends early."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        is_awake = began < self._awake_until
        child = await asyncio.create_subprocess_exec(
            *self._command, f"--buffer-time={BUFFER_US}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stderr is not None
        errors = asyncio.create_task(_last_bytes(child.stderr), name="errors of aplay")
        try:
            assert child.stdin is not None
            needs_lead = sounding.once.size > 0 and not is_awake  # ticks alone need no lead-in
            try:
                await _feed(child.stdin, sounding, lead_in() if needs_lead else NO_SAMPLES)
            except ConnectionError:  # aplay has ended, and gives the reason
                if await child.wait() == 0:
                    raise
            child.stdin.close()
            if await child.wait() != 0:
                raise OSError(_reason(await errors))
        finally:
            errors.cancel()
            if is_awake or loop.time() - began >= WAKE_S:
                self._awake_until = loop.time() + AWAKE_S
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _last_bytes(pipe: asyncio.StreamReader) -> bytes:
    """Read a pipe to its end and return its last bytes. A long sound may cause much output."""
    kept = b""
    while chunk := await pipe.read(MOST_ERROR_BYTES):
        kept = (kept + chunk)[-MOST_ERROR_BYTES:]
    return kept


def _reason(errors: bytes) -> str:
    """Return the reason why aplay ended: the end of a line such as "main:831: audio open error:

    Device or resource busy".
    """
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rpartition(": ")[2] if lines else "aplay failed"


def _step(reason: str) -> str:
    """Return the next step for a reason."""
    if "busy" in reason.lower():
        return "another program uses the loudspeaker: `fuser -v /dev/snd/*` names it; every sound tries again"
    return "install alsa-utils, or name a device of `aplay -L` in [cues] sound_device"


async def _feed(pipe: asyncio.StreamWriter, sounding: Sounding, lead: Samples) -> None:
    """Write the samples only a little ahead of the playback: `again` can then still react.

    `lead` is written once before these samples, always at the same volume.
    """
    loop = asyncio.get_running_loop()
    played_at = loop.time() + lead.size / RATE
    pipe.write(pcm(lead))
    samples = sounding.once
    while True:
        pipe.write(pcm(samples * sounding.volume))
        await pipe.drain()
        played_at += samples.size / RATE
        await asyncio.sleep(max(0.0, played_at - loop.time() - LEAD_S))
        if sounding.again is None:
            return
        samples = sounding.again()


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task once, and wait for its end: the task can clean up."""
    if task is not None:
        if not task.cancelling():
            task.cancel()
        await asyncio.wait([task])
