"""Read a longer text aloud into one WAV file, sentence by sentence."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from gated.cues.samples import RATE, Samples, silence, write_wav
from gated.cues.speech import phonemes_of, voiced
from gated.errors import StateError

SPEED = {"zh": "190", "en": "130"}
"""Words per minute. Slower than a prompt, because people hear the text once and then consent."""
SENTENCE_PAUSE_S = 0.7
"""The pause after each sentence."""
LATIN = r"([A-Za-z][A-Za-z'.,-]*(?: +[A-Za-z][A-Za-z'.,-]*)*)"
HAN = r"([\u3007\u3400-\u9fff]+(?:[\u3000-\u3002\uff01\uff0c\uff1a\uff1b\uff1f\s]*[\u3007\u3400-\u9fff]+)*)"
"""Patterns of words in Latin letters, and in Chinese characters (CJK Unified Ideographs)."""


def read_aloud(sentences: Iterable[str], language: str, path: Path | IO[bytes]) -> float:
    """Speak the sentences into a WAV file, with a pause after each. Returns its length in seconds.

    Raises `StateError` when espeak-ng is missing or fails, when it would read a sentence in another language, or when
    the file cannot be written.
    """
    parts = []
    for sentence in sentences:
        parts += [_spoken(words, voice) for words, voice in by_voice(sentence, language)]
        parts.append(silence(SENTENCE_PAUSE_S))
    samples = np.concatenate(parts) if parts else silence(0)
    try:
        write_wav(path, samples)
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror}); choose a folder that you may write") from error
    return float(samples.size / RATE)


def by_voice(sentence: str, language: str) -> list[tuple[str, str]]:
    """Split a sentence into parts, each with the language of its letters. An address may be in another language."""
    other, foreign = ("en", LATIN) if language == "zh" else ("zh", HAN)
    parts = [part for part in re.split(foreign, sentence) if part.strip()]
    return [(part, other if re.fullmatch(foreign, part) else language) for part in parts]


def _spoken(sentence: str, language: str) -> Samples:
    """Return the speech of a sentence. Its readings are not checked one by one: no list has all of its words."""
    phonemes = phonemes_of(sentence, language)
    if language == "zh" and "(" in phonemes:
        raise StateError(
            f"espeak-ng would read {sentence[:20]!r} as another language; install espeak-ng 1.51 or newer, or record it"
        )
    if not phonemes.strip():
        return silence(0)
    return voiced(sentence, language, "-s", SPEED[language])
