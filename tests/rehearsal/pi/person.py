"""The person of hw_tests: follows the requests on the terminal, acts on the lines of the virtual Pi, and answers.

The tests run in the machine on a terminal of their own. The person reads that terminal from outside. It answers "y"
only after it has checked the line, the lamp or the recorded sound itself.
"""

import os
import pty
import re
import select
import subprocess
import time
import wave
from collections.abc import Callable
from pathlib import Path

from rig import Rig

LAMPS = {"ready": 5, "open": 6, "buzzer": 18}
ROWS, COLUMNS, KEYS = (7, 8, 9, 10), (11, 12, 13), "123456789*0#"
D0, D1 = 14, 15
CARD_NUMBER = "0012345678"
READER = "/dev/input/by-id/usb-rehearsal_reader-event-kbd"
ENVIRONMENT = {
    "GATED_HW": "1",
    "GATED_HW_LOCK_PIN": "17",
    "GATED_HW_PROBE_PIN": "27",
    "GATED_HW_REX_PIN": "23",
    "GATED_HW_BUTTON_PIN": "26",
    "GATED_HW_CONTACT_PIN": "22",
    "GATED_HW_LEAF_PIN": "25",
    "GATED_HW_LAMPS": "ready=5,open=6,buzzer=18",
    "GATED_HW_KEYPAD": "7,8,9,10:11,12,13",
    "GATED_HW_WIEGAND": "14,15",
    "GATED_HW_READER": READER,
    "GATED_HW_SOUND": "default",
    "GATED_HW_CAMERA": "1",
    "GATED_HW_MODELS": "/var/lib/gated/models",
    "GATED_HW_SOAK_S": "60",
    "GATED_HW_PERSON": "1",
    "GATED_HW_FOLDER": "/root/gated-hw",
}


def wiegand26(facility: int, number: int) -> str:
    """Return the 26 bits of a card: even parity, facility, number, odd parity (SIA AC-01)."""
    body = f"{facility:08b}{number:016b}"
    return f"{body[:12].count('1') % 2}{body}{1 - body[12:].count('1') % 2}"


