"""Computes rates from outcomes, under their standard names (ISO/IEC 19795-1 and 30107-3), by group and by species."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from gated.evaluation.confidence import Rate
from gated.evaluation.rates import Scores, false_accepts, false_rejects, scores_of, threshold_for
from gated.evaluation.visit_runs import VisitOutcome

EVERYBODY = "all"

ABOUT = {
    "FTE": "people without a usable picture",
    "alike": "people refused by `gated enrol`, because another person's face is too similar",
    "FTA": "visits with too few usable frames for a grant",
    "FPIR": "visits by strangers that were granted",
    "FPIR left out": "residents who would be granted as another person without their own enrolment",
    "FNIR": "visits by residents that were not granted as themselves",
    "misidentified": "visits by residents that were granted as another person",
    "BPCER": "bona fide visits that PAD alone would deny",
    "APCER": "attacks that PAD alone would pass",
    "IAPAR": "attacks that the whole gate granted",
    "FMR": "comparisons of two people, one frame each, at or above the threshold",
    "FNMR": "comparisons of one person, one frame each, below the threshold",
}
"""The events that each rate counts, in plain words."""


class Measure(msgspec.Struct, frozen=True):
    """A rate by its name. `of`: everybody, a group, a species of attack, or the worst species."""

    name: str
    of: str
    rate: Rate


class ThresholdProposal(msgspec.Struct, frozen=True):
    """The threshold for a target FPIR in a gallery of this size, and its rates on the same visits."""

    target_fpir: float
    gallery_size: int
    threshold: float
    searches: str
    """"strangers", or "residents left out" if there were no strangers (leave one identity out)."""
    fpir: Rate
    fnir: Rate


def measured(outcomes: Sequence[VisitOutcome], threshold: float) -> list[Measure]:
    """Return every rate of the visits that has trials. `threshold`: of comparisons."""
    bona_fide = [o for o in outcomes if o.attack is None]
    attacks = [o for o in outcomes if o.attack is not None]
    made = [
        *(Measure(name, of, rate) for of, some in _by_group(bona_fide) for name, rate in _of_faces(some)),
        *_of_attacks(attacks),
        Measure("FPIR left out", EVERYBODY, false_accepts(left_out_scores(bona_fide), threshold)),
        *_of_comparisons(bona_fide, threshold),
    ]
    order = list(ABOUT)
    return sorted((m for m in made if m.rate.n), key=lambda m: order.index(m.name))


def mated_scores(outcomes: Iterable[VisitOutcome]) -> Scores:
    """Return the scores of visits by enrolled people."""
    return scores_of(o.score for o in outcomes if o.attack is None and o.subject is not None)


def non_mated_scores(outcomes: Iterable[VisitOutcome]) -> Scores:
    """Return the scores of visits by strangers: the highest of each over the gallery."""
    return scores_of(o.score for o in outcomes if o.attack is None and o.subject is None)


def left_out_scores(outcomes: Iterable[VisitOutcome]) -> Scores:
    """Return the scores that enrolled people would have in the gallery without themselves."""
    return scores_of(o.score_without for o in outcomes if o.attack is None and o.subject is not None)


def mated_looks(outcomes: Iterable[VisitOutcome]) -> Scores:
    """Return the comparison scores of one frame of each visit by an enrolled person with their own templates."""
    return scores_of(o.mated for o in outcomes if o.attack is None and o.mated is not None)


def non_mated_looks(outcomes: Iterable[VisitOutcome]) -> Scores:
    """Return the comparison scores of the same frames, and of strangers' frames, with every other person."""
    return np.concatenate([np.empty(0), *(o.non_mated for o in outcomes if o.attack is None)])


def proposal_for(target_fpir: float, outcomes: Sequence[VisitOutcome], gallery_size: int) -> ThresholdProposal | None:
    """Return the threshold by the per-search maximum method. None without searches by people who are not enrolled."""
    strangers = non_mated_scores(outcomes)
    maxima = strangers if strangers.size else left_out_scores(outcomes)
    if not maxima.size:
        return None
    threshold = threshold_for(target_fpir, maxima)
    return ThresholdProposal(
        target_fpir=target_fpir,
        gallery_size=gallery_size if strangers.size else gallery_size - 1,
        threshold=threshold,
        searches="strangers" if strangers.size else "residents left out",
        fpir=false_accepts(maxima, threshold),
        fnir=false_rejects(mated_scores(outcomes), threshold),
    )


def _by_group(outcomes: Sequence[VisitOutcome]) -> Iterator[tuple[str, list[VisitOutcome]]]:
    yield EVERYBODY, list(outcomes)
    for group in sorted({group for o in outcomes for group in o.groups}):
        yield group, [o for o in outcomes if group in o.groups]


def _of_faces(outcomes: Sequence[VisitOutcome]) -> Iterator[tuple[str, Rate]]:
    """Yield the rates of people who came in person."""
    residents = [o for o in outcomes if o.subject is not None]
    strangers = [o for o in outcomes if o.subject is None]
    yield "FTA", Rate.among(not o.is_acquired for o in outcomes)
    yield "FPIR", Rate.among(o.granted is not None for o in strangers)
    yield "FNIR", Rate.among(o.granted is None or o.granted != o.subject for o in residents)
    yield "misidentified", Rate.among(o.granted is not None and o.granted != o.subject for o in residents)
    yield "BPCER", Rate.among(not o.passes_pad for o in outcomes if o.is_acquired)


def _of_attacks(attacks: Sequence[VisitOutcome]) -> Iterator[Measure]:
    """Yield rates by species. The overall rate is the worst species, because a mean would hide it (ISO/IEC 30107-3)."""
    for name, is_error in (("APCER", lambda o: o.passes_pad), ("IAPAR", lambda o: o.granted is not None)):
        of_species = {
            species: Rate.among(is_error(o) for o in attacks if o.attack == species)
            for species in sorted({o.attack for o in attacks if o.attack is not None})
        }
        if of_species:
            worst = max(of_species, key=lambda species: of_species[species].value or 0.0)
            yield Measure(name, f"worst ({worst})", of_species[worst])
        yield from (Measure(name, species, rate) for species, rate in of_species.items())


def _of_comparisons(outcomes: Sequence[VisitOutcome], threshold: float) -> Iterator[Measure]:
    """Yield FMR and FNMR of one frame a visit. These comparisons are not independent, so the bounds are too narrow."""
    yield Measure("FMR", EVERYBODY, false_accepts(non_mated_looks(outcomes), threshold))
    yield Measure("FNMR", EVERYBODY, false_rejects(mated_looks(outcomes), threshold))
