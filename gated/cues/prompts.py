"""The spoken prompts: one WAV file per sentence and language, made by espeak-ng. Each may be replaced by a recording.

The files are `FOLDER/zh/open.wav` and so on; `phone.wav` is the telephone number. `made.json` lists our files: the
digest, the text and the voice of each. A file is generated if its digest is in the list. A file with the form of
generated files counts too (see `samples.is_trimmed_wav`): it may come from an older version. Every other file is a
recording and is never overwritten. A generated file with an old text is made again.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from gated.cues.plan import PLAN
from gated.cues.samples import RATE, Samples, is_trimmed_wav, peak_dbfs, read_wav, write_wav
from gated.cues.speech import speak, speech_problem, voice_of
from gated.cues.words import EVERYTHING, Fitted, cue_sentence, spoken_phone
from gated.errors import StateError

log = logging.getLogger(__name__)

PHONE_PROMPT = "phone"
"""The name of the telephone number's prompt. All other names are situations."""
LENGTH_S = (0.3, 7.0)
PHONE_LENGTH_S = (0.3, 15.0)
"""The allowed length of a prompt, and of the telephone number's prompt."""
PEAK_DBFS = (-6.0, -1.0)
"""The allowed peak level of a prompt."""
MADE = "made.json"
NOT_THERE = "is missing; `gated prompts make` makes it"


class Prompt(Struct, frozen=True):
    """A prompt that this gate needs, with its text."""

    path: Path
    name: str
    """The name of a situation, or `PHONE_PROMPT`."""
    language: str
    text: str

    @property
    def key(self) -> str:
        """The key of this prompt in `made.json`."""
        return f"{self.language}/{self.path.name}"


class Made(Struct, frozen=True):
    """A generated prompt file: its SHA-256, its text and its voice. `text` and `voice` are empty if unknown."""

    sha256: str
    text: str = ""
    voice: str = ""


def prompt_path(folder: Path, name: str, language: str) -> Path:
    """Return the path of a prompt's file."""
    return folder / language / f"{name}.wav"


def needed(folder: Path, languages: Sequence[str], fitted: Fitted = EVERYTHING) -> Iterator[Prompt]:
    """Yield every prompt that this gate needs."""
    for language in languages:
        texts = {str(situation): cue_sentence(cue, language, fitted) for situation, cue in PLAN.items()}
        if number := spoken_phone(fitted.phone, language):
            texts[PHONE_PROMPT] = number
        for name, text in texts.items():
            yield Prompt(prompt_path(folder, name, language), name, language, text)


def render_prompts(
    folder: Path, languages: Sequence[str], fitted: Fitted = EVERYTHING, *, all_of_them: bool = True
) -> Iterator[tuple[Path, bool]]:
    """Make every prompt, except recordings. Yields each file, and whether it was generated (otherwise it is a
    recording).

    Without `all_of_them`, it makes only prompts that are missing or out of date. Raises `StateError` if espeak-ng is
    missing, fails or would read wrongly, or if the folder is not writable.
    """
    made = _made(folder)
    for prompt in needed(folder, languages, fitted):
        exists, known = prompt.path.exists(), _known(prompt, made)
        is_replaceable = not exists or known is not None
        if is_replaceable and (all_of_them or not exists or _staleness(prompt, known)):
            _write(prompt.path, speak(prompt.text, prompt.language))
            made[prompt.key] = Made(_digest(prompt.path), prompt.text, voice_of(prompt.language))
            _save(folder, made)
        yield prompt.path, is_replaceable


def renew_prompts(folder: Path, languages: Sequence[str], fitted: Fitted) -> int:
    """Make every missing or outdated prompt again, if the folder has a generated file. Returns the number made.

    Raises `StateError` as `render_prompts` does.
    """
    made = _made(folder)
    known = {prompt: _known(prompt, made) for prompt in needed(folder, languages, fitted)}
    if not any(known.values()):
        return 0
    count = sum(not prompt.path.exists() or bool(_staleness(prompt, was)) for prompt, was in known.items())
    list(render_prompts(folder, languages, fitted, all_of_them=False))
    return count


def prompt_problem(path: Path, length_s: tuple[float, float] = LENGTH_S) -> str | None:
    """Return what is wrong with a prompt's file, or None.

    The file must exist, be a readable WAV file, have a length in `length_s`, and peak between -6 and -1 dBFS.
    """
    if not path.exists():
        return NOT_THERE
    try:
        samples = read_wav(path)
    except StateError as error:
        return str(error).removeprefix(f"{path}: ")
    is_s, peak = samples.size / RATE, peak_dbfs(samples)
    if not length_s[0] <= is_s <= length_s[1]:
        return f"is {is_s:.1f} s long; a prompt has {length_s[0]} to {length_s[1]} s"
    if not PEAK_DBFS[0] <= peak <= PEAK_DBFS[1]:
        return f"peaks at {peak:.1f} dBFS; record it again or amplify it to between {PEAK_DBFS[0]} and {PEAK_DBFS[1]}"
    return None


