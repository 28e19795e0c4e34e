"""The bench of a desk: mock pins with a probe in their trace, a rendered street, and a script in place of a person.

As on a Pi, the kernel owns the lines: the level after a process has died depends on `is_strict`, as on
`dtparam=strict_gpiod`.
"""

import asyncio
import contextlib
import json
import os
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from contracts import hands, sight
from contracts.bench import Edge, Pace, Pulse, Vitals
from contracts.daemon import Daemon
from PIL import Image, ImageFilter

from gated.config import CameraSettings
from gated.door.latch_messages import DriveLine, FromLatch, Goodbye, Hello
from gated.runtime.channel import Channel
from gated.simulator.camera import SimulatedCamera, lores_of
from gated.simulator.script import Script, write_script

PROJECT = Path(__file__).parents[2]
LAMPS = {"ready": 5, "open": 6, "fault": 13}
HASTE = Pace(starts=2, presses=2, frames=8, spinners=1, light_s=1.0, soak_s=1.0, look_s=0.3, slack_s=20.0)
BITS = "00000110000001101100000001"
"""A card of 26 bits: facility 12, number 3456."""
STROKES = (2, 3, 4, 5, 6, 7, 8, 9, 28)
"""A card as a USB reader types it: 1 to 8 and Enter, in codes of linux/input-event-codes.h."""


class DeskBench:
    """A bench in a folder. Its other public attributes can be broken, to test that each promise can fail."""

    lamps, keys, sound = tuple(LAMPS), "16*#", "null"

    def __init__(self, folder, *, is_strict=True):
        self.folder, self.is_strict, self.pace, self.person = folder, is_strict, HASTE, Actor(self)
        self.trace, self.reader = folder / "trace.jsonl", str(folder / "reader")
        tables = tables_of(folder)
        self.latch, self.gate = Daemon(folder, tables, "latch"), Daemon(folder, tables, "run", "--service")
        self.street = Street(folder / "scene.json")
        self.notes, self.captured = {}, None
        self.board, self.boots, self.cuts_after, self.bit_s = Vitals(48.2, 0), 1, 5, 50e-6

    def note(self, what, value):
        self.notes[what] = value

    def is_on(self):
        changes = self.changes("lock")
        return bool(changes) and changes[-1].is_on and (self.latch.is_running or not self.is_strict)

    def edges(self, since):
        return [edge for edge in self.changes("lock") if edge.at >= since]

    def changes(self, line):
        """Return the changes of an output from the trace. Its last line may be incomplete while we read."""
        written = self.trace.read_text() if self.trace.exists() else ""
        told = [json.loads(row) for row in written[: written.rfind("\n") + 1].splitlines()]
        return [Edge(row["t"], row["on"]) for row in told if row["line"] == line]

    async def press(self, is_pressed):
        await self.drive("rex", is_pressed)

    async def drive(self, line, is_active=True):
        """Set an input line of the latch, and wait until the latch has reported it."""
        channel = Channel[FromLatch](*await asyncio.open_unix_connection(self.latch.door_socket), FromLatch)
        for word in (Hello(observer=True), DriveLine(line, is_active), Goodbye()):
            channel.send(word)
        with contextlib.suppress(EOFError):
            while True:
                await channel.receive(20)
        await channel.close()

    def camera(self):
        return self.street

    @contextlib.asynccontextmanager
    async def pulses(self):
        self.captured = []
        yield self.captured
        self.captured = None

    def vitals(self):
        return self.board

    def boot(self):
        return f"boot {self.boots}"

    def has_power(self):
        self.cuts_after -= 1
        return self.cuts_after >= 0

    async def show_card(self):
        """Show a card to all that can read it: the lines, the latch, or the USB reader."""
        if self.captured is not None:
            self.captured += [Pulse(int(bit), 10.0 + place * 2e-3, self.bit_s) for place, bit in enumerate(BITS)]
        elif self.latch.is_running:
            await self.drive(f"wiegand:{BITS}")
        else:
            self._type()

    def _type(self):
        """Write keystrokes, as in linux/input.h, to a pipe in place of a device."""
        at = time.monotonic()
        when = int(at), int(at % 1 * 1e6)
        events = [(1, code, value) for code in STROKES for value in (1, 0)]
        with open(self.reader, "wb", buffering=0, opener=lambda path, flags: os.open(path, os.O_RDWR)) as pipe:
            pipe.write(b"".join(struct.pack("@llHHi", *when, *event) for event in events))

    def close(self):
        with contextlib.closing(self.street), contextlib.closing(self.latch):
            self.gate.close()


