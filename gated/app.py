"""The start of the brain: take the lock, read the settings, start the workers, then load and run the brain.

The command `gated run` uses it. The latch and vision start before the parts of the brain are imported, so all three
load at the same time. The next pages are `gated.brain_run` and `gated.brain`.
"""

from contextlib import aclosing, closing
from pathlib import Path

import msgspec

from gated.config import Settings
from gated.config.settings_trial import begin
from gated.door.latch_client import is_answering
from gated.face.vision_start import gate_vision
from gated.runtime import child
from gated.runtime.secrecy import keep_memory_secret
from gated.runtime.starter import Starter
from gated.storage.process_lock import FolderLock

DESK_LATCH_IDLE_S = 10.0
"""The time that a latch started by us runs after our end, in seconds."""


async def run(
    settings: Settings, config: Path, *, own_latch: bool = True, once: bool = False, vision: Path | None = None
) -> None:
    """Run the gate until SIGTERM or SIGINT. With `once`, run until the recording ends.

    `settings` gives the state folder and the models' folder. All other settings are read again, including those on
    trial. `own_latch` starts a latch if none serves. `vision` is the socket of the vision service, as in `VisionStart`.

    Raises `BusyError` if a gate already runs on this state folder, `ConfigError`, and `CriticalTaskError` if a critical
    part ends. No state of the disk prevents the start.
    """
    keep_memory_secret()
    with closing(FolderLock(settings.state, "run.lock", "a gate with this state folder")):
        async with aclosing(_desk_latch(config)) as latch:
            if own_latch and not await is_answering(settings.latch_socket):
                await latch.start_early()
            start = begin(config)
            settings = msgspec.structs.replace(
                start.settings, models=msgspec.structs.replace(start.settings.models, dir=settings.models.dir)
            )
            async with aclosing(gate_vision(settings, vision)) as sight:
                if settings.camera.kind == "picamera2" or settings.camera.loop:
                    await sight.start_early()  # a recording that ends must not begin before the brain sees it
                from gated import brain_run  # takes as long as the workers need to start

                await brain_run.run(settings, config, start, sight, latch if own_latch else None, once=once)


def _desk_latch(config: Path) -> Starter[child.Child]:
    """Return the start of a latch for a gate without a latch service."""
    arguments = ["--config", str(config), "latch", "--exit-when-idle", str(DESK_LATCH_IDLE_S)]
    return Starter(lambda: child.start(arguments), lambda latch: latch.stop(grace_s=1.0))
