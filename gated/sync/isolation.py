"""Isolates a component with a separate database.

While its disk fails, the component pauses. All other components continue.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from gated.errors import BusyError, StateError

log = logging.getLogger(__name__)

T = TypeVar("T")

DISK_REST_S = 2.0
"""Pause after a disk failure before the component is tried again, in seconds."""


class IsolatedPart:
    """One component of the gate's side. It logs the first failure and the recovery, and retries every `DISK_REST_S`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rests_until: float | None = None

    def attempt(self, work: Callable[[], T], now: float, otherwise: T) -> T:
        """Return the result of `work`, or `otherwise` while the component rests or fails.

        A `StateError` or `BusyError` from `work` starts a rest of `DISK_REST_S`. `now` is monotonic seconds.
        """
        if self._rests_until is not None and now < self._rests_until:
            return otherwise
        try:
            done = work()
        except (StateError, BusyError) as error:
            if self._rests_until is None:
                log.error("%s: failed, trying again until it works: %s", self._name, error)
            self._rests_until = now + DISK_REST_S
            return otherwise
        if self._rests_until is not None:
            log.info("%s: works again", self._name)
        self._rests_until = None
        return done
