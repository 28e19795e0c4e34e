"""The bytes of a converted network are canonical: they depend on the network alone."""

import hashlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gated.face.convert.onnx_graph import Node, OnnxGraph, Value

NET = OnnxGraph(
    "small",
    Value("x", (1, 3)),
    Value("y", (1, 3)),
    (
        Node("Add", "sum", ("x", "b"), {}),
        Node("ReduceMean", "y", ("sum",), {"keepdims": 1, "axes": (0,)}),
    ),
    {"b": np.array([0.5, -1, 300], np.float32)},
)


def test_the_bytes_are_those_of_protocol_buffers():
    """The encoding is written by hand. The library of ONNX reads it, and writes the same bytes."""
    read = onnx.load_from_string(NET.to_bytes())
    onnx.checker.check_model(read, full_check=True)
    assert read.SerializeToString(deterministic=True) == NET.to_bytes()


def test_the_library_of_onnx_reads_the_network_as_meant():
    read = onnx.load_from_string(NET.to_bytes())
    nodes = [
        helper.make_node("Add", ["x", "b"], ["sum"], name="sum"),
        helper.make_node("ReduceMean", ["sum"], ["y"], name="y", axes=[0], keepdims=1),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "y"))
    weights = helper.make_tensor("b", TensorProto.FLOAT, [3], NET.weights["b"].tobytes(), raw=True)
    graph = helper.make_graph(nodes, "small", [x], [y], [weights])
    wanted = helper.make_model(graph, producer_name="gated", ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    assert str(read).replace('  domain: ""\n', "") == str(wanted).replace('  domain: ""\n', "")


def test_the_bytes_never_change():
    """A manifest names the SHA-256 of converted files. If this fails, every such entry is wrong."""
    digest = hashlib.sha256(NET.to_bytes()).hexdigest()
    assert digest == "12bf1514660113d1c046e6bff2a1de6bf18f4d7477e897c2e826bf7478fb4cd8"


@pytest.mark.parametrize("order", ["<f4", ">f4"])
def test_the_order_of_bytes_in_memory_does_not_matter(order):
    turned = OnnxGraph(NET.name, NET.input, NET.output, NET.nodes, {"b": NET.weights["b"].astype(order)})
    assert turned.to_bytes() == NET.to_bytes()


def test_the_layout_in_memory_does_not_matter():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    nets = [
        OnnxGraph("n", NET.input, NET.output, (), {"w": w})
        for w in (values, np.asfortranarray(values), np.repeat(values, 2, 1)[:, ::2])
    ]
    assert len({net.to_bytes() for net in nets}) == 1


def test_the_order_of_attributes_does_not_matter():
    nets = [
        OnnxGraph("n", NET.input, NET.output, (Node("Softmax", "y", ("x",), dict(attributes)),), {})
        for attributes in ((("a", 1), ("b", (2, 3))), (("b", (2, 3)), ("a", 1)))
    ]
    assert nets[0].to_bytes() == nets[1].to_bytes()


@given(st.lists(st.integers(1, 2**40), max_size=5), st.text(max_size=200))
def test_every_shape_and_name_comes_back(shape, name):
    net = OnnxGraph(name, Value(name, tuple(shape)), Value("y", ()), (), {})
    read = onnx.load_from_string(net.to_bytes())
    assert read.graph.name == name
    assert [each.dim_value for each in read.graph.input[0].type.tensor_type.shape.dim] == shape
