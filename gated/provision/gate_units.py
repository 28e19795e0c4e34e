"""The gate's systemd units that come with gated: their files, their start, and the wait for duty. Provisioning and
updates use this module.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import gated
from gated.config import Settings
from gated.doctor.finding import Finding, amber, green
from gated.errors import ProvisionError
from gated.provision import keyboard
from gated.update.root_only import check_roots
from gated.update.services import BRAIN, LATCH, VISION, Systemd, systemctl

ALWAYS, KIOSK = (LATCH, VISION[0], BRAIN), ("gated-kiosk.service",)
"""`ALWAYS`: the units of every gate. `KIOSK`: the unit of a gate with a display."""
HIDES, SHOWS = "TemporaryFileSystem=/var/lib/gated:ro", "BindReadOnlyPaths=-/var/lib/gated/models"
"""Lines in vision's unit as it comes with gated. `_seeing` replaces them."""
UPDATE = ("gated-update.service", "gated-update.timer")
RELEASES = "GATED_RELEASES=/var/lib/gated-releases"
"""The variable in the update's unit as it comes with gated. `unit_files` replaces its value."""
HIDDEN = ("/home", "/root", "/tmp", "/run/user", "/var/tmp")  # noqa: S108 - named to be refused
"""Folders that our services cannot see (ProtectHome, PrivateTmp)."""
PROGRAM = "/opt/gated/current/venv/bin/gated"
"""The program that the units start."""
SCRIPTS = ("guard", "secure", "screen")
"""Shell scripts (plain sh) that the units run, in /opt/gated."""
POLICIES = "etc/chromium/policies/managed/gated.json"
"""The policy file for the gate screen's browser. Debian's chromium reads all files in this folder."""
PAGE = "http://127.0.0.1:8080/"
"""The address of the gate screen in the kiosk's unit."""
WATCHDOG = "[Manager]\n# The board's own watchdog bites when systemd itself hangs.\nRuntimeWatchdogSec=15\n"
READY_S, STEADY_S, DUTY_POLL_S = 90.0, 5.0, 0.5
LAST_LINES = 12


def shipped() -> Path:
    """Return the folder of the unit files: inside an installed package, or beside it in a checkout."""
    package = Path(gated.__file__).parent
    installed = package / "_systemd"
    return installed if installed.is_dir() else package.parent / "systemd"


def unit_files(
    root: Path, settings: Settings | None, *, is_pi: bool, screen_port: int, releases: Path | None
) -> dict[Path, str]:
    """Return the text of each file to write, by path.

    `settings` are the gate's settings, None while they have problems. `screen_port` is the port of the gate screen's
    page; 0: no display. `releases` is the folder that is searched every night for a new version; None: no nightly
    search.
    """
    names = (*ALWAYS, VISION[1], *(UPDATE if releases else ()))
    files = {root / "etc/systemd/system" / name: (shipped() / name).read_text("utf-8") for name in names}
    if settings is not None:
        vision = root / "etc/systemd/system" / VISION[1]
        files[vision] = _seeing(files[vision], settings)
    if releases:
        service = root / "etc/systemd/system" / UPDATE[0]
        files[service] = files[service].replace(
            f"Environment={RELEASES}", f"Environment={_releases_variable(releases)}"
        )
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
    """Check that the update service can read this folder, and that only root can write to it.

    Raises `ProvisionError`, `UpdateError`.
    """
    if any(folder.is_relative_to(each) for each in HIDDEN):
        raise ProvisionError(
            f"{folder}: the nightly update cannot read folders in {', '.join(HIDDEN)}; move the releases to "
            f"another folder, such as {RELEASES.partition('=')[2]} (releases)"
        )
    if not folder.is_dir():
        raise ProvisionError(f"{folder}: is not a folder, but `releases` names it; make it, or correct the "
                             "answer `releases`")  # fmt: skip
    check_roots(folder)


def has_systemd() -> bool:
    """Return whether systemd started this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def require_systemd() -> None:
    """Raise `ProvisionError` if systemd did not start this machine: then no unit can start."""
    if not has_systemd():
        raise ProvisionError(
            "this machine was not started with systemd; add --no-start, and start it as usual: the services start too"
        )


def start(units: tuple[str, ...]) -> list[Finding]:
    """Restart all units, and wait until the gate is on duty and stays on duty. Return the findings of the gate screen,
    if there is one.

    Raises `ProvisionError`.
    """
    systemctl("daemon-reload")
    systemctl("restart", "--no-block", LATCH, BRAIN)
    for unit in units:
        if unit not in ALWAYS:
            systemctl("restart", "--no-block", unit)
    if not stays_on_duty(Systemd().run, time.monotonic, time.sleep):
        late = f"the gate is not on duty after {READY_S:.0f} s; its last log lines:"
        raise ProvisionError(late, *_last_log_lines().splitlines())
    return [_screen(), keyboard.apply_files()] if KIOSK[0] in units else []


def _releases_variable(folder: Path) -> str:
    """Return the variable for the unit, quoted and with systemd's special characters escaped (systemd.unit(5))."""
    return f'"GATED_RELEASES={_escaped(folder)}"'


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _seeing(unit: str, settings: Settings) -> str:
    """Return vision's unit for this gate. Vision sees only the models in the state folder, and the recording if the
    camera is a replay.
    """
    models, camera = settings.models, settings.camera
    shown = [Path(each).absolute() for each in (models.dir, models.manifest, camera.path) if each]
    paths = " ".join(f'"-{_colons(path)}"' for path in shown)
    return unit.replace(HIDES, f'TemporaryFileSystem="{_colons(settings.state.absolute())}:ro"').replace(
        SHOWS, f"BindReadOnlyPaths={paths}"
    )


def _colons(path: Path) -> str:
    """Escape the colons in a path, because systemd separates parts with them (systemd.exec(5))."""
    return _escaped(path).replace(":", "\\\\:")


def _screen() -> Finding:
    """Return whether the display shows the page. A dark display is only amber, because the gate works without it."""
    output = systemctl("show", "--property=ActiveState", KIOSK[0]).strip()
    if output == "ActiveState=active":
        return green("screen", "shows the page")
    return amber(
        "screen", f"is dark: {_last_log_lines(KIOSK[0], lines=2)}", f"`systemctl status {KIOSK[0]}` shows the reason"
    )


def stays_on_duty(seen: Callable[[], str], now: Callable[[], float], wait: Callable[[float], None]) -> bool:
    """Return whether one start of the brain stays on duty for `STEADY_S`, within `READY_S` seconds.

    `seen` returns an id of the current start, empty while the brain is not on duty. `now` is monotonic seconds.
    """
    begun, since, state = now(), now(), ""
    while now() - begun < READY_S:
        is_on_duty = seen()
        if not is_on_duty or is_on_duty != state:
            state, since = is_on_duty, now()
        elif now() - since >= STEADY_S:
            return True
        wait(DUTY_POLL_S)
    return False


def _last_log_lines(*units: str, lines: int = LAST_LINES) -> str:
    named = [word for unit in units or (BRAIN, LATCH, VISION[1]) for word in ("-u", unit)]
    ask = ["journalctl", "--no-pager", "-o", "cat", "-n", str(lines), *named]
    try:
        return subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(journalctl: {error})"
