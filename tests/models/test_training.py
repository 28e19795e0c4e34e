"""Tests the training data of the courtyard models: people who never visit a simulated gate, and true face positions."""

from pathlib import Path

import numpy as np
import pytest

from gated.evaluation.courtyard import MOST_PEOPLE, MOST_SEEDS, STRANGERS_FROM, Courtyard

pytestmark = pytest.mark.long

TRAINING = Path(__file__).parents[2] / "models" / "training"


@pytest.fixture(scope="module")
def training():
    """Yield the training modules that need no PyTorch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TRAINING)
        import looks
        import people
        import scenes

        yield people, looks, scenes


@pytest.fixture(scope="module")
def somebody(training):
    return training[1].person(7)


@pytest.fixture(scope="module")
def street(training):
    return training[2].group(7)


def test_no_person_of_the_training_set_comes_to_the_gate(training):
    people = training[0]
    assert STRANGERS_FROM + (MOST_SEEDS + 1) * MOST_PEOPLE < people.PEOPLE
    yard = Courtyard(households=2, people=6, visits=6, strangers=0.5, attacks=0, seed=MOST_SEEDS)
    assert all(plan.person.seed < people.PEOPLE for plan in yard.plans())
    assert people.somebody(0).seed >= people.PEOPLE


def test_children_and_old_people_are_there_in_number(training):
    ages = [training[0].somebody(seed).age for seed in range(400)]
    assert ages.count("child") > 70
    assert ages.count("old") > 70
    assert ages.count("adult") > 150


def test_a_rendered_person_stands_upright_with_the_eyes_in_place(training, somebody):
    looks = training[1]
    assert somebody.looks.shape == (looks.LOOKS, looks.ROOM, looks.ROOM, 4)
    alpha = somebody.looks[..., 3]
    middle = slice(looks.ROOM // 2 - 10, looks.ROOM // 2 + 10)
    assert (alpha[:, middle, middle] > 250).mean() > 0.9
    assert (alpha[:, :4, :4] < 5).mean() > 0.9


def test_colours_are_never_more_than_their_alpha(somebody):
    colours, alpha = somebody.looks[..., :3].astype(int), somebody.looks[..., 3:].astype(int)
    assert (colours <= alpha + 1).all()


def test_a_person_changes_the_shirt_between_visits(training, somebody):
    looks = training[1]
    shirts = somebody.looks[:, -3, looks.ROOM // 2, :3].astype(int)
    assert np.abs(shirts[0] - shirts[looks.EACH]).max() > 8


def test_the_same_seed_is_the_same_person_and_another_is_another(training, somebody):
    looks = training[1]
    again, other = looks.person(7), looks.person(8)
    np.testing.assert_array_equal(again.looks, somebody.looks)
    assert np.abs(other.traits - somebody.traits).mean() > 0.1


def test_traits_are_numbers_that_a_net_can_learn(training):
    traits = np.stack([training[1].traits_of(training[0].somebody(seed)) for seed in range(50)])
    assert np.isfinite(traits).all()
    assert np.abs(traits).max() <= 4
    assert (traits.std(axis=0) > 0).mean() > 0.9


def test_truth_about_the_street_lies_in_its_pictures(training, street):
    scenes = training[2]
    assert len(street.small) == scenes.FRAMES
    faces = [(picture, *face) for picture, those in street.small for face in those]
    assert len(faces) > 5
    for picture, box, landmarks in faces:
        assert picture.shape == (scenes.CANVAS[1], scenes.CANVAS[0], 3)
        x, y, w, h = box
        assert ((landmarks[:, 0] > x - 0.2 * w) & (landmarks[:, 0] < x + 1.2 * w)).all()
        assert ((landmarks[:, 1] > y) & (landmarks[:, 1] < y + h)).all()


def test_a_second_look_sees_its_face_large_and_in_the_middle(training, street):
    side = training[2].LOOK
    with_one = [those for _, those in street.near if len(those) == 1]
    assert len(with_one) > 5
    sizes = [max(box[2:]) / side for ((box, _),) in with_one]
    assert np.median(sizes) == pytest.approx(1 / 1.4, abs=0.15)


def test_some_second_looks_see_nobody(street):
    assert sum(not those for _, those in street.near) > 3


def test_pad_sees_both_faces_and_pictures_of_faces(training):
    scenes = training[2]
    crops = scenes.group(1).crops
    genuine = sum(is_genuine for _, is_genuine in crops)
    assert 10 < genuine < len(crops) - 10
    assert {crop.shape for crop, _ in crops} == {(scenes.PAD_SIDE, scenes.PAD_SIDE, 3)}
