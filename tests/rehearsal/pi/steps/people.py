"""Two people are enrolled; faces, a card, a PIN and the exit button release the lock, a stranger and a print do not.

Faces come through libcamera's virtual pipeline and picamera2. The card comes as Wiegand pulses of 50 us and from the
USB reader, the PIN from the matrix keypad.
"""

import json

from person import CARD_NUMBER, COLUMNS, D0, D1, KEYS, ROWS, wiegand26
from rig import LOCK, SHARED, Rig

PIN = "258014"


def run(rig: Rig) -> None:
    """Enrol, then try every credential kind. The lock's line shows what was released."""
    machine = rig.machine
    rig.await_sight()
    machine.run("mkdir -p /root/photos && chmod 755 /root /root/photos")
    subjects = {}
    for name, household in (("obama", 12), ("biden", 31)):
        machine.put(SHARED / "faces" / f"{name}_1.jpg", f"/root/photos/{name}.jpg")
        enrolled = rig.gated(
            f"enrol --name {name} --household {household} --photo /root/photos/{name}.jpg "
            "--consent c-1 --notice n-1 --json"
        )
        subjects[name] = json.loads(enrolled)["subject"]
    rig.good("two people enrolled while on duty", "from a photo each, checked by PAD")
    for name, opens in (("obama_2", True), ("stranger_1", False), ("biden_2", True), ("pad_attack", False)):
        releases = lock_count(rig)
        rig.show(SHARED / "faces" / f"{name}.jpg")
        try:
            if opens:
                seconds = machine.until(has_released(releases), 40, f"{name} is let in")
                rig.good(f"face {name}", f"lock released {seconds:.1f} s after the face came")
            else:
                denied = has_event("access_denied")
                machine.until(denied, 40, f"{name} is denied")
                rig.check(f"face {name}", lock_count(rig) == releases, "denied, and no edge on the lock")
        finally:
            rig.show(None)
        machine.until(secured(), 20, "the lease ends")
        machine.run("sleep 3")
    cards(rig, subjects["obama"])


def cards(rig: Rig, subject: str) -> None:
    """Give a card of each reader and a PIN, and use them."""
    machine = rig.machine
    rig.gated(f"people card add {subject} --number 12,34567")
    rig.gated(f"people card add {subject} --number {CARD_NUMBER}")
    rig.gated(f"people pin set {subject} --choose", stdin=f"{PIN}\n{PIN}\n")
    for what, deed in (
        (
            "a Wiegand card of 26 bits, pulses of 50 us",
            f"echo 'card {D0} {D1} {wiegand26(12, 34567)}' >/proc/pi-header/control",
        ),
        ("a card at the USB reader", f"echo {CARD_NUMBER} >/run/pi-reader"),
        ("a PIN at the matrix keypad", typed(PIN + "#")),
        (
            "the exit button",
            "echo 'low 23' >/proc/pi-header/control; sleep 0.3; echo 'float 23' >/proc/pi-header/control",
        ),
        (
            "the fire input",
            "echo 'float 24' >/proc/pi-header/control; sleep 0.5; echo 'low 24' >/proc/pi-header/control",
        ),
    ):
        releases = lock_count(rig)
        machine.run(deed)
        seconds = machine.until(has_released(releases), 10, f"{what} releases the lock")
        rig.good(what, f"lock released within {seconds:.1f} s")
        if "fire" in what:
            machine.run("systemctl restart gated-latch; rm -f /run/gated/latch.fire; systemctl restart gated-latch")
            rig.await_duty()
        machine.until(secured(), 40, "the lease ends")


def typed(keys: str) -> str:
    """Return the shell command that presses keys of the matrix keypad."""
    lines = []
    for key in keys:
        row, column = divmod(KEYS.index(key), len(COLUMNS))
        pins = f"{ROWS[row]} {COLUMNS[column]}"
        lines.append(
            f"echo 'join {pins}' >/proc/pi-header/control; sleep 0.3; "
            f"echo 'part {pins}' >/proc/pi-header/control; sleep 0.2"
        )
    return "; ".join(lines)


def lock_count(rig: Rig) -> int:
    """Return how often the lock was released since this start of the machine."""
    return int(rig.machine.run(f"awk '$3 == {LOCK} && $4 == 1' /proc/pi-header/edges | wc -l"))


def has_released(before: int) -> str:
    """Return the shell condition that the lock was released since `before` releases."""
    return f"[ $(awk '$3 == {LOCK} && $4 == 1' /proc/pi-header/edges | wc -l) -gt {before} ]"


def secured() -> str:
    """Return the shell condition that the lock's line is low."""
    return f"[ $(awk '$1 == {LOCK} {{ print $3 }}' /proc/pi-header/lines) = 0 ]"


def has_event(kind: str) -> str:
    """Return the shell condition that the newest events include this kind."""
    return f"cd / && sudo -u gated gated events list --last 3 --json | grep -q '\"{kind}\"'"
