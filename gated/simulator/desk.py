"""A gate on a desk: the real processes with mock pins, in a folder of their own, controlled by the demo."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from gated.access.face_calibration import rules_for
from gated.access.photos import EnrolmentApplicant, enrol_photos
from gated.config import Settings, load
from gated.config.toml_writing import with_tables
from gated.errors import StateError
from gated.events import PersonEnrolled
from gated.face.pipeline import load_pipeline
from gated.frame import Pixels
from gated.gallery.gallery import Gallery
from gated.journal.journal import Journal
from gated.simulator.composition import Cutout, Placed, compose
from gated.simulator.identity import identity
from gated.simulator.morning import Resident
from gated.simulator.render import render
from gated.simulator.script import Script, write_script
from gated.simulator.view import View

SITE, GATE = "courtyard-2", "front"
SIZE = (960, 720)
PHOTO_VIEWS = (View(smile=0.2), View(yaw=-14.0, pitch=3.0), View(yaw=14.0, pitch=-3.0, smile=0.4))
"""The poses of the enrolment pictures."""
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class JournalFact:
    """One row of the journal."""

    at: datetime
    kind: str
    body: dict[str, Any]

    @property
    def frame_at(self) -> float:
        """Exposure time of the frame behind a decision, otherwise `at`. Seconds since 1970."""
        return self.at.timestamp() - float(self.body.get("latency_s", 0.0))


class Desk:
    """One gate. `enrol` people, `start` it, and read its journal with `new_facts`."""

    def __init__(self, folder: Path, tables: dict[str, dict[str, Any]]) -> None:
        """`tables`: settings in addition to those of every desk."""
        self.folder, self.config, self.script = folder, folder / "gated.toml", folder / "scene/script.json"
        self.script.parent.mkdir(exist_ok=True)  # its own folder: vision may read everything in it
        self.config.write_text(with_tables("", _tables(self.script, folder, tables)), "utf-8")
        self.settings: Settings = load(self.config)
        write_script(Script(), self.script)
        self._brain: subprocess.Popen[bytes] | None = None
        self._seen = 0

    def enrol(self, residents: Sequence[Resident]) -> Iterator[tuple[Resident, str]]:
        """Enrol each resident from three rendered photos, which are then deleted. Yield resident and subject.

        Raises `StateError` when a resident cannot be enrolled.
        """
        settings = self.settings
        pipeline = load_pipeline(settings.models, settings.face)
        models = pipeline.model_set
        rules = rules_for(settings.access, pipeline.ready())
        origin = models.embedder_sha256, models.dimension, models.composite
        gallery = Gallery.open(settings.state, settings.site.id, *origin)
        with closing(gallery), closing(self.journal()) as journal:
            for resident in residents:
                photos = self._photos(resident)
                applicant = EnrolmentApplicant(resident.name, resident.household, "demo", "demo")
                done = enrol_photos(pipeline, gallery, photos, applicant, rules)
                for photo in photos:
                    photo.unlink()
                if done.subject is None:
                    raise StateError(f"{resident.name} cannot be enrolled: {done.rejected[0].reason}")
                event = PersonEnrolled(done.subject, done.templates, "demo", models.embedder_sha256)
                journal.append(event, datetime.now().astimezone())
                yield resident, done.subject

    def start(self) -> None:
        """Start `gated run`, which starts the other processes."""
        with (self.folder / "log").open("ab") as log:
            self._brain = subprocess.Popen(self._command("run"), stdout=log, stderr=log)

    def remove(self, subject: str) -> None:
        """Run `gated people remove`. Raises `StateError` when it fails."""
        done = subprocess.run(
            self._command("people", "remove", subject, "--yes"), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise StateError(f"gated people remove failed: {done.stderr.strip()}")

    def kill_vision(self) -> bool:
        """Kill the vision process, as a crash in a driver would. Return False if none runs."""
        for pid in self._children("vision"):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def journal(self) -> Journal:
        """Open the gate's journal, for one thread."""
        return Journal.open(self.settings.state, SITE, GATE)

    def new_facts(self, journal: Journal) -> list[JournalFact]:
        """Return the journal rows since the last call."""
        entries = journal.entries(after=self._seen)
        self._seen = entries[-1].seq if entries else self._seen
        return [JournalFact(datetime.fromisoformat(e.at), e.kind, msgspec.json.decode(e.body)) for e in entries]

    def check_alive(self) -> None:
        """Check that the gate runs. Raises `StateError` with the log when it has ended."""
        if self._brain is not None and self._brain.poll() is not None:
            raise StateError(f"the gate has ended with status {self._brain.returncode}:", *self.log().splitlines())

    def log(self) -> str:
        """Return the end of the processes' log."""
        return (self.folder / "log").read_text("utf-8", "replace")[-2000:]

    def stop(self) -> int:
        """Stop the gate. Return its exit status."""
        if self._brain is None:
            return 0
        self._brain.terminate()
        try:
            return self._brain.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._brain.kill()
            return self._brain.wait()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "gated", "--config", str(self.config), *arguments]

    def _children(self, command: str) -> Iterator[int]:
        """Yield the pids of the brain's child processes that run a command."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
                is_of_brain = self._brain is not None and parent == str(self._brain.pid)
                if is_of_brain and command in (process / "cmdline").read_text().split("\0"):
                    yield int(process.name)

    def _photos(self, resident: Resident) -> list[Path]:
        paths = [self.folder / f"photo-{number}.png" for number in range(len(PHOTO_VIEWS))]
        for number, (path, view) in enumerate(zip(paths, PHOTO_VIEWS, strict=True)):
            Image.fromarray(portrait(resident, view, number)).save(path, compress_level=1)
        return paths


def portrait(resident: Resident, view: View, number: int = 0) -> Pixels:
    """Return a photo of a resident before the gate, (H, W, 3) uint8 RGB."""
    head = Cutout.of(render(identity(resident.person, resident.age), view, 210))
    return np.ascontiguousarray(compose([Placed(resident.name, head, 0.78, 0.0)], SIZE, number).rgb)


def wait_for(seconds: float) -> Iterator[None]:
    """Yield ten times a second until the time is up."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        yield
        time.sleep(0.1)


def _tables(script: Path, folder: Path, more: dict[str, dict[str, Any]]) -> dict[str, Any]:
    tables: dict[str, Any] = {
        "site": {"id": SITE, "clock": "trusted"},
        "gate": {"id": GATE},
        "camera": {"kind": "simulated", "path": str(script), "width": SIZE[0], "height": SIZE[1]},
        "door": {"pins": "mock", "trace": str(folder / "trace.jsonl"), "release_s": 1.5},
    }
    for name, table in more.items():
        tables[name] = {**tables.get(name, {}), **table}
    return {"state_dir": str(folder / "state"), **tables}
