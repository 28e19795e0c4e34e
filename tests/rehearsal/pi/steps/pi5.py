"""The same card in a Raspberry Pi 5: another chip, with another number. The lock, the readers and the keypad work."""

from person import wiegand26
from rig import Rig

from steps.people import CARD_NUMBER, D0, D1, PIN, has_released, lock_count, secured, typed

BOARD = {
    "label": "pinctrl-rp1",
    "model": '"Raspberry Pi 5 Model B Rev 1.0"',
    "revision": "0xd04170",
    "chips_before": "4",
}


def run(rig: Rig) -> None:
    """Change the board, restart, and use every input."""
    machine = rig.machine
    machine.run("cp /etc/pi-board /root/pi-board")
    for key, value in BOARD.items():
        machine.run(f"sed -i 's/^{key}=.*/{key}={value}/' /etc/pi-board")
    machine.reboot()
    rig.await_duty()
    chips = machine.run("gpiodetect").splitlines()
    rig.good("a Pi 5", f"on duty with {chips[-1].split('(')[0].strip()}, one of {len(chips)} chips")
    for what, deed in (
        (
            "the exit button",
            "echo 'low 23' >/proc/pi-header/control; sleep 0.3; echo 'float 23' >/proc/pi-header/control",
        ),
        ("a Wiegand card", f"echo 'card {D0} {D1} {wiegand26(12, 34567)}' >/proc/pi-header/control"),
        ("a card at the USB reader", f"echo {CARD_NUMBER} >/run/pi-reader"),
        ("a PIN at the keypad", typed(PIN + "#")),
    ):
        releases = lock_count(rig)
        machine.run(deed)
        seconds = machine.until(has_released(releases), 10, f"{what} releases the lock of a Pi 5")
        rig.good(f"Pi 5: {what}", f"lock released within {seconds:.1f} s")
        machine.until(secured(), 20, "the lease ends")
    machine.run("cp /root/pi-board /etc/pi-board")
    machine.reboot()
    rig.await_duty()
