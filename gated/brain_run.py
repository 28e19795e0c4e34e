"""Runs a brain: repairs its databases, starts every part, waits for the end, and stops the parts in reverse order.

`app` uses it. A critical part that ends, ends the brain; an optional part is tried again.
"""

import asyncio
import logging
import signal
from contextlib import closing
from functools import partial
from pathlib import Path

from gated.brain import Brain
from gated.config import Settings
from gated.config.settings_trial import BrainStart, SettingsTrial
from gated.events import Stopped
from gated.face.vision_start import VisionStart
from gated.gallery.repair import repair
from gated.journal.recent_rows import last_time, read_newest
from gated.runtime import garbage
from gated.runtime.child import Child, keep_running
from gated.runtime.starter import Starter
from gated.runtime.tasks import critical, first_of, optional
from gated.service.start_events import first_facts
from gated.service.trial_watch import judge

log = logging.getLogger(__name__)

STOP_S = 0.7
"""The time for one part to stop, in seconds. All parts together stay below the 3 s that a stop may take."""
BEGIN_S = 10.0
"""The time that the latch and vision each have to answer, in seconds.

After that the brain goes on duty without them.
"""
STABLE_S = 2.0
"""The wait after the end of a recording, in seconds: the last face leaves, and the last visit is decided."""


async def run(
    settings: Settings,
    config: Path,
    start: BrainStart,
    vision: VisionStart,
    latch: Starter[Child] | None,
    *,
    once: bool,
) -> None:
    """Repair the databases, then run a brain until it is stopped. The arguments are those of `Brain` and `live`.

    Raises `CriticalTaskError` if a critical part ends.
    """
    repaired, entries = repair(settings.state), read_newest(settings.state, settings.site.id, settings.gate.id)
    facts = first_facts(settings, start, entries, repaired)
    with closing(Brain(settings, config, vision, last_time(entries), facts)) as brain:
        await live(brain, latch, once=once, trial=start.trial)
        brain.report(Stopped(brain.why))


async def live(brain: Brain, latch: Starter[Child] | None, *, once: bool, trial: SettingsTrial | None = None) -> None:
    """Start every part, wait for the end, and stop the parts in reverse order.

    `latch`: starts a latch where none serves; None: never start one. `trial`: the office's settings on trial.
    """
    _end_at_signals(brain)
    vital = brain.vital_parts()
    if latch is not None:
        vital = {"latch": partial(keep_running, "the latch", latch, brain.door.is_answering), **vital}
    parts = [critical(name, run) for name, run in vital.items()]
    parts += [optional(name, run, brain.duty.set) for name, run in brain.optional_parts()]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in parts]
        try:
            await _announce(brain)
            if trial is not None:
                tasks.append(group.create_task(_judge(brain, trial), name="trial"))
            await _end(brain, once)
            brain.notifier.stopping()
        finally:
            for task in reversed(tasks):
                task.cancel()
                await asyncio.wait([task], timeout=STOP_S)
                task.cancel()  # cancel again, so that a stuck part does not block other parts


def _end_at_signals(brain: Brain) -> None:
    """End the brain at SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, brain.end_as, number.name)


async def _announce(brain: Brain) -> None:
    """Report to systemd that the gate is on duty, once the latch and vision have answered, failed, or used up
    `BEGIN_S`.
    """
    await brain.duty.wait_for_workers(brain.stop, BEGIN_S)
    brain.notifier.ready()
    garbage.watch()
    log.info("on duty%s", f", without {', '.join(brain.duty.lost)}" if brain.duty.lost else "")


async def _judge(brain: Brain, trial: SettingsTrial) -> None:
    """Keep the office's settings after a good trial. Otherwise end the brain, so that it restarts without them."""
    if await judge(trial, lambda: brain.duty.lost, brain.report) == "rolled_back":
        brain.end_as("settings rolled back")


async def _end(brain: Brain, once: bool) -> None:
    """Wait for a stop request. With `once`, wait until the recording is over and the door is secured.

    Raises `ModelError` or `CameraError` if a recording cannot be played: with `once` there is no wait for a repair.
    """
    if once:
        brain.vision.check_models()
    ends = [brain.vision.link.exhausted.wait(), brain.vision.blind.wait()] if once else []
    await first_of(brain.stop.wait(), *ends, name="end")
    if once:
        brain.vision.raise_failure()
    if not brain.stop.is_set():
        await asyncio.sleep(STABLE_S)
        while brain.door.state == "released":  # noqa: ASYNC110 - the latch sends its state with every heartbeat
            await asyncio.sleep(0.1)
