"""Store the office's proposed settings on disk. The first line counts the starts with the proposal; the TOML text
follows. `trial` uses this module.

Each change writes a new file and renames it, so a power cut leaves either the old file or the new one.
"""

import os
from pathlib import Path

import msgspec

from gated import wording
from gated.atomic_files import atomic_write, sync_folder
from gated.config.overlay import OFFICE
from gated.errors import ConfigError, StateError
from gated.wording import UNDECODABLE

TRIAL = "office.trial.toml"
"""The file's name, in the state folder."""

_MARK = b"# trial: "


class Mark(msgspec.Struct, frozen=True):
    """The first line of the file: the number of starts, and the parts that were already lost before the proposal."""

    starts: int
    lost: list[str]


class SettingsProposal(msgspec.Struct, frozen=True):
    """One proposal: its mark and its TOML text."""

    mark: Mark
    toml: str

    def encoded(self) -> bytes:
        """Return the bytes of the file."""
        return _MARK + msgspec.json.encode(self.mark) + b"\n" + self.toml.encode()

    def counted(self) -> "SettingsProposal":
        """Return this proposal with one more start counted."""
        return SettingsProposal(Mark(self.mark.starts + 1, self.mark.lost), self.toml)

    def write(self, state: Path) -> None:
        """Store the proposal in the state folder, and replace an earlier one. The data is on disk on return. Raises
        `StateError`.
        """
        path = state / TRIAL
        try:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic_write(path, self.encoded())
        except OSError as error:
            raise StateError(f"{path}: cannot be written ({error.strerror}); the settings stay as they are") from error


def read_proposal(state: Path) -> SettingsProposal | None:
    """Return the stored proposal, or None. Raises `ConfigError` if it is damaged, and `StateError` if it cannot be
    read.
    """
    try:
        line, _, toml = (state / TRIAL).read_bytes().partition(b"\n")
        return SettingsProposal(msgspec.json.decode(line.removeprefix(_MARK), type=Mark), toml.decode())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{state / TRIAL}: cannot be read ({error.strerror})") from error
    except UNDECODABLE as error:
        raise ConfigError(TRIAL, [f"is damaged: {wording.cause(error, Mark)}"]) from error


def keep_proposal(state: Path) -> None:
    """Make the proposal the office's settings. Raises `StateError`."""
    try:
        os.replace(state / TRIAL, state / OFFICE)  # noqa: PTH105 - one call, one meaning
        sync_folder(state)
    except OSError as error:
        raise StateError(f"{state / OFFICE}: cannot be written ({error.strerror}); the trial goes on") from error


def drop_proposal(state: Path) -> None:
    """Delete the proposal. Raises `StateError`."""
    try:
        os.unlink(state / TRIAL)  # noqa: PTH108 - as above
        sync_folder(state)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(f"{state / TRIAL}: cannot be removed ({error.strerror}); the trial goes on") from error
