"""The first steps: check the machine, and create the folders."""

import os
from dataclasses import dataclass
from typing import ClassVar

from gated.errors import ProvisionError
from gated.provision import machine_check
from gated.provision import step_state as making
from gated.provision.install_step import DONE, StepCheck
from gated.provision.step_state import Making, attempted, check_writable, writing
from gated.storage.files import own_folder
from gated.storage.owner import acting_as, maker_of


@dataclass(frozen=True)
class Machine:
    """The step that checks processor, memory, power, disk space and clock. It runs every time."""

    making: Making
    title: ClassVar[str] = "machine"

    def is_done(self) -> bool:
        """Return False: every run checks again."""
        return False

    def do(self) -> str:
        """Check the machine. Raises `ProvisionError` if a finding is red."""
        findings = list(machine_check.findings_before(self.making.state, self.making.root))
        self.making.judge(findings)
        return findings[0].result

    def check(self) -> StepCheck:
        """Check the machine. Return the red findings as problems."""
        findings = list(machine_check.findings_before(self.making.state, self.making.root))
        for finding in findings:
            self.making.report(finding)
        red = [ProvisionError(f"{f.part}: {f.result}; {f.next_step}") for f in findings if f.light == "red"]
        return StepCheck(findings[0].result, red)


@dataclass(frozen=True)
class Folders:
    """The step that creates the folder of the settings and the state folder. Only the gate's user can read the state
    folder.
    """

    making: Making
    title: ClassVar[str] = "folders"

    def is_done(self) -> bool:
        """Return whether both folders exist, and the state folder has the right owner and mode 0700.

        Raises `ProvisionError` if we are not root.
        """
        config, state = self.making.config, self.making.state
        return (
            config.parent.is_dir() and state.is_dir() and state.stat().st_mode & 0o777 == 0o700
            and (state.stat().st_uid, state.stat().st_gid) == self.making.owner
        )  # fmt: skip

    def do(self) -> str:
        """Create both folders. Raises `StateError`, also if another user could replace them."""
        config, state = self.making.config, self.making.state
        maker_of(config, None)
        with writing(state), acting_as(maker_of(state, self.making.owner)):
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            own_folder(state, *(self.making.owner or (-1, -1)))
        with writing(config):
            config.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        return f"{state}, {making.USER}'s alone"

    def check(self) -> StepCheck:
        """Check that we are root, that the user exists, and that both folders can be created."""
        config, state = self.making.config, self.making.state
        if os.geteuid() != 0:
            return StepCheck("", attempted(lambda: self.making.owner))
        wrong = attempted(lambda: check_writable(config), lambda: check_writable(state), lambda: maker_of(config, None))
        wrong_owner = attempted(lambda: self.making.owner)
        wrong += attempted(lambda: maker_of(state, self.making.owner)) if not wrong_owner else []
        if wrong_owner and not self.making.is_installing:  # during an installation, systemd/install creates the user
            wrong += wrong_owner
        if wrong or wrong_owner:
            return StepCheck(f"{state} would be made", wrong)
        return StepCheck(DONE if self.is_done() else f"{state} would be made, {making.USER}'s alone")
