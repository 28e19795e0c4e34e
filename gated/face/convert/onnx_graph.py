"""Writes a network as the bytes of an ONNX file. The converters of this package make the network.

The bytes are canonical. The bytes depend on the network alone, and not on a version of numpy, onnx or protobuf. This
module writes the Protocol Buffers encoding itself: each field once, in the order of field numbers. So a manifest can
name the SHA-256 of a converted file.

Field numbers are those of onnx.proto3 (ONNX IR version 8); the encoding is that of protobuf.dev/programming-guides/
encoding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
Attribute = int | tuple[int, ...]

IR_VERSION, OPSET = 8, 13
FLOAT = 1  # TensorProto.DataType
INT, INTS = 2, 7  # AttributeProto.AttributeType
VARINT, LENGTH = 0, 2
"""Wire types: a number of 7 bits a byte, and bytes after their length."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operator. Its output has the name of the node."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Value:
    """The input or the output of a network: float32 of this shape."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """A network: nodes in the order in which they run, and weights by name."""

    name: str
    input: Value
    output: Value
    nodes: tuple[Node, ...]
    weights: Mapping[str, Weights]

    def to_bytes(self) -> bytes:
        """Return the bytes of the ONNX file."""
        graph = b"".join(
            (
                *(_block(1, _node(node)) for node in self.nodes),
                _text(2, self.name),
                *(_block(5, _tensor(name, values)) for name, values in self.weights.items()),
                _block(11, _value(self.input)),
                _block(12, _value(self.output)),
            )
        )
        opset = _number(2, OPSET)
        return _number(1, IR_VERSION) + _text(2, "gated") + _block(7, graph) + _block(8, opset)


def _node(node: Node) -> bytes:
    inputs = (_text(1, name) for name in node.inputs)
    attributes = (_block(5, _attribute(name, node.attributes[name])) for name in sorted(node.attributes))
    return b"".join((*inputs, _text(2, node.name), _text(3, node.name), _text(4, node.kind), *attributes))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, INT)
    return _text(1, name) + _numbers(8, value) + _number(20, INTS)


def _tensor(name: str, values: Weights) -> bytes:
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return _numbers(1, values.shape) + _number(2, FLOAT) + _text(8, name) + _block(9, raw)


def _value(value: Value) -> bytes:
    shape = b"".join(_block(1, _number(1, size)) for size in value.shape)
    tensor = _number(1, FLOAT) + _block(2, shape)
    return _text(1, value.name) + _block(2, _block(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _numbers(field: int, values: Iterable[int]) -> bytes:
    return b"".join(_number(field, value) for value in values)


def _text(field: int, text: str) -> bytes:
    return _block(field, text.encode())


def _block(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Return a number that is not negative, 7 bits a byte, the lowest first. Every byte but the last has bit 7."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
