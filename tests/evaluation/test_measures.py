"""Rates count the right outcomes, and the overall rate of attacks is the worst species."""

import numpy as np
import pytest

from gated.evaluation.confidence import Rate
from gated.evaluation.measures import ABOUT, EVERYBODY, measured, proposal_for
from gated.evaluation.rates import NO_SCORE

THRESHOLD = 0.5


def table(outcomes):
    return {(m.name, m.of): m.rate for m in measured(outcomes, THRESHOLD)}


@pytest.fixture
def resident(outcome):
    def make(granted="ann", **parts):
        score = 0.8 if granted == "ann" else NO_SCORE
        return outcome(**{"subject": "ann", "granted": granted, "score": score, "score_without": 0.3, **parts})

    return make


def test_strangers_count_in_fpir_and_residents_in_fnir(outcome, resident):
    rates = table([outcome(), outcome(granted="ann"), outcome(), resident(), resident(None), resident(), resident()])
    assert rates["FPIR", EVERYBODY] == Rate.of(1, 3)
    assert rates["FNIR", EVERYBODY] == Rate.of(1, 4)


def test_a_grant_as_another_person_counts_as_misidentified_and_in_fnir(resident):
    rates = table([resident("bob"), resident(), resident(None)])
    assert rates["misidentified", EVERYBODY] == Rate.of(1, 3)
    assert rates["FNIR", EVERYBODY] == Rate.of(2, 3)


def test_attacks_do_not_count_in_rates_of_people(outcome, resident):
    rates = table([resident(), outcome(subject="ann", attack="print", granted="ann", passes_pad=True)])
    assert rates["FNIR", EVERYBODY] == Rate.of(0, 1)
    assert rates["BPCER", EVERYBODY] == Rate.of(0, 1)
    assert rates["IAPAR", "print"] == Rate.of(1, 1)


def test_the_overall_rate_is_the_worst_species(outcome):
    prints = [outcome(attack="print", subject="ann", passes_pad=i < 1) for i in range(10)]
    phones = [outcome(attack="phone", subject="ann", passes_pad=i < 4) for i in range(10)]
    rates = table(prints + phones)
    assert rates["APCER", "print"] == Rate.of(1, 10)
    assert rates["APCER", "worst (phone)"] == rates["APCER", "phone"] == Rate.of(4, 10)


def test_an_attack_with_the_wrong_face_counts_in_apcer_but_not_iapar(outcome):
    rates = table([outcome(attack="phone", subject="ann", passes_pad=True, granted=None)])
    assert (rates["APCER", "phone"], rates["IAPAR", "phone"]) == (Rate.of(1, 1), Rate.of(0, 1))


def test_bpcer_counts_only_acquired_visits(outcome, resident):
    unseen = resident(None, is_acquired=False, passes_pad=False)
    rates = table([unseen, resident(None, passes_pad=False), resident(), outcome()])
    assert rates["FTA", EVERYBODY] == Rate.of(1, 4)
    assert rates["BPCER", EVERYBODY] == Rate.of(1, 3)
    assert rates["FNIR", EVERYBODY] == Rate.of(2, 3), "a visit without a face is not granted"


def test_every_group_has_its_own_rates(outcome, resident):
    rates = table(
        [
            resident(None, groups=["closed eyes", "children"]),
            resident(groups=["children"]),
            resident(groups=["dark glasses"]),
            outcome(granted="bob", groups=["children"]),
        ]
    )
    assert rates["FNIR", "children"] == Rate.of(1, 2)
    assert rates["FNIR", "closed eyes"] == Rate.of(1, 1)
    assert rates["FNIR", "dark glasses"] == Rate.of(0, 1)
    assert rates["FPIR", "children"] == Rate.of(1, 1)
    assert ("FPIR", "dark glasses") not in rates, "it has no trials"


def test_residents_left_out_count_as_searches_by_strangers(resident):
    rates = table([resident(score_without=0.6), resident(score_without=0.49), resident(score_without=NO_SCORE)])
    assert rates["FPIR left out", EVERYBODY] == Rate.of(1, 3)


def test_comparisons_use_one_frame_with_each_person(outcome, resident):
    rates = table(
        [
            resident(mated=0.9, non_mated=np.array([0.6, 0.2])),
            resident(mated=0.4, non_mated=np.array([0.1, 0.2])),
            outcome(non_mated=np.array([0.5, 0.0, 0.1])),
            outcome(attack="print", subject="ann", mated=0.1, non_mated=np.array([0.9])),
        ]
    )
    assert rates["FMR", EVERYBODY] == Rate.of(2, 7)
    assert rates["FNMR", EVERYBODY] == Rate.of(1, 2)


def test_rates_have_one_order_and_an_explanation(outcome, resident):
    attack = outcome(attack="print", subject="ann")
    names = [m.name for m in measured([resident(mated=0.9, non_mated=np.array([0.1])), outcome(), attack], THRESHOLD)]
    assert names == sorted(names, key=list(ABOUT).index)
    assert set(names) == set(ABOUT) - {"FTE", "alike"}


def test_rates_without_trials_are_omitted():
    assert measured([], THRESHOLD) == []


def test_the_proposal_uses_strangers_if_there_are_any(outcome, resident):
    strangers = [outcome(score=s) for s in (0.1, 0.2, 0.3, 0.4)]
    found = proposal_for(0.25, [*strangers, resident(score=0.35), resident(score=0.2)], gallery_size=7)
    assert (found.searches, found.gallery_size) == ("strangers", 7)
    assert found.threshold == pytest.approx(0.3001)
    assert (found.fpir, found.fnir) == (Rate.of(1, 4), Rate.of(1, 2))


def test_without_strangers_the_proposal_leaves_each_resident_out(resident):
    found = proposal_for(0.0, [resident(score_without=0.3), resident(score_without=0.42)], gallery_size=7)
    assert (found.searches, found.gallery_size) == ("residents left out", 6)
    assert found.threshold == pytest.approx(0.4201)


def test_attacks_alone_propose_no_threshold(outcome):
    assert proposal_for(0.003, [outcome(attack="print", subject="ann", score=0.9)], gallery_size=3) is None
