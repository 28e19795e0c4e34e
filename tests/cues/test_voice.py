"""The sound of a cue has the right order, the right languages and the right length."""

import shutil

import msgspec
import numpy as np
import pytest

from gated.config import CueSettings
from gated.cues.cue import GUIDANCE, Situation
from gated.cues.plan import PLAN
from gated.cues.prompts import prompt_path, render_prompts
from gated.cues.samples import LEVEL, RATE, locating_tick, read_wav, silence, tone
from gated.cues.scene import SENTENCE_S
from gated.cues.voice import Voice, guiding_tick
from gated.cues.words import EVERYTHING, Fitted


def sound_of(folder, situation, first=None, is_night=False, nearness=lambda: 0.5, fitted=EVERYTHING, **settings):
    return Voice(CueSettings(**settings), folder, fitted).sound_of(Situation(situation), first, is_night, nearness)


def speech(folder, name, language):
    return read_wav(prompt_path(folder, name, language))


def finds(samples, part) -> bool:
    """Return whether a sound contains a recording."""
    middle = part[part.size // 2 : part.size // 2 + 2000]
    at = np.flatnonzero(np.abs(samples - middle[0]) < 1e-6)
    return any(np.array_equal(samples[i : i + middle.size], middle) for i in at)


@pytest.mark.parametrize("situation", [s for s in Situation if PLAN[s].is_spoken])
def test_every_spoken_cue_plays_both_languages(spoken_prompts, situation):
    once = sound_of(spoken_prompts, situation).once
    assert finds(once, speech(spoken_prompts, situation, "zh"))
    assert finds(once, speech(spoken_prompts, situation, "en"))


def test_the_request_for_a_face_is_spoken_before_guidance_may_replace_it(spoken_prompts):
    assert SENTENCE_S - 1.5 < sound_of(spoken_prompts, "second_face").once.size / RATE <= SENTENCE_S


@pytest.mark.parametrize("situation", ["idle", "looking"])
def test_looking_and_idle_play_no_sentence(spoken_prompts, situation):
    assert sound_of(spoken_prompts, situation).once.size == 0


def test_idle_is_silent(spoken_prompts):
    assert sound_of(spoken_prompts, "idle").again is None


def test_the_languages_are_those_of_the_settings_in_their_order(spoken_prompts):
    english = sound_of(spoken_prompts, "open", languages=("en",)).once
    assert not finds(english, speech(spoken_prompts, "open", "zh"))
    both, turned = (sound_of(spoken_prompts, "open", languages=o).once for o in (("zh", "en"), ("en", "zh")))
    assert both.size == turned.size
    assert not np.array_equal(both, turned)


def test_at_night_only_the_first_language_plays_and_quieter(spoken_prompts):
    night = sound_of(spoken_prompts, "refused", is_night=True, volume=0.8, quiet_volume=0.3)
    assert finds(night.once, speech(spoken_prompts, "refused", "zh"))
    assert not finds(night.once, speech(spoken_prompts, "refused", "en"))
    assert night.volume == 0.3


def test_with_speech_first_all_languages_play_at_night(spoken_prompts):
    night = sound_of(spoken_prompts, "open", "speech", is_night=True)
    assert finds(night.once, speech(spoken_prompts, "open", "en"))


def test_speech_first_only_changes_the_order(spoken_prompts):
    usual, first = sound_of(spoken_prompts, "open").once, sound_of(spoken_prompts, "open", "speech").once
    assert usual.size == first.size
    assert np.array_equal(first[-tone(PLAN[Situation.OPEN].tone).size :], tone(PLAN[Situation.OPEN].tone))


@pytest.mark.parametrize("situation", [s for s in Situation if PLAN[s].tone.pattern])
def test_without_a_prompt_only_the_tone_plays(tmp_path, situation):
    once = sound_of(tmp_path, situation).once
    beeps = tone(PLAN[situation].tone)
    assert np.array_equal(once[: beeps.size], beeps)
    assert np.abs(once).max() <= LEVEL + 1e-6


@pytest.mark.parametrize("situation", ["fire", "alarm", "held_open"])
def test_an_urgent_sentence_repeats_between_the_ticks(spoken_prompts, situation):
    again = sound_of(spoken_prompts, situation).again()
    assert finds(again, speech(spoken_prompts, situation, "zh"))
    assert finds(again, speech(spoken_prompts, situation, "en"))
    ticks = tone(PLAN[Situation(situation)].tick)
    assert np.array_equal(again[: ticks.size], ticks)


@pytest.mark.parametrize("situation", GUIDANCE)
def test_every_guidance_tick_uses_the_current_nearness(tmp_path, situation):
    near = [0.0]
    again = sound_of(tmp_path, situation, nearness=lambda: near[0]).again
    far = again().size
    near[0] = 1.0
    assert again().size < far / 3


def test_a_guiding_tick_is_one_short_beep_and_a_silence():
    tick = guiding_tick(1.0)
    assert np.abs(tick[: round(0.05 * RATE)]).max() > 0.5
    assert not tick[round(0.06 * RATE) :].any()


def test_the_telephone_number_follows_each_sentence_that_shows_it(spoken_prompts, tmp_path):
    fitted = Fitted(phone="110")
    shutil.copytree(spoken_prompts, tmp_path / "p")
    list(render_prompts(tmp_path / "p", ("zh", "en"), fitted, all_of_them=False))
    plain, called = (sound_of(tmp_path / "p", "fault", fitted=each).once.size for each in (EVERYTHING, fitted))
    numbers = sum(speech(tmp_path / "p", "phone", language).size for language in ("zh", "en"))
    assert called == plain + numbers + 2 * silence(0.25).size
    plain, called = (sound_of(tmp_path / "p", "open", fitted=each).once.size for each in (EVERYTHING, fitted))
    assert called == plain


def test_the_locating_sound_is_short_and_has_its_own_pitch():
    tick = locating_tick()
    assert tick.size / RATE == pytest.approx(2.0, abs=0.01)
    loud = np.abs(tick) > 0.01
    assert loud.sum() / RATE <= 0.15, "at most 0.15 s, as in pedestrian signals"
    strongest_hz = np.argmax(np.abs(np.fft.rfft(tick))) * RATE / tick.size
    assert strongest_hz == pytest.approx(500, abs=10), "every other sound has 1 kHz"


@pytest.mark.parametrize(
    ("settings", "is_night", "volume"),
    [
        ({}, False, 0.1),
        ({"locate_volume": 0.3}, False, 0.3),
        ({"locate_volume": 0.3, "volume": 0.2}, False, 0.2),
        ({"locate_volume": 0.3, "quiet_volume": 0.1}, True, 0.1),
    ],
)
def test_the_locating_sound_is_never_louder_than_other_sounds(tmp_path, settings, is_night, volume):
    assert Voice(CueSettings(**settings), tmp_path).locating(is_night).volume == pytest.approx(volume)


def test_the_locating_sound_is_limited_and_off_by_default():
    assert CueSettings().locate == ""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"locate_volume": 0.5}, CueSettings)
