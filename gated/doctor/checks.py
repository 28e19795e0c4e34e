"""Checks what the doctor can look at itself: files, devices, ports and the clock. Changes nothing and claims no pin."""

import http.client
import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from gated.access.pass_keys import read_pass_key
from gated.access.schedules import years_unknown
from gated.config import Settings
from gated.config.reading import is_day
from gated.cues.prompts import check_prompts
from gated.cues.screen import INSTALL_FONTS, SCREEN_ADDRESS
from gated.cues.words import fitted_of
from gated.doctor.diagnosis import faulty, lost_parts, of_decisions, of_readers
from gated.doctor.finding import Finding, amber, green, red
from gated.errors import ConfigError, GatedError, ModelError
from gated.face.manifest import folder_of, lawful_set
from gated.face.onnx import Model
from gated.journal.journal import Journal
from gated.journal.journal_file import JOURNAL_DB
from gated.people.credential_store import Credentials
from gated.runtime.confinement import STEPS, WORDS, Lack
from gated.service.clock import EARLIER
from gated.service.clock_file import NAME as CLOCK
from gated.service.timekeeper import clock_of
from gated.sitetime import zone
from gated.wording import UNDECODABLE

SPARE_BYTES, LEAST_BYTES = 200_000_000, 20_000_000
"""Limits of the free disk space, in bytes: amber below the first, red below the second.

A month without network makes up to 150,000 rows of about 0.3 KB. Erasing a person needs a file's size once more.
"""
RECENT = 20_000
"""Number of newest facts that are searched for lost parts."""
ANSWER_S = 2.0
"""Limits how long a program or a port may take to answer, in seconds."""
TRIAL_S = 30.0
"""Limits the trial of vision's confinement, in seconds."""
CONFINED = "; Landlock and seccomp confine it"


def models(settings: Settings) -> Finding:
    """Return whether every model matches the manifest and may drive this lock."""
    try:
        chosen = lawful_set(settings)
        for entry in chosen.models:
            Model.load(entry, folder_of(settings.models, chosen))
    except ModelError as error:
        return red("models", f"{error}", "run `gated models list` and `gated models verify`")
    return green("models", f"{len(chosen.models)} of set {chosen.name} ({chosen.grade}) verified")


def camera(settings: Settings, *, is_lost: bool) -> Finding:
    """Return which camera is set and whether it can be there. Only vision opens it."""
    kind, path = settings.camera.kind, settings.camera.path
    if kind == "picamera2" and importlib.util.find_spec("picamera2") is None:
        return faulty(settings, "camera", "picamera2 is not installed", "run apt-get install python3-picamera2")
    if path and not Path(path).exists():
        return red("camera", f"{kind}: {path} does not exist", "correct camera.path")
    if is_lost:
        return red("camera", f"{kind}: no picture", "check its cable and the log of `gated run`")
    if kind != "picamera2":
        return amber("camera", f"{kind}: not a real camera, {path}", 'set [camera] kind = "picamera2" at a gate')
    return green("camera", f"picamera2, number {settings.camera.number}, {settings.camera.fps:g} frames a second")


def vision(root: Path = Path("/"), lacks: Sequence[Lack] | None = None) -> Iterator[Finding]:
    """Yield how the vision process runs and what confines it. `lacks`: what is missing; None: try it now."""
    lacks = missing_confinement() if lacks is None else lacks
    is_gate = (root / "etc/systemd/system/gated.service").exists()
    if (root / "etc/systemd/system/sockets.target.wants/gated-vision.socket").is_symlink():
        yield green("vision", "is a service with a user of its own" + ("" if lacks else CONFINED))
    elif is_gate or lacks:
        result = "is a child of the brain and has its user" + ("" if lacks else CONFINED)
        yield amber(
            "vision", result, "run `sudo gated provision`" if is_gate else "follow the next steps of the findings below"
        )
    else:
        yield green("vision", "is a child of the brain and has its user" + CONFINED)
    for lack in lacks:
        yield amber("vision", WORDS[lack], STEPS[lack])


