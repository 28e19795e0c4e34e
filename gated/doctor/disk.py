"""Checks the disk under the state folder: whether it can be written, its errors, and its wear."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gated.config import Settings
from gated.doctor.board import ROOT
from gated.doctor.finding import Finding, amber, green, red
from gated.storage.rescue import ASIDE
from gated.storage.unchecked_copy import PARTS

OF_LIFE = {f"0x{step:02x}": step * 10 for step in range(1, 11)} | {"0x0b": 110}
"""Largest share of its lifetime that an eMMC reports as used, in per cent.

From JESD84-B51, DEVICE_LIFE_TIME_EST; 0x0b means exceeded.
"""
WORN = 80
"""Share of an eMMC's life from which the doctor warns, in per cent."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder's file system as the kernel reports it. `life_spent`: per cent; None if unknown.

    `device`: name of the block device. `kind`: type of the file system. `errors`: number that ext4 has counted.
    """

    device: str
    kind: str
    options: frozenset[str]
    errors: int
    life_spent: int | None

    @property
    def is_read_only(self) -> bool:
        """Return whether the disk cannot be written."""
        return "ro" in self.options


def disk_of(folder: Path, root: Path = ROOT) -> Disk | None:
    """Return the disk of a folder or of its nearest existing parent; None if the kernel does not tell."""
    nearest = next(each for each in (folder, *folder.parents) if each.exists()).resolve()
    device = nearest.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    over = [mount for mount in _mounts(root) if mount.number == number and nearest.is_relative_to(mount.point)]
    if not over:
        return None
    mount = max(over, key=lambda each: len(each.point.parts))  # of mounts at one point, the last is on top
    name = Path(mount.source).name
    return Disk(name, mount.kind, mount.options, _errors(root, name), _life_spent(root, name))


def disk(disk: Disk | None) -> Iterator[Finding]:
    """Yield the problems of the disk, or a finding without a problem."""
    if disk is None:
        yield amber("disk", "unknown: the kernel does not report it", "check with `findmnt` and `dmesg`")
        return
    if disk.is_read_only:
        result = f"{disk.device} ({disk.kind}) is mounted read-only: nothing can be stored"
        yield red("disk", result, "check `dmesg`; a failing card becomes read-only: replace it", read_only=True)
    elif disk.errors:
        result = f"{disk.device} has {disk.errors} errors in its file system"
        yield red("disk", result, "back up its data, and replace the card", errors=disk.errors)
    elif disk.life_spent is None:
        result = f"{disk.device} ({disk.kind}) can be written; its wear is unknown: SD cards do not report it"
        yield green("disk", result, errors=0)
    elif disk.life_spent > WORN:
        yield amber("disk", f"{disk.device} has used {disk.life_spent} % of its lifetime", "replace it before it fails",
                    life_spent_percent=disk.life_spent)  # fmt: skip
    else:
        yield green("disk", f"{disk.device} can be written; at most {disk.life_spent} % of its lifetime is used",
                    life_spent_percent=disk.life_spent)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo (proc(5)). `options`: the options of the mount and of its file system."""

    number: str
    point: Path
    options: frozenset[str]
    kind: str
    source: str


def _mounts(root: Path) -> Iterator[Mount]:
    """Yield every mount, the last first."""
    try:
        lines = (root / "proc/self/mountinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in reversed(lines):
        mount, _, system = line.partition(" - ")
        fields, more = mount.split(), system.split()
        if len(fields) > 5 and len(more) > 2:
            options = frozenset(fields[5].split(",")) | frozenset(more[2].split(","))
            yield Mount(fields[2], Path(fields[4]), options, more[0], more[1])


def _errors(root: Path, device: str) -> int:
    """Return the number of errors that ext4 has counted since the creation of the file system."""
    text = _read(root / "sys/fs/ext4" / device / "errors_count")
    return int(text) if text.isdecimal() else 0


def _life_spent(root: Path, device: str) -> int | None:
    """Return the worse of the eMMC's two estimates, in per cent; None for an SD card, which gives none."""
    whole = device.rpartition("p")[0] or device
    shares = [
        OF_LIFE[code] for code in _read(root / "sys/block" / whole / "device/life_time").split() if code in OF_LIFE
    ]
    return max(shares, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def kept_aside(settings: Settings) -> Iterator[Finding]:
    """Yield damaged databases that were set aside. They may contain names of removed people."""
    for path in sorted(settings.state.glob(f"*.db{ASIDE}*")) if settings.state.is_dir() else ():
        if not path.name.endswith(PARTS[1:]):
            step = "remove it when it is no longer needed: it may contain names and faces"
            yield amber("kept aside", f"{path.name}: a damaged database; see `gated events list`", step)


def state_disk(settings: Settings) -> Iterator[Finding]:
    """Yield the findings on the disk that holds the state folder."""
    yield from disk(disk_of(settings.state))
