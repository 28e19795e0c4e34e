"""Find the settings of a USB reader from one card that was held to it. Pure: keys in, settings out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil

from gated.access.readers.keystrokes import BURST_S, ENTER, MIN_CARD, SPACE, TAB, spelt
from gated.config import UsbSettings
from gated.people import card_readings

SUFFIX_KEYS = {ENTER: "enter", TAB: "tab", SPACE: "space"}
PAUSE_MARGIN, PAUSE_STEP_MS, MOST_PAUSE_MS = 2, 10, 2000
"""The factor by which a reader may be slower than observed, the rounding step and the largest value of the pause, in
ms.
"""
LONGEST_GAP_S = 60.0
HAND_S, HAND_SPREAD_S = 0.5, 0.06
"""Longer or more uneven pauses, in seconds, are typed by a person."""


@dataclass(frozen=True, slots=True)
class LearntReader:
    """What one card showed about a reader. `number` is the card number, or empty if it was not understood."""

    settings: UsbSettings
    length: int
    gap_ms: int
    number: str = field(default="", repr=False)
    trouble: str = ""

    @property
    def description(self) -> str:
        """Return a description for people. It does not contain the number."""
        end = {"none": "no key behind them"}.get(self.settings.suffix, f"then {self.settings.suffix.capitalize()}")
        return f"{self.length} keys, at most {self.gap_ms} ms apart, {end}"


def learn_settings(keys: Sequence[tuple[str, float]]) -> LearntReader:
    """Return the settings of the device that typed these keys. Each key has the time in seconds at which it
    went down.
    """
    names, ends = [key for key, _ in keys], 0
    while ends < len(names) and names[-1 - ends] in SUFFIX_KEYS:
        ends += 1
    body, behind = names[: len(names) - ends], names[len(names) - ends :]
    gaps = [min(max(later - at, 0.0), LONGEST_GAP_S) for (_, at), (_, later) in pairwise(keys)] or [0.0]
    inner = gaps[: max(0, len(body) - 1)] or [0.0]
    suffix = "enter" if ENTER in behind else SUFFIX_KEYS[behind[0]] if behind else "none"
    longest_ms = min(1000 * max(*gaps, BURST_S / PAUSE_MARGIN), MOST_PAUSE_MS / PAUSE_MARGIN)
    settings = UsbSettings("card", suffix, ceil(round(PAUSE_MARGIN * longest_ms / PAUSE_STEP_MS, 3)) * PAUSE_STEP_MS)  # type: ignore[arg-type]
    found = LearntReader(settings, len(body), round(max(gaps) * 1000))
    number = spelt(body) or ""
    if len(body) < MIN_CARD:
        return replace(found, trouble=f"{len(body)} keys are no card; hold a card before the reader, and type nothing")
    if max(inner) > HAND_S or (max(inner) > BURST_S and max(inner) - min(inner) > HAND_SPREAD_S):
        return replace(found, trouble="a hand has typed this; for a keypad say --keypad, and for a reader hold a card")
    if not card_readings.numbers_in(number):
        return replace(found, trouble="these keys are no card's number; set the reader to type digits or hex digits")
    return replace(found, number=number)
