"""The trial: which version is tried in place of which, how often it was started, and why it has to go.

Lines of a word and a value, because the guard reads it with nothing but sh; see `systemd/guard`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from gated.errors import StateError
from gated.runtime.files import sync_folder, write_whole

FILE = "trial"
STARTS = 3
"""So many starts a version has to prove itself; the guard has the same number."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What the file holds."""

    before: str
    """The version to go back to."""
    after: str
    """The version on trial."""
    brain: int = 0
    """How often its brain was started."""
    latch: int = 0
    since: int = 0
    """The journal's newest row before it."""
    lost: str = ""
    """The parts that the gate had lost before already, with spaces between them."""
    why: str = ""
    """Why it has to go; empty while that is open."""

    def condemned(self, why: str) -> "Trial":
        """The same, to be taken back whatever happens next; also by the guard, after a power cut."""
        return replace(self, brain=STARTS, why=" ".join(why.split()))

    def encoded(self) -> bytes:
        """The file's bytes."""
        lines = (f"{field.name} {getattr(self, field.name)}".rstrip() for field in fields(self))
        return ("\n".join(lines) + "\n").encode()

    def write(self, root: Path) -> None:
        """Put it in place of any other; on disk when this returns. Raises `StateError`."""
        try:
            write_whole(root / FILE, self.encoded())
        except OSError as error:
            raise StateError(f"{root / FILE}: cannot be written ({error.strerror}); run this as root") from error


def read_trial(root: Path) -> Trial | None:
    """The trial that there is, or None. Raises `StateError` where it cannot be read, or is damaged."""
    path = root / FILE
    try:
        return decoded(path.read_text("utf-8").splitlines())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror}); run this as root") from error
    except (KeyError, ValueError) as error:
        advice = "see which release `current` names, remove this file, and start the gate anew"
        raise StateError(f"{path}: is damaged ({error}); {advice}") from error


def decoded(lines: Iterable[str]) -> Trial:
    """A trial from its lines. Raises `KeyError` and `ValueError` where it is none."""
    words = {word: value for word, _, value in (line.partition(" ") for line in lines)}
    if not words["before"] or not words["after"]:
        raise ValueError("it names no versions")
    brain, latch, since = (int(words[word]) for word in ("brain", "latch", "since"))
    return Trial(words["before"], words["after"], brain, latch, since, words["lost"], words["why"])


def remove_trial(root: Path) -> None:
    """It is over; on disk when this returns. Raises `StateError`."""
    try:
        (root / FILE).unlink(missing_ok=True)
        sync_folder(root)
    except OSError as error:
        raise StateError(f"{root / FILE}: cannot be removed ({error.strerror}); run this as root") from error
