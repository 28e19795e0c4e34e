"""`gated evaluate --live`: guides an installer through faces, prints and phones at the gate, and stores the rates.

Plain lines and questions alone, so a screen reader reads all of it.
"""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click

from gated.access.face_calibration import rules_for
from gated.access.face_policy import FaceRules
from gated.cli import show_json, streams
from gated.cli.daemon import VISION
from gated.config import Settings
from gated.doctor.attack_rates import AttackRates, ShownRate, store
from gated.evaluation.confidence import Rate
from gated.evaluation.live import KINDS, Answer, Kind, Presentation, rates_of
from gated.evaluation.live_view import LiveView, in_view
from gated.face.manifest import lawful_set
from gated.face.vision_messages import Observation, ready_with
from gated.sitetime import zone

SHOW_S = 15.0
"""Longest time of one presentation, in seconds."""
CLEAR_S, LEAVE_S = 1.5, 20.0
"""The view counts as empty after the first time without a face. The wait for it ends after the second."""
TRIES = 3
"""Times that a presentation with two faces may be repeated."""

PLEASE: dict[Kind, str] = {
    "bona fide": "a person walks up to the gate as usual, with an uncovered face. Change person and light.",
    "print": "hold a printed face before your own, so that the camera sees it alone. Change print, distance and bend.",
    "phone": "hold a phone or tablet that shows a face before your own. Change picture, device and distance.",
}
DONE: dict[Answer, str] = {
    "passed": "PAD passed it as a living face",
    "refused": "PAD refused it as an attack",
    "unanswered": "there were too few usable frames; it counts apart",
    "crowd": "two faces were in view; show it again, and cover your own face",
}


def evaluate_live(settings: Settings, wanted: dict[Kind, int], *, as_json: bool) -> None:
    """Guide the installer, and store and print the rates. Raises `UsageError` without a terminal."""
    if not sys.stdin.isatty():
        raise click.UsageError("--live needs a terminal and a person at the gate")
    chosen = lawful_set(settings)
    ready = ready_with(chosen)
    rules = rules_for(settings.access, ready)
    streams.echo("the doors stay shut for faces, and no attack counts against a resident; the exit works", err=True)
    service = Path(VISION) if Path(VISION).exists() else None
    with in_view(settings, service) as view:
        answers = [
            (kind, _presented(view, rules, ready.dimension, f"{kind} {number} of {wanted[kind]}: {PLEASE[kind]}"))
            for kind in KINDS
            for number in range(1, wanted[kind] + 1)
        ]
    day = f"{datetime.now(zone(settings.site.timezone)):%Y-%m-%d}"
    measured = AttackRates(day, ready.model_set, rules.pad_threshold, rates_of(answers))
    store(settings.state, measured)
    if as_json:
        show_json(measured)
    else:
        streams.echo(*map(_line, measured.rates))
        streams.echo("stored; the handover page shows it: `gated doctor --report FILE`")


def _presented(view: LiveView, rules: FaceRules, dimension: int, please: str) -> Answer:
    """Ask for one presentation until one face alone was shown. Return the answer of PAD."""
    answer: Answer = "unanswered"
    for _ in range(TRIES):
        _wait_until_empty(view)
        streams.echo(please, err=True)
        click.prompt("Press Enter when you begin", default="", show_default=False, err=True)
        view.restart()
        answer = _judged(view, Presentation(rules, dimension))
        streams.echo(DONE[answer], err=True)
        if answer != "crowd":
            return answer
    return "unanswered"


def _judged(view: LiveView, shown: Presentation) -> Answer:
    for seen in view.during(SHOW_S):
        if seen is not None:
            shown.observe(seen)
        if shown.answer is not None:
            break
    return shown.end()


def _wait_until_empty(view: LiveView, now: Callable[[], float] = time.monotonic) -> None:
    """Wait until no face is in view, so that the next presentation is a new visit."""
    last_at, has_asked = now(), False
    view.restart()
    for seen in view.during(LEAVE_S):
        if isinstance(seen, Observation) and seen.problem != "background":
            last_at = now()
            if not has_asked:
                streams.echo("step out of the view, and take the picture away", err=True)
            has_asked = True
        if now() - last_at >= CLEAR_S:
            return


def _line(rate: ShownRate) -> str:
    name = "BPCER, bona fide refused" if rate.of == "bona fide" else f"APCER, {rate.of} passed"
    return f"{name}: {Rate.of(rate.errors, rate.n)}; without an answer: {rate.unanswered}"
