"""Every cue has a prompt in both languages. A recording is never overwritten. Without a prompt the tones still play."""

import hashlib
import json
import logging
import subprocess

import numpy as np
import pytest

from gated.cues.cue import Rhythm, Situation
from gated.cues.plan import PLAN
from gated.cues.prompts import (
    LENGTH_S,
    MADE,
    PEAK_DBFS,
    LoadedPrompts,
    check_prompts,
    prompt_path,
    prompt_problem,
    render_prompts,
    renew_prompts,
)
from gated.cues.samples import RATE, peak_dbfs, read_wav, silence, tone, write_wav
from gated.cues.scene_events import NO_ANSWER_S, OPENING_S, REFUSAL_SHOWN_S, RESTING_S
from gated.cues.speech import VOICES, speak, speech_problem
from gated.cues.words import EVERYTHING, Fitted, cue_sentence, spoken_phone
from gated.errors import StateError

LANGUAGES = ("zh", "en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("situation", Situation)
def test_every_cue_has_a_prompt_in_both_languages(spoken_prompts, situation, language):
    samples = read_wav(prompt_path(spoken_prompts, situation, language))
    assert LENGTH_S[0] <= samples.size / RATE <= LENGTH_S[1]
    assert PEAK_DBFS[0] <= peak_dbfs(samples) <= PEAK_DBFS[1]
    assert np.sqrt(np.mean(samples**2)) > 0.02, "it contains speech, not a single click"


def test_all_prompts_sound_different(spoken_prompts):
    files = [prompt_path(spoken_prompts, s, language).read_bytes() for s in Situation for language in LANGUAGES]
    assert len(set(files)) == 2 * len(Situation)


def test_all_made_prompts_pass_the_check(spoken_prompts):
    problems = dict(check_prompts(spoken_prompts, LANGUAGES))
    assert len(problems) == 2 * len(Situation)
    assert not any(problems.values())


SHOWN_S = {"refused": REFUSAL_SHOWN_S, "resting": RESTING_S, "open": 8.0}
SHOWN_S |= dict.fromkeys(("declined", "unanswered", "unreachable"), NO_ANSWER_S)


@pytest.mark.parametrize("situation", SHOWN_S)
def test_a_cue_is_shown_until_its_sentence_is_spoken(spoken_prompts, situation):
    cue, number = PLAN[Situation(situation)], 0
    if cue.names_phone:
        number = sum(speak(spoken_phone("0371-6555 1234", language), language).size for language in LANGUAGES)
    speech = sum(read_wav(prompt_path(spoken_prompts, Situation(situation), lang)).size for lang in LANGUAGES)
    assert tone(cue.tone).size / RATE + (speech + number) / RATE + 5 * 0.25 <= SHOWN_S[situation]


def test_the_opening_sentence_ends_before_the_open_cue(spoken_prompts):
    speech = read_wav(prompt_path(spoken_prompts, Situation.OPENING, "zh"))
    assert tone(PLAN[Situation.OPENING].tone).size / RATE + 0.25 + speech.size / RATE <= OPENING_S


def test_every_language_of_the_plan_has_an_installed_voice():
    voices = subprocess.run(["espeak-ng", "--voices"], capture_output=True, text=True, check=True).stdout
    assert set(VOICES) == set(PLAN[Situation.OPEN].words)
    assert all(f" {voice}" in voices for voice, _ in VOICES.values())


def test_a_recording_is_kept_and_our_files_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.cues.prompts.PLAN", {s: PLAN[s] for s in (Situation.OPEN, Situation.REFUSED)})
    assert [is_made for _, is_made in render_prompts(tmp_path, ["en"])] == [True, True]
    ours, theirs = (prompt_path(tmp_path, s, "en") for s in (Situation.OPEN, Situation.REFUSED))
    write_wav(theirs, tone(Rhythm((0.5,), 1)))
    recording, made = theirs.read_bytes(), ours.read_bytes()
    assert dict(render_prompts(tmp_path, ["en"])) == {ours: True, theirs: False}
    assert theirs.read_bytes() == recording
    assert ours.read_bytes() == made


def test_a_recording_older_than_the_first_render_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.cues.prompts.PLAN", {Situation.OPEN: PLAN[Situation.OPEN]})
    path = prompt_path(tmp_path, Situation.OPEN, "en")
    path.parent.mkdir()
    write_wav(path, tone(Rhythm((0.5,), 1)))
    assert [is_made for _, is_made in render_prompts(tmp_path, ["en"])] == [False]
    (tmp_path / "made.json").write_text("not json")
    assert [is_made for _, is_made in render_prompts(tmp_path, ["en"])] == [False]


def test_a_removed_recording_is_replaced_by_our_prompt(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.cues.prompts.PLAN", {Situation.OPEN: PLAN[Situation.OPEN]})
    list(render_prompts(tmp_path, ["en"]))
    prompt_path(tmp_path, Situation.OPEN, "en").unlink()
    assert [is_made for _, is_made in render_prompts(tmp_path, ["en"])] == [True]
    assert prompt_problem(prompt_path(tmp_path, Situation.OPEN, "en")) is None


def test_without_espeak_the_error_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StateError, match="apt-get install espeak-ng"):
        speak("hello", "en")


def test_a_failing_voice_raises(monkeypatch, tmp_path):
    broken = tmp_path / "espeak-ng"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(StateError, match="cannot speak zh"):
        speak("你好", "zh")


def test_an_unwritable_folder_raises(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        list(render_prompts(tmp_path / "file", ["en"]))


@pytest.mark.parametrize(
    ("pulse", "gain", "problem"),
    [
        (Rhythm((0.1,), 1), 1.0, "is 0.1 s long"),
        (Rhythm((7.5,), 1), 1.0, "is 7.5 s long"),
        (Rhythm((1.0,), 1), 0.1, "peaks at -23.0 dBFS"),
        (Rhythm((1.0,), 1), 1.4, "peaks at -0.1 dBFS"),
        (Rhythm((1.0,), 1), 1.0, None),
    ],
)
def test_length_and_level_of_a_recording_are_checked(tmp_path, pulse, gain, problem):
    path = tmp_path / "a.wav"
    write_wav(path, gain * tone(pulse))
    found = prompt_problem(path)
    assert found is None if problem is None else problem in found


def test_a_missing_prompt_is_logged_once_with_the_command_that_makes_it(tmp_path, caplog):
    prompts = LoadedPrompts(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert prompts.get(Situation.OPEN, "zh") is None
        assert prompts.get(Situation.OPEN, "zh") is None
    (record,) = caplog.records
    assert "zh/open.wav is missing" in record.message
    assert "gated prompts make" in record.message
    assert "tones" in record.message


def test_a_broken_recording_is_logged_and_the_other_prompts_still_play(tmp_path, caplog):
    prompts = LoadedPrompts(tmp_path)
    (tmp_path / "en").mkdir()
    prompt_path(tmp_path, Situation.OPEN, "en").write_bytes(b"noise")
    good = prompt_path(tmp_path, Situation.REFUSED, "en")
    write_wav(good, tone(Rhythm((0.5,), 1)))
    assert prompts.get(Situation.OPEN, "en") is None
    assert "save it as 16-bit" in caplog.text
    assert prompts.get(Situation.REFUSED, "en").size == read_wav(good).size


# The text of a file, compared with the current text of the gate


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A folder with one made prompt, in Chinese."""
    monkeypatch.setattr("gated.cues.prompts.PLAN", {Situation.REFUSED: PLAN[Situation.REFUSED]})
    list(render_prompts(tmp_path, ["zh"]))
    return tmp_path


def problem(folder, fitted=EVERYTHING):
    return next(iter(dict(check_prompts(folder, ["zh"], fitted)).values()))


def test_made_json_lists_text_and_voice(one):
    [(name, row)] = json.loads((one / MADE).read_text("utf-8")).items()
    assert name == "zh/refused.wav"
    assert row["text"] == cue_sentence(PLAN[Situation.REFUSED], "zh", EVERYTHING)
    assert row["voice"].startswith("cmn-latn-pinyin")
    assert problem(one) is None


@pytest.mark.parametrize("listed", ["by its digest", "as another", "never", "in no list"])
def test_a_prompt_of_an_older_version_is_found_and_made_again(one, listed):
    """Older versions stored only the digest, and used a Chinese voice that espeak-ng 1.51 reads as English.

    Files that were copied without the list are recognised by their form.
    """
    path = prompt_path(one, Situation.REFUSED, "zh")
    write_wav(path, speak("gibberish", "en"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lists = {"by its digest": {"zh/refused.wav": digest}, "never": {}}
    if listed in lists:
        (one / MADE).write_text(json.dumps(lists[listed]))
    elif listed == "in no list":
        (one / MADE).unlink()
    gibberish = path.read_bytes()
    assert "may read it wrongly" in problem(one)
    assert LoadedPrompts(one, ["zh"]).get(Situation.REFUSED, "zh") is None, "tones are better than gibberish"
    assert renew_prompts(one, ["zh"], EVERYTHING) == 1
    assert path.read_bytes() != gibberish
    assert problem(one) is None


def test_after_a_change_of_fitted_parts_the_prompts_are_renewed_at_the_next_start(one, caplog):
    fitted = Fitted(card=False, call=False)
    assert "other words" in problem(one, fitted)
    prompts = LoadedPrompts(one, ["zh"], fitted)
    assert prompts.get(Situation.REFUSED, "zh") is None
    prompts.renew()
    assert prompts.get(Situation.REFUSED, "zh").size == read_wav(prompt_path(one, Situation.REFUSED, "zh")).size
    assert problem(one, fitted) is None


def test_a_current_prompt_is_not_made_again(one):
    before = prompt_path(one, Situation.REFUSED, "zh").stat().st_mtime_ns
    assert renew_prompts(one, ["zh"], EVERYTHING) == 0
    assert prompt_path(one, Situation.REFUSED, "zh").stat().st_mtime_ns == before


def test_a_recording_is_played_at_any_gate_and_never_made_again(one):
    path = prompt_path(one, Situation.REFUSED, "zh")
    write_wav(path, tone(Rhythm((0.5,), 1)))
    recording = path.read_bytes()
    fitted = Fitted(card=False)
    assert problem(one, fitted) is None
    assert renew_prompts(one, ["zh"], fitted) == 0
    assert LoadedPrompts(one, ["zh"], fitted).get(Situation.REFUSED, "zh") is not None
    assert path.read_bytes() == recording


@pytest.mark.parametrize(
    "change",
    [
        lambda samples: 0.95 * samples,
        lambda samples: np.concatenate([silence(0.01), samples]),
        lambda samples: np.concatenate([samples, silence(0.01)]),
    ],
    ids=["not quite as loud", "silence before", "silence after"],
)
def test_a_recording_made_by_a_person_does_not_count_as_ours(one, change):
    path = prompt_path(one, Situation.REFUSED, "zh")
    write_wav(path, change(speak("a neighbour", "en")))
    recording = path.read_bytes()
    (one / MADE).unlink()
    assert problem(one) is None
    assert renew_prompts(one, ["zh"], EVERYTHING) == 0
    list(render_prompts(one, ["zh"]))
    assert path.read_bytes() == recording


def test_a_start_makes_no_prompts_in_an_empty_folder(tmp_path):
    assert renew_prompts(tmp_path, ["zh"], EVERYTHING) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_failed_renewal_is_logged_once_and_tones_still_play(one, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(one))
    prompts = LoadedPrompts(one, ["zh"], Fitted(card=False))
    with caplog.at_level(logging.WARNING):
        prompts.renew()
    assert "espeak-ng is not installed" in caplog.text
    assert prompts.count_broken() == 1


def test_the_telephone_number_has_its_own_prompt_and_follows_the_settings(one):
    list(render_prompts(one, ["zh"], Fitted(phone="0371-61")))
    assert json.loads((one / MADE).read_text("utf-8"))["zh/phone.wav"]["text"] == "电话，零三七幺六幺"
    assert [path.name for path, wrong in check_prompts(one, ["zh"], Fitted(phone="0371-62")) if wrong] == ["phone.wav"]
    assert [path.name for path, wrong in check_prompts(one, ["zh"], Fitted(phone="0371-61")) if wrong] == []


def test_a_prompt_is_checked_by_its_phonemes(one, monkeypatch):
    monkeypatch.setattr("gated.cues.speech.phonemes_of", lambda *_: "(en)SV55w'055n(cmn)_|")
    assert "would speak zh wrongly" in problem(one)
    assert speech_problem("你好", "en") is None
    with pytest.raises(StateError, match="wrongly"):
        list(render_prompts(one, ["zh"]))


def test_an_engine_without_output_is_found(monkeypatch):
    monkeypatch.setattr("gated.cues.speech.phonemes_of", lambda *_: "\n")
    assert "say nothing" in speech_problem("hello", "en")


def test_without_an_engine_a_checked_prompt_is_accepted(one, monkeypatch):
    monkeypatch.setenv("PATH", str(one))
    assert problem(one) is None
