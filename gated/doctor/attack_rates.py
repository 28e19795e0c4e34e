"""The PAD error rates that an installer measured at this gate, stored for the handover page.

`gated evaluate --live` writes them into the state folder; `examination` shows them. The file has counts and bounds
alone: no picture, no score, no name. Rates of another model set do not count.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from gated.atomic_files import atomic_write
from gated.bounded import MOST_TEXT, read
from gated.doctor.finding import Finding, amber, green
from gated.errors import StateError
from gated.wording import UNDECODABLE

NAME = "attack_rates.json"
"""Name of the file in the state folder."""
BONA_FIDE: Literal["bona fide"] = "bona fide"
MOST_APCER = 0.07
"""Greatest share of attacks of one species that may pass (FIDO Biometric Requirements, and biometrics.md 2.2)."""
MOST_BPCER = 0.15
"""Greatest share of bona fide presentations that may be refused (the same source)."""
STEP = "stop the gate, and run `gated evaluate --live` with prints and phones"


class ShownRate(msgspec.Struct, frozen=True):
    """Errors in `n` presentations of one kind: attacks that passed, or bona fide faces that were refused.

    `low` and `high`: bounds at 95 % (Clopper and Pearson). `unanswered`: presentations without enough usable frames;
    they are not in `n`.
    """

    of: str
    errors: int
    n: int
    low: float
    high: float
    unanswered: int


class AttackRates(msgspec.Struct, frozen=True):
    """One measurement at this gate. `at`: day, ISO 8601."""

    at: str
    model_set: str
    pad_threshold: float
    rates: tuple[ShownRate, ...]


def store(state: Path, measured: AttackRates) -> None:
    """Store the rates, in place of older ones. Raises `StateError`."""
    if state.stat().st_uid != os.geteuid():
        raise StateError(f"{state} belongs to another user; run this as the gate's user")
    try:
        atomic_write(state / NAME, msgspec.json.encode(measured))
    except OSError as error:
        raise StateError(
            f"{state / NAME}: cannot be written ({error.strerror}); run this as the gate's user"
        ) from error


def recall(state: Path) -> AttackRates | None:
    """Return the stored rates. None without a readable file: the installer then measures again."""
    try:
        return msgspec.json.decode(read(state / NAME, MOST_TEXT), type=AttackRates)
    except (OSError, *UNDECODABLE):
        return None


def of_attacks(state: Path, model_set: str) -> Iterator[Finding]:
    """Yield the PAD rates of this gate with this model set, by species. Without rates, yield that they are missing."""
    found = recall(state)
    if found is None or not any(rate.n for rate in found.rates):
        yield amber("PAD", "not measured here", STEP)
    elif found.model_set != model_set:
        yield amber("PAD", f"not measured here with model set {model_set}, only with {found.model_set}", STEP)
    else:
        for rate in found.rates:
            yield _of_rate(rate, found.at)


def _of_rate(rate: ShownRate, at: str) -> Finding:
    share = rate.errors / rate.n if rate.n else 1.0
    low, high = f"{rate.low * 100:.0f}", f"{rate.high * 100:.0f}"
    if rate.of == BONA_FIDE:
        result = f"{rate.errors} of {rate.n} refused ({low} to {high} %), {rate.unanswered} without an answer, on {at}"
        step, most = "improve the light, and measure again", MOST_BPCER
    else:
        result = f"{rate.errors} of {rate.n} passed ({low} to {high} %), {rate.unanswered} without an answer, on {at}"
        step, most = "let this gate also ask for a card or a PIN, or watch it", MOST_APCER
    return green(f"PAD: {rate.of}", result) if share <= most else amber(f"PAD: {rate.of}", result, step)