class Actor:
    """A scripted person: does at once what is asked, and reads from the trace what a person would see."""

    def __init__(self, bench):
        self._bench, self.shown, self.last_seen, self.hears = bench, [], None, True

    def show(self, text):
        self.shown.append(text)

    async def please(self, deed):
        street = self._bench.street
        match deed.split():
            case ["press", "the", "key", key, *_]:
                await self._bench.drive(f"key:{key}")
            case _ if deed == hands.HOLD:
                await self._bench.show_card()
            case _:
                {
                    sight.COVER: street.cover,
                    sight.UNCOVER: street.uncover,
                    sight.NEAR: lambda: street.hold(0.4),
                    sight.FAR: lambda: street.hold(1.0),
                }[deed]()

    async def sees(self, claim):
        line = claim.partition(",")[0]
        if line not in LAMPS:
            return self.hears
        await asyncio.sleep(0.5)  # after a change a lamp waits a quarter of a second
        return [each for each in LAMPS if self._bench.changes(each)[-1].is_on] == [line]

    async def number(self, question):
        return self.last_seen


class Street:
    """The simulated camera with a hand, a page and a slow automatic exposure in front of it."""

    def __init__(self, path):
        write_script(Script(ends_s=3600.0), path)
        self._camera = SimulatedCamera(
            CameraSettings(kind="simulated", path=str(path), width=320, height=240, fps=sight.FPS)
        )
        self.uncovered_at, self.is_covered, self.page_m = float("-inf"), False, None
        self.settles_s, self.focus_m, self.late_s = 0.2, 0.5, 0.0

    def __getattr__(self, name):
        return getattr(self._camera, name)

    def cover(self):
        self.is_covered = True

    def uncover(self):
        self.is_covered, self.uncovered_at = False, time.monotonic()

    def hold(self, page_m):
        self.page_m = page_m

    def frame(self, timeout_s):
        frame = self._camera.frame(timeout_s)
        main = frame.main if self.page_m is None else self._with_page(frame.main)
        main = np.clip(main * self._exposure(frame.at), 0, 255).astype(np.uint8)
        return replace(frame, main=main, lores=lores_of(main), at=frame.at - self.late_s)

    def _exposure(self, at):
        """Return the exposure: dark behind a hand, then too bright, then closer to right with every frame."""
        if self.is_covered:
            return 0.05
        return 1 + 0.8 * float(np.exp(-max(0.0, at - self.uncovered_at) / self.settles_s))

    def _with_page(self, main):
        """Draw a printed page at its size in the picture, blurred by its distance from the focus."""
        image, side = Image.fromarray(main), round(60 / self.page_m)
        print_ = np.random.default_rng(1).integers(0, 2, (20, 20), np.uint8) * 220
        page = Image.fromarray(print_).resize((side, side), Image.Resampling.NEAREST).convert("RGB")
        blur_px = 2.0 * abs(1 / self.page_m - 1 / self.focus_m)
        image.paste(page, ((image.width - side) // 2, (image.height - side) // 2))
        return np.asarray(image.filter(ImageFilter.GaussianBlur(max(0.0, blur_px - 1.0))))


def tables_of(folder):
    """Return the settings of the gate on this desk: the shipped models, a grey street, and every part."""
    frames = folder / "frames"
    frames.mkdir()
    Image.new("RGB", (320, 240), "grey").save(frames / "street.png")
    os.mkfifo(folder / "reader")
    wired = {"lock_pin": 17, "rex_pin": 23, "contact_pin": 22, "wiegand_pins": [14, 15], "release_s": 0.5}
    return {
        "site": {"id": "bench", "clock": "trusted"},
        "gate": {"id": "front"},
        "models": {"dir": str(PROJECT / "models"), "set": "courtyard"},
        "camera": {"kind": "replay", "path": str(frames), "loop": True, "fps": 1.0},
        "door": {"pins": "mock", "trace": str(folder / "trace.jsonl"), **wired},
        "readers": {"keypad_rows": [7, 8, 9, 10], "keypad_columns": [24, 25, 26]},
        "cues": {f"{line}_pin": pin for line, pin in LAMPS.items()},
    }
