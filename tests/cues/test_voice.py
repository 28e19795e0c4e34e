"""What is heard is put together in the right order, in the right languages, and goes on for as long as it must."""

import numpy as np
import pytest

from gated.config import CueSettings
from gated.cues.cue import GUIDANCE, Situation
from gated.cues.plan import PLAN
from gated.cues.prompts import prompt_path
from gated.cues.samples import LEVEL, RATE, read_wav, tone
from gated.cues.voice import Voice, guiding_tick


def said(folder, situation, first=None, is_night=False, nearness=lambda: 0.5, **settings):
    return Voice(CueSettings(**settings), folder).says(Situation(situation), first, is_night, nearness)


def speech(folder, situation, language):
    return read_wav(prompt_path(folder, Situation(situation), language))


def finds(samples, part) -> bool:
    """Whether a recording is somewhere in a sound."""
    middle = part[part.size // 2 : part.size // 2 + 2000]
    at = np.flatnonzero(np.abs(samples - middle[0]) < 1e-6)
    return any(np.array_equal(samples[i : i + middle.size], middle) for i in at)


@pytest.mark.parametrize("situation", [s for s in Situation if PLAN[s].is_spoken])
def test_every_spoken_cue_is_said_in_both_languages(spoken_prompts, situation):
    once = said(spoken_prompts, situation).once
    assert finds(once, speech(spoken_prompts, situation, "zh"))
    assert finds(once, speech(spoken_prompts, situation, "en"))


@pytest.mark.parametrize("situation", ["idle", "looking"])
def test_nobody_is_spoken_to_before_there_is_something_to_say(spoken_prompts, situation):
    assert said(spoken_prompts, situation).once.size == 0


def test_idle_is_silent(spoken_prompts):
    assert said(spoken_prompts, "idle").again is None


def test_the_languages_are_those_of_the_settings_in_their_order(spoken_prompts):
    english = said(spoken_prompts, "open", languages=("en",)).once
    assert not finds(english, speech(spoken_prompts, "open", "zh"))
    both, turned = (said(spoken_prompts, "open", languages=o).once for o in (("zh", "en"), ("en", "zh")))
    assert both.size == turned.size
    assert not np.array_equal(both, turned)


def test_at_night_the_first_language_is_enough_and_it_is_lower(spoken_prompts):
    night = said(spoken_prompts, "refused", is_night=True, volume=0.8, quiet_volume=0.3)
    assert finds(night.once, speech(spoken_prompts, "refused", "zh"))
    assert not finds(night.once, speech(spoken_prompts, "refused", "en"))
    assert night.volume == 0.3


def test_who_asked_for_speech_hears_all_of_it_at_night_too(spoken_prompts):
    night = said(spoken_prompts, "open", "speech", is_night=True)
    assert finds(night.once, speech(spoken_prompts, "open", "en"))


def test_speech_first_leaves_nothing_out(spoken_prompts):
    usual, first = said(spoken_prompts, "open").once, said(spoken_prompts, "open", "speech").once
    assert usual.size == first.size
    assert np.array_equal(first[-tone(PLAN[Situation.OPEN].tone).size :], tone(PLAN[Situation.OPEN].tone))


@pytest.mark.parametrize("situation", [s for s in Situation if PLAN[s].tone.pattern])
def test_without_any_prompt_the_tone_is_left(tmp_path, situation):
    once = said(tmp_path, situation).once
    beeps = tone(PLAN[situation].tone)
    assert np.array_equal(once[: beeps.size], beeps)
    assert np.abs(once).max() <= LEVEL + 1e-6


@pytest.mark.parametrize("situation", ["fire", "alarm", "held_open"])
def test_what_must_reach_everybody_is_said_again_between_the_ticks(spoken_prompts, situation):
    again = said(spoken_prompts, situation).again()
    assert finds(again, speech(spoken_prompts, situation, "zh"))
    assert finds(again, speech(spoken_prompts, situation, "en"))
    ticks = tone(PLAN[Situation(situation)].tick)
    assert np.array_equal(again[: ticks.size], ticks)


@pytest.mark.parametrize("situation", GUIDANCE)
def test_guidance_is_asked_at_every_tick_how_near_the_face_is(tmp_path, situation):
    near = [0.0]
    again = said(tmp_path, situation, nearness=lambda: near[0]).again
    far = again().size
    near[0] = 1.0
    assert again().size < far / 3


def test_a_guiding_tick_is_one_short_beep_and_a_silence():
    tick = guiding_tick(1.0)
    assert np.abs(tick[: round(0.05 * RATE)]).max() > 0.5
    assert not tick[round(0.06 * RATE) :].any()
