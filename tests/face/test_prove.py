"""`prove` writes a known answer only if two independent programs agree on it."""

import sys
import tomllib
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from gated.config import ModelSettings
from gated.errors import ModelError
from gated.face import prove as proving
from gated.face.manifest import Manifest, load_manifest
from gated.face.model_entry import KnownAnswer
from gated.face.model_sources import find
from gated.face.onnx import Model, known_input
from gated.face.prove import entry_of, prove


@pytest.fixture
def manifest(tiny) -> Manifest:
    return load_manifest(tiny)


@pytest.mark.parametrize("name", ["spot", "green", "fields"])
def test_the_answer_of_a_good_model_verifies_it(tiny, manifest, name):
    entry = manifest.models[name]
    path = Path(tiny.dir) / entry.file
    assert entry_of(manifest, path) == entry
    proof = prove(msgspec.structs.replace(entry, known_answer=None), path)
    assert proof.difference <= proof.answer.tolerance / 10
    written = tomllib.loads(proof.to_toml())["known_answer"]
    assert msgspec.convert(written, KnownAnswer) == proof.answer
    Model.load(msgspec.structs.replace(entry, known_answer=proof.answer), path.parent)


@pytest.mark.parametrize(
    "name",
    ["yunet_n_dynamic", "minifasnet_v2", "minifasnet_v1se", "face_antispoof_128", "mobilefacenet_128d"],
)
def test_the_answers_of_the_manifest_are_those_of_two_programs(shared, name):
    entry = load_manifest(ModelSettings(dir="/nowhere")).models[name]
    proof = prove(entry, find(shared / "models", entry))
    assert proof.difference < 1e-5
    outputs = Model.unproved(entry, find(shared / "models", entry).read_bytes()).run(known_input(entry.input))
    for output, place, value in entry.known_answer.values:
        assert float(outputs[output].reshape(-1)[place]) == pytest.approx(value, abs=2e-5)


def test_a_file_that_the_manifest_does_not_know_is_refused(manifest, tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"its SHA-256 is d9298a10d1b07358\.\.\., and no model of the manifest has it"):
        entry_of(manifest, tmp_path / "other.onnx")


def test_an_altered_file_of_a_known_model_is_refused_with_both_digests(manifest, tmp_path):
    (tmp_path / "spot.onnx").write_bytes(b"other")
    wanted = manifest.models["spot"].sha256[:16]
    with pytest.raises(ModelError, match=rf"is d9298a10d1b07358\.\.\., and the manifest's spot\.onnx has {wanted}"):
        entry_of(manifest, tmp_path / "spot.onnx")


def test_a_file_that_changes_before_the_proof_proves_nothing(tiny, manifest, tmp_path):
    """Another network that both programs compute alike must not give the answer of this one."""
    (tmp_path / "spot.onnx").write_bytes((Path(tiny.dir) / manifest.models["spot"].file).read_bytes() + b"\x12\x01x")
    with pytest.raises(ModelError, match="changed while it was read"):
        prove(manifest.models["spot"], tmp_path / "spot.onnx")


def test_a_missing_file_is_named(manifest, tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx: cannot be read"):
        entry_of(manifest, tmp_path / "none.onnx")


def test_programs_that_disagree_prove_nothing(tiny, manifest, monkeypatch):
    right = proving._evaluated
    monkeypatch.setattr(
        proving, "_evaluated", lambda *words: {name: values + 0.01 for name, values in right(*words).items()}
    )
    entry = manifest.models["green"]
    with pytest.raises(ModelError, match=r"differ by 0\.01.* do not use this model until they agree"):
        prove(entry, Path(tiny.dir) / entry.file)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_no_agreement(odd):
    values = {"x": np.array([1, odd], np.float32)}
    assert not proving._difference(values, values) <= 1.0


@pytest.mark.parametrize(
    "theirs", [{}, {"y": np.zeros(2, np.float32)}, {"x": np.zeros((1, 2), np.float32)}, {"x": np.zeros(3, np.float32)}]
)
def test_results_of_other_names_or_shapes_are_no_agreement(theirs):
    assert not proving._difference({"x": np.zeros(2, np.float32)}, theirs) <= 1.0


def test_a_model_of_zeros_proves_nothing():
    with pytest.raises(ModelError, match="no numbers but zeros"):
        proving._answer({"x": np.zeros((1, 4), np.float32)})


def test_numbers_near_zero_are_not_chosen():
    answer = proving._answer({"x": np.array([1e-4, -2.0, 0.5], np.float32), "y": np.array([0.25], np.float32)})
    assert answer.values == (("x", 1, -2.0), ("y", 0, 0.25), ("x", 2, 0.5))
    assert answer.tolerance == 0.002


def test_without_onnx_the_command_to_install_it_is_named(tiny, manifest, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx.reference.op_run", None)
    entry = manifest.models["green"]
    with pytest.raises(ModelError, match=r"pip install 'gated\[prove\]'"):
        prove(entry, Path(tiny.dir) / entry.file)


@pytest.mark.parametrize("opset", [9, 13, 15])
def test_a_batch_norm_is_evaluated_as_the_standard_defines_it(opset):
    """The evaluator's own one for opset 9 to 13 computes as in training. onnxruntime does not."""
    dice = np.random.default_rng(opset)
    parts = {name: dice.uniform(0.5, 2, 3).astype(np.float32) for name in ("scale", "bias", "mean", "var")}
    node = helper.make_node("BatchNormalization", ["x", *parts], ["y"], epsilon=1e-3, momentum=0.9)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3, 4]) for name in "xy")
    weights = [numpy_helper.from_array(values, name) for name, values in parts.items()]
    graph = helper.make_graph([node], "norm", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    data, values = model.SerializeToString(), {"x": dice.normal(size=(2, 3, 4)).astype(np.float32)}
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = proving._evaluated(proving._onnx_reference(), data, values, "norm.onnx")
    np.testing.assert_allclose(found["y"], session.run(None, values)[0], atol=1e-5)


def test_a_network_that_the_evaluator_cannot_run_is_named():
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Unknown", ["x"], ["y"])], "net", [x], [y])
    data = helper.make_model(graph).SerializeToString()
    with pytest.raises(ModelError, match=r"x\.onnx: the reference evaluator of onnx cannot run it"):
        proving._evaluated(proving._onnx_reference(), data, {"x": np.zeros(2, np.float32)}, "x.onnx")
