"""The steps for the hardware: test the camera and the pins, and write the pin settings into the firmware's
configuration.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gated.atomic_files import atomic_rewrite
from gated.config import Settings
from gated.errors import GatedError, ProvisionError
from gated.provision import machine_check
from gated.provision.boot import BEGIN, STRICT, boot_lines, with_lines
from gated.provision.install_step import DONE, StepCheck
from gated.provision.step_state import Making, attempted, check_writable, writing

IN_USE = "in use by the running gate; `gated doctor` shows their state"


@dataclass(frozen=True)
class Parts:
    """The step that tests the camera and the pins."""

    making: Making
    title: ClassVar[str] = "camera and pins"

    def is_done(self) -> bool:
        """Return False: every run tests again."""
        return False

    def do(self) -> str:
        """Test the camera and the pins. Raises `ProvisionError` if one cannot be used."""
        if self._is_running(self.making.settings):
            return IN_USE
        self.making.judge(list(machine_check.parts(self.making.settings)))
        return "can be used"

    def check(self) -> StepCheck:
        """Test the camera, and ask the kernel which pins are in use. No pin changes its level."""
        settings = self.making.draft.settings
        if settings is None:
            return StepCheck("cannot be tested before the settings are correct")
        if self._is_running(settings):
            return StepCheck(IN_USE)
        findings = list(machine_check.parts_seen(settings))
        for finding in findings:
            self.making.report(finding)
        wrong = [ProvisionError(f"{f.part}: {f.result}; {f.next_step}") for f in findings if f.light == "red"]
        return StepCheck("can be used", wrong)

    def _is_running(self, settings: Settings) -> bool:
        return (self.making.root / "run/systemd/system").is_dir() and settings.latch_socket.exists()


@dataclass(frozen=True)
class Firmware:
    """The step that writes lines into config.txt."""

    making: Making
    title: ClassVar[str] = "firmware"

    def is_done(self) -> bool:
        """Return whether config.txt has the right lines."""
        _, text, wanted = self._text(self.making.settings)
        return text == wanted

    def do(self) -> str:
        """Show the lines, ask for confirmation, and write them. Raises `ProvisionError`, `StateError`."""
        path, _, wanted = self._text(self.making.settings)
        block = _block(wanted)
        if not self.making.confirm(f"{path} gets these lines:\n{block}Write them?"):
            raise ProvisionError(
                f"{path} was not changed; without these lines a killed process leaves the lock released"
            )
        with writing(path):
            atomic_rewrite(path, wanted.encode())
        strict = "strict_gpiod is set: a pin is reset when its process ends; " if STRICT in wanted else ""
        return f"{path}: {strict}takes effect at the next start of the machine"

    def check(self) -> StepCheck:
        """Return the missing lines, and whether they can be written."""
        settings = self.making.draft.settings
        if settings is None:
            return StepCheck("cannot be examined before the settings are correct")
        path, text, wanted = self._text(settings)
        if text == wanted:
            return StepCheck(DONE)
        lines = ", ".join(line for line in _block(wanted).splitlines() if line[0] not in "#[")
        wrong: list[GatedError] = attempted(lambda: check_writable(path)) if os.geteuid() == 0 else []
        return StepCheck(f"{path} would get: {lines}", wrong)

    def _text(self, settings: Settings) -> tuple[Path, str, str]:
        path = self.making.config_txt
        assert path is not None
        text = path.read_text("utf-8")
        lines = boot_lines(settings) if settings.door.pins == "gpio" else ["dtparam=watchdog=on"]
        return path, text, with_lines(text, lines)


def _block(text: str) -> str:
    return text[text.rindex(BEGIN) :]