def missing_confinement() -> tuple[Lack, ...]:
    """Let a separate process confine itself like vision does. Return what it could not confine."""
    command = [sys.executable, "-P", "-m", "gated", "vision", "--try"]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=TRIAL_S, check=True)
        return msgspec.json.decode(tried.stdout, type=tuple[Lack, ...])
    except (OSError, subprocess.SubprocessError, *UNDECODABLE):
        return ("untried",)


def readers(settings: Settings) -> Iterator[Finding]:
    """Yield the state of the USB readers and of the key for visitors' passes."""
    for path in settings.readers.devices:
        part = f"reader {path}"
        if not Path(path).exists():
            yield red(part, "is not there", "plug it in, or correct readers.devices")
        elif not os.access(path, os.R_OK):
            yield red(part, "this user cannot read it", "add the gate's user to the group input")
        else:
            yield green(part, "exists and can be read")
    if settings.readers.pass_key:
        try:
            read_pass_key(Path(settings.readers.pass_key))
        except ConfigError as error:
            yield red("pass key", str(error), "put the site's public key there, readable by this user")
        else:
            yield green("pass key", "can be read")


def prompts(settings: Settings) -> Finding:
    """Return whether the gate can speak every prompt."""
    if settings.cues.sound == "none":
        return amber(
            "prompts", "no sound is set: the gate speaks no prompts", 'fit a loudspeaker and set [cues] sound = "alsa"'
        )
    wrong = [
        problem
        for _, problem in check_prompts(settings.prompts, settings.cues.languages, fitted_of(settings))
        if problem is not None
    ]
    if wrong:
        result = f"{len(wrong)} are missing or wrong; the gate plays tones instead"
        return amber("prompts", result, "run `gated prompts make`, then `gated prompts check`")
    return green("prompts", f"complete in {' and '.join(settings.cues.languages)}")


def screen(settings: Settings, *, has_brain: bool) -> Finding:
    """Return whether the gate screen's port serves our page, is free, or is used by another program."""
    port = settings.cues.screen_port
    if port == 0:
        return green("screen", "none is set")
    served = page_on(port)
    if served is None:
        if has_brain:
            return red("screen", f"no program serves port {port}", "read the log of `gated run`")
        return green("screen", f"port {port} is free for the brain")
    if not served:
        return red(
            "screen", f"another program uses port {port}", "stop that program, or choose another cues.screen_port"
        )
    return green("screen", f"served at http://{SCREEN_ADDRESS}:{port}/")


def letters(settings: Settings) -> Iterator[Finding]:
    """Yield whether the gate screen's browser can draw Chinese. Without a font the page is English."""
    if settings.cues.screen_port == 0 or "zh" not in settings.cues.languages:
        return
    try:
        found = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, timeout=ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError):
        step = f"apt-get install fontconfig, and {INSTALL_FONTS}"
        yield amber("letters", "it is unknown whether a Chinese font is installed", step)
        return
    if found.stdout.strip():
        yield green("letters", "the gate screen can show Chinese")
    else:
        yield amber("letters", "the gate screen cannot show Chinese and shows English", INSTALL_FONTS)


def page_on(port: int) -> bool | None:
    """Return whether the server on a local port serves our page; None if nothing answers."""
    page = files("gated.cues").joinpath("page", "index.html").read_bytes()
    try:
        with socket.create_connection((SCREEN_ADDRESS, port), ANSWER_S):
            pass
    except OSError:
        return None
    with closing(http.client.HTTPConnection(SCREEN_ADDRESS, port, timeout=ANSWER_S)) as connection:
        try:
            connection.request("GET", "/")
            return connection.getresponse().read(len(page) + 1) == page
        except (OSError, http.client.HTTPException):
            return False


