"""Computes the known answer of a model without one, for `gated models prove`.

Two programs compute the model on the known input. The gate uses onnxruntime. The reference evaluator of onnx is slow,
and was written independently in numpy. If they agree, the numbers are right, and the manifest may name them. The only
module that imports onnx: a gate does not need it.
"""

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import machine
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gated.bounded import read
from gated.errors import ModelError
from gated.face.manifest import Manifest
from gated.face.model_entry import MOST_BYTES, KnownAnswer, ModelEntry
from gated.face.onnx import Model, Outputs, known_input

Values = NDArray[np.float32]

NUMBERS = 5
"""Numbers in a known answer, at most."""
SHARE = 0.001
"""Tolerance of a known answer, relative to its largest number."""
AGREED = 0.1
"""The two programs must agree within this share of the tolerance. Measured: 0.002 or less."""
LEAST = 0.01
"""Least number in a known answer, relative to the largest one of its output: a number near zero proves little."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A known answer, and the programs that computed it. `difference`: the largest one between the two programs."""

    entry: ModelEntry
    answer: KnownAnswer
    difference: float

    def to_toml(self) -> str:
        """Return the lines for the manifest."""
        values = ", ".join(f'["{name}", {place}, {value:.5f}]' for name, place, value in self.answer.values)
        return (
            f"# Known answer of {self.entry.file}, SHA-256 {self.entry.sha256}.\n"
            f"# Taken with onnxruntime {version('onnxruntime')} and onnx {version('onnx')} on {machine()}: they differ "
            f"by {self.difference:.1e} at most.\n# Put this line into the entry of the model in the manifest.\n"
            f"known_answer = {{ tolerance = {self.answer.tolerance:g}, values = [{values}] }}\n"
        )


def entry_of(manifest: Manifest, path: Path) -> ModelEntry:
    """Return the entry of a file, by its SHA-256. Raises `ModelError` if the manifest has none, or another one."""
    try:
        found = hashlib.sha256(read(path, MOST_BYTES)).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); name the file of a model") from error
    for entry in manifest.models.values():
        if entry.sha256 == found:
            return entry
    named = next((entry for entry in manifest.models.values() if entry.file == path.name), None)
    wanted = f"the manifest's {named.file} has {named.sha256[:16]}..." if named else "no model of the manifest has it"
    raise ModelError(f"{path}: its SHA-256 is {found[:16]}..., and {wanted}; name the file that the manifest names")


def prove(entry: ModelEntry, path: Path) -> Proof:
    """Return the known answer of the model in a file.

    Raises `ModelError` if onnx is not installed, if the file is another one, if a program fails, or if the two
    disagree.
    """
    reference, data = _onnx_reference(), read(path, entry.most_bytes)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelError(f"{path}: changed while it was read; let no other program write it, and run this again")
    model = Model.unproved(entry, data)
    tensor = known_input(entry.input)
    runtime_outputs = model.run(tensor)
    reference_outputs = _evaluated(reference, data, {model.input_name: tensor}, entry.file)
    answer = _answer(runtime_outputs)
    difference = _difference(runtime_outputs, reference_outputs)
    if not difference <= answer.tolerance * AGREED:  # also true for NaN
        raise ModelError(
            f"{entry.file}: onnxruntime and the reference evaluator differ by {difference:.3g}, and "
            f"{answer.tolerance * AGREED:.3g} is allowed; try another machine; do not use this model until they agree"
        )
    return Proof(entry, answer, difference)


def _onnx_reference() -> ModuleType:
    try:
        import onnx.reference.op_run
    except ImportError as error:
        raise ModelError("the package onnx is not installed; run pip install 'gated[prove]'") from error
    library: ModuleType = onnx
    return library


def _evaluated(library: ModuleType, data: bytes, inputs: Outputs, file: str) -> Outputs:
    """Return the outputs by the reference evaluator. Raises `ModelError` if it fails, or does not know an operation."""
    try:
        network = library.load_model_from_string(data)
        evaluator = library.reference.ReferenceEvaluator(network, new_ops=[_batch_norm(library)])
        outputs = evaluator.run(None, inputs)
    except (RuntimeError, NotImplementedError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{file}: the reference evaluator of onnx cannot run it: {error}") from error
    return dict(zip(evaluator.output_names, outputs, strict=True))


def _batch_norm(library: ModuleType) -> Any:
    """Return the operation BatchNormalization in test mode, as the ONNX standard defines it for one output.

    For opset 9 to 13, the evaluator's own batch norm mixes in the mean and the variance of the input, as in training.
    """
    base: Any = library.reference.op_run.OpRun

    class BatchNormalization(base):  # type: ignore[misc]
        """The operation as the evaluator of onnx expects it: its class name is the name of the operation."""

        op_domain = ""

        def _run(
            self, x: Values, scale: Values, bias: Values, mean: Values, var: Values, *,
            epsilon: float, training_mode: int = 0, **_: object,
        ) -> tuple[Values]:  # fmt: skip
            if training_mode or len(self.onnx_node.output) > 1:
                raise NotImplementedError("BatchNormalization in training mode")
            shape = (1, -1) + (1,) * (x.ndim - 2)
            factor = scale / np.sqrt(var + np.float32(epsilon))
            return ((x - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape),)

    return BatchNormalization


def _difference(first: Outputs, second: Outputs) -> float:
    """Return the largest difference of two results. NaN if their names or shapes differ, or a number is not finite."""
    if first.keys() != second.keys() or any(first[name].shape != second[name].shape for name in first):
        return float("nan")
    with np.errstate(invalid="ignore"):
        return float(max(np.abs(first[name] - second[name]).max(initial=0.0) for name in first))


def _answer(outputs: Outputs) -> KnownAnswer:
    """Choose numbers for a known answer: the largest one of each output in turn, then the next ones."""
    ranked = {name: _largest(values.reshape(-1)) for name, values in outputs.items()}
    turns = [(name, places[turn]) for turn in range(NUMBERS) for name, places in ranked.items() if turn < len(places)]
    chosen = [(name, place, round(float(outputs[name].reshape(-1)[place]), 5)) for name, place in turns[:NUMBERS]]
    largest = max((abs(value) for _, _, value in chosen), default=0.0)
    if not 0 < largest < np.inf:
        raise ModelError("the model gives no numbers but zeros for the known input; this proves nothing")
    return KnownAnswer(tuple(chosen), float(f"{SHARE * largest:.1g}"))


def _largest(values: Values) -> list[int]:
    """Return the places of the largest numbers, the largest first."""
    sizes = np.abs(values)
    order = np.argsort(-sizes, kind="stable")[:NUMBERS]
    return [int(place) for place in order if sizes[place] >= LEAST * sizes[order[0]] and sizes[place] > 0]
