"""The USB reader and the camera are unplugged and come back; the gate reports each, and recovers by itself."""

from rig import Rig

from steps.people import has_released, lock_count, secured


def run(rig: Rig) -> None:
    """Unplug each in turn. The other credential kinds keep working."""
    machine = rig.machine
    machine.run("systemctl stop pi-reader")
    machine.until(degraded("reader"), 60, "the gate reports the reader as lost")
    rig.good("USB reader unplugged", "reported as degraded")
    leaves(rig, "the reader is unplugged")
    machine.run("systemctl start pi-reader")
    machine.until(f"! {degraded('reader')}", 60, "the reader comes back")
    rig.good("USB reader plugged in again", "no longer degraded")
    rig.silence_camera(True)
    machine.until(degraded("vision"), 90, "the gate reports the camera as lost")
    rig.good("camera gives no frame any more", "reported as degraded")
    leaves(rig, "the camera is silent")
    rig.silence_camera(False)
    seconds = machine.until(f"! {degraded('vision')}", 120, "the camera comes back")
    rig.good("camera gives frames again", f"no longer degraded after {seconds:.0f} s")


def leaves(rig: Rig, when: str) -> None:
    """Press the exit button, which must always work."""
    releases = lock_count(rig)
    rig.press_exit()
    rig.machine.until(has_released(releases), 5, f"the exit button works while {when}")
    rig.machine.until(secured(), 20, "the lease ends")


def degraded(part: str) -> str:
    """Return the shell condition that the status names a part as lost."""
    test = f"import json, sys; sys.exit(not any(each.startswith({part!r}) for each in json.load(sys.stdin)['lost']))"
    return f'(cd / && sudo -u gated gated status --json | python3 -c "{test}")'
