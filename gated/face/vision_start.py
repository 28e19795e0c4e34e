"""Starts vision processes: as a systemd service if there is one, otherwise as a child of the brain.

`VisionLink` uses it for each worker. `app` starts the first one early: vision then loads its models while the brain
imports its parts.
"""

import logging
from pathlib import Path

from msgspec import Struct

from gated.config import Settings
from gated.errors import WireError
from gated.face.vision_messages import FromVision, VisionSettings
from gated.runtime import child
from gated.runtime.channel import Channel
from gated.runtime.starter import Starter

log = logging.getLogger(__name__)


class VisionWorker(Struct, frozen=True):
    """A vision process that has its settings, and the channel to it."""

    process: child.Child | child.Served
    channel: Channel[FromVision]

    async def end(self) -> None:
        """Kill the process and close the channel."""
        await self.process.kill()
        await self.channel.close()


class VisionStart(Starter[VisionWorker]):
    """Starts vision processes with these settings."""

    def __init__(self, settings: VisionSettings, service: Path | None = None) -> None:
        """`service`: systemd's socket for vision. None, or no such socket: vision runs as a child of the brain."""
        super().__init__(self._begin, VisionWorker.end)
        self.settings, self._service, self._is_logged = settings, service, False

    async def _begin(self) -> VisionWorker:
        """Start a process and send it the settings.

        Raises `OSError` if its service cannot be reached, and `WireError` if the settings are too long.
        """
        process = await self._process()
        assert process.own_end is not None
        worker = VisionWorker(process, await Channel[FromVision].over(process.own_end, FromVision))
        try:
            worker.channel.send(self.settings)
        except WireError:
            await worker.end()
            raise
        return worker

    async def _process(self) -> child.Child | child.Served:
        """Connect to the service if its socket exists, otherwise start a child. Raises `OSError`.

        systemd owns the socket, in a folder of root's: vision cannot remove it to run as the brain's user.
        """
        if self._service is not None and self._service.exists():
            return child.dial(self._service)
        if self._service is not None and not self._is_logged:
            log.warning(
                "vision is not a service here and runs as the brain's user; run `sudo gated provision` to make it a "
                "service"
            )
            self._is_logged = True
        return await child.start(["vision"], with_socket=True)


def gate_vision(settings: Settings, service: Path | None = None) -> VisionStart:
    """Return the start of a gate's own vision. `service`: as in `VisionStart`."""
    passes = bool(settings.readers.pass_key)
    return VisionStart(VisionSettings(settings.camera, settings.models, settings.face, passes), service)
