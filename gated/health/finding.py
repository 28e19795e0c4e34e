"""What the doctor found: one thing, in a light that is a word and a sign as well, and what to do next about it."""

from collections.abc import Iterable
from typing import Literal

import msgspec

Light = Literal["green", "amber", "red"]

SIGNS: dict[Light, str] = {"green": "✓", "amber": "!", "red": "✗"}


class Finding(msgspec.Struct, frozen=True):
    """One part of the gate: green is as it should be, amber works with less, red does not do what it is for.

    `next_step` says what to do about amber and red.
    """

    part: str
    light: Light
    says: str
    next_step: str = ""


def green(part: str, says: str) -> Finding:
    """As it should be."""
    return Finding(part, "green", says)


def amber(part: str, says: str, next_step: str) -> Finding:
    """Works, with less than it could."""
    return Finding(part, "amber", says, next_step)


def red(part: str, says: str, next_step: str) -> Finding:
    """Does not do what it is for, or is not safe."""
    return Finding(part, "red", says, next_step)


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is red."""
    return all(finding.light != "red" for finding in findings)
