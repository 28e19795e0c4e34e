"""A network of OpenVINO becomes the same network in ONNX. A damaged or hostile one is refused in words."""

import hashlib
import re

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.errors import ModelError
from gated.face.convert.openvino import convert_openvino
from gated.face.model_entry import InputLayout
from gated.face.onnx import known_input


def convolved(x, kernel):
    """3 x 3 convolution of (C, 4, 4) with (O, I, 3, 3); one input channel: each channel alone."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.empty((len(kernel), 4, 4))
    for number, k in enumerate(kernel):
        part = padded[number : number + 1] if kernel.shape[1] == 1 else padded
        for row in range(4):
            for column in range(4):
                out[number, row, column] = (part[:, row : row + 3, column : column + 3] * k).sum()
    return out


def test_every_known_operation_computes_as_openvino_defines(ir, run):
    dice = np.random.default_rng(2)
    one = dice.normal(size=(2, 3, 3, 3)).astype(np.float16).astype(np.float64)
    two = dice.normal(size=(2, 1, 1, 3, 3)).astype(np.float16).astype(np.float64)[:, 0]
    x = np.random.default_rng(3).uniform(-1, 1, (1, 3, 4, 4)).astype(np.float32)
    y = convolved(x[0] * 0.5, one) + 1
    y = convolved(np.where(y < 0, y * 0.25, y), two)
    wanted = y / (1 + np.exp(-y.mean((1, 2), keepdims=True)))
    data = convert_openvino(ir.xml(), ir.weights)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    np.testing.assert_allclose(run(data, x)[0], wanted, atol=1e-5)


def test_names_of_input_and_output_stay(ir):
    graph = onnx.load_from_string(convert_openvino(ir.xml(), ir.weights)).graph
    assert [each.name for each in (*graph.input, *graph.output)] == ["0", "out"]


XML_CASES = [
    (b'type="Sigmoid"', b'type="Gelu"', "unknown kind 'Gelu'"),
    (b'type="Parameter"', b'type="Const"', "one input and one output"),
    (b'type="Result"', b'type="Add"', "one output"),
    (b'auto_broadcast="numpy"', b'auto_broadcast="pdpd"', "auto_broadcast"),
    (b'auto_pad="explicit"', b'auto_pad="same_upper"', "auto_pad"),
    (b'rounding_type="floor"', b'rounding_type="ceil"', "rounding_type"),
    (b'exclude-pad="true"', b'exclude-pad="false"', "exclude-pad"),
    (b'strides="1, 1"', b'strides="1"', "no valid 'strides'"),
    (b'strides="1, 1"', b'strides="1, -1"', "no valid 'strides'"),
    (b'strides="1, 1"', b'strides="1, 99999999999999999999"', "no valid 'strides'"),
    (b'element_type="f16"', b'element_type="i8"', "no type, shape and size"),
    (b'shape="1, 3, 1, 1"', b'shape="1, 3, 1, 2"', "no type, shape and size"),
    (b'size="6"', b'size="8"', "no type, shape and size"),
    (b'offset="0"', b'offset="999999"', "beyond the end of the file of weights"),
    (b'offset="0"', b'offset=""', "no valid 'offset'"),
    (b"<dim>3</dim>", b"<dim>4</dim>", "of another shape"),
    (b"<dim>3</dim>", b"<dim>x</dim>", "no plain number"),
    (b"<dim>3</dim>", b"<dim>3</dim>" * 9, "too many"),
    (b'name="out"', b'name="n3"', "same name"),
    (b'name="out"', b'name="o\xc3\xa9"', "no plain id"),
    (b'from-layer="0"', b'from-layer="9"', "reads no layer before it"),
    (b"</net>", b"", "no XML"),
]


@pytest.mark.parametrize(("old", "new", "reason"), XML_CASES)
def test_a_network_that_is_wrong_in_one_place_is_refused_in_words(ir, old, new, reason):
    assert old in ir.xml()
    with pytest.raises(ModelError, match=re.escape(reason)):
        convert_openvino(ir.xml().replace(old, new, 1), ir.weights)


def test_weights_that_were_cut_are_refused(ir):
    with pytest.raises(ModelError, match="beyond the end of the file of weights"):
        convert_openvino(ir.xml(), ir.weights[:-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_finite_number_is_refused(ir, bad):
    weights = np.frombuffer(ir.weights, "<f2").copy()
    weights[5] = bad
    with pytest.raises(ModelError, match="no finite number"):
        convert_openvino(ir.xml(), weights.tobytes())


@given(st.data())
@settings(max_examples=300)
def test_changed_bytes_give_a_network_or_a_reason(ir, data):
    damaged = bytearray(ir.xml())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        onnx.load_from_string(convert_openvino(bytes(damaged), ir.weights))
    except ModelError as error:
        assert str(error).isprintable()


@pytest.fixture(scope="module")
def intel(shared):
    base = shared / "models" / "sources" / "face-reidentification-retail-0095"
    return convert_openvino(base.with_suffix(".xml").read_bytes(), base.with_suffix(".bin").read_bytes())


def test_the_real_network_becomes_the_file_of_the_manifest(intel):
    digest = hashlib.sha256(intel).hexdigest()
    assert digest == "2ff4e541b6106602f162cf3a21bc0e9302e088a879b6f8fb9379ba8298ad7e3f"


def test_the_real_network_gives_the_outputs_of_openvino(intel, run):
    """Numbers that OpenVINO 2023.0 gave for the known input."""
    found = run(intel, known_input(InputLayout(size=(128, 128), order="bgr"))).reshape(-1)
    wanted = {230: 2.28899, 241: 0.93202, 40: -0.56504, 8: 0.40017, 152: -0.28440}
    assert {place: float(found[place]) for place in wanted} == pytest.approx(wanted, abs=1e-5)
