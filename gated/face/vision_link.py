"""The brain's link to vision: starts the worker, checks and handles its messages, and restarts it when it ends or
hangs.

Messages are untrusted. Their order, rate and handling time are limited, and no message can end the brain.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from gated.errors import WireError
from gated.face.vision_messages import (
    CodeSeen,
    FromVision,
    Observation,
    TrackEnded,
    VisionConfined,
    VisionPulse,
    VisionReady,
    VisionSettings,
    VisionTrouble,
)
from gated.face.vision_start import VisionStart
from gated.runtime.channel import Channel
from gated.runtime.confinement import WORDS, Lack
from gated.runtime.rate_limit import Pace
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

START_S = 20.0
"""Longest time for a worker to load its models and open its camera."""
SILENCE_S = 2.0
"""Longest time without a message from a ready worker. It sends a pulse twice a second."""
HEALTHY_S = 10.0
"""A worker that lasted longer is restarted without backoff."""
SHARE = 0.5
"""Largest share of the brain's time for the handling of vision's messages."""


class VisionLink:
    """Keeps one vision worker running.

    `on_ready` is called with the models of a new worker, `on_seen` with each observation or ended track, `on_lost` with
    the reason when a worker has ended, `on_code` with a possible visitor pass.
    """

    def __init__(
        self,
        start: VisionStart,
        on_ready: Callable[[VisionReady], None],
        on_seen: Callable[[Observation | TrackEnded], None],
        on_lost: Callable[[str], None],
        on_code: Callable[[CodeSeen], None] = lambda _: None,
    ) -> None:
        self._start, self._on_ready, self._on_seen, self._on_lost = start, on_ready, on_seen, on_lost
        self._on_code = on_code
        self._logged: set[str] = set()
        self._pace, self._work = pace_of(start.settings), Pace(SHARE)
        self.pulse: VisionPulse | None = None
        """The last pulse of the ready worker. None while there is none."""
        self.exhausted = asyncio.Event()
        """Set when a recording has ended."""

    async def run(self) -> None:
        """Run one worker after another, without end."""
        backoff = Backoff(first_s=0.2, most_s=15.0)
        while True:
            began = asyncio.get_running_loop().time()
            why = await self._run_worker()
            self.pulse = None
            self._on_lost(why)
            if asyncio.get_running_loop().time() - began > HEALTHY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _run_worker(self) -> str:
        """Run one worker until it ends. Return the reason in words."""
        try:
            worker = await self._start.start()
        except OSError as error:
            return f"its service cannot be reached ({error.strerror}); see `systemctl status gated-vision.socket`"
        except WireError as error:
            return str(error)
        try:
            return await self._listen(worker.channel)
        except EOFError:
            return await worker.process.wait()
        except TimeoutError:
            return "it is silent"
        except WireError as error:
            return str(error)
        except Exception as error:  # trust boundary: a bad message ends vision alone
            log.exception("vision: a message could not be handled")
            return f"an internal error ({type(error).__name__}); read the log"
        finally:
            await worker.end()

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            log.warning("%s", text)
        self._logged.add(text)

    def _log_lacks(self, lacks: tuple[Lack, ...]) -> None:
        for lack in lacks:
            self._log_once(f"vision can do more than it needs: {WORDS[lack]}")

    async def _listen(self, channel: Channel[FromVision]) -> str:
        """Expect `VisionConfined`, then `VisionReady`, then all others. Raises `WireError` for any other order."""
        match await self._receive(channel, START_S):
            case VisionConfined(lacks):
                self._log_lacks(lacks)
            case other:
                raise _out_of_turn(other)
        match await self._receive(channel, START_S):
            case VisionReady() as ready:
                self._on_ready(ready)
            case VisionTrouble(kind, why):
                return f"{kind}: {why}"
            case other:
                raise _out_of_turn(other)
        while True:
            message = await self._receive(channel, SILENCE_S)
            if isinstance(message, VisionTrouble):
                return f"{message.kind}: {message.message}"
            began = time.monotonic()
            self._apply(message)
            await self._work.wait(time.monotonic() - began)

    async def _receive(self, channel: Channel[FromVision], within_s: float) -> FromVision:
        message = await channel.receive(within_s)
        await self._pace.wait()
        return message

    def _apply(self, message: FromVision) -> None:
        match message:
            case VisionPulse() as pulse:
                self.pulse = pulse
                if pulse.exhausted:
                    self.exhausted.set()
            case CodeSeen() as code:
                self._on_code(code)
            case Observation() | TrackEnded() as seen:
                self._on_seen(seen)
            case other:
                raise _out_of_turn(other)


def _out_of_turn(message: FromVision) -> WireError:
    return WireError(f"it sent {type(message).__name__} out of turn")


def pace_of(settings: VisionSettings) -> Pace:
    """Return the rate limit of vision's messages: twice that of a full view. Excess messages wait in vision."""
    a_frame = 2 * settings.face.max_faces + 3
    return Pace(a_second=2 * settings.camera.fps * a_frame)
