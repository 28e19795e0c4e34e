"""The real picamera2 (from PyPI) over a stand-in for libcamera: buffers, strides, colours, hangs and errors."""

import ast
import gc
import inspect
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contracts.camera import PATIENCE_S, CameraContract
from hypothesis import given
from hypothesis import strategies as st

import gated.camera.picamera
from gated.camera import open_camera
from gated.camera.picamera import PicameraCamera, exposure_at, without_padding
from gated.config import CameraSettings
from gated.errors import CameraError
from gated.frame import i420_from_rgb


def wait_for(condition, what):
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, f"waited in vain until {what}"
        time.sleep(0.01)


@pytest.fixture
def camera(bench, pi_settings, monkeypatch):
    """A camera over the stand-in, with short pauses before it is opened again."""
    monkeypatch.setattr(gated.camera.picamera, "FIRST_PAUSE_S", 0.05)
    camera = PicameraCamera(pi_settings)
    yield camera
    bench.reset()
    camera.close()


class TestContract(CameraContract):
    """The contract of every camera."""


def test_the_settings_select_this_camera(bench):
    assert open_camera(CameraSettings()).name == "picamera2 camera 0"


def test_main_is_red_green_blue_without_row_padding(camera):
    from libcamera.bench import scene

    camera.open()
    main = camera.frame(PATIENCE_S).main
    assert main.shape[1] * 3 % 64, "the test wants padded rows"
    assert (main == scene(main.shape[1], main.shape[0])).all()


def test_lores_is_i420_without_row_padding(camera):
    from libcamera.bench import scene_i420

    camera.open()
    frame = camera.frame(PATIENCE_S)
    assert frame.lores_size[0] % 64, "the test wants padded rows"
    assert (frame.lores == scene_i420(*frame.lores_size)).all()


def test_the_frame_rate_is_that_of_the_settings(camera, bench):
    camera.open()
    assert bench.limits_us == (33_333, 33_333)


class TestOnTheRealPicamera2:
    @pytest.fixture
    def camera(self, bench):
        camera = PicameraCamera(CameraSettings(fps=10, width=320, height=240, timeout_s=5.0))
        yield camera
        bench.reset()
        camera.close()

    def test_a_module_with_a_lens_motor_focuses_continuously(self, camera, bench):
        bench.has_motor = True
        camera.open()
        notes = {note.part: note.text for note in camera.frame(PATIENCE_S).notes}
        assert (bench.asked["AfMode"], bench.asked["AeFlickerMode"], bench.asked["AeFlickerPeriod"]) == (2, 1, 10_000)
        assert notes["autofocus"] == "continuous, in focus at 1.2 m"
        assert notes["flicker"] == "lamp flicker at 50 Hz mains is avoided"
        assert notes["exposure"] == "at most 33 ms, then gain"

    def test_a_module_without_a_lens_motor_gets_no_focus_control(self, camera, bench):
        bench.knows_flicker = False
        camera.open()
        notes = {note.part: note for note in camera.frame(PATIENCE_S).notes}
        assert not {"AfMode", "AeFlickerMode", "AeFlickerPeriod"} & set(bench.asked)
        assert "has none" in notes["autofocus"].text
        assert not notes["flicker"].is_fine

    def test_the_sensor_is_faster_than_the_frame_rate(self, camera, bench):
        camera.open()
        assert bench.limits_us == (33_333, 33_333)
        camera.frame(PATIENCE_S)
        begun = time.monotonic()
        taken = [camera.frame(PATIENCE_S).at for _ in range(6)]
        assert time.monotonic() - begun >= 0.45, "never more than `fps`"
        assert taken[-1] - taken[0] >= 0.4, "the exposures are as far apart on average"


def test_a_frame_carries_the_time_of_its_exposure(camera, bench):
    bench.age_s = 100.0
    camera.open()
    before = time.monotonic()
    at = camera.frame(PATIENCE_S).at
    assert before - 110 < at <= time.monotonic() - 100


