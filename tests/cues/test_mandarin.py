"""Mandarin is checked by its phonemes. Gibberish is found, and both versions of espeak-ng pass."""

from itertools import product

import pytest

from gated.cues import speech
from gated.cues.mandarin import PINYIN_READINGS, is_han, misread
from gated.cues.plan import PLAN
from gated.cues.speech import speech_problem
from gated.cues.words import Fitted, cue_sentence, spoken_phone

SAID = "门开了"
GIBBERISH = "(en)mE55nt'u:55_| kaI55w'055n_| lE55f'aI55v(cmn)_|"
"""espeak-ng 1.51 with the voice `cmn`."""
BOOKWORM, TRIXIE = "m'@35n_| kh'ai55_| l@22_|", "m'@35n_| kh'ai55_| l'@11_|"
"""espeak-ng 1.51 and 1.52 with `cmn-latn-pinyin`."""
TEXTS = sorted(
    {cue_sentence(cue, "zh", Fitted(*has, number)) for cue in PLAN.values() for has in product((True, False), repeat=4)
     for number in ("", "110")} | {spoken_phone("0371-65528946", "zh")}
)  # fmt: skip


@pytest.mark.parametrize("phonemes", [BOOKWORM, TRIXIE])
def test_correct_phonemes_pass_in_both_versions(phonemes):
    assert misread(SAID, phonemes) is None


def test_joined_syllables_of_a_newer_version_pass():
    assert misread("没有人应答", "mei35j'iou214_| z.'@35n_| ji51Nt'A35_|") is None
    assert misread("没有人应答", "m'ei35_| j'iou21_| z.'@35n_| j'i55N_| t'A35_|") is None


def test_pinyin_read_as_english_is_found():
    assert "another language" in misread(SAID, GIBBERISH)
    assert "another language" in misread("中", "ts.'ong55_| (en)gju:22(cmn)_|")


@pytest.mark.parametrize(
    ("phonemes", "why"),
    [
        ("m'@35n_| kh'ai55_|", "了"),
        ("m'@35n_| k'ai55_| l@22_|", "开"),
        ("m'@51n_| kh'ai55_| l@22_|", "门"),
        ("m'@35N_| kh'ai55_| l@22_|", "门"),
        ("", "门"),
        ("m'@35n_| kh'ai55_| l@22_| l@22_|", "go on"),
    ],
)
def test_a_missing_wrong_or_extra_syllable_is_named(phonemes, why):
    assert why in misread(SAID, phonemes)


def test_every_character_of_our_sentences_has_a_reading():
    assert {character for text in TEXTS for character in text if is_han(character)} <= set(PINYIN_READINGS)
    assert "has no reading" in misread("龘", "t'a35_|")


def test_the_installed_espeak_reads_every_sentence_correctly():
    assert speech_problem("。".join(TEXTS), "zh") is None


def test_the_old_voice_is_found_wrong(monkeypatch):
    monkeypatch.setitem(speech.VOICES, "zh", ("en", "150"))
    assert "wrongly" in speech_problem(SAID, "zh")
