"""The machine of an office: its user, folder and program, and the systemd units that come with gated."""

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

from gated.doctor.finding import Finding, amber
from gated.errors import ProvisionError
from gated.office.mosquitto import Place
from gated.office.store import DATABASE
from gated.provision.gate_units import PROGRAM, has_systemd, shipped
from gated.provision.step_state import writing
from gated.sitetime import DEFAULT
from gated.storage.owner import Owner
from gated.update.services import systemctl

USER, FOLDER = "gated-office", Path("/var/lib/gated-office")
OFFICE_UNIT, BROKER_UNIT = "gated-office.service", "gated-office-broker.service"
UNITS = (BROKER_UNIT, OFFICE_UNIT)
SHIPPED = (PROGRAM, str(FOLDER), f"={USER}\n")
"""The values in the units as they come with gated: program, folder, user."""


@dataclass(frozen=True)
class Seat:
    """One office to install. `site` is empty and `place` is None if the office already exists."""

    folder: Path
    site: str = ""
    place: Place | None = None
    user: str = USER
    timezone: str = DEFAULT
    root: Path = Path("/")
    is_starting: bool = True

    @property
    def owner(self) -> Owner:
        """Return the office's user and group id. Raises `ProvisionError` if the user does not exist."""
        try:
            user = pwd.getpwnam(self.user)
        except KeyError as error:
            raise ProvisionError(f"there is no user {self.user!r}; run this as root to make it") from error
        return user.pw_uid, user.pw_gid

    @property
    def is_office(self) -> bool:
        """Return whether the folder holds a complete office. The place is written last, so it proves completeness."""
        return (self.folder / DATABASE).exists() and (self.folder / "place.json").exists()

    @property
    def program(self) -> Path:
        """Return the gated program for the service: the gate's program if it is installed here, else this one."""
        shared = Path(PROGRAM)
        return shared if shared.exists() else Path(sys.executable).parent / "gated"


def office_units(seat: Seat) -> dict[Path, str]:
    """Return the text of both units with this folder, user and program, by path."""
    changes = dict(zip(SHIPPED, (str(seat.program), str(seat.folder), f"={seat.user}\n"), strict=True))
    files = {}
    for name in UNITS:
        text = (shipped() / name).read_text("utf-8")
        for before, after in changes.items():
            text = text.replace(before, after)
        files[seat.root / "etc/systemd/system" / name] = text
    return files


def remove_units(root: Path) -> list[str]:
    """Stop, disable and remove the services. Return the names of the removed units. The folder and the user stay."""
    installed = [name for name in UNITS if (root / "etc/systemd/system" / name).exists()]
    if installed:
        options = ["--root", str(root)] if root != Path("/") else ["--now"]
        systemctl("disable", *options, *installed)
    for name in installed:
        with writing(root / "etc/systemd/system" / name):
            (root / "etc/systemd/system" / name).unlink()
    if installed and has_systemd():
        systemctl("daemon-reload")
    return installed


def restart_units(root: Path = Path("/")) -> bool:
    """Restart both services if they are installed and we are root. Return whether they were restarted."""
    if os.geteuid() != 0 or not has_systemd() or not (root / "etc/systemd/system" / OFFICE_UNIT).exists():
        return False
    systemctl("restart", *UNITS)
    return True


def neighbour() -> Finding | None:
    """Return a finding if Debian's own instance of Mosquitto is enabled, else None."""
    if not Path("/etc/systemd/system/multi-user.target.wants/mosquitto.service").exists():
        return None
    summary = "Debian's own Mosquitto service is enabled too; the office does not need it"
    return amber("mosquitto", summary, "if no other program needs it: `sudo systemctl disable --now mosquitto`")
