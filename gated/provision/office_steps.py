"""The steps that set up the office's machine: user, folder, broker and services. `gated office install` uses them.

Each step can be tried without changes, and run again.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from gated.errors import ConfigError, GatedError, OfficeError, ProvisionError, UpdateError
from gated.office.mosquitto import OWN_IDS, Place, write_broker
from gated.office.office_creation import create_office, problems
from gated.office.store import Store
from gated.provision.gate_units import HIDDEN
from gated.provision.install_step import DONE, InstallStep, StepCheck
from gated.provision.office_machine import FOLDER, USER, Seat
from gated.provision.office_services import OfficeStart, OfficeUnits
from gated.provision.packages import add_user, install, is_user
from gated.provision.step_state import attempted, check_writable, writing
from gated.storage.files import hand_over
from gated.storage.owner import acting_as, maker_of
from gated.storage.read_only import read_only_mode
from gated.update.services import systemctl

USER_NAME = r"[a-z_][a-z0-9_-]{0,31}"
"""A user name that useradd(8) accepts."""
MOSQUITTO = "/usr/sbin/mosquitto"
LOWEST_PORT = 1024


def seat_steps(seat: Seat) -> Iterator[InstallStep]:
    """Yield all steps, in order."""
    yield Ground(seat)
    yield Broker()
    yield User(seat)
    yield Folder(seat)
    yield OfficeUnits(seat)
    if seat.is_starting:
        yield OfficeStart(seat)


@dataclass(frozen=True)
class Ground:
    """The step that checks for root, and for a program and a folder that services can read."""

    seat: Seat
    title: ClassVar[str] = "machine"

    def is_done(self) -> bool:
        """Return False: every run checks again."""
        return False

    def do(self) -> str:
        """Check the machine. Raises the first problem."""
        for problem in self._problems():
            raise problem
        return str(self.seat.program)

    def check(self) -> StepCheck:
        """Check the machine. Return all problems."""
        return StepCheck(f"{self.seat.program} would serve", list(self._problems()))

    def _problems(self) -> Iterator[GatedError]:
        program, folder, user = self.seat.program, self.seat.folder, self.seat.user
        if os.geteuid() != 0:
            yield ProvisionError("only root can make a user and services; use sudo")
        if user == "root" or not re.fullmatch(USER_NAME, user):
            yield ProvisionError(f"--user {user!r} is not allowed; give the office its own user, such as {USER}")
        if _is_hidden(folder):
            yield OfficeError(f"{folder}: services cannot read folders in {', '.join(HIDDEN)}; "
                              f"move it first, as with `sudo mv {folder} {FOLDER}`")  # fmt: skip
        if _is_hidden(program) or not _is_open(program):
            yield ProvisionError(
                f"{program}: the office's user cannot start it there; install gated where all users may read it: "
                "`sudo python3 -m venv /opt/gated-office && sudo /opt/gated-office/bin/pip install .` in the checkout, "
                "then `sudo /opt/gated-office/bin/gated office install ...`"
            )


@dataclass(frozen=True)
class Broker:
    """The step that installs Mosquitto. It does not decide which instances of Mosquitto run."""

    title: ClassVar[str] = "mosquitto"

    def is_done(self) -> bool:
        """Return whether Mosquitto is installed."""
        return Path(MOSQUITTO).exists()

    def do(self) -> str:
        """Install Mosquitto, and disable Debian's own instance, which the office does not use.

        Raises `ProvisionError`.
        """
        install(["mosquitto"])
        with contextlib.suppress(UpdateError):
            systemctl("disable", "--now", "mosquitto.service")
        return "installed; Debian's own Mosquitto service was disabled"

    def check(self) -> StepCheck:
        """Return whether Mosquitto is installed, or can be installed."""
        if self.is_done():
            return StepCheck(DONE)
        return StepCheck("would be installed", attempted(lambda: install(["mosquitto"], is_trial=True)))


@dataclass(frozen=True)
class User:
    """The step that creates the office's user."""

    seat: Seat
    title: ClassVar[str] = "user"

    def is_done(self) -> bool:
        """Return whether the user exists."""
        return is_user(self.seat.user)

    def do(self) -> str:
        """Create the user. Raises `ProvisionError`."""
        add_user(self.seat.user)
        return self.seat.user

    def check(self) -> StepCheck:
        """Return whether the user would be created."""
        return StepCheck(DONE if self.is_done() else f"{self.seat.user} would be made")


