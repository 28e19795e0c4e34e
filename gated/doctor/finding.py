"""Defines a finding of the doctor: one part, its light as a word and a sign, and the next step."""

from collections.abc import Iterable
from typing import Literal

import msgspec

Light = Literal["green", "amber", "red"]

SIGNS: dict[Light, str] = {"green": "✓", "amber": "!", "red": "✗"}
"""The sign of each light, for people who cannot see colours."""

Figure = float | int | bool | str
"""A measured value. The end of its name is its unit."""


class Finding(msgspec.Struct, frozen=True):
    """One part of the gate: green is in order, amber works with less, red does not work or is not safe.

    `next_step`: what to do about amber and red. `figures`: measured values, for programs and the handover page.
    """

    part: str
    light: Light
    result: str = msgspec.field(name="says")
    next_step: str = ""
    figures: dict[str, Figure] = {}


def green(part: str, result: str, **figures: Figure) -> Finding:
    """Return a finding for a part that is in order."""
    return Finding(part, "green", result, figures=figures)


def amber(part: str, result: str, next_step: str, **figures: Figure) -> Finding:
    """Return a finding for a part that works with less than it could."""
    return Finding(part, "amber", result, next_step, figures)


def red(part: str, result: str, next_step: str, **figures: Figure) -> Finding:
    """Return a finding for a part that does not work or is not safe."""
    return Finding(part, "red", result, next_step, figures)


def is_well(findings: Iterable[Finding]) -> bool:
    """Return whether no finding is red."""
    return all(finding.light != "red" for finding in findings)
