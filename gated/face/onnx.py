"""Loads and runs models. The only module that imports onnxruntime.

A model runs only if the SHA-256 of its bytes is the manifest's, and it gives the known answer on this machine. Newer
releases of onnxruntime send telemetry from Linux too: they are refused, and telemetry is switched off in any case.
"""

import hashlib
import hmac
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gated.bounded import read
from gated.errors import ModelError
from gated.face.held_stderr import held_stderr
from gated.face.model_entry import InputLayout, KnownAnswer, ModelEntry
from gated.face.tensor import InputTensor

log = logging.getLogger(__name__)

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before onnxruntime is imported, in `_onnxruntime`

RELEASE = "1.26"
"""The release of onnxruntime that was reviewed and measured to send no telemetry."""

Outputs = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A verified model. `session` is onnxruntime's."""

    entry: ModelEntry
    session: Any
    input_name: str
    output_names: tuple[str, ...]

    @classmethod
    def load(cls, entry: ModelEntry, folder: Path, threads: int = 1, *, plain_layout: bool = False) -> "Model":
        """Read `entry.file` from `folder` once and verify it. Raises `ModelError` when digest or answer is wrong.

        `plain_layout`: run as on ARM, where onnxruntime has no blocked layout of channels (NCHWc; off by default there,
        microsoft/onnxruntime pull request 26171). For estimates.
        """
        if entry.known_answer is None:
            raise ModelError(
                f"{entry.file}: the manifest has no known answer for this model yet, so it cannot be verified here; "
                "choose another set (models.set), or a release of gated that has the known answer"
            )
        model = cls.unproved(entry, _read(entry, folder / entry.file), threads, plain_layout=plain_layout)
        _verify(model, entry.known_answer)
        return model

    @classmethod
    def unproved(cls, entry: ModelEntry, data: bytes, threads: int = 1, *, plain_layout: bool = False) -> "Model":
        """Return the model in these bytes. Checks its input, and neither digest nor answer. Raises `ModelError`."""
        session = _session(entry, data, threads, plain_layout=plain_layout)
        return cls(entry, session, _input_name(entry, session), tuple(o.name for o in session.get_outputs()))

    def run(self, tensor: NDArray[np.float32]) -> Outputs:
        """Return the outputs by name for one input. Raises `ModelError` when the model fails on it."""
        try:
            outputs = self.session.run(None, {self.input_name: tensor})
        except _failures() as error:
            raise ModelError(f"{self.entry.file}: the model failed on its input: {error}") from error
        return dict(zip(self.output_names, outputs, strict=True))


def known_input(layout: InputLayout) -> NDArray[np.float32]:
    """Return the pattern of the known answers, in the layout of the model.

    Pixel (channel, row, column) is 128 + 80 sin(column / 7 + channel) cos(row / 11) + 40 sin(row column / 300),
    rounded: waves of several lengths, so that every layer is exercised.
    """
    width, height = layout.size
    row, column = np.arange(height, dtype=np.float64)[:, None], np.arange(width, dtype=np.float64)[None, :]
    waves = [np.sin(column / 7 + c) * np.cos(row / 11) * 80 + np.sin(row * column / 300) * 40 for c in range(3)]
    return InputTensor(layout).fill(np.rint(128 + np.stack(waves)).astype(np.float32))


def _read(entry: ModelEntry, path: Path) -> bytes:
    """Return the bytes of the file. The same bytes are hashed and run."""
    try:
        data = read(path, entry.most_bytes)
    except OSError as error:
        raise ModelError(
            f"{path}: the model cannot be read ({error.strerror}); point models.dir at the folder that holds it"
            + (", or run `gated models pull`" if entry.origins else "")
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if not hmac.compare_digest(digest, entry.sha256):
        raise ModelError(
            f"{path}: this is not the model of the manifest: its SHA-256 is {digest[:16]}..., "
            f"{entry.sha256[:16]}... is expected; replace the file with an unaltered one"
        )
    return data


def _session(entry: ModelEntry, data: bytes, threads: int, *, plain_layout: bool) -> Any:
    """Create an onnxruntime session over the bytes: CPU only, no spinning, logs errors only."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    if plain_layout:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _failures() as error:
        raise ModelError(f"{entry.file}: this is no ONNX model that onnxruntime can load: {error}") from error


def _onnxruntime() -> ModuleType:
    """Import onnxruntime. Raises `ModelError` for any release but `RELEASE`."""
    with held_stderr() as lines:  # the import looks for graphics cards, and warns on a Pi
        import onnxruntime
    _log_warnings(lines)
    library: ModuleType = onnxruntime
    if ".".join(onnxruntime.__version__.split(".")[:2]) != RELEASE:
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} is installed; it may send telemetry, so gated refuses it; "
            f"install it with: pip install 'onnxruntime=={RELEASE}.*'"
        )
    onnxruntime.set_default_logger_severity(3)
    return library


def _log_warnings(lines: list[str]) -> None:
    """Log one line for the warnings of the import. Pass every other line on."""
    warnings = [line for line in lines if "[W:onnxruntime" in line]
    for line in lines:
        if line not in warnings:
            print(line, file=sys.stderr)
    if warnings:
        cause = "no known graphics card" if "device_discovery" in warnings[0] else warnings[0]
        log.info("onnxruntime reported while loading: %s; no action needed, models run on the processor", cause)


def _failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of onnxruntime, by name. They have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return tuple(getattr(raised, name) for name in names)


def _input_name(entry: ModelEntry, session: Any) -> str:
    """Return the name of the model's input. Raises `ModelError` when name, type or shape are not the manifest's."""
    width, height = entry.input.size
    inputs = session.get_inputs()
    found = inputs[0] if len(inputs) == 1 else None
    wanted = (1, 3, height, width)
    fits = (
        found is not None
        and entry.input.name in (None, found.name)
        and found.type == "tensor(float)"
        and len(found.shape) == 4
        and all(have == want or not isinstance(have, int) for have, want in zip(found.shape, wanted, strict=True))
    )
    if found is None or not fits:
        has = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
        raise ModelError(
            f"{entry.file}: the model takes {has}; the manifest says {entry.input.name or 'one input'} "
            f"tensor(float) {list(wanted)}: correct the manifest"
        )
    return str(found.name)


def _verify(model: Model, answer: KnownAnswer) -> None:
    """Run the known input and compare. Raises `ModelError` when the runtime or the processor computes wrongly."""
    outputs = model.run(known_input(model.entry.input))
    for name, place, expected in answer.values:
        output = outputs.get(name, np.empty(0, np.float32)).reshape(-1)
        given = float(output[place]) if place < output.size else float("nan")
        if not abs(given - expected) <= answer.tolerance:  # also true for NaN
            raise ModelError(
                f"{model.entry.file}: the model gives {given:.6g} at {name}[{place}] for the known input, but "
                f"{expected:.6g} is expected: this machine or its onnxruntime computes wrongly; reinstall gated, or "
                "test another machine"
            )
