"""Each process is killed, hangs, and comes back; the kernel hangs and the watchdog bites. The lock loses its power."""

import time

from rig import LOCK, Rig

from steps.people import has_released, lock_count


def run(rig: Rig) -> None:
    """Try every process while the lock has power, then the kernel."""
    machine = rig.machine
    machine.run(
        "sed -i 's/^release_s = .*/release_s = 20/' /etc/gated/gated.toml; systemctl restart gated-latch gated"
    )  # a lease that lasts longer than a slow machine needs to be asked
    for signal, unit in (("KILL", "gated"), ("KILL", "gated-vision"), ("KILL", "gated-latch"), ("STOP", "gated-latch"),
                         ("STOP", "gated"), ("STOP", "gated-vision")):  # fmt: skip
        rig.await_duty()
        machine.until(f"[ $(systemctl show -p MainPID --value {unit}) != 0 ]", 60, f"{unit} runs")
        before = rig.pid(unit)
        releases = lock_count(rig)
        rig.press_exit()
        machine.until(has_released(releases), 15, "the exit button releases the lock")
        machine.run(f"kill -{signal} {before}")
        off_s = rig.await_lock(0, 25)
        back_s = rig.await_another(unit, before, 90) + off_s
        how = "killed" if signal == "KILL" else "hangs"
        rig.good(f"{unit} {how} while the lock has power", f"power off after {off_s:.1f} s, back after {back_s:.1f} s")
        rig.check(f"{unit} {how}: nothing is released again", lock_count(rig) == releases + 1, "no other edge")
    for is_kept in (1, 0):
        machine.run(f"echo {is_kept} >/sys/module/pi_header/parameters/keep_outputs")
        rig.await_duty()
        releases = lock_count(rig)
        rig.press_exit()
        machine.until(has_released(releases), 15, "the exit button releases the lock")
        at = time.time()
        machine.run(f"kill -9 {rig.pid('gated-latch')}")
        rig.await_lock(0, 15)
        off = next(edge for edge in rig.edges() if edge.line == LOCK and not edge.level and edge.at > at - 0.5)
        by = "ExecStopPost" if off.cause != "free" else "the kernel"
        rig.good(f"latch killed, keep_outputs={is_kept}", f"off by {by}, {max(0.0, off.at - at):.2f} s after the kill")
    watchdog(rig)


def watchdog(rig: Rig) -> None:
    """Freeze the kernel. The watchdog of the machine ends it, as a Pi's restarts the board."""
    machine = rig.machine
    rig.await_duty()
    armed = machine.run("systemctl show -p RuntimeWatchdogUSec --value").strip()
    rig.check("systemd feeds the hardware watchdog", armed not in ("", "0", "infinity"), armed)
    machine.freeze()
    began = time.monotonic()
    bitten = machine.ended_within(150)
    rig.check("the kernel hangs: the watchdog bites", bitten, f"after {time.monotonic() - began:.0f} s")
    machine.cut()
    machine.start()
    rig.await_duty()
