"""One step of provisioning: whether it is done, doing it, and trying it without changing anything."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gated.errors import GatedError


class Tried(NamedTuple):
    """What trying a step gave: what it would do (or that it is done), and every problem that stands in its way."""

    says: str
    problems: Sequence[GatedError] = ()


class Step(Protocol):
    """One thing to do. `title`: its name, for people."""

    @property
    def title(self) -> str:
        """Its name, for people."""

    def is_done(self) -> bool:
        """Whether there is nothing left to do. May raise `GatedError`."""

    def do(self) -> str:
        """Do it; gives what is to be told of it. Raises `GatedError`."""

    def check(self) -> Tried:
        """Try it as far as one can. Changes nothing: no file, no user, no pin's level."""


DONE = "done already"
