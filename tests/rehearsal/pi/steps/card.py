"""A full card, and a card that can be read only: people get in and out, and the gate reports the disk."""

from rig import Rig

from steps.people import has_released, lock_count
from steps.unplugged import degraded, leaves


def run(rig: Rig) -> None:
    """Fill the card and empty it again; then make it read-only and writable again."""
    machine = rig.machine
    rig.await_duty()
    machine.run(
        "dd if=/dev/zero of=/var/full bs=1M 2>/dev/null || :",
        200,
    )
    passes(rig, "a full card")
    machine.run("rm /var/full; sync")
    machine.until(f"! {degraded('disk')} && ! {degraded('journal')}", 120, "the disk is no longer degraded")
    rig.good("room on the card again", "no longer degraded")
    machine.run("echo u >/proc/sysrq-trigger; sleep 1")
    passes(rig, "a card that can be read only")
    machine.run("mount -o remount,rw /")
    machine.until(f"! {degraded('disk')} && ! {degraded('journal')}", 120, "the disk is no longer degraded")
    rig.good("the card can be written again", "no longer degraded")


def passes(rig: Rig, what: str) -> None:
    """Check that a card and the exit button open, and that the disk is reported."""
    leaves(rig, what)
    machine = rig.machine
    releases = lock_count(rig)
    machine.run("echo 0012345678 >/run/pi-reader")
    machine.until(has_released(releases), 10, f"a card opens with {what}")
    machine.until(f"{degraded('disk')} || {degraded('journal')}", 90, f"the gate reports {what}")
    rig.good(what, "card and exit button open; reported as degraded")
