"""The services of a gate, as they come with gated: what is written where, and how they are started and watched."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import gated
from gated.config import Settings
from gated.errors import ProvisionError
from gated.health.finding import Finding, amber, green
from gated.provision import keyboard
from gated.update.trust import check_roots
from gated.update.units import BRAIN, LATCH, VISION, Systemd, systemctl

ALWAYS, KIOSK = (LATCH, VISION[0], BRAIN), ("gated-kiosk.service",)
"""What is enabled at every gate, and at one with a display."""
HIDES, SHOWS = "TemporaryFileSystem=/var/lib/gated:ro", "BindReadOnlyPaths=-/var/lib/gated/models"
"""What stands in vision's unit as it comes with gated."""
UPDATE = ("gated-update.service", "gated-update.timer")
RELEASES = "GATED_RELEASES=/var/lib/gated-releases"
"""What stands in the update's unit as it comes with gated."""
HIDDEN = ("/home", "/root", "/tmp", "/run/user", "/var/tmp")  # noqa: S108 - named to be refused
"""What our services do not see (ProtectHome, PrivateTmp)."""
PROGRAM = "/opt/gated/current/venv/bin/gated"
"""What the units start."""
SCRIPTS = ("guard", "secure", "screen")
"""Plain sh that the units run, in /opt/gated."""
POLICIES = "etc/chromium/policies/managed/gated.json"
"""What the browser of the gate screen may do; Debian's chromium reads all files there."""
PAGE = "http://127.0.0.1:8080/"
"""The gate screen, as the unit of the kiosk has it."""
WATCHDOG = "[Manager]\n# The board's own watchdog bites when systemd itself hangs.\nRuntimeWatchdogSec=15\n"
READY_S, STEADY_S, LOOK_S = 90.0, 5.0, 0.5
LAST_LINES = 12


def shipped() -> Path:
    """The folder of the units: inside an installed package, beside it in a checkout."""
    package = Path(gated.__file__).parent
    installed = package / "_systemd"
    return installed if installed.is_dir() else package.parent / "systemd"


def unit_files(
    root: Path, settings: Settings | None, *, is_pi: bool, screen_port: int, releases: Path | None
) -> dict[Path, str]:
    """What is to be written, by its place. `settings`: the gate's, None where they are not right yet. `screen_port`: of
    the page that a display shows; 0: there is no display. `releases`: where another version is looked for every night;
    None: nowhere.
    """
    names = (*ALWAYS, VISION[1], *(UPDATE if releases else ()))
    files = {root / "etc/systemd/system" / name: (shipped() / name).read_text("utf-8") for name in names}
    if settings is not None:
        vision = root / "etc/systemd/system" / VISION[1]
        files[vision] = _seeing(files[vision], settings)
    if releases:
        service = root / "etc/systemd/system" / UPDATE[0]
        files[service] = files[service].replace(f"Environment={RELEASES}", f"Environment={_looking_in(releases)}")
    for script in ("guard", "secure"):
        files[root / "opt/gated" / script] = (shipped() / script).read_text("utf-8")
    if screen_port:
        unit = (shipped() / KIOSK[0]).read_text("utf-8")
        files[root / "etc/systemd/system" / KIOSK[0]] = unit.replace(PAGE, PAGE.replace("8080", str(screen_port)))
        policies = (shipped() / "kiosk-policies.json").read_text("utf-8")
        files[root / POLICIES] = policies.replace(":8080", f":{screen_port}")
        files[root / "opt/gated/screen"] = (shipped() / "screen").read_text("utf-8")
        files |= keyboard.files(root)
    if is_pi:
        files[root / "etc/systemd/system.conf.d/gated.conf"] = WATCHDOG
    return files


def check_releases(folder: Path) -> None:
    """That the update service can look into this folder, and nobody but root put there what it installs.

    Raises `ProvisionError`, `UpdateError`.
    """
    if any(folder.is_relative_to(each) for each in HIDDEN):
        raise ProvisionError(
            f"{folder}: the nightly update sees nothing in {', '.join(HIDDEN)}; put releases into another folder, such "
            f"as {RELEASES.partition('=')[2]} (releases)"
        )
    if not folder.is_dir():
        raise ProvisionError(f"{folder}: is no folder, and releases are looked for in it; make it, or name the right "
                             "one (releases)")  # fmt: skip
    check_roots(folder)


def has_systemd() -> bool:
    """Whether it is systemd that started this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def start(units: tuple[str, ...]) -> list[Finding]:
    """Start everything anew, and wait until the gate is on duty and stays so; how its screen is, where it has one.

    Raises `ProvisionError`.
    """
    systemctl("daemon-reload")
    systemctl("restart", "--no-block", LATCH, BRAIN)
    for unit in units:
        if unit not in ALWAYS:
            systemctl("restart", "--no-block", unit)
    if not settles(Systemd().run, time.monotonic, time.sleep):
        late = f"the gate is not on duty after {READY_S:.0f} s; its last words:"
        raise ProvisionError(late, *_last_words().splitlines())
    return [_screen(), keyboard.take_effect()] if KIOSK[0] in units else []


def _looking_in(folder: Path) -> str:
    """The variable for the unit: quoted, and with what systemd would replace written twice (systemd.unit(5))."""
    return f'"GATED_RELEASES={_escaped(folder)}"'


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _seeing(unit: str, settings: Settings) -> str:
    """Vision's unit for this gate: of the state folder the models alone; and a recording in the camera's place."""
    models, camera = settings.models, settings.camera
    shown = [Path(each).absolute() for each in (models.dir, models.manifest, camera.path) if each]
    paths = " ".join(f'"-{_colons(path)}"' for path in shown)
    return unit.replace(HIDES, f'TemporaryFileSystem="{_colons(settings.state.absolute())}:ro"').replace(
        SHOWS, f"BindReadOnlyPaths={paths}"
    )


def _colons(path: Path) -> str:
    """A path where systemd takes several parts with colons between them (systemd.exec(5))."""
    return _escaped(path).replace(":", "\\\\:")


def _screen() -> Finding:
    """Whether the display shows the page. Nobody is kept out by a dark display."""
    said = systemctl("show", "--property=ActiveState", KIOSK[0]).strip()
    if said == "ActiveState=active":
        return green("screen", "is shown")
    return amber("screen", f"is dark: {_last_words(KIOSK[0], lines=2)}", f"`systemctl status {KIOSK[0]}` says why")


def settles(seen: Callable[[], str], now: Callable[[], float], wait: Callable[[float], None]) -> bool:
    """Whether one and the same start of the brain is on duty for long enough, in time. `seen`: which one is."""
    begun, since, which = now(), now(), ""
    while now() - begun < READY_S:
        is_on_duty = seen()
        if not is_on_duty or is_on_duty != which:
            which, since = is_on_duty, now()
        elif now() - since >= STEADY_S:
            return True
        wait(LOOK_S)
    return False


def _last_words(*units: str, lines: int = LAST_LINES) -> str:
    named = [word for unit in units or (BRAIN, LATCH, VISION[1]) for word in ("-u", unit)]
    ask = ["journalctl", "--no-pager", "-o", "cat", "-n", str(lines), *named]
    try:
        return subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(journalctl: {error})"