def test_without_a_timestamp_the_arrival_time_is_used(camera, bench):
    bench.has_timestamps = False
    before = time.monotonic()
    camera.open()
    assert before <= camera.frame(PATIENCE_S).at <= time.monotonic()


def test_every_buffer_is_returned_to_the_sensor(bench):
    camera = PicameraCamera(CameraSettings(fps=30, width=320, height=240, timeout_s=PATIENCE_S))
    camera.open()
    numbers = [camera.frame(PATIENCE_S).number for _ in range(12)]
    assert numbers[-1] >= 11, "more frames than buffers"
    assert bench.starts == 1, "without a reopening"
    bench.delivering.clear()
    wait_for(lambda: bench.queued == 4, "all four buffers are queued")
    bench.delivering.set()
    camera.close()


def test_the_stand_in_starves_when_buffers_are_kept(bench):
    from picamera2 import Picamera2

    driver = Picamera2()
    driver.configure(driver.create_video_configuration(buffer_count=3))
    driver.start()
    held = [driver.capture_request() for _ in range(3)]
    with pytest.raises(TimeoutError):
        driver.capture_request(wait=0.3)
    assert bench.starved
    driver.cancel_all_and_flush()
    held.pop().release()
    driver.capture_request(wait=PATIENCE_S).release()
    driver.close()


def test_a_hanging_camera_is_an_error_and_is_opened_again(camera, bench):
    camera.open()
    last = camera.frame(PATIENCE_S)
    bench.delivering.clear()
    wait_for(lambda: bench.starts >= 2, "it was opened again")
    with suppress(CameraError):
        camera.frame(0.0)  # the last one before it hung
    with pytest.raises(CameraError, match="no frame"):
        camera.frame(0.1)
    bench.delivering.set()
    after = camera.frame(PATIENCE_S)
    assert after.number > last.number
    assert after.at > last.at


def test_each_reopening_waits_longer(camera, bench, monkeypatch, caplog):
    monkeypatch.setattr(gated.camera.picamera, "LONGEST_PAUSE_S", 0.2)
    camera.open()
    bench.delivering.clear()
    wait_for(lambda: bench.starts >= 5, "it was opened four times more")
    pauses = [r.args[1] for r in caplog.records if "opening it again" in r.msg]
    for pause_s, longest_s in zip(pauses, [0.05, 0.1, 0.2, 0.2], strict=False):
        assert longest_s / 2 <= pause_s <= longest_s


def test_a_camera_unplugged_and_plugged_in_works_again(camera, bench):
    camera.open()
    bench.fitted = False
    bench.delivering.clear()
    wait_for(lambda: "No camera number" in camera._trouble, "it was missed")
    with pytest.raises(CameraError, match=r"No camera number.*check its cable"):
        camera.frame(0.0)
    bench.fitted = True
    bench.delivering.set()
    assert camera.frame(PATIENCE_S).main.any()


def test_a_request_is_released_when_copying_fails(camera, bench):
    camera.open()
    camera.frame(PATIENCE_S)
    bench.metadata_fails = True
    wait_for(lambda: bench.starts >= 2, "it was opened again")
    bench.metadata_fails = False
    assert camera.frame(PATIENCE_S).main.any()
    assert bench.releases >= 1


def test_a_request_that_completes_at_the_timeout_is_released(pi_settings):
    """The worst case: the job gets its request after the timeout, before the driver is stopped."""
    done = []

    class LateJob:
        def get_result(self, timeout):
            if timeout:
                raise TimeoutError
            return self

        def release(self):
            done.append("release")

    class Driver:
        def capture_request(self, wait):
            return LateJob()

        def cancel_all_and_flush(self):
            done.append("cancel")

        def stop(self):
            done.append("stop")

    with pytest.raises(CameraError, match=r"no frame for 0\.5 s"):
        PicameraCamera(pi_settings)._capture(Driver())
    assert done == ["cancel", "stop", "release"], "a request may still come until the driver has stopped"


def test_the_real_cancelled_job_raises(bench):
    from picamera2.job import Job

    job = Job([lambda: (True, None)])
    with pytest.raises(TimeoutError):
        job.get_result(timeout=0)
    job.cancel()
    with pytest.raises(CancelledError):
        job.get_result(timeout=0)


