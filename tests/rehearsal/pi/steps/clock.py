"""The time of day without a network: a jump of the clock is doubted, and the doubt ends when the jump is undone."""

from rig import Rig

from steps.unplugged import degraded, leaves


def run(rig: Rig) -> None:
    """Use the clock as a gate without `clock = "trusted"` does."""
    machine = rig.machine
    machine.run("cp /etc/gated/gated.toml /root/; sed -i '/^clock = /d' /etc/gated/gated.toml; systemctl restart gated")
    rig.await_duty()
    machine.until(degraded("clock"), 60, "a clock without a time server is doubted")
    rig.good("no network, no time server", "the clock is doubted")
    leaves(rig, "the clock is doubted")
    machine.run("date -s '+1 day' >/dev/null")
    leaves(rig, "the clock has jumped a day ahead")
    machine.run("date -s '-1 day' >/dev/null; cp /root/gated.toml /etc/gated/gated.toml; systemctl restart gated")
    rig.await_duty()
    rig.good("the clock jumps a day ahead and back", "the exit button works, and the gate is on duty")
