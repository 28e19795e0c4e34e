"""From a trained net to a file that the gate runs: ONNX, digest, known answer, and the entry in the manifest."""

import hashlib
import re
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

import looks
import scenes
from gated.face.model_entry import InputLayout
from gated.face.onnx import known_input

MANIFEST = Path(__file__).parents[1] / "manifest.toml"
LICENCE = "Apache-2.0, made by this project from rendered faces (models/training)"
MEASURED = "On rendered faces alone, with the other two of its set: see the card in README.md."
PLAIN = "scale = 0.00784313725, mean = [1.0, 1.0, 1.0]"
"""Pixels to -1..1, as the nets were trained."""


def layout(width: int, height: int) -> InputLayout:
    """The input of all three."""
    return InputLayout(size=(width, height), order="rgb", scale=1 / 127.5, mean=(1.0, 1.0, 1.0), name="input")


def save(net: nn.Module, path: Path, shape: InputLayout, outputs: list[str], *, any_size: bool = False) -> str:
    """Write the file; gives the known answer as TOML, a few numbers spread over every output."""
    pattern = known_input(shape)
    axes = {"input": {2: "height", 3: "width"}} if any_size else None
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the older exporter needs nothing but torch, and says that it is old
        torch.onnx.export(
            net.float().eval().to(memory_format=torch.contiguous_format), torch.from_numpy(pattern), str(path),
            input_names=["input"], output_names=outputs, dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = dict(zip(outputs, session.run(None, {"input": pattern}), strict=True))
    values = []
    for name in outputs[:: max(1, len(outputs) // 4)]:
        flat = answers[name].ravel()
        places = [int(np.abs(flat).argmax()), flat.size // 2]
        values += [f'["{name}", {place}, {flat[place]:.5f}]' for place in dict.fromkeys(places)]
    return f"known_answer = {{ tolerance = 0.002, values = [{', '.join(values)}] }}"


def embedder(net: nn.Module, out: Path, threshold: float) -> None:
    """The embedder, with the threshold that training found on people it was not trained on."""
    shape = layout(looks.SIZE, looks.SIZE)
    answer = save(net, out / "courtyard_embedder.onnx", shape, ["embedding"])
    marks = ", ".join(f"[{x:.4f}, {y:.4f}]" for x, y in looks.LANDMARKS)
    more = f"dimension = 128\nthreshold = {threshold:.3f}\nlandmarks = [{marks}]"
    enter("courtyard_embedder", "embedder", out, shape, answer, more)


def pad(net: nn.Module, out: Path) -> None:
    """The presentation attack detector."""
    shape = layout(looks.SIZE, looks.SIZE)
    answer = save(net, out / "courtyard_pad.onnx", shape, ["probabilities"])
    enter("courtyard_pad", "pad", out, shape, answer, f"crop_scale = {scenes.PAD_SCALE}\nbona_fide = 1")


def detector(net: nn.Module, out: Path) -> None:
    """The detector, of any size in steps of 32 px."""
    shape = layout(*scenes.CANVAS)
    names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
    answer = save(net, out / "courtyard_detector.onnx", shape, names, any_size=True)
    enter("courtyard_detector", "detector", out, shape, answer, f"second_look = {scenes.LOOK}")


def enter(name: str, role: str, out: Path, shape: InputLayout, answer: str, more: str) -> None:
    """Put the model's entry into the manifest, in the place of the one before."""
    digest = hashlib.sha256((out / f"{name}.onnx").read_bytes()).hexdigest()
    entry = (
        f'[models.{name}]\nrole = "{role}"\nfile = "{name}.onnx"\nsha256 = "{digest}"\nlicence = "{LICENCE}"\n'
        f'grade = "demo"\nmeasured = "{MEASURED}"\n{more}\n{answer}\n'
        f'input = {{ name = "input", size = [{shape.size[0]}, {shape.size[1]}], order = "rgb", {PLAIN} }}\n'
    )
    text = MANIFEST.read_text()
    old = re.compile(rf"\[models\.{name}\]\n(?:(?!\[).*\n)*", re.MULTILINE)
    text = old.sub(lambda _: entry + "\n", text) if old.search(text) else text.rstrip("\n") + "\n\n" + entry
    MANIFEST.write_text(text.rstrip("\n") + "\n")
    print(f"wrote {out / name}.onnx")
