"""The gate's one voice: facts and faces come in, and lamps, sound, pad and screen say the same thing at once."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, tzinfo
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from gated.config import CueSettings
from gated.cues.cue import NOTHING, Cue, First, Pulse, Situation
from gated.cues.guidance import saw
from gated.cues.lamps import Lamps, Play
from gated.cues.plan import PLAN
from gated.cues.scene import Scene, Shown, Sight, ends_at, shown
from gated.cues.sound import Sound, is_quiet
from gated.cues.state import happened
from gated.cues.voice import Voice
from gated.events import Degraded, Event, WorkerReady

if TYPE_CHECKING:
    from gated.cues.screen import Screen

LOOK_S = 1.0
"""The longest sleep between two looks at the clock."""


class Stage:
    """What people get. Every call acts at once and waits for nothing; `run` ends what is over and plays the sound."""

    def __init__(
        self,
        settings: CueSettings,
        prompts: Path,
        timezone: tzinfo,
        play: Play,
        wall: Callable[[], datetime | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`prompts`: the folder. `play`: the latch. `wall`: the time, aware, or None while it cannot be trusted."""
        self._settings, self._timezone, self._wall, self._monotonic = settings, timezone, wall, monotonic
        self._lamps, self._voice = Lamps(settings, play), Voice(settings, prompts)
        self._sound = Sound(settings.sound_device) if settings.sound == "alsa" else None
        self._screen = _screen_of(settings)
        self._scene, self._shown = Scene(), Shown(Situation.IDLE, -1)
        self._first: First | None = None
        self._lost: tuple[str, ...] = ()
        self._ticks_at = inf
        self._changed = asyncio.Event()

    @property
    def situation(self) -> Situation:
        """What people are told now."""
        return self._shown.situation

    def fact(self, event: Event, age_s: float = 0.0) -> None:
        """Something happened, `age_s` ago: a release that is over by now is not told, an alarm that stands is."""
        if isinstance(event, WorkerReady) and event.worker == "latch":
            self._lamps.forget()
            self._shown = Shown(self._shown.situation, -1)
        if isinstance(event, Degraded):
            self._lost = tuple(event.lost)
            self._show_page()
        self._go_on(happened(self._scene, event, self._monotonic() - age_s))

    def sight(self, sight: Sight) -> None:
        """A face was seen."""
        self._go_on(saw(self._scene, sight, self._monotonic()))

    def preferences(self, first: First | None) -> None:
        """Who was recognised asked for this first, or for nothing: said at every grant, before the lock is released.

        It holds for that release.
        """
        self._first = first

    async def run(self) -> None:
        """Be on stage, for ever. Leaves the lamps saying that the gate is out of order: without a brain it is."""
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self._sound, self._screen):
                    if part is not None:
                        group.create_task(part.run(), name=type(part).__name__.lower())
                while True:
                    self._changed.clear()
                    self._tell()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._next_s()):
                            await self._changed.wait()
        finally:
            self._lamps.show(PLAN[Situation.OUT_OF_ORDER])

    def _go_on(self, scene: Scene) -> None:
        """Tell at once what has changed, and let `run` think anew about what ends when."""
        self._scene = scene
        self._tell()
        self._changed.set()

    def _next_s(self) -> float:
        now = self._monotonic()
        return max(0.0, min(LOOK_S, ends_at(self._scene, now) - now, self._ticks_at - now))

    def _tell(self) -> None:
        """Tell what holds now, if it is something else than before."""
        now = self._monotonic()
        holds = shown(self._scene, now)
        if holds != self._shown:
            before, self._shown = self._shown.situation, holds
            if (before is Situation.OPEN and holds.situation is not before) or holds.situation is Situation.IDLE:
                self._first = None
            self._show(PLAN[holds.situation], now)
        elif now >= self._ticks_at:
            self._ticks_at = inf
            self._lamps.beep(PLAN[holds.situation].tick)

    def _show(self, cue: Cue, now: float) -> None:
        """One cue in every channel: light and touch first, for they are the fastest."""
        is_night = not cue.is_urgent and is_quiet(
            self._wall(), self._timezone, self._settings.quiet_from, self._settings.quiet_to
        )
        self._lamps.show(cue, self._first, self._beep(cue, is_night, now))
        self._show_page()
        if self._sound is not None:
            self._sound.play(self._voice.says(self._shown.situation, self._first, is_night, self._nearness))

    def _show_page(self) -> None:
        if self._screen is not None:
            self._screen.show(self._shown.situation, self._first, self._lost)

    def _nearness(self) -> float:
        """How near the face is to where it should be, 0 to 1; asked at every tick."""
        return 0.0 if self._scene.sight is None else self._scene.sight.nearness

    def _beep(self, cue: Cue, is_night: bool, now: float) -> Pulse:
        """The buzzer's part, where nothing better sounds. It cannot be soft: at night it says the tone and no ticks."""
        self._ticks_at = inf
        if self._sound is not None and not self._sound.is_mute:
            return NOTHING
        if not cue.tone.pattern:
            return NOTHING if is_night else cue.tick
        if not is_night:
            self._ticks_at = now + cue.tone.length_s * cue.tone.repeats
        return cue.tone


def _screen_of(settings: CueSettings) -> "Screen | None":
    """The gate screen where one is fitted; a gate without one does not load a web server."""
    if not settings.screen_port:
        return None
    from gated.cues.screen import Screen

    return Screen(settings.screen_port, settings.languages)
