"""Copies prompts from another folder: only playable files, each with a size limit."""

import errno
from pathlib import Path

from gated.bounded import MOST_TEXT, copy_file, open_plain
from gated.cues.plan import PLAN
from gated.cues.prompts import MADE, PHONE_PROMPT, prompt_path
from gated.cues.samples import MOST_WAV_BYTES

PROMPT_LANGUAGES = ("zh", "en")


def copy_prompts(source: Path, folder: Path) -> int:
    """Copy every existing prompt, and the list of generated prompts. Returns the number of files.

    Raises `OSError` with the name of the file, also for a link, a pipe or a device in the place of one.
    """
    next(source.iterdir(), None)  # raises if it is not a readable folder
    names = [prompt_path(Path(), name, each) for each in PROMPT_LANGUAGES for name in (*map(str, PLAN), PHONE_PROMPT)]
    bounds = {Path(MADE): MOST_TEXT} | dict.fromkeys(names, MOST_WAV_BYTES)
    return sum(_copy(source / name, folder / name, most) for name, most in bounds.items())


def _copy(path: Path, target: Path, most: int) -> bool:
    if path.is_symlink():
        raise OSError(errno.ELOOP, "is a link, which may lead to any file; put the file itself there", str(path))
    if not path.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_plain(path) as file:
        copy_file(file, target, most, 0o644)  # the gate's user reads what root copies
    return True