@pytest.mark.parametrize("wrong", ["fitted", "busy", "only_format"])
def test_a_camera_that_cannot_be_opened_is_named_with_the_reason(camera, bench, wrong):
    setattr(bench, wrong, {"fitted": False, "busy": True, "only_format": "YUYV"}[wrong])
    reason = {"fitted": "No camera number 0", "busy": "resource busy", "only_format": "it gives YUYV"}[wrong]
    with pytest.raises(CameraError, match=reason):
        camera.open()
    bench.reset()
    camera.open()
    assert camera.frame(PATIENCE_S).main.any()


def test_one_camera_cannot_be_opened_twice(camera, bench, pi_settings):
    camera.open()
    with pytest.raises(CameraError, match="resource busy"):
        PicameraCamera(pi_settings).open()
    assert camera.frame(PATIENCE_S).main.any()


@pytest.mark.parametrize("module", ["picamera2", "libcamera"])
def test_without_the_packages_the_error_names_them(module, monkeypatch, pi_settings):
    for name in [n for n in sys.modules if n.split(".")[0] in ("picamera2", "libcamera")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CameraError, match="apt-get install python3-picamera2"):
        PicameraCamera(pi_settings).open()


def descriptors():
    """Return the target of each open descriptor. Frees the event loops of closed drivers: they are in cycles."""
    gc.collect()
    return open_files()


