"""Converts the state dict of MiniFASNet V2 and V1SE to ONNX. Batch norms become part of the convolution before them.

The order of layers follows minivision-ai/Silent-Face-Anti-Spoofing, src/model_lib/MiniFASNet.py. The widths follow from
the weights. Input `input` 1x3x80x80 (BGR, 0 to 255), output `probabilities` 1x3. Each weight is computed by single
multiplications, divisions and square roots in float64, which every machine rounds alike.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gated.errors import ModelError
from gated.face.convert.onnx_graph import Attribute, Node, OnnxGraph, Value, Weights
from gated.face.convert.state_dict import StateDict, read_state_dict

EPSILON = 1e-5
"""Default of torch.nn.BatchNorm2d, which the networks use."""
PREFIX = "module."
SIDE_PX, CLASSES = 80, 3
STAGES = ((3, 4), (4, 6), (5, 2))
"""Number of a residual stage, and of its blocks. A block that halves the picture comes before each stage."""

Doubles = NDArray[np.float64]


def convert_minifasnet(pth: bytes) -> bytes:
    """Return the ONNX file. Raises `ModelError` with the reason, for a file that is damaged or another network."""
    return _Net(read_state_dict(pth)).build().to_bytes()


class _Net:
    """The network, layer by layer. Methods add layers after the value `x`, and return the name of the new value."""

    def __init__(self, state: StateDict) -> None:
        self._state = {name.removeprefix(PREFIX): values for name, values in state.items()}
        self._nodes: list[Node] = []
        self._weights: dict[str, Weights] = {}
        self._used: set[str] = set()

    def build(self) -> OnnxGraph:
        """Return the whole network. Raises `ModelError` if a weight is missing or has another shape."""
        x = self._unit("input", "conv1", stride=2, padding=1)
        x = self._unit(x, "conv2_dw", padding=1)
        for stage, blocks in STAGES:
            x = self._block(x, f"conv_{stage - 1}{stage}", stride=2)
            for block in range(blocks):
                y = self._block(x, f"conv_{stage}.model.{block}", stride=1)
                y = self._squeeze(y, f"conv_{stage}.model.{block}.se_module")
                x = self._node("Add", f"conv_{stage}.model.{block}.sum", x, y)
        x = self._unit(self._unit(x, "conv_6_sep"), "conv_6_dw")
        x = self._classify(self._node("Flatten", "flat", x, axis=1))
        self._check_used()
        read, answer = Value("input", (1, 3, SIDE_PX, SIDE_PX)), Value(x, (1, CLASSES))
        return OnnxGraph("minifasnet", read, answer, tuple(self._nodes), self._weights)

    def _block(self, x: str, name: str, stride: int) -> str:
        """Add a block: widen, convolve each channel alone, narrow."""
        x = self._unit(x, f"{name}.conv")
        x = self._unit(x, f"{name}.conv_dw", stride=stride, padding=1)
        return self._unit(x, f"{name}.project")

    def _unit(self, x: str, name: str, stride: int = 1, padding: int = 0) -> str:
        """Add a convolution with its batch norm, and its PReLU if it has one."""
        x = self._convolution(x, f"{name}.conv", f"{name}.bn", stride, padding)
        if f"{name}.prelu.weight" not in self._state:
            return x
        slope = self._tensor(f"{name}.prelu.weight", 1).astype(np.float32)
        return self._node("PRelu", f"{name}.prelu", x, slope=slope.reshape(-1, 1, 1))

    def _squeeze(self, x: str, name: str) -> str:
        """Add the channels' attention, if the block has one: the mean of each channel decides its weight."""
        if f"{name}.fc1.weight" not in self._state:
            return x
        y = self._node("GlobalAveragePool", f"{name}.mean", x)
        y = self._node("Relu", f"{name}.relu", self._convolution(y, f"{name}.fc1", f"{name}.bn1"))
        y = self._node("Sigmoid", f"{name}.sigmoid", self._convolution(y, f"{name}.fc2", f"{name}.bn2"))
        return self._node("Mul", f"{name}.product", x, y)

    def _convolution(self, x: str, name: str, norm: str, stride: int = 1, padding: int = 0) -> str:
        """Add a convolution that includes the batch norm behind it. One input channel: each channel alone."""
        kernel = self._tensor(f"{name}.weight", 4)
        scale, shift = self._norm(norm, kernel.shape[0])
        sizes: dict[str, Attribute] = {
            "kernel_shape": kernel.shape[2:],
            "strides": (stride, stride),
            "pads": (padding,) * 4,
            "group": kernel.shape[0] if kernel.shape[1] == 1 else 1,
        }
        folded = (kernel * scale.reshape(-1, 1, 1, 1)).astype(np.float32)
        return self._node("Conv", name, x, weight=folded, bias=shift.astype(np.float32), **sizes)

    def _classify(self, x: str) -> str:
        """Add the two products with matrices, and the softmax."""
        kernel = self._tensor("linear.weight", 2)
        scale, shift = self._norm("bn", kernel.shape[0])
        folded = (kernel * scale[:, None]).astype(np.float32)
        x = self._node("Gemm", "linear", x, weight=folded, bias=shift.astype(np.float32), transB=1)
        last = self._tensor("prob.weight", 2).astype(np.float32)
        if last.shape != (CLASSES, kernel.shape[0]):
            raise ModelError(f"it has other classes than the {CLASSES} of MiniFASNet")
        return self._node("Softmax", "probabilities", self._node("Gemm", "logits", x, weight=last, transB=1), axis=1)

    def _norm(self, name: str, width: int) -> tuple[Doubles, Doubles]:
        """Return the factor and the summand of a batch norm for each channel."""
        parts = [self._tensor(f"{name}.{part}", 1) for part in ("weight", "bias", "running_mean", "running_var")]
        if any(part.shape != (width,) for part in parts) or (parts[3] < 0).any():
            raise ModelError(f"its {name!r} does not fit the convolution before it")
        weight, bias, mean, variance = parts
        scale = weight / np.sqrt(variance + EPSILON)
        return scale, bias - mean * scale

    def _tensor(self, name: str, dimensions: int) -> Doubles:
        """Return one tensor. Raises `ModelError` if it is missing or has other dimensions."""
        found = self._state.get(name)
        if found is None or found.dtype != np.float32 or found.ndim != dimensions:
            raise ModelError(f"it has no {name!r} with {dimensions} dimensions: it is another network")
        self._used.add(name)
        return found.astype(np.float64)

    def _node(self, kind: str, name: str, *inputs: str, **parts: Any) -> str:
        """Add a node. `parts`: its weights, in the order of its inputs, and its attributes."""
        weights = {f"{name}.{part}": value for part, value in parts.items() if isinstance(value, np.ndarray)}
        attributes: Mapping[str, Attribute] = {
            part: value for part, value in parts.items() if not isinstance(value, np.ndarray)
        }
        self._weights |= weights
        self._nodes.append(Node(kind, name, (*inputs, *weights), attributes))
        return name

    def _check_used(self) -> None:
        """Check that the network has no further weights. PyTorch also counts batches, which nothing needs."""
        unused = {name for name in self._state.keys() - self._used if not name.endswith(".num_batches_tracked")}
        if unused:
            raise ModelError(f"it has {min(unused)!r}: it is another network")
