"""Take the power off every lock when no latch runs.

A pin may keep its level when its process is killed. So the unit's `ExecStopPost` runs `systemd/secure`, a plain sh
script. It reads the locks from a file that the latch writes before it claims them. If the script cannot do it,
`gated latch --secure` calls `switch_off` here.
"""

import logging
import os
from contextlib import closing
from pathlib import Path

from gated.atomic_files import atomic_write
from gated.config import Settings
from gated.door.pin_source import chip_number, claim_output, pin_factory
from gated.errors import LatchError
from gated.storage.process_lock import FileLock

log = logging.getLogger(__name__)


def note_locks(settings: Settings) -> None:
    """Write the power-off level of each lock for `systemd/secure`, one line `CHIP PIN LEVEL` per lock.

    The file `latch.off` is in the unit's folder (RUNTIME_DIRECTORY, where `systemd/secure` reads it), else beside the
    socket. Nothing is written for mock pins. A write error is only logged, because `switch_off` needs no file.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY", str(settings.latch_socket.parent)).split(":")[0]
    path = Path(folder) / "latch.off"
    try:
        path.unlink(missing_ok=True)
        if settings.door.pins == "gpio":
            chip = chip_number()
            lines = [f"/dev/gpiochip{chip} {wires.lock_pin} {int(not wires.lock_active_high)}\n"
                     for wires in settings.doors.values()]  # fmt: skip
            atomic_write(path, "".join(lines).encode())
            path.chmod(0o600)
    except OSError as error:
        log.error("%s: cannot be written (%s); `gated latch --secure` replaces it", path, error.strerror)


def switch_off(settings: Settings) -> None:
    """Take the power off every lock, once. A strike is then secured; a maglock and a reverse strike release.

    Raises `BusyError` while a latch runs. After all other locks, raises `LatchError` for locks with a pin that cannot
    be claimed.
    """
    lock = settings.latch_socket.with_suffix(".lock")
    with closing(FileLock(lock, "a latch")), closing(pin_factory(settings)) as pins:
        problems = []
        for wires in settings.doors.values():
            try:
                claim_output(pins, wires.lock_pin, active_high=wires.lock_active_high).close()
            except LatchError as error:
                problems.append(str(error))
        if problems:
            raise LatchError(*problems)
