"""The stage shows one situation on all channels at once: lamps, sound, pad and screen.

It receives events and faces, keeps the scene, and shows the situation of the highest priority.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, tzinfo
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gated.config import CueSettings
from gated.cues.cue import NO_RHYTHM, Cue, Rhythm, Situation
from gated.cues.fingerprint import RequestedFingerprint, ScreenNotes
from gated.cues.guidance import apply_sight
from gated.cues.lamps import Lamps, PlayOutput
from gated.cues.plan import PLAN
from gated.cues.quiet_hours import is_quiet
from gated.cues.scene import Scene, ShownSituation, Sight, next_end, shown_situation
from gated.cues.scene_events import CredentialResult, apply_event, apply_result
from gated.cues.words import EVERYTHING, Fitted
from gated.events import Degraded, Event, WorkerReady
from gated.people.preferences import FirstCue
from gated.runtime.tasks import Losses, Part, optional

if TYPE_CHECKING:
    from gated.cues.screen import Screen
    from gated.cues.sound import Sound
    from gated.cues.voice import Voice

RELEASED = (Situation.OPEN, Situation.OPENING)
"""The situations in which the page counts the release down."""
LONGEST_SLEEP_S = 1.0
"""The longest sleep between two checks for changes."""


class Stage:
    """All cues of one gate. Every call acts at once and never waits. `run` ends expired cues and plays the sound."""

    def __init__(
        self,
        settings: CueSettings,
        prompts: Path,
        timezone: tzinfo,
        play: PlayOutput,
        wall: Callable[[], datetime | None],
        *,
        fitted: Fitted = EVERYTHING,
        may_locate: Callable[[], bool] = lambda: False,
        losses: Losses = lambda *_: None,
        compared: Callable[[], RequestedFingerprint | None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the channels that are fitted.

        `prompts` is the folder of prompts, `play` sends a pattern to the latch. `wall()` is the aware wall time, or
        None while the clock is not trusted. `fitted` are the parts that texts may name. `may_locate()` is whether the
        locating sound is allowed now. `losses` is called when a part (screen, sound, prompts) is lost or works again.
        `compared()` is the fingerprint that somebody asks for now, or None. It is called in a thread.
        """
        self._settings, self._timezone, self._wall, self._monotonic = settings, timezone, wall, monotonic
        self._losses, self._ask_compared = losses, compared
        self._lamps = Lamps(settings, play)
        self._sound, self._voice = _sound_of(settings), _voice_of(settings, prompts, fitted)
        self._screen = _screen_of(settings, fitted)
        self._may_locate, self._is_locating = may_locate, False
        self._scene, self._shown = Scene(), ShownSituation(Situation.IDLE, -1)
        self._first: FirstCue | None = None
        self._lost: tuple[str, ...] = ()
        self._beside = ScreenNotes()
        self._ticks_at = inf
        self._changed = asyncio.Event()

    @property
    def situation(self) -> Situation:
        """The situation that is shown now."""
        return self._shown.situation

    def handle_event(self, event: Event, age_s: float = 0.0) -> None:
        """Handle an event of `age_s` seconds ago. A release that is over by now is not shown; a lasting alarm is."""
        if isinstance(event, WorkerReady) and event.worker == "latch":
            self._lamps.forget()
            self._shown = ShownSituation(self._shown.situation, -1)
        if isinstance(event, Degraded):
            self._lost = tuple(event.lost)
            self._show_page()
        self._set_scene(apply_event(self._scene, event, self._monotonic() - age_s))

    def handle_sight(self, sight: Sight) -> None:
        """Handle a face in one frame."""
        self._set_scene(apply_sight(self._scene, sight, self._monotonic()))

    def handle_result(self, result: CredentialResult) -> None:
        """Handle a credential that causes no event: its kind rests, a PIN must follow a flat number, or a second
        credential must follow it.
        """
        self._set_scene(apply_result(self._scene, result, self._monotonic()))

    def set_first_cue(self, first: FirstCue | None) -> None:
        """Set the preferred channel of the granted person, or None. Called at every grant, before the release.

        It lasts for that release.
        """
        self._first = first

    def show_pending(self, gates: int, consents: int) -> None:
        """Note on the screen how many keys of other gates, and how many people's consents, wait to be accepted."""
        self._show_beside(replace(self._beside, gates=gates, consents=consents))

    async def run(self) -> None:
        """Show cues until cancelled. At the end the lamps show "out of order": no brain runs then."""
        try:
            async with asyncio.TaskGroup() as group:
                if self._sound is not None:
                    group.create_task(self._sound.run(), name="sound")
                for name, part in self._optional_parts():
                    group.create_task(optional(name, part, self._losses), name=name)
                while True:
                    self._changed.clear()
                    self._update()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._next_s()):
                            await self._changed.wait()
        finally:
            self._lamps.show(PLAN[Situation.OUT_OF_ORDER])

    def _optional_parts(self) -> Iterator[tuple[str, Part]]:
        """Yield the parts that may fail: other channels show the same."""
        if self._screen is not None:
            yield "screen", self._screen.run
            yield "fingerprints", self._compare
        if self._sound is not None:
            yield "sound", self._sound.keep
        if self._voice is not None:
            yield "prompts", self._voice.keep

    async def _compare(self, works: Callable[[], None]) -> None:
        """Show a fingerprint while somebody at this gate asks for it."""
        works()
        while True:
            compared = await asyncio.to_thread(self._ask_compared)
            self._show_beside(replace(self._beside, compared=compared))
            await asyncio.sleep(LONGEST_SLEEP_S)

    def _show_beside(self, beside: ScreenNotes) -> None:
        if beside != self._beside:
            self._beside = beside
            self._show_page()

    def _set_scene(self, scene: Scene) -> None:
        """Show a changed situation at once, and wake `run` to compute its next timeout."""
        self._scene = scene
        self._update()
        self._changed.set()

    def _next_s(self) -> float:
        now = self._monotonic()
        return max(0.0, min(LONGEST_SLEEP_S, next_end(self._scene, now) - now, self._ticks_at - now))

    def _update(self) -> None:
        """Show the current situation if it has changed."""
        now = self._monotonic()
        current = shown_situation(self._scene, now)
        if current != self._shown:
            before, self._shown = self._shown.situation, current
            if (before is Situation.OPEN and current.situation is not before) or current.situation is Situation.IDLE:
                self._first = None
            self._show(PLAN[current.situation], now)
        elif now >= self._ticks_at:
            self._ticks_at = inf
            self._lamps.beep(PLAN[current.situation].tick)
        elif current.situation is Situation.IDLE and self._is_locating != self._may_locate():
            self._play_sound()

    def _show(self, cue: Cue, now: float) -> None:
        """Show a cue on every channel. Light and touch come first, because they are the fastest."""
        self._lamps.show(cue, self._first, self._beep(cue, self._is_night(cue), now))
        self._show_page()
        self._play_sound()

    def _play_sound(self) -> None:
        """Play the sound of the current situation. An idle gate is silent, or plays the locating sound if allowed."""
        if self._sound is None or self._voice is None:
            return
        situation, is_night = self._shown.situation, self._is_night(PLAN[self._shown.situation])
        self._is_locating = situation is Situation.IDLE and self._may_locate()
        if self._is_locating:
            self._sound.play(self._voice.locating(is_night))
        else:
            self._sound.play(self._voice.sound_of(situation, self._first, is_night, self._nearness))

    def _is_night(self, cue: Cue) -> bool:
        settings = self._settings
        return not cue.is_urgent and is_quiet(self._wall(), self._timezone, settings.quiet_from, settings.quiet_to)

    def _show_page(self) -> None:
        if self._screen is not None:
            now = self._shown.situation
            self._screen.show(now, self._first, self._lost, self._release(), beside=self._beside)

    def _release(self) -> tuple[float, float] | None:
        """Return the remaining and the whole time of the shown release in seconds, or None."""
        if self._shown.situation not in RELEASED:
            return None
        claims = [claim for (situation, _), claim in self._scene.claims.items() if situation is Situation.OPEN]
        last = max(claims, key=lambda claim: claim.ends_at, default=None)
        return None if last is None else (last.ends_at - self._monotonic(), last.ends_at - last.began_at)

    def _nearness(self) -> float:
        """Return how near the face is to its best position, 0 to 1. Called at every tick."""
        return 0.0 if self._scene.sight is None else self._scene.sight.nearness

    def _beep(self, cue: Cue, is_night: bool, now: float) -> Rhythm:
        """Return the buzzer's rhythm, if no loudspeaker plays. The buzzer is loud, so at night it plays no ticks."""
        self._ticks_at = inf
        if self._sound is not None and not self._sound.is_mute:
            return NO_RHYTHM
        if not cue.tone.pattern:
            return NO_RHYTHM if is_night else cue.tick
        if not is_night:
            self._ticks_at = now + cue.tone.length_s * cue.tone.repeats
        return cue.tone


def _screen_of(settings: CueSettings, fitted: Fitted) -> "Screen | None":
    """Return the gate screen, or None. A gate without a screen does not load the web server."""
    if not settings.screen_port:
        return None
    from gated.cues.screen import Screen

    return Screen(settings.screen_port, settings.languages, fitted)


def _sound_of(settings: CueSettings) -> "Sound | None":
    """Return the loudspeaker, or None. A gate without one does not load the code of sounds."""
    if settings.sound != "alsa":
        return None
    from gated.cues.sound import Sound

    return Sound(settings.sound_device)


def _voice_of(settings: CueSettings, prompts: Path, fitted: Fitted) -> "Voice | None":
    """Return the sounds of the loudspeaker, or None without one."""
    if settings.sound != "alsa":
        return None
    from gated.cues.voice import Voice

    return Voice(settings, prompts, fitted)
