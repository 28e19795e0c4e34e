"""The faces in a picture are at their true places, and a picture is reproducible to the last pixel."""

import numpy as np
import pytest
from PIL import Image

from gated.simulator.cast import Cast
from gated.simulator.composition import Cutout, Placed, compose, face_px
from gated.simulator.lane import lane
from gated.simulator.script import Actor, Held

SIZE = (480, 360)
RED, GREEN = (255, 0, 0), (0, 255, 0)


def disc(colour):
    """A head of one colour: 60 px of face in a square of 80, with a transparent edge."""
    image = Image.new("RGBA", (80, 80))
    image.paste((*colour, 255), (5, 5, 75, 80))
    return Cutout(image, (10.0, 10.0, 60.0, 60.0), np.array([[30, 30], [50, 30], [40, 40], [32, 52], [48, 52]], "f4"))


def face(name="a", colour=RED, distance_m=1.0, across=0.0, **more):
    return Placed(name, disc(colour), distance_m, across, **more)


def middle_of(picture, seen):
    x, y, w, h = seen.box
    return picture.rgb[round(y + h / 2), round(x + w / 2)].astype(int)


def is_colour(pixel, colour):
    return np.abs(pixel - np.array(colour)).max() < 60


def test_a_face_has_its_true_place_and_the_size_of_its_distance():
    for distance_m in (0.8, 1.5, 4.0):
        picture = compose([face(distance_m=distance_m)], SIZE)
        (seen,) = picture.seen
        assert seen.box[3] == pytest.approx(face_px(distance_m, SIZE[0]), rel=0.02)
        assert is_colour(middle_of(picture, seen), RED)
        assert all(seen.box[0] <= x <= seen.box[0] + seen.box[2] for x, _ in seen.landmarks)


def test_a_nearer_person_hides_the_one_behind():
    picture = compose([face("near", RED, 1.0), face("far", GREEN, 2.0)], SIZE)
    assert [seen.name for seen in picture.seen] == ["near"]
    assert is_colour(middle_of(picture, picture.seen[0]), RED)


def test_side_by_side_both_are_seen():
    picture = compose([face("left", RED, 1.0, -0.5), face("right", GREEN, 1.0, 0.5)], SIZE)
    assert {seen.name: is_colour(middle_of(picture, seen), RED) for seen in picture.seen} == {
        "left": True,
        "right": False,
    }


def test_a_person_outside_the_picture_is_not_listed():
    assert compose([face(across=1.6)], SIZE).seen == ()


def test_a_held_picture_hides_the_face_behind_it():
    picture = compose([face(colour=RED, held=disc(GREEN))], SIZE)
    (seen,) = picture.seen
    assert seen.is_held
    assert is_colour(middle_of(picture, seen), GREEN)


def test_a_frame_is_reproducible_and_the_next_has_other_noise():
    first, again, after = (compose([face()], SIZE, number).rgb for number in (3, 3, 4))
    assert (first == again).all()
    assert (first != after).any()
    assert np.abs(first.astype(int) - after).mean() < 5


def test_noise_is_stronger_at_dusk_and_exposure_scales_the_light():
    def noise(sky):
        a, b = (compose([], SIZE, n, sky=sky).rgb.astype(int) for n in (1, 2))
        return (a - b).std()

    assert noise("dusk") > 1.5 * noise("day") > 0
    dark, right = (compose([], SIZE, exposure=e).rgb.mean() for e in (0.5, 1.0))
    assert dark == pytest.approx(right / 2, rel=0.05)


def test_a_body_is_drawn_below_the_head():
    picture, empty = compose([face(distance_m=1.2)], SIZE).rgb, compose([], SIZE).rgb
    assert np.abs(picture[-5:, 240].astype(int) - empty[-5:, 240]).max() > 30


def test_motion_blurs_horizontally_only():
    still, moving = (compose([face(blur=blur, distance_m=0.8)], SIZE) for blur in (0.0, 0.1))
    x, y, w, h = still.seen[0].box
    side, top = round(x - w * 5 / 60), round(y - h * 5 / 60)

    def steepest(picture, axis):
        rows, columns = (round(y + h / 2), slice(side - 6, side + 6)), (slice(top - 6, top + 6), round(x + w / 2))
        line = picture.rgb[rows if axis else columns].astype(int)
        return np.abs(np.diff(line, axis=0)).max()

    assert steepest(moving, axis=1) < 0.6 * steepest(still, axis=1)
    assert steepest(moving, axis=0) > 0.6 * steepest(still, axis=0)


def test_the_lane_is_painted_once_and_not_changed():
    before = np.asarray(lane(SIZE)).copy()
    compose([face()], SIZE)
    assert lane(SIZE) is lane(SIZE)
    assert (np.asarray(lane(SIZE)) == before).all()
    assert np.asarray(lane(SIZE, "dusk")).mean() < 0.7 * before.mean()


class TestCast:
    """Rendered people, small, to be quick."""

    @pytest.fixture
    def cast(self):
        return Cast(width=240)

    def test_an_appearance_is_rendered_once(self, cast):
        actor = Actor(person=5, comes_s=0.0)
        assert cast.place(actor, 3.0).head is cast.place(actor, 3.01).head

    def test_without_waiting_the_nearest_appearance_of_the_same_person_is_used(self, cast):
        actor = Actor(person=6, comes_s=0.0)
        assert cast.place(actor, 3.0, wait=False) is None
        shown = cast.place(actor, 3.0).head
        leaving = Actor(person=6, comes_s=0.0, leaves_s=3.0)
        assert cast.place(leaving, 3.1, wait=False).head is shown
        assert cast.place(leaving, 3.1).head is not shown

    def test_a_person_who_holds_a_picture_shows_that_face(self, cast):
        for kind in ("print", "phone"):
            placed = cast.place(Actor(person=8, comes_s=0.0, name="b", holds=Held(kind, 5)), 3.0)
            (seen,) = compose([placed], (240, 180)).seen
            assert (seen.name, seen.is_held) == ("b", True)

    def test_an_absent_actor_is_not_placed(self, cast):
        assert cast.place(Actor(person=5, comes_s=5.0), 1.0) is None