@dataclass(frozen=True)
class Folder:
    """The step that creates the office's folder, private to its user. If there is no office, it also creates one."""

    seat: Seat
    title: ClassVar[str] = "office"

    def is_done(self) -> bool:
        """Return whether the folder holds an office, its user owns every file, and the broker's settings name this
        place.

        Raises `OfficeError` if the folder holds a different office.
        """
        folder = self.seat.folder
        if not self.seat.is_office:
            return False
        self._check_same()
        if folder.stat().st_mode & 0o777 != 0o700:
            return False
        owner = self.seat.owner
        has_owner = all((p.lstat().st_uid, p.lstat().st_gid) == owner for p in _plain(folder))
        conf = (folder / "mosquitto.conf").read_text("utf-8")
        required = (f"pid_file {folder}/", f"\nuser {self.seat.user}\n", f"\n{OWN_IDS}\n")
        return has_owner and all(each in conf for each in required)

    def do(self) -> str:
        """Create the office, or take over the existing one. Raises `OfficeError`, `StateError`."""
        seat = self.seat
        uid, gid = owner = seat.owner
        place = seat.place if seat.is_office else self._place()
        with writing(seat.folder), acting_as(maker_of(seat.folder, owner)):
            seat.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            hand_over(seat.folder, uid, gid)
        with acting_as(owner):
            if not seat.is_office and place is not None:
                create_office(seat.folder, seat.site, place, datetime.now(UTC), seat.timezone)
                return f"{seat.folder}: the office of {seat.site}"
            with writing(seat.folder):
                write_broker(seat.folder, Place.load(seat.folder))
            with closing(Store.open(seat.folder)) as store:
                return f"{seat.folder}: the existing office of {store.site}"

    def check(self) -> StepCheck:
        """Check that the folder can be created, and that the arguments for a new office are complete."""
        seat = self.seat
        wrong = attempted(lambda: check_writable(seat.folder)) if os.geteuid() == 0 else []
        if seat.is_office:
            other = attempted(self._check_same)
            is_same = not other and not attempted(lambda: seat.owner) and self.is_done()
            return StepCheck(DONE if is_same else f"{seat.folder}: the existing office would be used", [*wrong, *other])
        return StepCheck(
            f"an office of {seat.site or 'a site'} would be made in {seat.folder}", [*wrong, *self._faults()]
        )

    def _place(self) -> Place:
        """Return the place of the new office. Raises the first problem of the arguments."""
        for fault in self._faults():
            raise fault
        assert self.seat.place is not None
        return self.seat.place

    def _faults(self) -> Iterator[GatedError]:
        """Yield every problem of the arguments for a new office."""
        seat, command = self.seat, "office install"
        if not seat.site or seat.place is None:
            yield ConfigError(command, [f"{seat.folder} has no office yet: give --site and --host, as for "
                                        "`gated office init`"])  # fmt: skip
        place = seat.place or Place("localhost", 8883, 8884)
        yield from problems(seat.folder, seat.site or "site", place, seat.timezone)
        for port in (place.port, place.pairing_port):
            if port < LOWEST_PORT:
                summary = f"port {port} is reserved for root; choose a port from {LOWEST_PORT} on"
                yield ConfigError(command, [summary])

    def _check_same(self) -> None:
        """Check that the existing office matches the arguments. Raises `OfficeError`, `StateError`."""
        seat, place = self.seat, Place.load(self.seat.folder)
        with read_only_mode(), closing(Store.open(seat.folder)) as store:
            site = store.site
        if seat.site not in ("", site):
            raise OfficeError(f"{seat.folder}: this folder has the office of {site}; omit --site to use it, "
                              "or name another folder with --dir")  # fmt: skip
        if seat.place is not None and seat.place.host not in place.hosts:
            raise OfficeError(f"{seat.folder}: gates reach this office at {place.host}; omit --host, and "
                              f"change it afterwards with `gated office host {seat.place.host}`")  # fmt: skip


def _plain(folder: Path) -> Iterator[Path]:
    """Yield the folder and everything in it except links. The owner of a link does not matter."""
    yield from (path for path in (folder, *folder.rglob("*")) if not path.is_symlink())


def _is_hidden(path: Path) -> bool:
    whole = path.absolute()
    return any(whole.is_relative_to(each) for each in HIDDEN)


def _is_open(program: Path) -> bool:
    """Return whether every user may start the program: its file, its interpreter, and all folders above them."""
    python = Path(sys.executable)
    for path in (program, python.resolve()) if program.parent == python.parent else (program,):
        if not path.exists() or path.stat().st_mode & 0o005 != 0o005:
            return False
        if not all(folder.stat().st_mode & 0o001 for folder in path.parents):
            return False
    return True
