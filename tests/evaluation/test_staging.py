"""Frames of a visit are deterministic, and have the shape of a camera's frames."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gated.evaluation.courtyard import Courtyard
from gated.evaluation.staging import FRAME_S, FRAMES, SIZE, enrolment_pictures, frames
from gated.simulator.lane import lane

YARD = Courtyard(households=2, people=6, visits=6, strangers=0.5, attacks=2, seed=3)


@pytest.fixture(scope="module")
def plan():
    return next(p for p in YARD.plans() if p.attack is None)


@pytest.fixture(scope="module")
def shown(plan):
    return list(frames(plan))


def changed(frame):
    """Return a mask of the pixels that differ from the empty lane."""
    views = [np.asarray(lane(SIZE, sky, seed)).astype(int) for sky in ("day", "dusk") for seed in (0, 1)]
    levels = [np.abs(frame.main - view * (frame.main.mean() / view.mean())).max(axis=2) for view in views]
    return min(levels, key=np.mean) > 60


def test_a_visit_has_the_frames_of_a_camera(shown):
    assert len(shown) == FRAMES
    for number, frame in enumerate(shown):
        assert frame.main.shape == (SIZE[1], SIZE[0], 3)
        assert frame.main.dtype == frame.lores.dtype == np.uint8
        assert frame.lores_size == (320, 240)
        assert frame.at == pytest.approx(number * FRAME_S)


def test_no_two_frames_are_equal(shown):
    assert all((a.main != b.main).mean() > 0.5 for a, b in pairwise(shown))


def test_a_person_stands_in_the_middle(shown):
    here = changed(shown[-1])
    assert here[:, 160:480].mean() > 0.15
    assert here[:, 160:480].mean() > 3 * here[:, :100].mean()


def test_one_plan_gives_one_visit(plan, shown):
    np.testing.assert_array_equal(next(frames(plan)).main, shown[0].main)


def test_another_person_gives_another_picture(plan, shown):
    other = replace(plan, person=replace(plan.person, seed=plan.person.seed + 7))
    differs = np.abs(next(frames(other)).main.astype(int) - shown[0].main).max(axis=2) > 60
    assert differs.mean() > 0.02


def test_closed_eyes_and_dark_glasses_are_visible(plan, shown):
    plain = replace(plan, glasses="none", eyes_closed=False, hat=False)
    before = next(frames(plain)).main.astype(int)
    for worn in (replace(plain, glasses="dark"), replace(plain, eyes_closed=True), replace(plain, hat=True)):
        assert (np.abs(next(frames(worn)).main - before).max(axis=2) > 60).sum() > 30


def test_frames_are_rendered_on_demand(plan):
    film = frames(plan)
    first = next(film)
    film.close()
    assert first.number == 0


@pytest.mark.parametrize("species", ["print", "phone"])
def test_an_attack_is_held_in_front_of_a_strangers_face(species):
    plan = next(p for p in YARD.plans() if p.attack == species)
    shown = list(frames(plan))
    assert len(shown) == FRAMES
    genuine = next(frames(replace(plan, attack=None)))
    assert (np.abs(shown[0].main.astype(int) - genuine.main).max(axis=2) > 60).mean() > 0.05


def test_enrolment_renders_five_large_pictures(plan):
    pictures = list(enrolment_pictures(plan.person))
    assert len(pictures) == 5
    assert all(min(p.main.shape[:2]) > 350 for p in pictures)
    assert len({p.main.tobytes() for p in pictures}) == 5
    np.testing.assert_array_equal(pictures[0].main, next(enrolment_pictures(plan.person)).main)
