"""The optional parts of the latch. A part is missing when its pins cannot be claimed or fail later.

A missing part is claimed again with backoff. The latch runs without it.
"""

import contextlib
import logging
from collections.abc import Callable

from msgspec import Struct, field

from gated.door.output_table import OUTPUTS
from gated.errors import LatchError
from gated.events import MAIN
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

FIRST_CLAIM_RETRY_S, LONGEST_CLAIM_RETRY_S = 1.0, 60.0
"""The first and the longest wait before another attempt."""
WORKED_S = 10.0
"""A part that worked for this long before its failure is tried again after `FIRST_CLAIM_RETRY_S`."""


LAMP_PART = "lamps"


def part_of(line: str) -> str:
    """Return the name of the part that a line of the wiring sheet belongs to.

    "cues.red" belongs to "lamps", "second.wiegand_d0" to "second.reader", "keypad.row_1" to "keypad", and
    "main.wiegand_d0" to "reader": parts of the first door have no door name.
    """
    place, _, name = line.partition(".")
    if place == "cues":
        return LAMP_PART if name in OUTPUTS and OUTPUTS[name].is_lamp else name
    if place == "keypad" or not name:
        return place
    name = "reader" if name.startswith("wiegand") else name
    return name if place == MAIN else f"{place}.{name}"


class _Part(Struct):
    """One optional part. Times are monotonic seconds."""

    claim: Callable[[], None]
    release: Callable[[], None]
    why: str = ""
    """Why the part is missing. Empty while it is claimed."""
    due_at: float = 0.0
    """When it is tried again."""
    since: float = 0.0
    """When it was last claimed."""
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_CLAIM_RETRY_S, LONGEST_CLAIM_RETRY_S))


class OptionalParts:
    """All optional parts. It logs one line when a part is missing, and one line when the part is back."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}

    @property
    def missing(self) -> dict[str, str]:
        """The missing parts, named as by `part_of`, each with the reason."""
        whys: dict[str, list[str]] = {}
        for line, part in self._parts.items():
            if part.why:
                whys.setdefault(part_of(line), []).append(part.why)
        return {part: "; ".join(why) for part, why in whys.items()}

    def claim(
        self, line: str, claim: Callable[[], None], now: float, release: Callable[[], None] = lambda: None
    ) -> None:
        """Add a part and claim its pins now, or later if that fails.

        `line` is its name on the wiring sheet, or the name of a whole door. `claim` claims the whole part, or raises
        `LatchError` and claims nothing. `release` gives the part back after it fails.
        """
        self._parts[line] = part = _Part(claim, release)
        self._try(line, part, now)

    def handle_failure(self, line: str, error: LatchError, now: float) -> None:
        """Handle the failure of a claimed part: give it back, and claim it again later."""
        part = self._parts[line]
        if part.why:
            return
        with contextlib.suppress(LatchError):  # a lock with a failed pin cannot be secured either
            part.release()
        if now - part.since > WORKED_S:
            part.backoff.reset()
        self._mark_missing(line, part, error, now)

    def forget(self, start: str) -> None:
        """Remove the parts whose names begin with `start`."""
        self._parts = {line: part for line, part in self._parts.items() if not line.startswith(start)}

    def try_again(self, now: float) -> None:
        """Claim each missing part that is due."""
        for line, part in list(self._parts.items()):
            if part.why and now >= part.due_at:
                self._try(line, part, now)

    def _try(self, line: str, part: _Part, now: float) -> None:
        try:
            part.claim()
        except LatchError as error:
            self._mark_missing(line, part, error, now)
            return
        if part.why:
            log.warning("%s works again", line)
        part.why, part.since = "", now

    def _mark_missing(self, line: str, part: _Part, error: LatchError, now: float) -> None:
        if not part.why:
            log.error("%s is missing: %s; it is tried again", line, error)
        # The log has the whole error with its next step. The reason alone fits one line of a list.
        part.why, part.due_at = str(error).partition(";")[0] or "it fails", now + part.backoff.next_s()
