"""What the doctor looks at himself: files, devices, ports and the clock. Nothing is changed, and no pin is claimed."""

import http.client
import importlib.util
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from time import monotonic

from gated.access.passes import pass_key
from gated.config import Settings
from gated.cues.prompts import check
from gated.cues.screen import ADDRESS
from gated.errors import ConfigError, GatedError, ModelError
from gated.face.manifest import folder_of, load_set
from gated.face.onnx import Model
from gated.health.clock import doubt, kernel_keeps_time
from gated.health.diagnosis import bad, lost_parts, of_decisions
from gated.health.finding import Finding, amber, green, red
from gated.journal.file import NAME
from gated.journal.journal import Journal

SPARE_BYTES, LEAST_BYTES = 200_000_000, 20_000_000
"""A month without network is up to 150,000 rows of some 0.3 KB; to erase somebody takes a file's room once more."""
RECENT = 20_000
"""So many of the newest facts are looked through for what is lost."""
ANSWER_S = 2.0


def models(settings: Settings) -> Finding:
    """Whether every model of the set is what the manifest says, and may drive this lock."""
    try:
        chosen = load_set(settings.models)
        if chosen.grade == "demo" and settings.door.pins == "gpio":
            raise ModelError(f"{chosen.name!r} is for demonstration and never drives a real lock")
        for entry in chosen.models:
            Model.load(entry, folder_of(settings.models, chosen), settings.face.threads)
    except ModelError as error:
        return red("models", f"{error}", "`gated models list` shows what there is, `gated models verify` proves it")
    return green("models", f"{len(chosen.models)} of set {chosen.name} ({chosen.grade}) verified")


def camera(settings: Settings, *, is_lost: bool) -> Finding:
    """Which camera, and whether it can be there; vision alone opens it."""
    kind, path = settings.camera.kind, settings.camera.path
    if kind == "picamera2" and importlib.util.find_spec("picamera2") is None:
        return bad(settings, "camera", "picamera2 is not installed", "apt-get install python3-picamera2")
    if path and not Path(path).exists():
        return red("camera", f"{kind}: {path} is not there", "mend camera.path")
    if is_lost:
        return red("camera", f"{kind}: the gate sees nothing", "look at its cable, and at the log of `gated run`")
    if kind != "picamera2":
        return amber("camera", f"{kind}: no real camera, {path}", 'at a gate set [camera] kind = "picamera2"')
    return green("camera", f"picamera2, number {settings.camera.number}, {settings.camera.fps:g} frames a second")


def readers(settings: Settings) -> Iterator[Finding]:
    """The USB readers, and the key for visitors' passes."""
    for path in settings.readers.devices:
        part = f"reader {path}"
        if not Path(path).exists():
            yield red(part, "is not there", "plug it in, or mend readers.devices")
        elif not os.access(path, os.R_OK):
            yield red(part, "cannot be read by this user", "let the gate's user join the group input")
        else:
            yield green(part, "is there, and can be read")
    if settings.readers.pass_key:
        try:
            pass_key(Path(settings.readers.pass_key))
        except ConfigError as error:
            yield red("pass key", str(error), "put the site's public key there, for this user to read")
        else:
            yield green("pass key", "can be read")


def prompts(settings: Settings) -> Finding:
    """Whether everything that the gate says can be said."""
    if settings.cues.sound == "none":
        return amber("prompts", "no sound is set: nothing is spoken", 'fit a loudspeaker and set [cues] sound = "alsa"')
    wrong = [problem for _, problem in check(settings.prompts, settings.cues.languages) if problem is not None]
    if wrong:
        says = f"{len(wrong)} are missing or not as they should be; tones stand in for them"
        return amber("prompts", says, "`gated prompts make`, then `gated prompts check`")
    return green("prompts", f"complete in {' and '.join(settings.cues.languages)}")


