"""The morning contains every required event, and its expectations are consistent."""

import pytest

from gated.simulator.morning import LATER_S, described, morning, residents

SEEDS = range(5)


@pytest.fixture(params=SEEDS)
def steps(request):
    return morning(request.param)


def actors(steps):
    return [actor for step in steps for actor in step.actors]


def test_the_morning_contains_every_required_event(steps):
    looks = [actor.looks for actor in actors(steps)]
    assert any(look.eyes_closed for look in looks)
    assert any(look.glasses == "dark" for look in looks)
    assert {actor.holds.kind for actor in actors(steps) if actor.holds} == {"print", "phone"}
    assert max(len(step.actors) for step in steps) == 2
    assert {step.first for step in steps} == {"", "network cut", "network back", "vision killed", "removed"}
    assert {actor.age for actor in actors(steps)} >= {"child", "adult", "old"}


def test_every_resident_is_granted_once_and_no_other_person(steps):
    let_in = [name for step in steps for name in step.let_in]
    by_name = {actor.name: actor.person for actor in actors(steps)}
    people = {resident.name: resident.person for resident in residents(0)}
    assert sorted(let_in) == sorted(people)
    strangers = [actor for actor in actors(steps) if actor.name not in people]
    assert {actor.person for actor in strangers}.isdisjoint(by_name[name] for name in people)


def test_every_other_visitor_must_be_denied(steps):
    for step in steps:
        if step.actors:
            assert bool(step.let_in) != (step.also == "refused")


def test_held_pictures_show_residents(steps):
    homes = {actor.person for step in steps for actor in step.actors if actor.name in step.let_in}
    held = [actor.holds.person for actor in actors(steps) if actor.holds]
    assert len(held) == 2
    assert set(held) <= homes


def test_the_removed_resident_was_granted_before(steps):
    (number,) = [n for n, step in enumerate(steps) if step.first == "removed"]
    assert any(steps[number].name in step.let_in for step in steps[:number])
    assert [actor.name for actor in steps[number].actors] == [steps[number].name]


def test_no_actor_comes_before_being_called(steps):
    assert {actor.comes_s for actor in actors(steps)} == {LATER_S}
    assert all(actor.leaves_s is None for actor in actors(steps))


def test_other_seeds_give_other_people():
    people = [resident.person for seed in SEEDS for resident in residents(seed)]
    people += [actor.person for seed in SEEDS for actor in actors(morning(seed)) if not actor.age]
    assert len({resident.person for seed in SEEDS for resident in residents(seed)}) == 6 * len(SEEDS)
    assert morning(1) == morning(1)


def test_fast_changes_only_the_pace():
    slow, fast = morning(1), morning(1, fast=True)
    assert [step.title for step in slow] == [step.title for step in fast]
    assert all(a.walk_s > b.walk_s for a, b in zip(actors(slow), actors(fast), strict=True))


def test_without_a_network_no_step_restores_it():
    without = morning(1, has_network=False)
    assert "network back" not in {step.first for step in without}
    assert len(without) == len(morning(1)) - 1


def test_the_view_is_described_in_words():
    steps = morning(1)
    words = [described(step.actors) for step in steps]
    assert words[0] == "Wang Yu"
    assert words[2] == "Li Wei, in dark glasses"
    assert words[3] == "a thief, holding a printed face up"
    assert words[5] == "Zhao Gui and Chen Jie"
    assert described(()) == "the empty lane"
