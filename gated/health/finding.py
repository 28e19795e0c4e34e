"""What the doctor found: one thing, in a light that is a word and a sign as well, and what to do next about it."""

from collections.abc import Iterable
from typing import Literal

import msgspec

Light = Literal["green", "amber", "red"]

SIGNS: dict[Light, str] = {"green": "✓", "amber": "!", "red": "✗"}

Figure = float | int | bool | str
"""A measured value; its unit is the end of its name."""


class Finding(msgspec.Struct, frozen=True):
    """One part of the gate: green is as it should be, amber works with less, red does not do what it is for.

    `next_step` says what to do about amber and red. `figures`: what was measured, for a program and the handover.
    """

    part: str
    light: Light
    says: str
    next_step: str = ""
    figures: dict[str, Figure] = {}


def green(part: str, says: str, **figures: Figure) -> Finding:
    """As it should be."""
    return Finding(part, "green", says, figures=figures)


def amber(part: str, says: str, next_step: str, **figures: Figure) -> Finding:
    """Works, with less than it could."""
    return Finding(part, "amber", says, next_step, figures)


def red(part: str, says: str, next_step: str, **figures: Figure) -> Finding:
    """Does not do what it is for, or is not safe."""
    return Finding(part, "red", says, next_step, figures)


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is red."""
    return all(finding.light != "red" for finding in findings)
