"""The last steps: install Debian's packages for screen and sound, install the units, and start the gate."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gated.atomic_files import atomic_write
from gated.errors import ProvisionError
from gated.provision import keyboard
from gated.provision.gate_units import (
    ALWAYS,
    KIOSK,
    PROGRAM,
    SCRIPTS,
    UPDATE,
    check_releases,
    require_systemd,
    start,
    unit_files,
)
from gated.provision.install_step import DONE, StepCheck
from gated.provision.packages import (
    VISION_USER,
    Needs,
    has_lists,
    install,
    is_user,
    missing,
    screen_user,
    vision_user,
)
from gated.provision.step_state import Making, attempted, check_writable, writing
from gated.update.services import systemctl


@dataclass(frozen=True)
class Packages:
    """The step that installs Debian's packages for the screen and the sound."""

    making: Making
    title: ClassVar[str] = "packages"

    def is_done(self) -> bool:
        """Return whether all packages and the screen's user exist."""
        settings = self.making.settings
        return not missing(self._needs(sound=settings.cues.sound)) and self._has_user()

    def do(self) -> str:
        """Install the packages and create the screen's user. Raises `ProvisionError`."""
        names = missing(self._needs(sound=self.making.settings.cues.sound))
        install(names)
        if not self._has_user():
            screen_user()
        return ", ".join(names) or "a user for the screen"

    def check(self) -> StepCheck:
        """Return the packages that would be installed, and whether apt can get them."""
        settings = self.making.draft.settings
        names = missing(self._needs(sound=settings.cues.sound if settings is not None else "none"))
        if not names:
            return StepCheck(DONE)
        first = "" if has_lists() else ", after `apt-get update`"
        return StepCheck(
            f"would be installed{first}: {', '.join(names)}", attempted(lambda: install(names, is_trial=True))
        )

    def _needs(self, *, sound: str) -> Needs:
        return Needs(screen=self.making.answers.kiosk, sound=sound != "none")

    def _has_user(self) -> bool:
        return not self.making.answers.kiosk or screen_user(is_trial=True)


@dataclass(frozen=True)
class Services:
    """The step that writes and enables the units."""

    making: Making
    title: ClassVar[str] = "services"

    def is_done(self) -> bool:
        """Return whether all units are written correctly and enabled."""
        files = self._files()
        is_written = all(path.is_file() and path.read_text("utf-8") == text for path, text in files.items())
        wants = self.making.root / "etc/systemd/system"
        is_enabled = all((wants / _target(unit) / unit).is_symlink() for unit in ALWAYS)
        is_closed = not self.making.answers.kiosk or keyboard.is_masked(self.making.root)
        return is_written and is_enabled and is_closed and (is_user(VISION_USER) or self.making.root != Path("/"))

    def do(self) -> str:
        """Write and enable the units. Raises `ProvisionError`, `StateError`, `UpdateError`."""
        self._check_releases()
        if self.making.root == Path("/"):
            vision_user()
        for path, text in self._files().items():
            with writing(path):
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                atomic_write(path, text.encode())
                path.chmod(0o755 if path.name in SCRIPTS else 0o644)
        units, root = wanted_units(self.making), self.making.root
        if self.making.answers.kiosk:
            keyboard.mask(root)
        systemctl("enable", *(["--root", str(root)] if root != Path("/") else []), *units)
        return ", ".join(units)

    def check(self) -> StepCheck:
        """Return the units that would be written. Check that the files can be written, and that systemctl exists."""
        if attempted(self.is_done) or not self.is_done():
            wrong = attempted(self._check_releases)
            if os.geteuid() == 0:
                wrong += attempted(*(lambda path=path: check_writable(path) for path in self._files()))
            if shutil.which("systemctl") is None:
                wrong.append(ProvisionError("this machine has no systemd to start the gate; use Raspberry Pi OS"))
            return StepCheck(f"would be written: {', '.join(wanted_units(self.making))}", wrong)
        return StepCheck(DONE)

    @property
    def _releases(self) -> Path | None:
        output = self.making.answers.releases
        return Path(output).expanduser().absolute() if output else None

    def _check_releases(self) -> None:
        if self._releases is not None:
            check_releases(self._releases)

    def _files(self) -> dict[Path, str]:
        answers, settings = self.making.answers, self.making.draft.settings
        return unit_files(
            self.making.root,
            settings,
            is_pi=self.making.config_txt is not None,
            screen_port=settings.cues.screen_port if answers.kiosk and settings is not None else 0,
            releases=self._releases,
        )


@dataclass(frozen=True)
class GateStart:
    """The step that starts the gate and waits until it is on duty."""

    making: Making
    title: ClassVar[str] = "start"

    def is_done(self) -> bool:
        """Return False: every run restarts the gate."""
        return False

    def do(self) -> str:
        """Start the gate. Raises `ProvisionError` if it does not go on duty in time."""
        require_systemd()
        for finding in start(wanted_units(self.making)):
            self.making.report(finding)
        return "on duty"

    def check(self) -> StepCheck:
        """Check that systemd runs here, and that the program of the units exists."""
        wrong = attempted(require_systemd)
        program = self.making.root / PROGRAM.lstrip("/")
        if not program.exists() and not self.making.is_installing:
            wrong.append(ProvisionError(f"{program}, the program of the units, is missing; run systemd/install"))
        return StepCheck("would be started and checked", wrong)


def _target(unit: str) -> str:
    """Return the folder of the target that starts this unit (systemd.special(7))."""
    return "sockets.target.wants" if unit.endswith(".socket") else "multi-user.target.wants"


def wanted_units(making: Making) -> tuple[str, ...]:
    """Return the units to enable."""
    kiosk, timer = KIOSK if making.answers.kiosk else (), UPDATE[1:] if making.answers.releases else ()
    return (*ALWAYS, *kiosk, *timer)
