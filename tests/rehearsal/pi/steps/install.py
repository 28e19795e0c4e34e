"""From a blank card to a gate on duty, by the commands in the fifth step of systemd/README.md, with real lines.

The signed file comes from the publishers' files of the set `site`. The machine has no network to the outside.
"""

import re

from rig import CHECKOUT, LOCK, Rig, StepError

ANSWERS = """
site = "market-south"
gate = "gate-2"
models = "site"
accept_licence = true
[settings.door]
pins = "gpio"
lock = "strike"
contact_pin = 22
rex_pin = 23
fire_pin = 24
wiegand_pins = [14, 15]
release_s = 4
[settings.readers]
keypad_rows = [7, 8, 9, 10]
keypad_columns = [11, 12, 13]
devices = ["/dev/input/by-id/usb-rehearsal_reader-event-kbd"]
[settings.cues]
ready_pin = 5
open_pin = 6
buzzer_pin = 18
[settings.camera]
timeout_s = 10.0
[settings.site]
clock = "trusted"
"""


def run(rig: Rig) -> None:
    """Install, restart, and keep the card for later steps."""
    machine = rig.machine
    machine.insert_new_card()
    seconds = machine.start()
    rig.good("boot of a blank card", f"{seconds:.0f} s")
    machine.put(machine.place / "packing" / "gate.tar", "/root/gate.tar")
    machine.write("/root/answers.toml", ANSWERS)
    for command in fifth_step():
        if command.endswith("gated status"):
            try:
                seconds = rig.await_sight()  # on a slow machine vision follows after the brain
                rig.good("vision answers", f"{seconds:.0f} s after the brain")
            except StepError as error:
                rig.bad("vision answers", str(error))
                continue
        output = machine.run(f"cd /root && {command}", 900)
        if "dry-run" in command and "would run" not in output:
            raise StepError(f"the dry run did not try: {output[-300:]}")
    rig.await_duty()
    rig.good("the fifth step of systemd/README.md, word for word", "on duty with real lines and the set site")
    config = machine.run("cat /boot/firmware/config.txt")
    has = "dtparam=strict_gpiod" in config and f"gpio={LOCK}=op,dl" in config
    rig.check("config.txt frees lines and keeps the lock low", has, " ".join(config.split()[-4:]))
    edges = [edge for edge in rig.edges() if edge.line == LOCK and edge.level and edge.cause != "start"]
    rig.check("no lock edge during the installation", not edges, f"{len(edges)} edges")
    seconds = machine.reboot()
    rig.await_duty()
    edges = [edge for edge in rig.edges() if edge.line == LOCK and edge.level and edge.cause != "start"]
    rig.check("restart of the Pi: the relay does not click", not edges, f"on duty after {seconds:.0f} s")
    machine.stop()
    machine.keep_card("installed")
    machine.start()
    rig.await_duty()


def fifth_step() -> list[str]:
    """Return the commands in the fifth step of systemd/README.md."""
    page = (CHECKOUT / "systemd" / "README.md").read_text("utf-8")
    found = re.search(r"^5\. .*?^```sh\n(.*?)^```", page, re.S | re.M)
    commands = found[1].strip().splitlines() if found else []
    if not any(each.startswith("sudo sh install --offline") for each in commands):
        raise StepError("the fifth step of systemd/README.md is another")
    return commands
