"""A head has a face on its front, the same at every density."""

import numpy as np
import pytest

from gated.simulator.cloud import cloud, linear, noise, normals
from gated.simulator.figure import LEVELS, figure, level_of
from gated.simulator.hair import hidden
from gated.simulator.head import curve, head, opening, row_at, section, smiling
from gated.simulator.identity import identity

PEOPLE = [identity(seed) for seed in range(8)]


def test_a_curve_passes_through_its_knots_and_stays_near():
    knots, values = [0.0, 0.5, 1.0, 2.0], [1.0, 2.0, 2.5, 0.0]
    assert curve(np.array(knots, np.float32), knots, values) == pytest.approx(values)
    between = curve(np.linspace(0, 2, 100, dtype=np.float32), knots, values)
    assert between.max() < 3
    assert between.min() > -0.5


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: str(p.seed))
def test_the_nose_is_the_foremost_point(person):
    shape = head(person, 0.02)
    x, y, z = shape.at.reshape(3, -1)[:, np.argmax(shape.at[2])]
    assert abs(x) < 0.1
    assert person.mouth_y < y < person.eye_y
    assert z > person.head_depth


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: str(p.seed))
def test_normals_point_out_of_the_head(person):
    shape = head(person, 0.03)
    middle = np.array([0, -0.2, 0], np.float32)[:, None, None]
    out = ((shape.at - middle) * normals(shape.at)).sum(0)
    assert np.mean(out[:, 2:-2] > 0) > 0.97


def test_a_row_is_found_by_its_height():
    person = PEOPLE[0]
    row = row_at(person, 0.4)
    at = section(person, np.full((1, 1), row, np.float32), np.zeros((1, 1), np.float32))
    assert at[1, 0, 0] == pytest.approx(0.4, abs=0.01)


def test_an_open_mouth_lowers_the_chin_and_not_the_eyes():
    person = PEOPLE[1]
    shape = head(person, 0.03)
    way = opening(person, shape)
    chin = np.argmin(np.square(shape.at[0]) + np.square(shape.at[1] - person.chin_y) + 9 * (shape.at[2] < 0.2))
    assert way[1].ravel()[chin] < -0.1
    assert np.abs(way[:, shape.at[1] > person.nose_y]).max() < 0.01


def test_a_smile_moves_the_corners_up_and_apart():
    person = PEOPLE[1]
    shape = head(person, 0.03)
    way = smiling(person, shape)
    for side in (-1, 1):
        distance = np.square(shape.at[0] - side * person.mouth_width) + np.square(shape.at[1] - person.mouth_y)
        corner = np.argmin(distance + 9 * (shape.at[2] < 0.2))
        assert way[0].ravel()[corner] * side > 0.02
        assert way[1].ravel()[corner] > 0.03


def test_hair_hides_the_crown_and_never_the_eyes():
    for person in PEOPLE:
        shape = head(person, 0.03)
        covered = hidden(person, shape, hat=True)
        assert covered[shape.at[1] > 0.9 * person.crown].all()
        assert not covered[(shape.at[1] < 0.1) & (shape.front > 0.5)].any()


def test_noise_is_the_same_at_every_density():
    x = np.linspace(-1, 1, 81, dtype=np.float32)
    fine = noise(np.random.default_rng(1), x, 0 * x, 0.1)
    coarse = noise(np.random.default_rng(1), x[::4], 0 * x[::4], 0.1)
    assert fine[::4] == pytest.approx(coarse)
    assert np.abs(fine).max() <= 1


def test_a_stretched_surface_gets_discs_between():
    x, y = np.meshgrid(np.arange(0, 1, 0.1, dtype=np.float32), np.arange(0, 1, 0.1, dtype=np.float32))
    flat = np.stack([x, -y, 0 * x])
    grey = linear((0.5, 0.5, 0.5))
    assert cloud(flat, grey, 0.1, 0.0).discs.shape == (11, 100)
    assert cloud(flat * np.array([2, 1, 1], np.float32)[:, None, None], grey, 0.1, 0.0).discs.shape[1] == 190


def test_a_figure_is_built_once():
    worn = {"eyes_closed": False, "glasses": "none", "mask": False, "hat": False}
    assert figure(PEOPLE[0], 0, **worn) is figure(PEOPLE[0], 0, **worn)


def test_a_level_is_at_least_as_fine_as_the_face():
    assert all(LEVELS[level_of(px)] >= px for px in range(20, LEVELS[-1]))
    assert level_of(2000) == len(LEVELS) - 1
