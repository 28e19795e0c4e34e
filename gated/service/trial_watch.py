"""Judges the office's settings on trial while the gate runs, and keeps or drops them. `app` runs it as a task."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from gated.config.settings_trial import SettingsTrial
from gated.errors import StateError
from gated.events import SettingsTried

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""The interval between two checks of the gate's parts, in seconds."""


async def judge(
    trial: SettingsTrial, lost: Callable[[], Collection[str]], report: Callable[[SettingsTried], None]
) -> str:
    """Wait for the verdict on a trial, apply it, and return its outcome: "kept" or "rolled_back".

    `lost`: returns the parts that are lost now. `report` gets the verdict, if no newer proposal replaced it. If the
    state folder cannot be written, the error is logged: the next start judges again.
    """
    while (verdict := trial.judge(lost(), time.monotonic())) is None:  # noqa: ASYNC110 - only time decides
        await asyncio.sleep(WATCH_S)
    try:
        if await asyncio.to_thread(trial.apply_verdict, verdict):
            report(verdict)
    except StateError as error:
        log.error("%s", error)
    return verdict.outcome
