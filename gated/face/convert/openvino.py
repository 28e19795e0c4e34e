"""Converts a network in the intermediate representation of OpenVINO (IR, version 10 or 11) to ONNX.

An IR is an XML file of layers and edges, and a binary file of weights (docs.openvino.ai, "Operation Sets"). This module
knows the operations of face-reidentification-retail-0095: convolutions, PReLU, average pools, sums and products. It
refuses others. Each weight in float16 becomes the same number in float32. Names of input and output stay.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from gated.errors import ModelError
from gated.face.convert.ir_xml import Layer, Port, read_layers
from gated.face.convert.onnx_graph import Attribute, Node, OnnxGraph, Value, Weights

PLAIN = {"Add": ("Add", 2), "Multiply": ("Mul", 2), "Sigmoid": ("Sigmoid", 1), "PReLU": ("PRelu", 2)}
"""Operations without attributes that matter: the name in ONNX, and the number of inputs."""
TYPES = {"f16": "<f2", "f32": "<f4"}


def convert_openvino(xml: bytes, weights: bytes) -> bytes:
    """Return the ONNX file. Raises `ModelError` with the reason, for files that are damaged or of another network."""
    return _Net(weights).build(read_layers(xml)).to_bytes()


class _Net:
    """The network so far: a constant or the name of a value, for each output of a layer."""

    def __init__(self, weights: bytes) -> None:
        self._file = weights
        self._constants: dict[Port, Weights] = {}
        self._values: dict[Port, str] = {}
        self._nodes: list[Node] = []
        self._weights: dict[str, Weights] = {}

    def build(self, layers: Sequence[Layer]) -> OnnxGraph:
        """Return the network of these layers. Raises `ModelError` for an unknown layer or shape."""
        inputs = [layer for layer in layers if layer.kind == "Parameter"]
        results = [layer for layer in layers if layer.kind == "Result"]
        if len(inputs) != 1 or len(results) != 1 or len(results[0].inputs) != 1:
            raise ModelError("it needs one input and one output")
        for layer in layers:
            self._add(layer)
        (last,) = results[0].inputs
        if last.port not in self._values:
            raise ModelError("its output is no result of its input")
        read = Value(inputs[0].name, inputs[0].shape)
        answer = Value(self._values[last.port], last.shape)
        return OnnxGraph("openvino", read, answer, tuple(self._nodes), self._weights)

    def _add(self, layer: Layer) -> None:
        match layer.kind:
            case "Parameter":
                _demand(layer, element_type="f32")
                self._values[layer.output] = layer.name
            case "Const":
                self._constants[layer.output] = self._constant(layer)
            case "Convert" if len(layer.inputs) == 1 and layer.inputs[0].port in self._constants:
                _demand(layer, destination_type="f32")
                self._constants[layer.output] = self._constants[layer.inputs[0].port]
            case "Convolution" | "GroupConvolution":
                self._convolve(layer)
            case "AvgPool":
                self._pool(layer)
            case "Result":
                pass
            case kind if kind in PLAIN:
                if kind in {"Add", "Multiply"}:
                    _demand(layer, auto_broadcast="numpy")
                self._node(layer, *PLAIN[kind], {})
            case kind:
                raise ModelError(f"its layer {layer.name!r} has the unknown kind {kind!r}")

    def _constant(self, layer: Layer) -> Weights:
        """Return a constant as float32, from its place in the file of weights."""
        kind, shape = TYPES.get(layer.data.get("element_type", "")), layer.numbers("shape")
        (offset,), (size,) = layer.numbers("offset", 1), layer.numbers("size", 1)
        if kind is None or shape != layer.shape or size != prod(shape) * np.dtype(kind).itemsize:
            raise ModelError(f"its constant {layer.name!r} has no type, shape and size that fit together")
        if offset + size > len(self._file):
            raise ModelError(f"its constant {layer.name!r} lies beyond the end of the file of weights")
        values = np.frombuffer(self._file, kind, prod(shape), offset).reshape(shape).astype(np.float32)
        if not np.isfinite(values).all():
            raise ModelError(f"its constant {layer.name!r} has a weight that is no finite number")
        return values

    def _convolve(self, layer: Layer) -> None:
        """Add a convolution. The weights of a grouped one have the group first: G x O x I x H x W."""
        _demand(layer, auto_pad="explicit")
        kernel = self._constants.get(layer.inputs[1].port) if len(layer.inputs) == 2 else None
        is_grouped = layer.kind == "GroupConvolution"
        if kernel is None or kernel.ndim != 4 + is_grouped:
            raise ModelError(f"its convolution {layer.name!r} has no constant weights of the right shape")
        groups = kernel.shape[0] if is_grouped else 1
        kernel = kernel.reshape(-1, *kernel.shape[-3:])
        attributes = {"group": groups, "kernel_shape": kernel.shape[2:], "dilations": layer.numbers("dilations", 2)}
        self._node(layer, "Conv", 2, attributes | _window(layer), {1: kernel})

    def _pool(self, layer: Layer) -> None:
        _demand(layer, auto_pad="explicit", rounding_type="floor")
        _demand(layer, **{"exclude-pad": "true"})
        self._node(layer, "AveragePool", 1, {"kernel_shape": layer.numbers("kernel", 2)} | _window(layer))

    def _node(
        self, layer: Layer, kind: str, count: int, attributes: Mapping[str, Attribute],
        other: Mapping[int, Weights] | None = None,
    ) -> None:  # fmt: skip
        """Add a node of `count` inputs. `other`: weights in place of the constants at these inputs."""
        if len(layer.inputs) != count:
            raise ModelError(f"its layer {layer.name!r} has {len(layer.inputs)} inputs, not {count}")
        inputs = []
        for place, given in enumerate(layer.inputs):
            weights = (other or {}).get(place, self._constants.get(given.port))
            if weights is None:
                inputs.append(self._values[given.port])
            else:
                inputs.append(f"{layer.name}.{place}")
                self._weights[inputs[-1]] = weights
        self._nodes.append(Node(kind, layer.name, tuple(inputs), attributes))
        self._values[layer.output] = layer.name


def _window(layer: Layer) -> dict[str, Attribute]:
    return {
        "strides": layer.numbers("strides", 2),
        "pads": layer.numbers("pads_begin", 2) + layer.numbers("pads_end", 2),
    }


def _demand(layer: Layer, **wanted: str) -> None:
    """Check attributes of a layer that have one known value only. Raises `ModelError`."""
    for name, value in wanted.items():
        if layer.data.get(name) != value:
            raise ModelError(f"its layer {layer.name!r} needs {name} = {value!r}")
