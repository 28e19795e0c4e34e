"""The interface of one provisioning step: check whether it is done, do it, and try it without changes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gated.errors import GatedError


class StepCheck(NamedTuple):
    """The result of a trial: the step's action (or "done"), and every problem that prevents it."""

    summary: str
    problems: Sequence[GatedError] = ()


class InstallStep(Protocol):
    """One step of provisioning. `title` is its name, for people."""

    @property
    def title(self) -> str:
        """Return the step's name, for people."""

    def is_done(self) -> bool:
        """Return whether nothing is left to do. May raise `GatedError`."""

    def do(self) -> str:
        """Do the step. Return the text to report. Raises `GatedError`."""

    def check(self) -> StepCheck:
        """Try the step as far as possible. Changes nothing: no file, no user, no pin level."""


DONE = "done already"