def open_files():
    """Return the target of each open descriptor, sorted."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of this directory
            found.append(str(link.readlink()))
    return sorted(found)


def dma_descriptors():
    """Return the descriptors of the heap (`kernel_dma.install`) and of its buffers."""
    return [name for name in open_files() if name == "/dev/zero" or "dma-buf" in name]


class TestNothingLeaks:
    @pytest.fixture
    def camera(self, bench, monkeypatch):
        """A camera whose frames may come late: a slow machine causes no reopening."""
        monkeypatch.setattr(gated.camera.picamera, "FIRST_PAUSE_S", 0.05)
        camera = PicameraCamera(CameraSettings(fps=30, width=320, height=240, timeout_s=PATIENCE_S))
        camera.open()
        camera.frame(PATIENCE_S)
        camera.close()
        yield camera
        bench.reset()
        camera.close()

    def test_opening_and_closing_leaks_nothing(self, camera):
        before = descriptors(), threading.active_count()
        for _ in range(4):
            camera.open()
            camera.frame(PATIENCE_S)
            camera.close()
        assert (descriptors(), threading.active_count()) == before

    def test_a_reopening_leaks_nothing_although_the_errors_are_kept(self, camera, bench, caplog):
        before = descriptors(), threading.active_count()
        camera.open()
        for starts in (2, 3, 4):
            bench.metadata_fails = True
            wait_for(lambda n=starts: bench.starts > n, "it was opened again")
            bench.metadata_fails = False
            camera.frame(PATIENCE_S)
        camera.close()
        assert "opening it again" in caplog.text, "the test log keeps every argument"
        assert (descriptors(), threading.active_count()) == before

    @pytest.fixture
    def no_search_for_cycles(self):
        gc.collect()
        gc.disable()
        yield
        gc.enable()

    @pytest.mark.usefixtures("no_search_for_cycles")
    def test_a_closed_driver_frees_its_memory_at_once(self, camera):
        camera.open()
        camera.frame(PATIENCE_S)
        assert dma_descriptors(), "a running driver holds some"
        camera.close()
        assert not dma_descriptors()

    @pytest.mark.usefixtures("no_search_for_cycles")
    def test_a_failed_driver_holds_no_memory_during_the_pause(self, camera, bench, monkeypatch):
        for name in ("FIRST_PAUSE_S", "LONGEST_PAUSE_S"):
            monkeypatch.setattr(gated.camera.picamera, name, 4 * PATIENCE_S)
        camera.open()
        bench.metadata_fails = True
        wait_for(lambda: "metadata is gone" in camera._trouble, "it failed")
        wait_for(lambda: not dma_descriptors(), "its buffers were freed")

    @pytest.mark.parametrize("wrong", ["fitted", "busy"])
    def test_a_failed_opening_leaks_nothing(self, camera, bench, wrong):
        before = descriptors()
        setattr(bench, wrong, wrong == "busy")
        for _ in range(3):
            with pytest.raises(CameraError):
                camera.open()
        assert descriptors() == before


def test_closing_a_hanging_driver_returns_and_is_logged(bench, pi_settings, monkeypatch, caplog):
    monkeypatch.setattr(gated.camera.picamera, "CLOSE_S", 0.2)
    camera = PicameraCamera(pi_settings)
    camera.open()
    thread = camera._thread
    bench.driver_answers.clear()
    with caplog.at_level(logging.ERROR):
        camera.close()
    assert "hangs" in caplog.text
    assert thread.is_alive()
    bench.driver_answers.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_the_thread_of_a_closed_camera_stores_no_frames(camera):
    camera.open()
    left = threading.Event()
    left.set()
    camera._store(replace(camera.frame(PATIENCE_S), number=-1), left)
    assert camera.frame(PATIENCE_S).number > 0


def test_a_driver_that_fails_to_stop_is_logged_and_the_thread_continues(camera, bench, caplog):
    camera.open()
    bench.stop_fails = True
    bench.delivering.clear()
    wait_for(lambda: "resource busy" in camera._trouble, "the reopening failed")
    assert "Input/output error" in caplog.text


HANGING = """
import sys
sys.path[:0] = sys.argv[1:]
import kernel_dma
from libcamera.bench import bench
import gated.camera.picamera as picamera
from gated.config import CameraSettings
kernel_dma.install()
picamera.CLOSE_S = 0.1
camera = picamera.PicameraCamera(CameraSettings(fps=30, width=640, height=480, timeout_s=0.5))
camera.open()
camera.frame(20)
bench.driver_answers.clear()
camera.close()
print("closed")
"""


def test_a_process_with_a_hanging_driver_still_ends():
    pi = Path(__file__).parent / "pi"
    done = subprocess.run(
        [sys.executable, "-c", HANGING, str(pi), str(pi.parents[2])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


def calls_to(*names):
    """Return the methods that gated/camera/picamera.py calls on these local names."""
    for node in ast.walk(ast.parse(Path(gated.camera.picamera.__file__).read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) in names
        ):
            yield node.func.attr, len(node.args), [keyword.arg for keyword in node.keywords]


@pytest.mark.parametrize(
    ("names", "kind", "least"),
    [(["driver"], "Picamera2", 8), (["request"], "CompletedRequest", 3), (["job"], "Job", 1)],
)
def test_every_called_method_exists_in_the_real_package(bench, names, kind, least):
    from picamera2 import CompletedRequest, Picamera2
    from picamera2.job import Job

    real = {"Picamera2": Picamera2, "CompletedRequest": CompletedRequest, "Job": Job}[kind]
    calls = list(calls_to(*names))
    assert len({name for name, *_ in calls}) >= least
    for name, positional, keywords in calls:
        signature = inspect.signature(getattr(real, name))
        signature.bind(None, *range(positional), **dict.fromkeys(keywords))


def test_the_package_is_the_real_one(bench):
    import picamera2

    assert "site-packages" in picamera2.__file__


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 30), st.integers(0, 255))
def test_padding_is_removed_from_every_plane(half_width, quarter_height, padding, filler):
    width, height = 2 * half_width, 4 * quarter_height
    rgb = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    i420 = i420_from_rgb(rgb)
    padded = np.full((height * 3 // 2, width + 2 * padding), filler, np.uint8)
    padded[:height, :width] = i420[:height]
    padded[height:].reshape(height, -1)[:, :half_width] = i420[height:].reshape(height, -1)
    assert (without_padding(padded, width, height) == i420).all()


@given(st.integers(-(10**12), 10**15))
def test_no_timestamp_makes_a_frame_in_the_future(offset_ns):
    assert exposure_at(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - offset_ns) <= time.monotonic()
