"""The steps that install and start the office's services."""

import contextlib
import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gated.atomic_files import atomic_write
from gated.errors import OfficeError, ProvisionError
from gated.office.mosquitto import Place
from gated.provision.gate_units import require_systemd
from gated.provision.install_step import DONE, StepCheck
from gated.provision.office_machine import UNITS, Seat, office_units
from gated.provision.step_state import attempted, check_writable, writing
from gated.update.services import systemctl

ANSWER_S, PORT_POLL_S = 30.0, 0.5


@dataclass(frozen=True)
class OfficeUnits:
    """The step that installs the two services."""

    seat: Seat
    title: ClassVar[str] = "services"

    def is_done(self) -> bool:
        """Return whether both units are written correctly and enabled."""
        wants = self.seat.root / "etc/systemd/system/multi-user.target.wants"
        return all(
            path.is_file() and path.read_text("utf-8") == text and (wants / path.name).is_symlink()
            for path, text in office_units(self.seat).items()
        )

    def do(self) -> str:
        """Write and enable both units. Raises `StateError`, `UpdateError`."""
        for path, text in office_units(self.seat).items():
            with writing(path):
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                atomic_write(path, text.encode())
                path.chmod(0o644)
        root = self.seat.root
        systemctl("enable", *(["--root", str(root)] if root != Path("/") else []), *UNITS)
        self._link(root / "usr/local/bin/gated")
        return ", ".join(UNITS)

    def _link(self, link: Path) -> None:
        """Create the link `gated` in the PATH. Keep an existing file, which somebody else created."""
        if not link.exists() and not link.is_symlink():
            with writing(link):
                link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                link.symlink_to(self.seat.program)

    def check(self) -> StepCheck:
        """Check whether the units would be written, and can be written."""
        if self.is_done():
            return StepCheck(DONE)
        paths = office_units(self.seat) if os.geteuid() == 0 else ()
        wrong = attempted(*(lambda path=path: check_writable(path) for path in paths))
        if shutil.which("systemctl") is None:
            wrong.append(
                ProvisionError("this machine has no systemd; run `mosquitto` and `gated office serve` by hand")
            )
        return StepCheck(f"would be written: {', '.join(UNITS)}", wrong)


@dataclass(frozen=True)
class OfficeStart:
    """The step that starts the services and waits until both ports answer."""

    seat: Seat
    title: ClassVar[str] = "start"

    def is_done(self) -> bool:
        """Return False: every run restarts the services."""
        return False

    def do(self) -> str:
        """Start both services. Raises `ProvisionError` if a port does not answer in time."""
        require_systemd()
        systemctl("daemon-reload")
        systemctl("restart", *UNITS)
        place, give_up_at = Place.load(self.seat.folder), time.monotonic() + ANSWER_S
        while silent := [port for port in (place.port, place.pairing_port) if not _answers(port)]:
            if time.monotonic() > give_up_at:
                raise ProvisionError(
                    f"port {silent[0]} does not answer; `journalctl -u {' -u '.join(UNITS)}` shows the reason"
                )
            time.sleep(PORT_POLL_S)
        return f"running, at ports {place.port} and {place.pairing_port}"

    def check(self) -> StepCheck:
        """Check that systemd runs, and that no other program uses the ports."""
        wrong = attempted(require_systemd)
        place = self._place()
        if place is not None and not OfficeUnits(self.seat).is_done():
            wrong += [
                ProvisionError(f"port {port} is in use; stop its program (`ss -ltnp`), or choose another port")
                for port in (place.port, place.pairing_port)
                if _answers(port)
            ]
        return StepCheck("would be started and checked", wrong)

    def _place(self) -> Place | None:
        """Return the place, or None if it is not known. The step before reports the reason."""
        if not self.seat.is_office:
            return self.seat.place
        try:
            return Place.load(self.seat.folder)
        except OfficeError:
            return None


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