class Bystander:
    """A person at the bench. `deeds` and `claims` count what was asked."""

    def __init__(self, rig: Rig, last_row: int = 0) -> None:
        self._rig, self._last_row = rig, last_row
        self.deeds, self.claims = 0, 0

    def act(self, deed: str) -> None:
        """Do what the tests ask for."""
        self.deeds += 1
        if key := re.search(r"press the key (.) of the keypad", deed):
            row, column = divmod(KEYS.index(key[1]), len(COLUMNS))
            pins = f"{ROWS[row]} {COLUMNS[column]}"
            self._rig.machine.run(
                f"echo 'join {pins}' >/proc/pi-header/control; sleep 0.6; echo 'part {pins}' >/proc/pi-header/control"
            )
        elif "card before the reader" in deed:
            bits = wiegand26(12, 34567)
            self._rig.machine.run(
                f"echo 'card {D0} {D1} {bits}' >/proc/pi-header/control; echo {CARD_NUMBER} >/run/pi-reader"
            )
        elif "cover the lens" in deed:
            self._rig.show(scene_of("dark", self._rig.machine.place))
        elif "take the hand away" in deed:
            self._rig.show(None)
        elif "0.4 m before" in deed:
            self._rig.show(scene_of("near", self._rig.machine.place))
        elif "1 m before" in deed:
            self._rig.show(scene_of("far", self._rig.machine.place))

    def sees(self, claim: str) -> bool:
        """Return whether a claim is true, by the lines and by the recorded sound."""
        self.claims += 1
        if lamp := re.search(r"(\w+), and nothing else, is on", claim):
            time.sleep(0.2)
            levels = dict(
                line.split()[0:3:2] for line in self._rig.machine.run("cat /proc/pi-header/lines").splitlines()
            )
            return [name for name, pin in LAMPS.items() if levels[str(pin)] == "1"] == [lamp[1]]
        if "three beeps" in claim:
            return self._beeps() == 3
        return "neither clicked nor lit up" in claim and self._is_calm()

    def _beeps(self) -> int:
        """Return how many tones are in the file that the loudspeaker wrote."""
        local = self._rig.machine.place / "sound.wav"
        local.write_bytes(
            subprocess.run(
                [*self._rig.machine.ssh_command(), "cat /run/pi-sound.wav"], capture_output=True, check=True
            ).stdout
        )
        return count_beeps(local)

    def _is_calm(self) -> bool:
        """Return whether the lock's line stayed low since the machine was switched on."""
        edges = [edge for edge in self._rig.edges() if edge.line == 17]
        begin = max(i for i, edge in enumerate(edges) if edge.cause == "start")
        return not any(edge.level for edge in edges[begin:])

    def run_tests(self, *arguments: str, timeout_s: float = 600.0, stop: Callable[[str], bool] | None = None) -> str:
        """Run hw_tests in the machine with this person, and return what its terminal showed.

        `stop` is asked after each piece of output; when it returns true the tests are left alone and the text returned.
        """
        names = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
        command = f"cd /root/gated && env {names} .venv/bin/python -m pytest -p no:cacheprovider hw_tests "
        command += " ".join(arguments)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp("ssh", [*self._rig.machine.ssh_command("-tt"), command])
        text, answered, end = "", 0, time.monotonic() + timeout_s
        log = (self._rig.machine.place / "hw.log").open("w")
        try:
            while time.monotonic() < end:
                if not select.select([terminal], [], [], 1.0)[0]:
                    continue
                try:
                    text += os.read(terminal, 65536).decode("utf-8", "replace")
                except OSError:
                    break
                log.seek(0)
                log.write(text)
                log.flush()
                if stop is not None and stop(text):
                    return text
                answered = self._answer(text, answered, terminal)
        finally:
            log.close()
            os.close(terminal)
            os.waitpid(pid, 0)
        return text

    def _answer(self, text: str, answered: int, terminal: int) -> int:
        """Answer the question at the end of the text. Returns how much of the text is answered."""
        asked = text[answered:]
        if found := re.search(r"Please (.*?)\. Then press Enter: $", asked, re.S):
            if "press the key" in found[1] or "take the hand" in found[1]:
                os.write(terminal, b"\n")
                self.act(found[1])
            else:
                self.act(found[1])
                os.write(terminal, b"\n")
        elif found := re.search(r"Is it so: (.*?)\? \[y/n\] $", asked, re.S):
            os.write(terminal, b"y\n" if self.sees(found[1]) else b"n\n")
        elif re.search(r"the last row number[^:]*: $", asked):
            os.write(terminal, f"{self._last_row}\n".encode())
        else:
            return answered
        return len(text)


def count_beeps(path: Path) -> int:
    """Return the number of tones in a WAV file of 16 bits: stretches of sound between silences of 50 ms."""
    import numpy as np

    with path.open("rb") as file, wave.open(file) as sound:
        rate = sound.getframerate()
        data = file.read()
    samples = np.frombuffer(data[: len(data) // 2 * 2], np.int16) if data else np.zeros(0, np.int16)
    blocks = np.abs(
        samples[: len(samples) // (rate // 20) * (rate // 20)].reshape(-1, rate // 20).astype(np.int32)
    ).max(1)
    loud = np.concatenate([[False], blocks > 500])
    return int(np.count_nonzero(loud[1:] & ~loud[:-1]))


def scene_of(name: str, folder: Path) -> Path:
    """Make a picture: `dark`, or a printed page at 0.4 m (`near`) and at 1 m (`far`)."""
    import numpy as np
    from PIL import Image

    path = folder / f"{name}.png"
    if name == "dark":
        Image.new("RGB", (1280, 960), (4, 4, 4)).save(path)
        return path
    rng = np.random.default_rng(15)
    page = Image.fromarray((rng.random((64, 48)) > 0.5).astype(np.uint8) * 220 + 20)
    height = 900 if name == "near" else 360
    sized = page.resize((height * 3 // 4, height), Image.Resampling.NEAREST)
    scene = Image.new("RGB", (1280, 960), (110, 110, 110))
    scene.paste(sized, ((1280 - sized.width) // 2, (960 - sized.height) // 2))
    scene.save(path)
    return path
