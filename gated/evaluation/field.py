"""Evaluates the courtyard on every core: each worker process renders visits and judges them with all model sets."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from gated.access.face_calibration import rules_for
from gated.config import Settings
from gated.embedding import Embedding
from gated.evaluation import staging
from gated.evaluation.courtyard import Courtyard, Plan, RenderedPerson
from gated.evaluation.enrolled import Applicant, EvaluationGallery, enrol_all, portrait
from gated.evaluation.report import Report, report_visits
from gated.evaluation.visit_runs import Judge, Visit, VisitOutcome
from gated.face.manifest import load_set
from gated.face.pipeline import FacePipeline, load_pipeline

T = TypeVar("T")
Begin = Callable[[str, int], Callable[[], None]]
"""Starts the display of a task with so many steps. Returns a function to call after each step."""


@dataclass(slots=True)
class _Gate:
    """One model set in a worker process. `judge` and `enrolled` are None while people are being enrolled."""

    pipeline: FacePipeline
    judge: Judge | None
    enrolled: EvaluationGallery | None


_gates: list[_Gate] = []
"""The model sets of this worker process."""


def evaluate_courtyard(
    courtyard: Courtyard, chosen: Sequence[Settings], target_fpir: float, begin: Begin
) -> list[Report]:
    """Enrol the residents and judge every visit, once for all model sets. Raises `ModelError` when a set fails."""
    ready = [load_pipeline(settings.models, settings.face).ready() for settings in chosen]
    rules = [rules_for(settings.access, vision) for settings, vision in zip(chosen, ready, strict=True)]
    residents, plans = courtyard.residents(), courtyard.plans()
    with _workers(chosen, [None] * len(chosen)) as pool:
        faces = _collected(pool.map(_portraits, residents), begin("people to enrol", len(residents)))
    enrolled = [
        enrol_all(
            (Applicant(p.key, str(p.household), f[number]) for p, f in zip(residents, faces, strict=True)),
            ready[number].dimension,
            rules[number].threshold,
            load_set(chosen[number].models).composite,
        )
        for number in range(len(chosen))
    ]
    with _workers(chosen, enrolled) as pool:
        outcomes = _collected(pool.map(_outcomes, plans, chunksize=4), begin("visits", len(plans)))
    source = f"simulated courtyard, {courtyard.households} households, {courtyard.people} people, seed {courtyard.seed}"
    return [
        report_visits(
            source, ready[number], rules[number], enrolled[number],
            [of_visit for each in outcomes if (of_visit := each[number]) is not None], target_fpir=target_fpir,
        )
        for number in range(len(chosen))
    ]  # fmt: skip


def _workers(chosen: Sequence[Settings], enrolled: Sequence[EvaluationGallery | None]) -> ProcessPoolExecutor:
    """Start one process a core, each a new interpreter: threads of a model runtime do not survive a fork."""
    fresh = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(os.cpu_count() or 1, fresh, _begin, (list(chosen), list(enrolled)))


def _collected(results: Iterable[T], advance: Callable[[], None]) -> list[T]:
    """Collect all results, and report progress after each."""
    made = []
    for result in results:
        made.append(result)
        advance()
    return made


def _begin(chosen: list[Settings], enrolled: list[EvaluationGallery | None]) -> None:
    """Initialise a worker process."""
    for settings, people in zip(chosen, enrolled, strict=True):
        pipeline = load_pipeline(settings.models, settings.face)
        vision, judge = pipeline.ready(), None
        if people is not None:
            judge = Judge(pipeline, people.index(vision.dimension), rules_for(settings.access, vision))
        _gates.append(_Gate(pipeline, judge, people))


def _portraits(person: RenderedPerson) -> list[list[Embedding]]:
    """Return the embeddings of a person's enrolment pictures, for each model set."""
    pictures = list(staging.enrolment_pictures(person))
    made = [[portrait(gate.pipeline, picture) for picture in pictures] for gate in _gates]
    return [[embedding for embedding in of_set if embedding is not None] for of_set in made]


def _outcomes(plan: Plan) -> list[VisitOutcome | None]:
    """Return the outcome of a visit for each model set. None if the resident could not be enrolled with it."""
    frames = tuple(staging.frames(plan))
    outcomes: list[VisitOutcome | None] = []
    for gate in _gates:
        if gate.judge is None or gate.enrolled is None:
            continue
        subject = gate.enrolled.subjects.get(plan.person.key)
        absent = subject is None and plan.person.household is not None
        visit = Visit(subject, plan.groups, plan.attack, frames)
        outcomes.append(None if absent else gate.judge.outcome(visit))
    return outcomes
