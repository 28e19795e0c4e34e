"""The converted MiniFASNet computes what its state dict defines. The real ones become the files of the manifest."""

import hashlib

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from gated.errors import ModelError
from gated.face.convert.minifasnet import convert_minifasnet

REAL = [
    (
        "2.7_80x80_MiniFASNetV2.pth",
        "minifasnet_v2_2.7_80x80.onnx",
        "aacd745e5053e38a120044cb0f12c9a1db7862633a304aa9895a001a532a9e24",
    ),
    (
        "4_0_0_80x80_MiniFASNetV1SE.pth",
        "minifasnet_v1se_4.0_80x80.onnx",
        "1601af09c4b88b67bbabb2dc96cffe25d44a61a6ac0f00541427dbd6ce777d16",
    ),
]


def batch_norm(state, name, x):
    """The formula of torch.nn.BatchNorm2d in evaluation."""
    weight, bias, mean, variance = (
        state[f"{name}.{part}"].astype(np.float64).reshape(-1, 1, 1)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def test_a_batch_norm_becomes_part_of_the_convolution_before_it(pth, state):
    """The first layer, without the others: convolution, batch norm, PReLU."""
    model = onnx.load_from_string(convert_minifasnet(pth))
    model.graph.output[0].name = model.graph.node[1].output[0]
    x = np.random.default_rng(0).uniform(0, 1, (1, 3, 80, 80)).astype(np.float32)
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    kernel = state["module.conv1.conv.weight"]
    places = np.array(
        [
            [(padded[:, r : r + 3, c : c + 3] * k).sum() for r in range(0, 80, 2) for c in range(0, 80, 2)]
            for k in kernel
        ]
    ).reshape(len(kernel), 40, 40)
    y = batch_norm(state, "module.conv1.bn", places)
    wanted = np.where(y < 0, y * state["module.conv1.prelu.weight"].reshape(-1, 1, 1), y)
    (found,) = ReferenceEvaluator(model).run([model.graph.output[0].name], {"input": x})
    np.testing.assert_allclose(found[0], wanted, atol=1e-4)


@pytest.mark.parametrize("squeeze", [True, False])
def test_both_kinds_of_network_are_valid_onnx_and_give_shares(state, write, run, squeeze):
    data = convert_minifasnet(
        write({name: values for name, values in state.items() if squeeze or "se_module" not in name})
    )
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Sigmoid") == (3 if squeeze else 0)
    assert "BatchNormalization" not in kinds
    answer = run(data, np.full((1, 3, 80, 80), 100.0))
    assert answer.shape == (1, 3)
    assert answer.sum() == pytest.approx(1)


def without(state, name):
    return {each: values for each, values in state.items() if each != name}


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("module.prob.weight", None, "no 'prob.weight'"),
        ("module.conv1.bn.bias", None, "no 'conv1.bn.bias'"),
        ("module.conv1.bn.bias", np.zeros(5, np.float32), "does not fit the convolution"),
        ("module.conv1.bn.running_var", np.full(2, -1, np.float32), "does not fit the convolution"),
        ("module.conv1.conv.weight", np.zeros((2, 3), np.float32), "with 4 dimensions"),
        ("module.conv1.conv.weight", np.zeros((2, 3, 3, 3), np.int64), "another network"),
        ("module.prob.weight", np.zeros((2, 5), np.float32), "other classes"),
        ("module.conv_7.conv.weight", np.zeros((2, 3, 3, 3), np.float32), "it has 'conv_7.conv.weight'"),
    ],
)
def test_another_network_is_refused_in_words(state, write, name, values, reason):
    changed = without(state, name) | ({} if values is None else {name: values})
    with pytest.raises(ModelError, match=reason):
        convert_minifasnet(write(changed))


@given(st.data())
@settings(max_examples=40)
def test_changed_bytes_give_a_network_or_a_reason(pth, data):
    damaged = bytearray(pth)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(pth) - 1))] = data.draw(st.integers(0, 255))
    try:
        onnx.load_from_string(convert_minifasnet(bytes(damaged)))
    except ModelError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(("pth", "old", "sha256"), REAL)
def test_the_real_networks_become_the_files_of_the_manifest(shared, run, pth, old, sha256):
    data = convert_minifasnet((shared / "models" / "sources" / pth).read_bytes())
    assert hashlib.sha256(data).hexdigest() == sha256
    other = (shared / "models" / old).read_bytes()
    dice = np.random.default_rng(0)
    for _ in range(5):
        x = dice.uniform(0, 255, (1, 3, 80, 80))
        np.testing.assert_allclose(run(data, x), run(other, x), atol=1e-5)
