"""The step that stores the public key for releases. The gate installs only versions with a signature of this key."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gated.provision.install_step import DONE, StepCheck
from gated.provision.step_state import Making, attempted
from gated.update.release import ROOT, Releases
from gated.update.signature import Key, read_keys


@dataclass(frozen=True)
class ReleaseKey:
    """The step that stores the release key. It keeps an existing key; `gated update --key` changes it."""

    making: Making
    title: ClassVar[str] = "release key"

    def is_done(self) -> bool:
        """Return whether the gate trusts a release key. Raises `UpdateError` if another user than root could have
        stored it.
        """
        return bool(self._releases.keys)

    def do(self) -> str:
        """Store the key as trusted. Raises `UpdateError`, `StateError`."""
        keys = self._given_keys
        self._releases.trust_keys(keys)
        return _named(keys)

    def check(self) -> StepCheck:
        """Check that the file holds a valid key."""
        wrong = attempted(lambda: self._given_keys)
        if wrong:
            return StepCheck("", wrong)
        return StepCheck(DONE if self.is_done() else f"would be trusted: {_named(self._given_keys)}")

    @property
    def _given_keys(self) -> list[Key]:
        return read_keys(Path(self.making.answers.release_key).expanduser())

    @property
    def _releases(self) -> Releases:
        return Releases(self.making.root / ROOT.lstrip("/"))


def _named(keys: list[Key]) -> str:
    return ", ".join(f"{key.fingerprint} {key.comment}".rstrip() for key in keys)
