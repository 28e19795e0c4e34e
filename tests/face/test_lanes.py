"""Networks run side by side, on as many threads as the machine has cores, with the results of one thread."""

import os
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import FaceSettings
from gated.errors import EmbeddingError
from gated.face.lanes import MOST, Lanes, available_cores, lanes_for, threads_for
from gated.face.pipeline import load_pipeline

PORTRAITS = ("biden_1", "obama_2", "stranger_1", "pad_bona_fide", "pad_attack")
HERE, THERE = (420, 480), (900, 480)


@given(st.integers(1, 8), st.integers(1, 64))
def test_threads_of_all_lanes_never_outnumber_the_cores_unless_one_network_does(threads, cores):
    lanes = lanes_for(threads, cores)
    assert 1 <= lanes <= MOST
    assert lanes * threads <= cores or lanes == 1


def test_a_pi_with_four_cores_has_two_lanes_of_two_threads_and_one_core_has_one_thread():
    assert [(threads_for(cores), lanes_for(threads_for(cores), cores)) for cores in (1, 2, 4)] == [
        (1, 1),
        (2, 1),
        (2, 2),
    ]
    assert [lanes_for(threads, 4) for threads in (1, 2, 3, 4, 8)] == [4, 2, 1, 1, 1]
    assert available_cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_results_come_in_the_order_of_their_jobs(count):
    lanes = Lanes(count)
    waits = [lanes.start(partial(int, number)) for number in range(20)]
    assert [wait() for wait in waits] == list(range(20))
    lanes.finish()


def test_one_lane_starts_no_thread():
    job = Lanes(1).start(threading.get_ident)
    assert job() == threading.get_ident()


def test_two_lanes_run_two_jobs_at_a_time():
    """Each job waits for the other one, so one lane could not finish."""
    both, lanes = threading.Barrier(2), Lanes(2)
    waits = [lanes.start(partial(both.wait, 60)) for _ in range(2)]
    assert sorted(wait() for wait in waits) == [0, 1]


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_reaches_the_caller(count):
    wait = Lanes(count).start(partial(int, "no number"))
    with pytest.raises(ValueError, match="no number"):
        wait()


def test_finish_waits_for_every_job():
    lanes, done = Lanes(2), []
    for number in range(4):
        lanes.start(lambda number=number: (time.sleep(0.01), done.append(number)))
    lanes.finish()
    assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_every_number_of_cores_gives_the_same_observations(tiny_pair, view, cores):
    settings = FaceSettings(max_saturated=0.9)
    one, more = (load_pipeline(tiny_pair, settings, cores=n) for n in (1, cores))
    for frame in (view(HERE, THERE), view(THERE, person=4), view()):
        assert one.analyse_photo(frame).observations == more.analyse_photo(frame).observations


def test_after_an_error_in_one_network_the_next_face_is_right(tiny_pair, view):
    pipeline = load_pipeline(tiny_pair, FaceSettings(max_saturated=0.9), cores=4)
    before = pipeline.analyse_photo(view(HERE)).observations
    second = pipeline.embedders[1]
    align, second.align = second.align, lambda *_: None
    with pytest.raises(EmbeddingError):
        pipeline.analyse_photo(view(HERE))
    second.align = align
    assert pipeline.analyse_photo(view(HERE)).observations == before


@pytest.mark.slow
def test_the_site_set_scores_the_same_on_one_core_and_on_four(site_models, picture):
    one, four = (load_pipeline(site_models, FaceSettings(), cores=cores) for cores in (1, 4))
    for name in PORTRAITS:
        a, b = (each.analyse_photo(picture(name)).observations[0] for each in (one, four))
        np.testing.assert_allclose(a.box, b.box, atol=1e-3)
        assert a.pad_score == pytest.approx(b.pad_score, abs=1e-5)
        np.testing.assert_allclose(np.frombuffer(a.embedding, "<f4"), np.frombuffer(b.embedding, "<f4"), atol=1e-5)


CONFINED = """
from gated.config import CameraSettings, FaceSettings, ModelSettings
from gated.face.vision_messages import VisionSettings
from gated.sandbox import confine
models = ModelSettings(set="courtyard")
confine(VisionSettings(CameraSettings(), models, FaceSettings()))
from gated.face.frame_bench import bench
from gated.face.pipeline import load_pipeline
print(bench(load_pipeline(models, FaceSettings(), cores=4), rounds=2).faces)
"""


def test_all_lanes_run_in_a_confined_process():
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.strip(), done.returncode) == ("1", 0), done.stderr
