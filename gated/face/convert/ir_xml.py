"""Reads the layers of an OpenVINO IR from its XML file. `openvino` uses it.

The file may be hostile. So it reads no document type, because entities can grow without end. The numbers of layers and
of dimensions are limited. A layer may only read layers before it, so no circle is possible.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from xml.parsers.expat import ExpatError, ParserCreate

from gated.errors import ModelError

MOST_LAYERS = 10_000
"""The largest known network here has 686."""
MOST_VALUES = 1 << 26
"""Limit for the numbers in one tensor: 256 MiB as float32."""
NAME = re.compile(r"[A-Za-z0-9_./:-]{1,200}\Z")
NUMBER = re.compile(r"[0-9]{1,9}\Z")

Port = tuple[str, str]
"""Id of a layer, and id of one of its outputs."""
LAYER, EDGE = ("net", "layers", "layer"), ("net", "edges", "edge")


@dataclass(frozen=True, slots=True)
class Reads:
    """An input of a layer: the output that it reads, and its shape."""

    port: Port
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `output` and `shape` are empty for the result of the network."""

    name: str
    kind: str
    data: Mapping[str, str]
    inputs: tuple[Reads, ...]
    output: Port
    shape: tuple[int, ...]

    def numbers(self, name: str, count: int | None = None) -> tuple[int, ...]:
        """Return an attribute with numbers. Raises `ModelError` if it is missing, or has another count of them."""
        words = [word.strip() for word in self.data.get(name, "").split(",")]
        if not all(NUMBER.match(word) for word in words) or count not in (None, len(words)):
            raise ModelError(f"its layer {self.name!r} has no valid {name!r}")
        return tuple(map(int, words))


@dataclass(slots=True)
class _Element:
    """A layer as the file gives it: its attributes, and its ports with their dimensions."""

    attributes: dict[str, str]
    data: dict[str, str] = field(default_factory=dict)
    input: dict[str, list[int]] = field(default_factory=dict)
    output: dict[str, list[int]] = field(default_factory=dict)


class _File:
    """Collects layers and edges while the parser reads."""

    def __init__(self) -> None:
        self.layers: list[_Element] = []
        self.edges: list[dict[str, str]] = []
        self._path: tuple[str, ...] = ()
        self._port: list[int] | None = None
        self._text = ""

    def read(self, xml: bytes) -> None:
        """Collect the layers and edges of the document. Raises `ModelError`."""
        parser = ParserCreate("utf-8")  # a declared encoding would import a codec, or fail in other ways
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler, parser.EndElementHandler = self._begin, self._end
        parser.CharacterDataHandler = self._add_text
        try:
            parser.Parse(xml, True)
        except ExpatError as error:
            raise ModelError(f"it is no XML: {error}") from error

    def _refuse(self, *_: object) -> None:
        raise ModelError("it has a document type; networks need none")

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        self._path, self._text = (*self._path, tag), ""
        if len(self._path) > 20 or len(self.layers) > MOST_LAYERS or len(self.edges) > 4 * MOST_LAYERS:
            raise ModelError(f"it has more than {MOST_LAYERS} layers, or they are nested too deep")
        if self._path == LAYER:
            self.layers.append(_Element(attributes))
        elif self._path == EDGE:
            self.edges.append(attributes)
        elif self._path == (*LAYER, "data"):
            self.layers[-1].data = attributes
        elif self._path in {(*LAYER, "input", "port"), (*LAYER, "output", "port")}:
            ports = self.layers[-1].input if self._path[3] == "input" else self.layers[-1].output
            self._port = ports.setdefault(attributes.get("id", ""), [])

    def _end(self, _: str) -> None:
        if self._path[:3] == LAYER and self._path[4:] == ("port", "dim") and self._port is not None:
            if not NUMBER.match(self._text.strip()) or len(self._port) >= 8:
                raise ModelError("a dimension is no plain number, or there are too many")
            self._port.append(int(self._text))
        self._path = self._path[:-1]

    def _add_text(self, text: str) -> None:
        self._text += text[: 64 - len(self._text)]


def read_layers(xml: bytes) -> list[Layer]:
    """Return the layers, each after those that it reads. Raises `ModelError` with the reason."""
    file = _File()
    file.read(xml)
    sources = _sources(file.edges)
    known: dict[Port, tuple[int, ...]] = {}
    layers = [_layer(element, sources, known) for element in file.layers]
    if len({layer.name for layer in layers}) < len(layers):
        raise ModelError("two of its layers have the same name")
    if sources:
        raise ModelError("an edge leads to a layer or a port that does not exist")
    return layers


def _sources(edges: Iterable[Mapping[str, str]]) -> dict[Port, Port]:
    """Return the output that each input reads."""
    found: dict[Port, Port] = {}
    for edge in edges:
        words = [edge.get(name, "") for name in ("from-layer", "from-port", "to-layer", "to-port")]
        to = (words[2], words[3])
        if to in found:
            raise ModelError("two edges lead to the same input")
        found[to] = (words[0], words[1])
    return found


def _layer(element: _Element, sources: dict[Port, Port], known: dict[Port, tuple[int, ...]]) -> Layer:
    """Return one layer, and add its output to the known ones. Removes its edges from `sources`."""
    number, name, kind = (element.attributes.get(key, "") for key in ("id", "name", "type"))
    if not all(NAME.match(word) for word in (number, name, kind)):
        raise ModelError("a layer has no plain id, name and type")
    inputs = []
    for port, dimensions in sorted(element.input.items(), key=lambda each: (len(each[0]), each[0])):
        source = sources.pop((number, port), None)
        if source is None or known.get(source) != tuple(dimensions):
            raise ModelError(f"an input of its layer {name!r} reads no layer before it, or one of another shape")
        inputs.append(Reads(source, tuple(dimensions)))
    if len(element.output) != (kind != "Result"):
        raise ModelError(f"its layer {name!r} needs one output")
    output: Port = ("", "")
    shape: tuple[int, ...] = ()
    for port, dimensions in element.output.items():
        output, shape = (number, port), tuple(dimensions)
        if output in known or not 0 < prod(shape) <= MOST_VALUES:
            raise ModelError(f"the output of its layer {name!r} is empty or too large, or exists already")
        known[output] = shape
    return Layer(name, kind, element.data, tuple(inputs), output, shape)
