import numpy as np
import pytest

from gated.face.model_entry import InputLayout
from gated.face.tensor import InputTensor

PLANES = np.stack([np.full((4, 4), v, np.float32) for v in (10, 20, 30)])


def values(tensor):
    return tensor.array[0, :, 0, 0].tolist()


def test_an_rgb_model_gets_the_channels_unchanged():
    tensor = InputTensor(InputLayout(size=(16, 16), order="rgb"))
    tensor.fill(PLANES)
    assert values(tensor) == [10, 20, 30]


def test_a_bgr_model_gets_the_channels_reversed():
    tensor = InputTensor(InputLayout(size=(16, 16), order="bgr"))
    tensor.fill(PLANES)
    assert values(tensor) == [30, 20, 10]


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_mean_and_std_are_in_the_order_of_the_model(order):
    layout = InputLayout(size=(16, 16), order=order, scale=0.1, mean=(1, 2, 3), std=(0.5, 1, 2))
    tensor = InputTensor(layout)
    tensor.fill(PLANES)
    colours = [10, 20, 30] if order == "rgb" else [30, 20, 10]
    expected = [(c * 0.1 - m) / s for c, m, s in zip(colours, layout.mean, layout.std, strict=True)]
    assert values(tensor) == pytest.approx(expected, abs=1e-5)


def test_a_smaller_picture_is_at_the_top_left_and_the_rest_is_zero():
    tensor = InputTensor(InputLayout(size=(32, 16), order="rgb"))
    assert tensor.fill(PLANES).shape == (1, 3, 16, 32)
    assert tensor.array[:, :, :4, :4].all()
    assert tensor.array.sum() == PLANES.sum()


def test_a_second_pass_can_use_another_input_size():
    assert InputTensor(InputLayout(size=(320, 256), order="bgr"), (128, 128)).array.shape == (1, 3, 128, 128)