def screen(settings: Settings, *, has_brain: bool) -> Finding:
    """Whether the gate screen's page is served on its port, free, or taken by somebody else."""
    port = settings.cues.screen_port
    if port == 0:
        return green("screen", "none is set")
    served = page_on(port)
    if served is None:
        if has_brain:
            return red("screen", f"nobody serves port {port}", "look at the log of `gated run`")
        return green("screen", f"port {port} is free, for the brain to serve")
    if not served:
        return red("screen", f"port {port} is another program's", "end that, or choose another cues.screen_port")
    return green("screen", f"served at http://{ADDRESS}:{port}/")


def page_on(port: int) -> bool | None:
    """Whether what answers on a port of this machine is our page; None when nothing does."""
    page = files("gated.cues").joinpath("page", "index.html").read_bytes()
    try:
        with socket.create_connection((ADDRESS, port), ANSWER_S):
            pass
    except OSError:
        return None
    with closing(http.client.HTTPConnection(ADDRESS, port, timeout=ANSWER_S)) as connection:
        try:
            connection.request("GET", "/")
            return connection.getresponse().read(len(page) + 1) == page
        except (OSError, http.client.HTTPException):
            return False


def state_folder(settings: Settings) -> Finding:
    """Whether the gate can write, and has the room."""
    folder = settings.state
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        return red("state folder", f"{folder} cannot be written by this user", "make it writable for the gate's user")
    if there != folder:
        return amber("state folder", f"{folder} is not there yet", "`gated check` makes it, or the first start")
    if folder.stat().st_uid != os.geteuid():
        says = f"{folder} is another user's: what works here may not work there"
        return amber("state folder", says, "run the doctor as the gate's user")
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    says = f"{folder} can be written; {free / 1e6:,.0f} MB free"
    if free < LEAST_BYTES:
        return red("state folder", says, "make room: soon nothing can be written down")
    return green("state folder", says) if free >= SPARE_BYTES else amber("state folder", says, "make room")


class Past:
    """What the journal tells: whether it is whole, when it was written last, what a brain that runs has lost, and how
    fast it decided.
    """

    def __init__(self, settings: Settings) -> None:
        """Read it, where there is one; none is begun."""
        self.last_at = datetime.fromtimestamp(0, UTC)
        self.lost = frozenset[str]()
        self.decisions: list[Finding] = []
        self.finding = amber("journal", "there is none yet", "the first `gated run` begins it")
        try:
            if (settings.state / NAME).exists():
                self._read(settings)
        except GatedError as error:
            self.finding = red("journal", str(error), "`gated events verify` says more")

    def _read(self, settings: Settings) -> None:
        with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
            flaw, position, newest = journal.verify(), journal.position(), journal.last(RECENT)[::-1]
        self.lost = lost_parts(entry.event for entry in newest)
        self.decisions = list(of_decisions(entry.event for entry in newest))
        if flaw is not None:
            says = f"row {flaw.seq} is not as it was written: {flaw.why}"
            self.finding = red("journal", says, "keep the file as it is, and find out who changed it")
            return
        if newest:
            self.last_at = datetime.fromisoformat(newest[0].at)
        says = f"{position.head - position.base} rows, each as it was written; head {position.head}"
        self.finding = green("journal", f"{says}, {position.head_hash[:16]}")


def clock(settings: Settings, not_before: datetime) -> Finding:
    """Whether the time of day counts. `not_before`: when the last fact was written down."""
    is_kept = settings.site.clock == "trusted" or kernel_keeps_time()
    wall = datetime.now(UTC)
    why = doubt(wall, wall - timedelta(seconds=monotonic()), None, not_before, is_kept)
    if why is None:
        return green("clock", "trusted: " + ("by the settings" if settings.site.clock == "trusted" else "it is kept"))
    says = f"not trusted: {why}; what has hours or a last day does not open"
    return amber("clock", says, "reach a time server, or fit a clock chip with a battery; see `timedatectl`")
