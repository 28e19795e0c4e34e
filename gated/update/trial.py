"""Stores the trial on disk: the version on trial, the version before, the number of starts, and why it must go.

Each line is a word and a value, because the guard reads the file with plain sh (see `systemd/guard`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from gated.atomic_files import atomic_write, sync_folder
from gated.errors import StateError

FILE = "trial"
STARTS = 3
"""Limits the starts of a version on trial. The guard uses the same number."""


@dataclass(frozen=True, slots=True)
class VersionTrial:
    """The content of the trial file."""

    before: str
    """The version to go back to."""
    after: str
    """The version on trial."""
    brain: int = 0
    """How often its brain was started."""
    latch: int = 0
    """How often its latch was started."""
    since: int = 0
    """Number of the journal's newest row before the trial."""
    lost: str = ""
    """Parts that the gate had already lost before the trial, separated by spaces."""
    why: str = ""
    """Why the version must go; empty while undecided."""

    def condemned(self, why: str) -> "VersionTrial":
        """Return a copy that must be taken back whatever happens next, also by the guard after a power cut."""
        return replace(self, brain=STARTS, why=" ".join(why.split()))

    def encoded(self) -> bytes:
        """Return the bytes of the file."""
        lines = (f"{field.name} {getattr(self, field.name)}".rstrip() for field in fields(self))
        return ("\n".join(lines) + "\n").encode()

    def write(self, root: Path) -> None:
        """Write the file and replace an older one. It is on disk on return. Raises `StateError`."""
        try:
            atomic_write(root / FILE, self.encoded())
        except OSError as error:
            raise StateError(f"{root / FILE}: cannot be written ({error.strerror}); run this as root") from error


def read_trial(root: Path) -> VersionTrial | None:
    """Return the trial on disk, or None. Raises `StateError` if it cannot be read or is damaged."""
    path = root / FILE
    try:
        return decoded(path.read_text("utf-8").splitlines())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror}); run this as root") from error
    except (KeyError, ValueError) as error:
        advice = "check which release `current` names, remove this file, and restart the gate"
        raise StateError(f"{path}: is damaged ({error}); {advice}") from error


def decoded(lines: Iterable[str]) -> VersionTrial:
    """Return a trial from its lines. Raises `KeyError` and `ValueError` if they are not valid."""
    words = {key: value for key, _, value in (line.partition(" ") for line in lines)}
    if not words["before"] or not words["after"]:
        raise ValueError("it has no versions")
    brain, latch, since = (int(words[key]) for key in ("brain", "latch", "since"))
    return VersionTrial(words["before"], words["after"], brain, latch, since, words["lost"], words["why"])


def remove_trial(root: Path) -> None:
    """Delete the trial. The deletion is on disk on return. Raises `StateError`."""
    try:
        (root / FILE).unlink(missing_ok=True)
        sync_folder(root)
    except OSError as error:
        raise StateError(f"{root / FILE}: cannot be removed ({error.strerror}); run this as root") from error
