"""The brain's side of vision: starts the worker, hears it, and starts another when it dies, hangs or cannot see."""

import asyncio
import logging
from collections.abc import Callable

from gated.errors import WireError
from gated.face.messages import (
    CodeSeen,
    FromVision,
    Observation,
    TrackEnded,
    VisionPulse,
    VisionReady,
    VisionSettings,
    VisionTrouble,
)
from gated.runtime import child
from gated.runtime.channel import Channel
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

START_S = 20.0
"""So long a worker may take to load its models and open its camera."""
SILENCE_S = 2.0
"""So long a worker that was ready may say nothing; it has a pulse twice a second."""
HEALTHY_S = 10.0
"""A worker that was ready for so long has its successor started without a wait."""


class VisionLink:
    """One vision worker after another.

    `on_ready` is called when one can see, `on_seen` with what it sees, `on_lost` with the reason when it is gone, and
    `on_code` with what may be a visitor pass, where the settings have it look for passes.
    """

    def __init__(
        self,
        settings: VisionSettings,
        on_ready: Callable[[VisionReady], None],
        on_seen: Callable[[Observation | TrackEnded], None],
        on_lost: Callable[[str], None],
        on_code: Callable[[CodeSeen], None] = lambda _: None,
    ) -> None:
        self._settings, self._on_ready, self._on_seen, self._on_lost = settings, on_ready, on_seen, on_lost
        self._on_code = on_code
        self._child: child.Child | None = None
        self.pulse: VisionPulse | None = None
        """The last pulse of a worker that is ready; None while nobody can see."""
        self.exhausted = asyncio.Event()
        """Set when a recording has been shown to its end."""

    async def run(self) -> None:
        """Have a worker, for ever."""
        backoff = Backoff(first_s=0.2, most_s=15.0)
        while True:
            began = asyncio.get_running_loop().time()
            why = await self._one()
            self.pulse = None
            self._on_lost(why)
            if asyncio.get_running_loop().time() - began > HEALTHY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def stop(self, grace_s: float = 1.0) -> None:
        """End the worker that runs."""
        if self._child is not None:
            await self._child.stop(grace_s)

    async def _one(self) -> str:
        """The life of one worker. Returns why it ended, in words."""
        self._child = worker = await child.start(["vision"], with_socket=True)
        assert worker.ours is not None
        channel = await Channel[FromVision].over(worker.ours, FromVision)
        try:
            channel.send(self._settings)
            return await self._listen(channel)
        except EOFError:
            return await worker.wait()
        except TimeoutError:
            return "it is silent"
        except WireError as error:
            return str(error)
        finally:
            await worker.kill()
            await channel.close()

    async def _listen(self, channel: Channel[FromVision]) -> str:
        silence_s = START_S
        while True:
            match await channel.receive(silence_s):
                case VisionReady() as ready:
                    silence_s = SILENCE_S
                    self._on_ready(ready)
                case VisionPulse() as pulse:
                    self.pulse = pulse
                    if pulse.exhausted:
                        self.exhausted.set()
                case VisionTrouble(kind, message):
                    return f"{kind}: {message}"
                case CodeSeen() as code:
                    self._on_code(code)
                case Observation() | TrackEnded() as seen:
                    self._on_seen(seen)
