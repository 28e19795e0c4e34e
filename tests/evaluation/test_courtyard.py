"""The plan of a courtyard has the requested size, comes from one seed, and contains no training identity."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from gated.evaluation.courtyard import (
    MOST_PEOPLE,
    MOST_SEEDS,
    RESIDENTS_FROM,
    STRANGERS_FROM,
    TRAINING_FROM,
    Courtyard,
)

WHOLE = Courtyard(households=72, people=216, visits=2000, strangers=0.5, attacks=600, seed=1)


@pytest.fixture(scope="module")
def plans():
    return WHOLE.plans()


def test_the_number_of_visits_is_as_requested(plans):
    kinds = Counter("attack" if p.attack else "stranger" if p.person.household is None else "resident" for p in plans)
    assert kinds == {"resident": 1000, "stranger": 1000, "attack": 600}
    assert sorted(p.number for p in plans) == list(range(2600))


def test_every_stranger_is_another_person(plans):
    strangers = [p.person.seed for p in plans if p.person.household is None]
    assert len(set(strangers)) == 1000


def test_residents_have_about_equally_many_visits(plans):
    visits = Counter(p.person.key for p in plans if p.attack is None and p.person.household is not None)
    assert set(visits) == {p.key for p in WHOLE.residents()}
    assert max(visits.values()) - min(visits.values()) <= 1


@pytest.mark.parametrize("seed", [0, 1, MOST_SEEDS])
def test_strangers_residents_and_training_identities_are_disjoint(seed):
    yard = replace(WHOLE, seed=seed, visits=10, attacks=0)
    first = min(p.seed for p in yard.residents())
    stranger = min(p.person.seed for p in yard.plans() if p.person.household is None)
    assert first >= RESIDENTS_FROM
    assert first + MOST_PEOPLE <= STRANGERS_FROM <= stranger
    assert stranger + MOST_PEOPLE < TRAINING_FROM


def test_two_seeds_share_no_identity():
    one, other = ({p.seed for p in replace(WHOLE, seed=seed).residents()} for seed in (1, 2))
    assert not one & other


def test_one_seed_gives_one_courtyard():
    assert WHOLE.plans() == replace(WHOLE).plans()
    assert WHOLE.plans() != replace(WHOLE, seed=2).plans()


def test_households_hold_about_three_with_the_young_and_the_old():
    residents = WHOLE.residents()
    sizes = Counter(p.household for p in residents)
    assert set(sizes.values()) == {3}
    ages = Counter(p.age for p in residents)
    assert ages["adult"] == 144
    assert ages["child"] == 48
    assert ages["old"] == 24


def test_every_group_is_large_enough_for_three_per_cent(plans):
    groups = Counter(g for p in plans if p.attack is None and p.person.household is not None for g in p.groups)
    assert min(groups[g] for g in ("closed eyes", "dark glasses", "children", "old people")) >= 90


def test_attacks_show_plain_residents_and_both_species_equally_often(plans):
    attacks = [p for p in plans if p.attack]
    assert Counter(p.attack for p in attacks) == {"print": 300, "phone": 300}
    assert all(p.person.household is not None for p in attacks)
    assert not any(p.eyes_closed or p.hat or p.glasses != "none" for p in attacks)


def test_people_mostly_wear_their_usual_glasses(plans):
    dark = [p for p in plans if p.person.glasses == "dark" and p.attack is None]
    worn = Counter(p.glasses for p in dark)
    assert set(worn) == {"dark", "none"}
    assert worn["dark"] > 0.8 * len(dark)


def test_visits_of_one_person_follow_each_other(plans):
    seeds = [p.person.seed for p in plans]
    changes = sum(a != b for a, b in pairwise(seeds))
    assert changes == len(set(seeds)) - 1


def test_groups_are_age_glasses_and_closed_eyes(plans):
    plan = next(p for p in plans if p.attack is None and p.person.age == "child")
    assert replace(plan, glasses="dark", eyes_closed=True).groups == {"children", "dark glasses", "closed eyes"}
    assert replace(plan, glasses="none", eyes_closed=False).groups == {"children"}
    assert replace(plan, glasses="clear", eyes_closed=False).groups == {"children", "glasses"}


def test_all_or_no_visits_can_be_by_strangers():
    assert all(p.person.household is None for p in replace(WHOLE, strangers=1.0, attacks=0).plans())
    assert all(p.person.household is not None for p in replace(WHOLE, strangers=0.0).plans())
