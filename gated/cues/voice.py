"""A cue as it is heard: tone, sentence in every language, and what goes on while it lasts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gated.config import CueSettings
from gated.cues.cue import GUIDANCE, Cue, First, Pulse, Situation
from gated.cues.plan import PLAN
from gated.cues.prompts import Prompts
from gated.cues.samples import NO_SAMPLES, Samples, silence, tick_gap_s, tone
from gated.cues.sound import Sounding, volume

PAUSE_S = 0.25
"""Between a tone and a sentence, and after each language."""
REPEAT_S = 6.0
"""So long ticks go on before a sentence that is repeated is said again."""


class Voice:
    """Puts sounds together; prompts that are missing leave the tones."""

    def __init__(self, settings: CueSettings, prompts: Path) -> None:
        self._settings, self._prompts = settings, Prompts(prompts)

    def says(
        self, situation: Situation, first: First | None, is_night: bool, nearness: Callable[[], float]
    ) -> Sounding:
        """Tone and sentence, or with speech first the other way round; then the ticks. At night lower, and shorter."""
        cue = PLAN[situation]
        languages = self._settings.languages[:1] if is_night and first != "speech" else self._settings.languages
        speech = self._speech(situation, languages) if cue.is_spoken else NO_SAMPLES
        parts = [tone(cue.tone), silence(PAUSE_S if cue.tone.pattern else 0), speech]
        once = np.concatenate(parts[::-1] if first == "speech" else parts)
        again = (lambda: guiding_tick(nearness())) if situation in GUIDANCE else _again(cue, speech)
        return Sounding(once, again, volume(self._settings.volume, self._settings.quiet_volume, is_night))

    def _speech(self, situation: Situation, languages: tuple[str, ...]) -> Samples:
        said = [prompt for language in languages if (prompt := self._prompts.get(situation, language)) is not None]
        return np.concatenate([NO_SAMPLES, *(part for prompt in said for part in (prompt, silence(PAUSE_S)))])


def guiding_tick(nearness: float) -> Samples:
    """One tick, and a silence that is shorter the nearer the face is to where it should be (1)."""
    return tone(Pulse((PLAN[Situation.CLOSER].tick.pattern[0], tick_gap_s(nearness)), 1))


def _again(cue: Cue, speech: Samples) -> Callable[[], Samples] | None:
    """What sounds while the cue lasts: its ticks, and where it is urgent the sentence between them."""
    if not cue.tick.pattern:
        return None
    ticks = tone(cue.tick)
    if cue.is_repeated:
        ticks = np.concatenate([np.tile(ticks, max(1, round(REPEAT_S / cue.tick.length_s))), speech])
    return lambda: ticks
