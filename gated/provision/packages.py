"""Debian's packages that only some gates need: for a display, and for sound. `systemd/install` brings the rest."""

import grp
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gated.errors import ProvisionError

SCREEN = {"cage": "cage", "chromium": "chromium"}
"""Programs for the screen, by the packages that have them: a compositor for one window, and a browser."""
SOUND = {"espeak-ng": "espeak-ng", "aplay": "alsa-utils"}
FONT = "fonts-noto-cjk"
"""Without a font that has Chinese the screen shows boxes."""
SESSIONS = "libpam-systemd"
"""Without its sessions the compositor gets no display; cage only recommends it."""
LISTS = Path("/var/lib/apt/lists")
SCREEN_USER = "gated-kiosk"
SCREEN_GROUPS = ("video", "render")
VISION_USER, VISION_GROUPS = "gated-vision", ("video", "render")
INSTALL_S, ASK_S = 1800, 60


@dataclass(frozen=True, slots=True)
class Needs:
    """What this gate has to show and to sound with."""

    screen: bool
    sound: bool


def missing(needs: Needs) -> list[str]:
    """The packages that are not here yet."""
    programs = (SCREEN if needs.screen else {}) | (SOUND if needs.sound else {})
    names = [package for program, package in programs.items() if shutil.which(program) is None]
    if needs.screen:
        names += [] if _has_sessions() else [SESSIONS]
        names += [] if _has_chinese() else [FONT]
    return names


def has_lists() -> bool:
    """Whether apt knows any packages yet: on a fresh card it does not, and the real run asks for the lists first."""
    return any(LISTS.glob("*_Packages*"))


def install(names: Sequence[str], *, is_trial: bool = False) -> None:
    """Install them; on trial only ask whether they could be, where that can be known. Raises `ProvisionError`."""
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
    """Have the user that the screen runs as; on trial only say whether it is there. Raises `ProvisionError`."""
    if not is_user(SCREEN_USER) and not is_trial:
        add_user(SCREEN_USER, [name for name in SCREEN_GROUPS if _is_group(name)])
    return is_user(SCREEN_USER)


def vision_user() -> None:
    """Have the user that vision runs as. Raises `ProvisionError`."""
    if not is_user(VISION_USER):
        add_user(VISION_USER, [name for name in VISION_GROUPS if _is_group(name)])


def is_user(name: str) -> bool:
    """Whether this machine has a user of that name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def add_user(name: str, groups: Sequence[str] = ()) -> None:
    """Make a user without a shell, a home or a password, with a group of its own. Raises `ProvisionError`."""
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
    """Whether whoever logs in gets a session of logind (pam_systemd(8))."""
    return any(Path("/usr/lib").glob("*/security/pam_systemd.so"))


def _has_chinese() -> bool:
    """Whether any font here has Chinese (fc-list(1))."""
    return bool(_run("fc-list", ":lang=zh", "family").stdout.strip())


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    longest = INSTALL_S if "-y" in command else ASK_S
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=longest, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
