"""A proposal of the office's on disk: its TOML, and before it in one line the starts that it has had.

Each change is one file written beside and renamed, so that a power cut leaves the old one or the new one.
"""

import os
from pathlib import Path

import msgspec

from gated import wording
from gated.config.overlay import OFFICE
from gated.errors import ConfigError, StateError
from gated.wording import UNDECODABLE

TRIAL = "office.trial.toml"
"""The file's name, in the state folder."""

_MARK = b"# trial: "


class Mark(msgspec.Struct, frozen=True):
    """The first line: how many starts there were, and which parts were lost before already."""

    starts: int
    lost: list[str]


class Proposal(msgspec.Struct, frozen=True):
    """What the file holds."""

    mark: Mark
    toml: str

    def encoded(self) -> bytes:
        """The file's bytes."""
        return _MARK + msgspec.json.encode(self.mark) + b"\n" + self.toml.encode()

    def counted(self) -> "Proposal":
        """The same after one more start."""
        return Proposal(Mark(self.mark.starts + 1, self.mark.lost), self.toml)

    def write(self, state: Path) -> None:
        """Put it into the state folder in place of any other; on disk when this returns. Raises `StateError`."""
        path, content = state / TRIAL, self.encoded()
        fresh = path.with_suffix(".new")
        try:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                while content:
                    content = content[os.write(file, content) :]
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(fresh, path)  # noqa: PTH105 - one call, one meaning
            _sync(state)
        except OSError as error:
            raise StateError(f"{path}: cannot be written ({error.strerror}); the settings stay as they are") from error


def read_proposal(state: Path) -> Proposal | None:
    """The proposal that there is, or None. Raises `ConfigError` where it is damaged, `StateError` where it cannot be
    read.
    """
    try:
        line, _, toml = (state / TRIAL).read_bytes().partition(b"\n")
        return Proposal(msgspec.json.decode(line.removeprefix(_MARK), type=Mark), toml.decode())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{state / TRIAL}: cannot be read ({error.strerror})") from error
    except UNDECODABLE as error:
        raise ConfigError(TRIAL, [f"is damaged: {wording.cause(error, Mark)}"]) from error


def keep_proposal(state: Path) -> None:
    """It is the office's settings from now on. Raises `StateError`."""
    try:
        os.replace(state / TRIAL, state / OFFICE)  # noqa: PTH105 - as above
        _sync(state)
    except OSError as error:
        raise StateError(f"{state / OFFICE}: cannot be written ({error.strerror}); the trial goes on") from error


def drop_proposal(state: Path) -> None:
    """It is no more. Raises `StateError`."""
    try:
        os.unlink(state / TRIAL)  # noqa: PTH108 - as above
        _sync(state)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(f"{state / TRIAL}: cannot be removed ({error.strerror}); the trial goes on") from error


def _sync(folder: Path) -> None:
    """Make a change of names last through a power cut."""
    names = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(names)
    finally:
        os.close(names)
