"""Spoken prompts: made at install by espeak-ng, one file a situation and language, each replaceable by a recording.

`FOLDER/zh/open.wav` and so on. What we made is listed in `made.json` by its digest, so that a recording that somebody
put in its place is known as theirs and is never overwritten.
"""

import contextlib
import hashlib
import json
import logging
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gated.cues.cue import Situation
from gated.cues.plan import PLAN
from gated.cues.samples import RATE, Samples, peak_dbfs, read_wav, trimmed, write_wav
from gated.errors import StateError

log = logging.getLogger(__name__)

VOICES = {"zh": ("cmn", "230"), "en": ("en", "150")}
"""espeak-ng's voice and words a minute: calm in either language, for what is heard once, outdoors, by old ears."""
LENGTH_S = (0.3, 6.0)
PEAK_DBFS = (-6.0, -1.0)
ESPEAK_S = 20.0
MADE = "made.json"


def prompt_path(folder: Path, situation: Situation, language: str) -> Path:
    """Where a prompt lies."""
    return folder / language / f"{situation}.wav"


def render(folder: Path, languages: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """Make every prompt that is missing or ours; each file, and whether we made it (else it is a recording).

    Raises `StateError` when espeak-ng is missing or fails, or when the folder cannot be written.
    """
    made = _made(folder)
    for path, situation, language in _all(folder, languages):
        name = path.relative_to(folder).as_posix()
        is_ours = not path.exists() or made.get(name) == _digest(path)
        if is_ours:
            _write(path, spoken(PLAN[situation].sentences[language], language))
            made[name] = _digest(path)
            _remember(folder, made)
        yield path, is_ours


def spoken(sentence: str, language: str) -> Samples:
    """A sentence by espeak-ng, without silence at its ends, at -3 dBFS. Raises `StateError` when that fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.wav"
        voice, speed = VOICES[language]
        command = ["espeak-ng", "-v", voice, "-s", speed, "-w", str(file), "--", sentence]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=ESPEAK_S)
        except FileNotFoundError as error:
            raise StateError("espeak-ng is not installed: apt-get install espeak-ng, or record the prompts") from error
        except (subprocess.SubprocessError, OSError) as error:
            raise StateError(f"espeak-ng cannot speak {language}: {error}; reinstall espeak-ng-data") from error
        return trimmed(read_wav(file))


def problem_of(path: Path) -> str | None:
    """What is wrong with a prompt's file, or None: it must be there, 0.3 to 6 s long, its peak -6 to -1 dBFS."""
    if not path.exists():
        return "is missing; `gated prompts make` makes it"
    try:
        samples = read_wav(path)
    except StateError as error:
        return str(error).removeprefix(f"{path}: ")
    length_s, peak = samples.size / RATE, peak_dbfs(samples)
    if not LENGTH_S[0] <= length_s <= LENGTH_S[1]:
        return f"is {length_s:.1f} s long; a prompt has {LENGTH_S[0]} to {LENGTH_S[1]} s"
    if not PEAK_DBFS[0] <= peak <= PEAK_DBFS[1]:
        return f"peaks at {peak:.1f} dBFS; record it anew or amplify it, to between {PEAK_DBFS[0]} and {PEAK_DBFS[1]}"
    return None


def check(folder: Path, languages: Sequence[str]) -> Iterator[tuple[Path, str | None]]:
    """Every prompt that there should be, and what is wrong with it."""
    for path, _, _ in _all(folder, languages):
        yield path, problem_of(path)


class Prompts:
    """The prompts as they are played: each file read when it is first needed. One that is missing is warned of once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, Samples | None] = {}

    def get(self, situation: Situation, language: str) -> Samples | None:
        """The samples, or None where only tones are left."""
        path = prompt_path(self._folder, situation, language)
        if path not in self._read:
            self._read[path] = self._load(path)
        return self._read[path]

    @staticmethod
    def _load(path: Path) -> Samples | None:
        problem = problem_of(path)
        if problem is None:
            return read_wav(path)
        log.warning("prompt %s/%s %s; tones alone until then", path.parent.name, path.name, problem)
        return None


def _all(folder: Path, languages: Sequence[str]) -> Iterator[tuple[Path, Situation, str]]:
    for language in languages:
        for situation in PLAN:
            yield prompt_path(folder, situation, language), situation, language


def _made(folder: Path) -> dict[str, str]:
    """What we made before. Where that is not known everything that lies there is taken for a recording."""
    with contextlib.suppress(OSError, ValueError):
        made = json.loads((folder / MADE).read_text("utf-8"))
        if isinstance(made, dict):
            return made
    return {}


def _remember(folder: Path, made: dict[str, str]) -> None:
    (folder / MADE).write_text(json.dumps(made, indent=1, sort_keys=True), "utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, samples: Samples) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, samples)
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror}); make the folder writable") from error
