import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.pad import crop_box, pad_score

FRAME = (1280, 960)


def test_the_crop_is_the_box_grown_around_its_middle():
    assert crop_box((600, 400, 100, 120), 2.0, FRAME) == (550, 340, 200, 240)


def test_a_crop_at_the_border_is_shifted_not_cut():
    assert crop_box((0, 0, 100, 100), 2.0, FRAME) == (0, 0, 200, 200)
    assert crop_box((1180, 860, 100, 100), 2.0, FRAME) == (1080, 760, 200, 200)


def test_a_large_face_gets_a_smaller_crop_scale():
    left, top, width, height = crop_box((300, 100, 400, 600), 4.0, FRAME)
    assert (top, height) == (0, 960)
    assert width == pytest.approx(640)
    assert left == pytest.approx(180)


@given(
    box=st.tuples(st.floats(-500, 1500), st.floats(-500, 1500), st.floats(2, 3000), st.floats(2, 3000)),
    scale=st.floats(1, 10),
)
def test_the_crop_lies_in_the_frame_and_keeps_its_shape(box, scale):
    x, y, width, height = crop_box(box, scale, FRAME)
    assert x >= -1e-6
    assert y >= -1e-6
    assert x + width <= FRAME[0] + 1e-6
    assert y + height <= FRAME[1] + 1e-6
    assert width / height == pytest.approx(box[2] / box[3])


def coloured(rgb):
    return np.full((960, 1280, 3), rgb, np.uint8)


def test_bona_fide_is_at_the_index_of_the_manifest(pipeline):
    """The tiny net outputs how green the crop is."""
    box = (600, 400, 100, 120)
    assert pad_score(pipeline.pad_nets, coloured((10, 200, 10)), box) > 0.99
    assert pad_score(pipeline.pad_nets, coloured((200, 10, 10)), box) < 0.01
    assert pad_score(pipeline.pad_nets, coloured((100, 100, 100)), box) == pytest.approx(1 / 3, abs=1e-3)


def test_the_nets_are_averaged(pipeline):
    green, box = coloured((60, 80, 60)), (600, 400, 100, 120)
    (net,) = pipeline.pad_nets
    assert pad_score([net, net, net], green, box) == pytest.approx(net.score(green, box))


def test_odd_numbers_are_an_attack(pipeline):
    """Infinite input makes this net output NaN."""
    (net,) = pipeline.pad_nets
    net.tensor._gain, net.tensor._plain = np.float32(np.inf), False
    with np.errstate(all="ignore"):
        assert net.score(coloured((10, 200, 10)), (600, 400, 100, 120)) == 0.0
