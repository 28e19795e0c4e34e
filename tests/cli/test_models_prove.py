"""`gated models prove FILE` writes the known answer beside the file, or says why there is none."""

import shutil
import tomllib
from pathlib import Path

import pytest

import gated

COURTYARD = Path(gated.__file__).parents[1] / "models" / "courtyard"


@pytest.fixture
def file(gate):
    return Path(shutil.copy(COURTYARD / "courtyard_pad.onnx", gate.folder))


def test_the_known_answer_is_written_beside_the_file(gate, file):
    done = gate.run("models", "prove", file, check=0)
    beside = file.with_name("courtyard_pad.onnx.known_answer.toml")
    assert "courtyard_pad.onnx: both programs agree within" in done.stdout
    assert str(beside) in done.stdout
    answer = tomllib.loads(beside.read_text())["known_answer"]
    (name, place, value) = answer["values"][0]
    assert (name, place) == ("probabilities", 1)
    assert value == pytest.approx(0.98294, abs=1e-4)  # of the manifest
    assert 0 < answer["tolerance"] <= 0.001


def test_an_altered_file_is_refused_and_nothing_is_written(gate, file):
    file.write_bytes(file.read_bytes() + b"\0")
    done = gate.run("models", "prove", file, check=3)
    assert "its SHA-256 is" in done.stderr
    assert "the manifest's courtyard_pad.onnx has 8f863e445337dd81..." in done.stderr
    assert not file.with_name("courtyard_pad.onnx.known_answer.toml").exists()


def test_a_missing_file_is_one_clear_line(gate):
    done = gate.run("models", "prove", gate.folder / "none.onnx", check=3)
    assert done.stderr.count("\n") == 1
    assert "none.onnx: cannot be read" in done.stderr
