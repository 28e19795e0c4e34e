"""Every cue can be spoken in both languages; a recording is never overwritten; a missing one leaves the tones."""

import logging
import subprocess

import numpy as np
import pytest

from gated.cues.cue import Pulse, Situation
from gated.cues.plan import PLAN
from gated.cues.prompts import LENGTH_S, PEAK_DBFS, VOICES, Prompts, check, problem_of, prompt_path, render, spoken
from gated.cues.samples import RATE, peak_dbfs, read_wav, tone, write_wav
from gated.cues.state import REFUSED_S, RESTING_S
from gated.errors import StateError

LANGUAGES = ("zh", "en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("situation", Situation)
def test_every_cue_can_be_heard_in_both_languages(spoken_prompts, situation, language):
    samples = read_wav(prompt_path(spoken_prompts, situation, language))
    assert LENGTH_S[0] <= samples.size / RATE <= LENGTH_S[1]
    assert PEAK_DBFS[0] <= peak_dbfs(samples) <= PEAK_DBFS[1]
    assert np.sqrt(np.mean(samples**2)) > 0.02, "there is speech in it, and not one click"


def test_the_two_languages_and_all_sentences_sound_different(spoken_prompts):
    files = [prompt_path(spoken_prompts, s, language).read_bytes() for s in Situation for language in LANGUAGES]
    assert len(set(files)) == 2 * len(Situation)


def test_all_prompts_that_were_made_are_good(spoken_prompts):
    problems = dict(check(spoken_prompts, LANGUAGES))
    assert len(problems) == 2 * len(Situation)
    assert not any(problems.values())


@pytest.mark.parametrize(("situation", "shown_s"), [("refused", REFUSED_S), ("resting", RESTING_S), ("open", 8.0)])
def test_what_is_shown_for_a_while_is_shown_until_it_was_said(spoken_prompts, situation, shown_s):
    cue = PLAN[Situation(situation)]
    speech = sum(read_wav(prompt_path(spoken_prompts, Situation(situation), lang)).size for lang in LANGUAGES) / RATE
    assert tone(cue.tone).size / RATE + speech + 3 * 0.25 <= shown_s


def test_every_language_of_the_plan_has_a_voice_that_is_installed():
    voices = subprocess.run(["espeak-ng", "--voices"], capture_output=True, text=True, check=True).stdout
    assert set(VOICES) == set(PLAN[Situation.OPEN].words)
    assert all(f" {voice}" in voices for voice, _ in VOICES.values())


def test_a_recording_is_left_alone_and_what_is_ours_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.cues.prompts.PLAN", {s: PLAN[s] for s in (Situation.OPEN, Situation.REFUSED)})
    assert [is_made for _, is_made in render(tmp_path, ["en"])] == [True, True]
    ours, theirs = (prompt_path(tmp_path, s, "en") for s in (Situation.OPEN, Situation.REFUSED))
    write_wav(theirs, tone(Pulse((0.5,), 1)))
    recording, made = theirs.read_bytes(), ours.read_bytes()
    assert dict(render(tmp_path, ["en"])) == {ours: True, theirs: False}
    assert theirs.read_bytes() == recording
    assert ours.read_bytes() == made


def test_a_recording_that_was_there_before_the_first_time_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.cues.prompts.PLAN", {Situation.OPEN: PLAN[Situation.OPEN]})
    path = prompt_path(tmp_path, Situation.OPEN, "en")
    path.parent.mkdir()
    write_wav(path, tone(Pulse((0.5,), 1)))
    assert [is_made for _, is_made in render(tmp_path, ["en"])] == [False]
    (tmp_path / "made.json").write_text("not json")
    assert [is_made for _, is_made in render(tmp_path, ["en"])] == [False]


def test_a_recording_that_was_taken_away_is_replaced_by_ours(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.cues.prompts.PLAN", {Situation.OPEN: PLAN[Situation.OPEN]})
    list(render(tmp_path, ["en"]))
    prompt_path(tmp_path, Situation.OPEN, "en").unlink()
    assert [is_made for _, is_made in render(tmp_path, ["en"])] == [True]
    assert problem_of(prompt_path(tmp_path, Situation.OPEN, "en")) is None


def test_without_espeak_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match="apt-get install espeak-ng"):
        spoken("hello", "en")


def test_a_voice_that_fails_is_said(monkeypatch, tmp_path):
    broken = tmp_path / "espeak-ng"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(StateError, match="cannot speak zh"):
        spoken("你好", "zh")


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        list(render(tmp_path / "file", ["en"]))


@pytest.mark.parametrize(
    ("pulse", "gain", "problem"),
    [
        (Pulse((0.1,), 1), 1.0, "is 0.1 s long"),
        (Pulse((7.0,), 1), 1.0, "is 7.0 s long"),
        (Pulse((1.0,), 1), 0.1, "peaks at -23.0 dBFS"),
        (Pulse((1.0,), 1), 1.4, "peaks at -0.1 dBFS"),
        (Pulse((1.0,), 1), 1.0, None),
    ],
)
def test_length_and_level_of_a_recording_are_checked(tmp_path, pulse, gain, problem):
    path = tmp_path / "a.wav"
    write_wav(path, gain * tone(pulse))
    found = problem_of(path)
    assert found is None if problem is None else problem in found


def test_a_missing_prompt_is_warned_of_once_and_names_the_command_that_makes_it(tmp_path, caplog):
    prompts = Prompts(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert prompts.get(Situation.OPEN, "zh") is None
        assert prompts.get(Situation.OPEN, "zh") is None
    (record,) = caplog.records
    assert "zh/open.wav is missing" in record.message
    assert "gated prompts make" in record.message
    assert "tones" in record.message


def test_a_broken_recording_is_warned_of_and_the_others_still_speak(tmp_path, caplog, spoken_prompts):
    prompts = Prompts(tmp_path)
    (tmp_path / "en").mkdir()
    prompt_path(tmp_path, Situation.OPEN, "en").write_bytes(b"noise")
    good = prompt_path(spoken_prompts, Situation.REFUSED, "en")
    prompt_path(tmp_path, Situation.REFUSED, "en").write_bytes(good.read_bytes())
    assert prompts.get(Situation.OPEN, "en") is None
    assert "save it as 16-bit" in caplog.text
    assert prompts.get(Situation.REFUSED, "en").size == read_wav(good).size