def calendar(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield missing holidays and make-up working days that access rules need. Yields nothing if all are known."""
    try:
        faults = calendar_faults(settings, now)
    except GatedError:
        return  # unreadable data is reported with the keys and the state folder
    if faults:
        step = "write them in [site] holidays and workdays, or run `gated office calendar set` for every gate"
        yield amber("calendar", "; ".join(faults), step)


def calendar_faults(settings: Settings, now: datetime) -> list[str]:
    """Return what is missing or wrong in the known days, from the settings and from the office."""
    schedules, days = dict(settings.schedules), {*settings.site.holidays, *settings.site.workdays}
    if (settings.state / "people.db").exists():
        with closing(Credentials.open(settings.state, settings.site.id)) as store:
            schedules |= store.schedules()
            named = store.days()
            days |= named.holidays | named.workdays
    faults = [f"{day} is not a day of the calendar and is ignored" for day in sorted(days) if not is_day(day)]
    if schedules or days:
        years = years_unknown(days, now, zone(settings.site.timezone))
        faults += [f"the holidays and make-up working days of {year} are unknown" for year in years]
    return faults


def state_folder(settings: Settings) -> Finding:
    """Return whether the gate can write to its state folder and has enough space."""
    folder = settings.state
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(nearest, os.W_OK | os.X_OK) or not nearest.is_dir():
        return red("state folder", f"this user cannot write {folder}", "make it writable for the gate's user")
    if nearest != folder:
        return amber("state folder", f"{folder} does not exist yet", "the first start creates it")
    if folder.stat().st_uid != os.geteuid():
        result = f"{folder} belongs to another user: results for this user may differ"
        return amber("state folder", result, "run the doctor as the gate's user")
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    result = f"{folder} can be written; {free / 1e6:,.0f} MB free"
    if free < LEAST_BYTES:
        return red("state folder", result, "free some space: soon the gate cannot write events")
    return green("state folder", result) if free >= SPARE_BYTES else amber("state folder", result, "free some space")


class JournalCheck:
    """The state of the journal: whether it is intact, and the time of its newest row.

    It also has three lists of a running brain: lost parts, times of decisions, and unreadable input of readers.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the journal if it exists. Never creates one."""
        self.last_at = datetime.fromtimestamp(0, UTC)
        self.lost = frozenset[str]()
        self.decisions: list[Finding] = []
        self.misread: list[Finding] = []
        self.finding = amber("journal", "none exists yet", "the first `gated run` creates it")
        try:
            if (settings.state / JOURNAL_DB).exists():
                self._read(settings)
        except GatedError as error:
            self.finding = red("journal", str(error), "run `gated events verify` for details")

    def _read(self, settings: Settings) -> None:
        with closing(Journal.to_read(settings.state, settings.site.id, settings.gate.id)) as journal:
            trouble = journal.trouble
            flaw, position, newest = journal.verify(), journal.position(), journal.last(RECENT)[::-1]
        self.lost = lost_parts(entry.event for entry in newest)
        self.decisions = list(of_decisions(entry.event for entry in newest))
        facts = ((datetime.fromisoformat(entry.at), entry.event) for entry in newest)
        self.misread = list(of_readers(facts, datetime.now(UTC)))
        if flaw is not None:
            result = f"row {flaw.seq} was changed after it was written: {flaw.why}"
            self.finding = red("journal", result, "keep the file unchanged, and find out who changed it")
            return
        if newest:
            self.last_at = datetime.fromisoformat(newest[0].at)
        if trouble:
            result = f"the journal cannot be written; the gate keeps its rows in memory: {trouble}"
            self.finding = red("journal", result, 'give the gate a writable disk: see the finding "disk"')
            return
        result = f"{position.head - position.base} rows, all unchanged; newest row {position.head}"
        self.finding = green("journal", f"{result}, {position.head_hash[:16]}")


def clock(settings: Settings, last_fact: datetime) -> Finding:
    """Return whether the time of day is trusted. `last_fact`: the time of the newest fact."""
    judged = clock_of(settings, last_fact, lambda _: None)
    if judged.now() is not None:
        return green(
            "clock", "trusted: " + ("by the settings" if settings.site.clock == "trusted" else "a time source keeps it")
        )
    result = f"not trusted: {judged.why}; credentials with schedules or dates do not open the gate"
    step = "run `timedatectl`: connect to a time server, or let the office confirm the time"
    kept = settings.state / CLOCK
    if judged.why == EARLIER and kept.exists():
        step = f"if the time is correct, a wrong time was trusted before: stop the gate, delete {kept}, start it"
    return amber("clock", result, step)
