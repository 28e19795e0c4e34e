"""From outcomes to rates, each under its standard name (ISO/IEC 19795-1 and 30107-3) and told by group and species."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from gated.evaluation.bounds import Rate
from gated.evaluation.rates import Scores, false_accepts, false_rejects, scores_of, threshold_for
from gated.evaluation.visits import Outcome

EVERYBODY = "all"

ABOUT = {
    "FTE": "people of whom no picture would do",
    "alike": "people whom `gated enrol` would refuse, because they are too like somebody",
    "FTA": "visits with too few usable looks for a grant",
    "FPIR": "visits by strangers that were let in",
    "FPIR left out": "residents who would be let in had they not been enrolled",
    "FNIR": "visits by residents who were not let in as themselves",
    "misidentified": "visits by residents who were let in as somebody else",
    "BPCER": "visits by real faces that attack detection would refuse",
    "APCER": "attacks that attack detection alone would pass",
    "IAPAR": "attacks that the whole gate let in",
    "FMR": "comparisons of two people, one look each, at or above the threshold",
    "FNMR": "comparisons of a person with themselves, one look each, below the threshold",
}
"""What each rate counts, in the gate's words."""


class Measure(msgspec.Struct, frozen=True):
    """A rate by its name, and of whom: everybody, a group, a species of attack, or the worst of these."""

    name: str
    of: str
    rate: Rate


class Proposal(msgspec.Struct, frozen=True):
    """The threshold for a target FPIR in a gallery of this size, and what it would have done on the same visits."""

    target_fpir: float
    gallery_size: int
    threshold: float
    searches: str
    """"strangers", or "residents left out" where there were none (leave one identity out)."""
    fpir: Rate
    fnir: Rate


def measured(outcomes: Sequence[Outcome], threshold: float) -> list[Measure]:
    """Every rate of some visits; those that nobody was measured for are left out. `threshold`: of comparisons."""
    genuine = [o for o in outcomes if o.attack is None]
    attacks = [o for o in outcomes if o.attack is not None]
    made = [
        *(Measure(name, of, rate) for of, some in _by_group(genuine) for name, rate in _of_faces(some)),
        *_of_attacks(attacks),
        Measure("FPIR left out", EVERYBODY, false_accepts(left_out_scores(genuine), threshold)),
        *_of_comparisons(genuine, threshold),
    ]
    order = list(ABOUT)
    return sorted((m for m in made if m.rate.n), key=lambda m: order.index(m.name))


def mated_scores(outcomes: Iterable[Outcome]) -> Scores:
    """The scores of the visits by people who are enrolled."""
    return scores_of(o.score for o in outcomes if o.attack is None and o.subject is not None)


def non_mated_scores(outcomes: Iterable[Outcome]) -> Scores:
    """The scores of the visits by strangers: the highest of each over the gallery."""
    return scores_of(o.score for o in outcomes if o.attack is None and o.subject is None)


def left_out_scores(outcomes: Iterable[Outcome]) -> Scores:
    """The scores that enrolled people would have in the gallery without themselves."""
    return scores_of(o.score_without for o in outcomes if o.attack is None and o.subject is not None)


def mated_looks(outcomes: Iterable[Outcome]) -> Scores:
    """One look of each visit by somebody enrolled, compared with their own templates."""
    return scores_of(o.mated for o in outcomes if o.attack is None and o.mated is not None)


def non_mated_looks(outcomes: Iterable[Outcome]) -> Scores:
    """The same looks, and those of strangers, compared with everybody else."""
    return np.concatenate([np.empty(0), *(o.non_mated for o in outcomes if o.attack is None)])


def proposal_for(target_fpir: float, outcomes: Sequence[Outcome], gallery_size: int) -> Proposal | None:
    """The threshold by the per-search maximum method; None where nobody was searched for who is not enrolled."""
    strangers = non_mated_scores(outcomes)
    maxima = strangers if strangers.size else left_out_scores(outcomes)
    if not maxima.size:
        return None
    threshold = threshold_for(target_fpir, maxima)
    return Proposal(
        target_fpir=target_fpir,
        gallery_size=gallery_size if strangers.size else gallery_size - 1,
        threshold=threshold,
        searches="strangers" if strangers.size else "residents left out",
        fpir=false_accepts(maxima, threshold),
        fnir=false_rejects(mated_scores(outcomes), threshold),
    )


def _by_group(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    yield EVERYBODY, list(outcomes)
    for group in sorted({group for o in outcomes for group in o.groups}):
        yield group, [o for o in outcomes if group in o.groups]


def _of_faces(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Rate]]:
    """What happened to people who came themselves."""
    residents = [o for o in outcomes if o.subject is not None]
    strangers = [o for o in outcomes if o.subject is None]
    yield "FTA", Rate.among(not o.is_acquired for o in outcomes)
    yield "FPIR", Rate.among(o.granted is not None for o in strangers)
    yield "FNIR", Rate.among(o.granted is None or o.granted != o.subject for o in residents)
    yield "misidentified", Rate.among(o.granted is not None and o.granted != o.subject for o in residents)
    yield "BPCER", Rate.among(not o.passes_pad for o in outcomes if o.is_acquired)


def _of_attacks(attacks: Sequence[Outcome]) -> Iterator[Measure]:
    """By species, and the worst species for the whole: a mean would hide the one that works (ISO/IEC 30107-3)."""
    for name, lets_in in (("APCER", lambda o: o.passes_pad), ("IAPAR", lambda o: o.granted is not None)):
        of_species = {
            species: Rate.among(lets_in(o) for o in attacks if o.attack == species)
            for species in sorted({o.attack for o in attacks if o.attack is not None})
        }
        if of_species:
            worst = max(of_species, key=lambda species: of_species[species].value or 0.0)
            yield Measure(name, f"worst ({worst})", of_species[worst])
        yield from (Measure(name, species, rate) for species, rate in of_species.items())


def _of_comparisons(outcomes: Sequence[Outcome], threshold: float) -> Iterator[Measure]:
    """One look of each visit against each person. Comparisons of one look are kin: their bounds are too narrow."""
    yield Measure("FMR", EVERYBODY, false_accepts(non_mated_looks(outcomes), threshold))
    yield Measure("FNMR", EVERYBODY, false_rejects(mated_looks(outcomes), threshold))
