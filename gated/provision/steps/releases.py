"""Where another version comes from one day: the key that it must be signed with."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gated.provision.making import Making, attempted
from gated.provision.steps.step import DONE, Tried
from gated.update.release import ROOT, Releases
from gated.update.signature import Key, read_keys


@dataclass(frozen=True)
class ReleaseKey:
    """The key is believed from now on; one that is believed already stays, and `gated update --key` changes it."""

    making: Making
    title: ClassVar[str] = "release key"

    def is_done(self) -> bool:
        """Whether one is believed. Raises `UpdateError` where anybody but root could have put it there."""
        return bool(self._releases.keys)

    def do(self) -> str:
        """Believe it. Raises `UpdateError`, `StateError`."""
        keys = self._said
        self._releases.believe(keys)
        return _named(keys)

    def check(self) -> Tried:
        """That it is a key."""
        wrong = attempted(lambda: self._said)
        if wrong:
            return Tried("", wrong)
        return Tried(DONE if self.is_done() else f"would be believed: {_named(self._said)}")

    @property
    def _said(self) -> list[Key]:
        return read_keys(Path(self.making.answers.release_key).expanduser())

    @property
    def _releases(self) -> Releases:
        return Releases(self.making.root / ROOT.lstrip("/"))


def _named(keys: list[Key]) -> str:
    return ", ".join(f"{key.fingerprint} {key.comment}".rstrip() for key in keys)
