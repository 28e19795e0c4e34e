"""What hangs on the machine: camera and pins, and what the firmware must know of the pins before Linux is there."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gated.config import Settings
from gated.errors import GatedError, ProvisionError
from gated.provision import machine
from gated.provision.boot import BEGIN, STRICT, boot_lines, with_lines
from gated.provision.making import Making, attempted, check_writable, writing
from gated.provision.steps.step import DONE, Tried
from gated.runtime.files import rewrite

IN_USE = "in use by the gate that runs; `gated doctor` says how they are"


@dataclass(frozen=True)
class Parts:
    """Camera and pins, tried."""

    making: Making
    title: ClassVar[str] = "camera and pins"

    def is_done(self) -> bool:
        """Never: they are tried anew."""
        return False

    def do(self) -> str:
        """Try them. Raises `ProvisionError` where one cannot be used."""
        if self._is_running(self.making.settings):
            return IN_USE
        self.making.judge(list(machine.parts(self.making.settings)))
        return "can be used"

    def check(self) -> Tried:
        """The camera is tried; of the pins it is only asked who has them, and no level changes."""
        settings = self.making.draft.settings
        if settings is None:
            return Tried("cannot be tried before the settings are right")
        if self._is_running(settings):
            return Tried(IN_USE)
        findings = list(machine.parts_seen(settings))
        for finding in findings:
            self.making.tell(finding)
        wrong = [ProvisionError(f"{f.part}: {f.says}; {f.next_step}") for f in findings if f.light == "red"]
        return Tried("can be used", wrong)

    def _is_running(self, settings: Settings) -> bool:
        return (self.making.root / "run/systemd/system").is_dir() and settings.latch_socket.exists()


@dataclass(frozen=True)
class Firmware:
    """Lines in config.txt."""

    making: Making
    title: ClassVar[str] = "firmware"

    def is_done(self) -> bool:
        """Whether they are there as they should be."""
        _, text, wanted = self._text(self.making.settings)
        return text == wanted

    def do(self) -> str:
        """Show them, ask, and write them. Raises `ProvisionError`, `StateError`."""
        path, _, wanted = self._text(self.making.settings)
        block = _block(wanted)
        if not self.making.confirm(f"{path} gets these lines:\n{block}Write them?"):
            raise ProvisionError(f"{path} was not changed; without these lines a killed process leaves the lock open")
        with writing(path):
            rewrite(path, wanted.encode())
        strict = "strict_gpiod is set: a pin falls back when its process ends; " if STRICT in wanted else ""
        return f"{path}: {strict}counts from the next start of the machine"

    def check(self) -> Tried:
        """Which lines are missing, and whether they could be written."""
        settings = self.making.draft.settings
        if settings is None:
            return Tried("cannot be looked at before the settings are right")
        path, text, wanted = self._text(settings)
        if text == wanted:
            return Tried(DONE)
        lines = ", ".join(line for line in _block(wanted).splitlines() if line[0] not in "#[")
        wrong: list[GatedError] = attempted(lambda: check_writable(path)) if os.geteuid() == 0 else []
        return Tried(f"{path} would get: {lines}", wrong)

    def _text(self, settings: Settings) -> tuple[Path, str, str]:
        path = self.making.config_txt
        assert path is not None
        text = path.read_text("utf-8")
        lines = boot_lines(settings) if settings.door.pins == "gpio" else ["dtparam=watchdog=on"]
        return path, text, with_lines(text, lines)


def _block(text: str) -> str:
    return text[text.rindex(BEGIN) :]
