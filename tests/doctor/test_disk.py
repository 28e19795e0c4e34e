"""Tests the disk under the state folder: read-only, failing, worn or well. An unknown state is never guessed."""

import os

import pytest

from gated.doctor.disk import Disk, disk, disk_of

WELL = Disk("mmcblk0p2", "ext4", frozenset({"rw"}), 0, None)


def kernel(root, folder, options="rw,noatime", kind="ext4", source="/dev/mmcblk0p2"):
    number = folder.stat().st_dev
    (root / "proc/self").mkdir(parents=True)
    line = f"30 1 {os.major(number)}:{os.minor(number)} / / {options} shared:1 - {kind} {source} rw\n"
    (root / "proc/self/mountinfo").write_text("29 1 0:1 / /x rw - tmpfs tmpfs rw\nodd\n" + line)
    return root


def only(found):
    [finding] = disk(found)
    return finding


def test_the_disk_of_a_missing_folder_is_found(tmp_path):
    root = kernel(tmp_path / "root", tmp_path)
    found = disk_of(tmp_path / "no" / "such", root)
    assert (found.device, found.kind, found.is_read_only, found.errors) == ("mmcblk0p2", "ext4", False, 0)


def test_another_read_only_mount_of_the_same_disk_is_ignored(tmp_path):
    """A read-only bind mount elsewhere does not count. A read-only mount of the folder itself (ProtectSystem) does."""
    root = kernel(tmp_path / "root", tmp_path)
    mounts = root / "proc/self/mountinfo"
    number = mounts.read_text().splitlines()[-1].split()[2]
    with mounts.open("a") as file:
        file.write(f"31 30 {number} /srv /srv ro,noatime - ext4 /dev/mmcblk0p2 rw\n")
    assert not disk_of(tmp_path, root).is_read_only
    with mounts.open("a") as file:
        file.write(f"32 30 {number} {tmp_path} {tmp_path} ro,noatime - ext4 /dev/mmcblk0p2 rw\n")
    assert disk_of(tmp_path / "state", root).is_read_only


def test_the_error_counts_of_ext4_and_the_wear_of_emmc_are_read(tmp_path):
    root = kernel(tmp_path / "root", tmp_path)
    (root / "sys/fs/ext4/mmcblk0p2").mkdir(parents=True)
    (root / "sys/fs/ext4/mmcblk0p2/errors_count").write_text("3\n")
    (root / "sys/block/mmcblk0/device").mkdir(parents=True)
    (root / "sys/block/mmcblk0/device/life_time").write_text("0x02 0x09\n")
    found = disk_of(tmp_path, root)
    assert (found.errors, found.life_spent) == (3, 90)


def test_without_kernel_figures_the_disk_state_is_unknown(tmp_path):
    assert disk_of(tmp_path, tmp_path / "nowhere") is None
    assert only(None).light == "amber"


@pytest.mark.parametrize(
    ("changes", "light", "word"),
    [
        ({}, "green", "can be written"),
        ({"options": frozenset({"ro"})}, "red", "read-only"),
        ({"errors": 2}, "red", "2 errors"),
        ({"life_spent": 30}, "green", "30 %"),
        ({"life_spent": 90}, "amber", "90 %"),
    ],
)
def test_each_disk_state_has_a_light_and_a_text(changes, light, word):
    values = {name: getattr(WELL, name) for name in WELL.__slots__} | changes
    finding = only(Disk(**values))
    assert (finding.light, word in finding.result) == (light, True)
    assert bool(finding.next_step) == (light != "green")


def test_the_disk_of_this_machine_can_be_read(tmp_path):
    found = disk_of(tmp_path)
    assert found is None or found.kind
