"""Install the Debian packages that only some gates need: for a display and for sound. `systemd/install` installs all
other packages. This module also creates system users.
"""

import grp
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gated.errors import ProvisionError

SCREEN = {"cage": "cage", "chromium": "chromium"}
"""Programs for the screen and their packages: a compositor for one window, and a browser."""
SOUND = {"espeak-ng": "espeak-ng", "aplay": "alsa-utils"}
FONT = "fonts-noto-cjk"
"""A font with Chinese characters. Without one the screen shows boxes."""
SESSIONS = "libpam-systemd"
"""The package that gives the compositor a logind session, and with it a display.

The package cage only recommends it.
"""
LISTS = Path("/var/lib/apt/lists")
SCREEN_USER = "gated-kiosk"
SCREEN_GROUPS = ("video", "render")
VISION_USER, VISION_GROUPS = "gated-vision", ("video", "render")
INSTALL_S, ASK_S = 1800, 60


@dataclass(frozen=True, slots=True)
class Needs:
    """The hardware that this gate uses: a screen, and sound."""

    screen: bool
    sound: bool


def missing(needs: Needs) -> list[str]:
    """Return the packages that are not installed."""
    programs = (SCREEN if needs.screen else {}) | (SOUND if needs.sound else {})
    names = [package for program, package in programs.items() if shutil.which(program) is None]
    if needs.screen:
        names += [] if _has_sessions() else [SESSIONS]
        names += [] if _has_chinese() else [FONT]
    return names


def has_lists() -> bool:
    """Return whether apt has package lists. A fresh card has none; the real run downloads them first."""
    return any(LISTS.glob("*_Packages*"))


def install(names: Sequence[str], *, is_trial: bool = False) -> None:
    """Install the packages. With `is_trial`, only simulate it, if apt has package lists. Raises `ProvisionError`."""
    if not names or (is_trial and not has_lists()):
        return
    options = ["--simulate"] if is_trial else ["-y"]
    done = _run("apt-get", "install", "-qq", "--no-install-recommends", *options, *names)
    if done.returncode and not is_trial and _run("apt-get", "update", "-qq").returncode == 0:
        done = _run("apt-get", "install", "-qq", "--no-install-recommends", *options, *names)
    if done.returncode:
        why = " ".join(done.stderr.split())[-300:]
        raise ProvisionError(
            f"Debian packages are missing and cannot be installed: {', '.join(names)} ({why}); connect the network "
            "and run `apt-get update`, or bring their .deb files and `apt-get install ./*.deb`"
        )


def screen_user(*, is_trial: bool = False) -> bool:
    """Create the screen's user if it is missing. With `is_trial`, create nothing. Return whether it exists.

    Raises `ProvisionError`.
    """
    if not is_user(SCREEN_USER) and not is_trial:
        add_user(SCREEN_USER, [name for name in SCREEN_GROUPS if _is_group(name)])
    return is_user(SCREEN_USER)


def vision_user() -> None:
    """Create the user that vision runs as, if it is missing. Raises `ProvisionError`."""
    if not is_user(VISION_USER):
        add_user(VISION_USER, [name for name in VISION_GROUPS if _is_group(name)])


def is_user(name: str) -> bool:
    """Return whether this machine has a user with this name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def add_user(name: str, groups: Sequence[str] = ()) -> None:
    """Create a system user with a group, without a shell, a home or a password. Raises `ProvisionError`."""
    own = ["--gid", name] if _is_group(name) else ["--user-group"]
    more = ["--groups", ",".join(groups)] if groups else []
    shell = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    done = _run("useradd", "--system", *own, *shell, *more, name)
    if done.returncode:
        raise ProvisionError(f"the user {name} cannot be made: {done.stderr.strip()}; run this as root")


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _has_sessions() -> bool:
    """Return whether a login gets a logind session (pam_systemd(8))."""
    return any(Path("/usr/lib").glob("*/security/pam_systemd.so"))


def _has_chinese() -> bool:
    """Return whether an installed font has Chinese characters (fc-list(1))."""
    return bool(_run("fc-list", ":lang=zh", "family").stdout.strip())


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    longest = INSTALL_S if "-y" in command else ASK_S
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=longest, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
