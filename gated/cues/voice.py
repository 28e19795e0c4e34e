"""The sound of a cue: its tone, its sentence in every language, and its ticks."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gated.config import CueSettings
from gated.cues.cue import GUIDANCE, Cue, Rhythm, Situation
from gated.cues.plan import PLAN
from gated.cues.prompts import PHONE_PROMPT, LoadedPrompts
from gated.cues.samples import NO_SAMPLES, Samples, locating_tick, silence, tick_gap_s, tone
from gated.cues.sound import Sounding, volume
from gated.cues.words import EVERYTHING, Fitted, cue_phone
from gated.errors import StateError
from gated.people.preferences import FirstCue
from gated.runtime.tasks import until_cancelled

TONE_PAUSE_S = 0.25
"""The pause between a tone and a sentence, and after each language."""
LOCATE_AFTER_S = 3.0
"""How long the gate is idle before the locating sound begins."""
SENTENCE_REPEAT_S = 6.0
"""How long the ticks last before a repeated sentence is spoken again."""


class Voice:
    """The sounds of one gate. If a prompt is missing, only its tones are played."""

    def __init__(self, settings: CueSettings, prompts: Path, fitted: Fitted = EVERYTHING) -> None:
        """Use the prompts in a folder. `fitted` are the parts that sentences may name."""
        self._settings, self._fitted = settings, fitted
        self._prompts = LoadedPrompts(prompts, settings.languages, fitted)

    async def keep(self, works: Callable[[], None]) -> None:
        """Make outdated prompts again, then call `works` and wait until cancelled.

        Raises `StateError` while a prompt is missing, broken or outdated.
        """
        await asyncio.to_thread(self._prompts.renew)
        broken = await asyncio.to_thread(self._prompts.count_broken)
        if broken:
            raise StateError(f"{broken} prompts are missing or broken, only tones play; run `gated prompts check`")
        works()
        await until_cancelled()

    def sound_of(
        self, situation: Situation, first: FirstCue | None, is_night: bool, nearness: Callable[[], float]
    ) -> Sounding:
        """Return the sound of a situation: tone, sentence, ticks; with speech first the sentence before the tone.

        At night it is quieter, and in the first language only unless `first` is "speech".
        """
        cue = PLAN[situation]
        languages = self._settings.languages[:1] if is_night and first != "speech" else self._settings.languages
        speech = self._speech(situation, languages) if cue.is_spoken else NO_SAMPLES
        parts = [tone(cue.tone), silence(TONE_PAUSE_S if cue.tone.pattern else 0), speech]
        once = np.concatenate(parts[::-1] if first == "speech" else parts)
        again = (lambda: guiding_tick(nearness())) if situation in GUIDANCE else _again(cue, speech)
        return Sounding(once, again, volume(self._settings.volume, self._settings.quiet_volume, is_night))

    def locating(self, is_night: bool) -> Sounding:
        """Return the sound that leads blind people to the idle gate. It is never louder than the other sounds."""
        settings = self._settings
        most = volume(settings.volume, settings.quiet_volume, is_night)
        return Sounding(silence(LOCATE_AFTER_S), locating_tick, min(settings.locate_volume, most))

    def _speech(self, situation: Situation, languages: tuple[str, ...]) -> Samples:
        names = (situation, PHONE_PROMPT) if cue_phone(PLAN[situation], self._fitted) else (situation,)
        found = [self._prompts.get(name, language) for language in languages for name in names]
        prompts = [prompt for prompt in found if prompt is not None]
        return np.concatenate([NO_SAMPLES, *(part for prompt in prompts for part in (prompt, silence(TONE_PAUSE_S)))])


def guiding_tick(nearness: float) -> Samples:
    """Return one tick and a silence. The nearer the face is to its best position (1), the shorter the silence."""
    return tone(Rhythm((PLAN[Situation.CLOSER].tick.pattern[0], tick_gap_s(nearness)), 1))


def _again(cue: Cue, speech: Samples) -> Callable[[], Samples] | None:
    """Return the function of the repeated sound: the ticks, and between them the sentence, if the sentence repeats."""
    if not cue.tick.pattern:
        return None
    ticks = tone(cue.tick)
    if cue.is_repeated:
        ticks = np.concatenate([np.tile(ticks, max(1, round(SENTENCE_REPEAT_S / cue.tick.length_s))), speech])
    return lambda: ticks