def check_prompts(
    folder: Path, languages: Sequence[str], fitted: Fitted = EVERYTHING
) -> Iterator[tuple[Path, str | None]]:
    """Yield every needed prompt's file with its problem, or None. For a generated file, check the speech, too.

    The words of a recording cannot be checked.
    """
    made = _made(folder)
    for prompt in needed(folder, languages, fitted):
        yield prompt.path, _problem(prompt, made)


class LoadedPrompts:
    """The prompts for playing. Each file is read at its first use. A missing file is logged once."""

    def __init__(self, folder: Path, languages: Sequence[str] = ("zh", "en"), fitted: Fitted = EVERYTHING) -> None:
        self._folder, self._languages, self._fitted = folder, languages, fitted
        self._needed = {(each.name, each.language): each for each in needed(folder, languages, fitted)}
        self._loaded: dict[tuple[str, str], Samples | None] = {}

    def get(self, name: str, language: str) -> Samples | None:
        """Return the samples of a prompt, or None if it cannot be played."""
        key = (str(name), language)
        if key not in self._loaded:
            self._loaded[key] = self._load(self._needed[key])
        return self._loaded[key]

    def count_broken(self) -> int:
        """Return how many prompts cannot be played now. Their files are read again at the next use."""
        self._loaded = {key: samples for key, samples in self._loaded.items() if samples is not None}
        made = _made(self._folder)
        return sum(_file_problem(prompt, made) is not None for prompt in self._needed.values())

    def renew(self) -> None:
        """Make the prompts of an older version or of other settings again. Takes seconds. A failure is logged."""
        try:
            count = renew_prompts(self._folder, self._languages, self._fitted)
        except StateError as error:
            log.warning("the outdated prompts cannot be made again: %s", error)
            return
        if count:
            log.info("%d prompts were made again", count)
            self._loaded.clear()

    def _load(self, prompt: Prompt) -> Samples | None:
        problem = _file_problem(prompt, _made(self._folder))
        if problem is None:
            return read_wav(prompt.path)
        log.warning("prompt %s %s; until then the gate plays tones only", prompt.key, problem)
        return None


def _problem(prompt: Prompt, made: dict[str, Made]) -> str | None:
    problem = _file_problem(prompt, made)
    if problem is not None or _known(prompt, made) is None:
        return problem
    try:
        return speech_problem(prompt.text, prompt.language)
    except StateError:
        return None  # espeak-ng is missing; the same text was checked when the file was made


def _file_problem(prompt: Prompt, made: dict[str, Made]) -> str | None:
    """Return the problem of a prompt's file (also an outdated one), or None."""
    return prompt_problem(prompt.path, _length_s(prompt)) or _staleness(prompt, _known(prompt, made))


def _known(prompt: Prompt, made: dict[str, Made]) -> Made | None:
    """Return the entry of a generated file, or None for a recording or a missing file."""
    if not prompt.path.exists():
        return None
    digest, listed = _digest(prompt.path), made.get(prompt.key)
    if listed is not None and listed.sha256 == digest:
        return listed
    return Made(digest) if is_trimmed_wav(prompt.path) else None


def _staleness(prompt: Prompt, known: Made | None) -> str | None:
    """Return the reason why a generated file is outdated, or None. A recording is never outdated."""
    if known is None:
        return None
    if not known.voice:
        return "was made by an older version, whose voice may read it wrongly; `gated prompts make` makes it again"
    if known.voice != voice_of(prompt.language):
        return "was made with a voice that may read it wrongly; `gated prompts make` makes it again"
    if known.text != prompt.text:
        return "has other words than this gate uses now; `gated prompts make` makes it again"
    return None


def _length_s(prompt: Prompt) -> tuple[float, float]:
    return PHONE_LENGTH_S if prompt.name == PHONE_PROMPT else LENGTH_S


def _made(folder: Path) -> dict[str, Made]:
    """Return the entries of `made.json`.

    The result is empty if the list cannot be read. Unknown files then count as recordings.
    """
    with contextlib.suppress(OSError, ValueError):
        made = json.loads((folder / MADE).read_text("utf-8"))
        if isinstance(made, dict):
            return {name: _entry(entry) for name, entry in made.items()}
    return {}


def _entry(entry: object) -> Made:
    """Return an entry of `made.json`. Older versions wrote only the digest."""
    if isinstance(entry, dict):
        return Made(*(str(entry.get(field, "")) for field in Made.__struct_fields__))
    return Made(str(entry))


def _save(folder: Path, made: dict[str, Made]) -> None:
    rows = {name: asdict(each) for name, each in made.items()}
    (folder / MADE).write_text(json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False), "utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, samples: Samples) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, samples)
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror}); make the folder writable") from error
