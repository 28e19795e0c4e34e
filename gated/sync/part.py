"""Something with a disk of its own: while that fails it rests, and the others go on."""

import logging
from collections.abc import Callable
from typing import TypeVar

from gated.errors import BusyError, StateError

log = logging.getLogger(__name__)

T = TypeVar("T")

REST_S = 2.0
"""A part whose disk fails is left alone for so long."""


class Part:
    """One of them: that it fails is said once, and it is tried again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rests_until: float | None = None

    def attempt(self, work: Callable[[], T], now: float, otherwise: T) -> T:
        """What `work` gives, or `otherwise` while it cannot be done."""
        if self._rests_until is not None and now < self._rests_until:
            return otherwise
        try:
            done = work()
        except (StateError, BusyError) as error:
            if self._rests_until is None:
                log.error("%s cannot go on, trying again and again: %s", self._name, error)
            self._rests_until = now + REST_S
            return otherwise
        if self._rests_until is not None:
            log.info("%s: it goes on", self._name)
        self._rests_until = None
        return done
