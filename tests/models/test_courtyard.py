"""Tests the models that ship: small, of demo grade, proved, and good enough to try a gate. No other files are
needed.
"""

import time
from pathlib import Path

import numpy as np
import pytest

from gated.config import FaceSettings, ModelSettings
from gated.evaluation.courtyard import STRANGERS_FROM, Courtyard
from gated.evaluation.staging import enrolment_pictures, frames
from gated.face.manifest import folder_of, load_set
from gated.face.pipeline import load_pipeline

COURTYARD = ModelSettings(set="courtyard")


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(COURTYARD, FaceSettings())


def test_the_files_are_in_the_clone_and_small(pipeline):
    chosen = load_set(COURTYARD)
    folder = folder_of(COURTYARD, chosen)
    assert folder.resolve() == Path(__file__).parents[2] / "models" / "courtyard"
    assert sum((folder / entry.file).stat().st_size for entry in chosen.models) <= 3_000_000


def test_every_model_of_it_is_of_demo_grade():
    chosen = load_set(COURTYARD)
    assert {chosen.grade, *(entry.grade for entry in chosen.models)} == {"demo"}


def test_the_courtyard_set_is_refused_with_a_real_relay_and_names_the_next_step(gate):
    gate.write(models={"set": "courtyard"}, door={"pins": "gpio"}, camera={"path": str(gate.folder)})
    done = gate.run("check", check=3)
    output = done.stdout + done.stderr
    assert "never drives a real lock" in output
    assert 'pins = "mock"' in output
    assert not gate.trace()


def test_a_gate_with_a_real_relay_works_without_the_demo_set_and_logs_it_once(gate, wait_for):
    """The latch has mock pins here; the brain's settings name real pins."""
    (gate.folder / "frames").mkdir()
    gate.start("latch")
    wait_for((gate.state / "latch.sock").exists)
    gate.write(models={"set": "courtyard"}, door={"pins": "gpio"})
    brain = gate.start("run", "--service")
    wait_for(lambda: "on duty" in gate.log())
    time.sleep(2.0)  # the brain has looked for the models again by now
    assert brain.poll() is None
    assert gate.log().count("vision is lost: models: 'courtyard' is for demonstration and never drives") == 1
    assert gate.log().count("never drives a real lock") == 2, "the other is the fact in the journal"
    assert gate.children("vision") == []
    assert "onnx" not in Path(f"/proc/{brain.pid}/maps").read_text()
    assert not any(each["on"] for each in gate.trace())
    brain.terminate()
    assert brain.wait(10) == 0
    assert gate.events("degraded")[0]["lost"] == ["vision"]
    assert gate.events("way_granted", "way_denied", "door_released") == []


def test_residents_are_nearer_to_themselves_than_to_strangers(pipeline):
    people = Courtyard(households=4, people=8, visits=0, strangers=0, attacks=0, seed=9).residents()
    vectors = []
    for person in people:
        seen = [pipeline.analyse_photo(frame).observations for frame in enrolment_pictures(person)]
        vectors.append([np.frombuffer(faces[0].embedding, "<f4") for faces in seen if faces and faces[0].embedding])
    assert all(len(of_one) >= 3 for of_one in vectors)
    first = np.stack([of_one[0] for of_one in vectors])
    mated = [float(first[i] @ other) for i, of_one in enumerate(vectors) for other in of_one[1:]]
    stranger = [float(s) for s in (first @ first.T)[np.triu_indices(len(first), 1)]]
    print(f"mated {np.mean(mated):.2f}, non-mated {np.mean(stranger):.2f}, at most {max(stranger):.2f}")
    assert np.mean(mated) > load_set(COURTYARD).threshold > np.mean(stranger)


def test_a_visit_is_found_in_every_frame(pipeline):
    (plan,) = Courtyard(households=1, people=1, visits=1, strangers=0.0, attacks=0, seed=9).plans()
    assert plan.person.seed < STRANGERS_FROM
    assert all(len(pipeline.analyse_photo(frame).observations) == 1 for frame in frames(plan))


def test_the_courtyard_set_prints_its_time_beside_the_evaluation_set(pipeline, shared):
    """Only prints the figures, because the machine may be busy."""
    from gated.face.frame_bench import bench

    ours = bench(pipeline, rounds=20).bare_ms
    theirs = bench(load_pipeline(ModelSettings(dir=str(shared / "models")), FaceSettings()), rounds=20).bare_ms
    print(f"bare models {ours:.2f} ms beside {theirs:.2f} ms: {ours / theirs:.2f}")
    assert ours < theirs
