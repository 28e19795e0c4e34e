"""Install the vision unit on a gate that is older than this unit, during an update. The new version does this as root,
after the update was kept. If the gate cannot see with the new unit, the old units are restored, and vision runs as a
child of the brain again.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from gated.atomic_files import atomic_write
from gated.config import Settings
from gated.errors import GatedError
from gated.provision.gate_units import ALWAYS, stays_on_duty, unit_files
from gated.provision.packages import vision_user
from gated.update.services import BRAIN, VISION, Systemd, systemctl

log = logging.getLogger(__name__)

PLACE = "etc/systemd/system"
SEES_S, VISION_POLL_S = 45.0, 1.0
"""Time limit for the gate to see with the new unit, and the interval between checks, in seconds."""


def is_on_duty() -> bool:
    """Return whether the restarted brain stays on duty."""
    return stays_on_duty(Systemd().run, time.monotonic, time.sleep)


def bring_units(
    settings: Settings, sees: Callable[[], bool], *, root: Path = Path("/"), stays: Callable[[], bool] = is_on_duty
) -> bool:
    """Install this version's units on a gate that has older ones. Return whether the new units are in use.

    `sees` returns whether the gate has vision now. `root` is "/" except in tests. Every failure is logged, and the new
    version of gated stays installed.
    """
    files = {path: text for path, text in _units(root, settings).items() if _text(path) != text}
    if not (root / PLACE / BRAIN).exists() or not files:
        return False
    before = {path: _text(path) for path in files}
    could_see = sees()
    try:
        vision_user()
        _write(files)
        _anew("enable", "--now")
        if stays() and (not could_see or _comes(sees)):
            log.info("vision now runs as a separate service: %s", VISION[1])
            return True
        log.error("vision does not work as a separate service; `journalctl -u gated-vision` shows the reason")
    except (GatedError, OSError) as error:
        log.error("the change of vision to a separate service failed: %s", error)
    _restore(before)
    return False


def _units(root: Path, settings: Settings) -> dict[Path, str]:
    files = unit_files(root, settings, is_pi=False, screen_port=0, releases=None)
    return {path: text for path, text in files.items() if path.name in (*ALWAYS, *VISION)}


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except OSError:
        return None


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        atomic_write(path, text.encode())
        path.chmod(0o644)


def _anew(*words: str) -> None:
    """Reload systemd, run `systemctl WORDS` on the vision socket, and restart the brain."""
    systemctl("daemon-reload")
    systemctl(*words, VISION[0])
    systemctl("restart", BRAIN)


def _comes(sees: Callable[[], bool]) -> bool:
    began = time.monotonic()
    while not sees():
        if time.monotonic() - began > SEES_S:
            return False
        time.sleep(VISION_POLL_S)
    return True


def _restore(before: dict[Path, str | None]) -> None:
    """Restore the previous units. Log an error if that fails."""
    try:
        systemctl("disable", "--now", VISION[0])
        _write({path: text for path, text in before.items() if text is not None})
        for path in (path for path, text in before.items() if text is None):
            path.unlink(missing_ok=True)
        systemctl("daemon-reload")
        systemctl("restart", BRAIN)
    except (GatedError, OSError) as error:
        log.error("the units could not be restored (%s); run `gated provision`", error)
