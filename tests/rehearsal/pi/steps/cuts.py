"""Power cuts at random moments while rows are acknowledged, on an honest card and on a forgetful one."""

import random
import re
import time

from person import Bystander
from rig import Rig

from steps.hardware import prepare


def run(rig: Rig) -> None:
    """Cut the power on an honest card `rig.cuts` times, on a forgetful one once."""
    prepare(rig)
    rig.machine.stop()
    rig.machine.keep_card("tested")
    kept, rows = 0, []
    chance = random.Random(15)
    for number in range(rig.cuts):
        text, last = cut(rig, "honest", chance.uniform(1, 8))
        kept += "1 passed" in text
        rows.append(last)
        if "1 passed" not in text:
            rig.bad(f"power cut {number + 1} on an honest card", why_of(text))
    rig.check("power cuts on an honest card", kept == rig.cuts, f"{kept} of {rig.cuts} lost nothing; rows seen {rows}")
    text, last = cut(rig, "forgetful", 6)
    found = "reports writes that it did not store" in text or "lost" in text or "no row is stored" in text
    rig.check("a power cut on a forgetful card is detected", found, f"row {last} seen: {why_of(text)}")
    rig.machine.cut()
    rig.machine.insert_card("tested")
    rig.machine.start()
    rig.await_duty()


def cut(rig: Rig, card: str, after_s: float) -> tuple[str, int]:
    """Run both halves of the power cut of hw_tests. Returns the second's output, and the last row on the screen."""
    machine = rig.machine
    machine.start(cache=card)
    machine.run("systemctl stop gated gated-vision.socket gated-vision gated-latch")
    machine.control("mark hardware begins")
    seen = {"at": 0.0}

    def is_time(text: str) -> bool:
        if "is acknowledged" in text and not seen["at"]:
            seen["at"] = time.monotonic()
        return bool(seen["at"]) and time.monotonic() > seen["at"] + after_s

    person = Bystander(rig)
    terminal = person.run_tests(
        "-k", "power", "--phase", "before", timeout_s=180, stop=lambda text: is_time(text) and not machine.cut()
    )
    numbers = re.findall(r"row (\d+) is acknowledged", terminal)
    last = int(numbers[-1]) if numbers else 0
    machine.start()
    machine.run("systemctl stop gated gated-vision.socket gated-vision gated-latch")
    text = Bystander(rig, last).run_tests("-k", "power", "--phase", "after", "--tb=line", timeout_s=180)
    machine.control("mark hardware ends")
    machine.stop()
    return text, last


def why_of(text: str) -> str:
    """Return the reason in the output of pytest."""
    found = re.findall(r"(?:Error|E  ).*", text)
    return found[-1][:150] if found else text.strip().splitlines()[-1][:150] if text.strip() else "no output"
