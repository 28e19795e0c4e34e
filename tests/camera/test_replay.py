"""Recordings in place of a camera: in real time, newest frame first, once or in a loop."""

import itertools
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from contracts.camera import PATIENCE_S, CameraContract

import gated.camera.recording
from gated.camera import open_camera
from gated.camera.recording import shots
from gated.camera.replay import ReplayCamera
from gated.config import CameraSettings
from gated.errors import CameraError

RED, GREEN, BLUE, GREY = (250, 0, 0), (0, 250, 0), (0, 0, 250), (128, 128, 128)


@pytest.fixture
def folder(tmp_path, picture):
    """A folder with three pictures and some other files."""
    picture("2.PNG", GREEN)
    picture("10.png", BLUE)
    picture("1.png", RED)
    (tmp_path / "._1.png").write_bytes(b"left by a Mac")
    (tmp_path / "notes.txt").write_text("who is who")
    return tmp_path


@pytest.fixture
def write_video(tmp_path):
    """Return a function that encodes a video of plain colours, each shown from its time (ms) on."""

    def write(colours, starts_ms, name="a.mp4", size=(64, 48)):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=1000)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for colour, start in zip(colours, starts_ms, strict=True):
                frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), colour, np.uint8), format="rgb24")
                frame.pts = start
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only while the code waits."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def replay(path, clock=None, **settings):
    camera = ReplayCamera(CameraSettings(kind="replay", path=str(path), **settings))
    if clock is not None:
        wait = camera._closed.wait

        def step(seconds):
            clock.now += seconds
            return wait(0)

        camera._closed.wait = step
    camera.open()
    return camera


def colour(frame):
    return tuple(int(c) for c in frame.main[10, 10])


def near(frame, expected, slack=30):
    """Return whether a frame has a colour, within the error of a video codec."""
    return np.abs(np.subtract(colour(frame), expected)).max() <= slack


class TestPictures(CameraContract):
    @pytest.fixture
    def camera(self, folder):
        return ReplayCamera(CameraSettings(kind="replay", path=str(folder), fps=20, hold_s=0.3, loop=True))


class TestVideo(CameraContract):
    @pytest.fixture
    def camera(self, write_video):
        path = write_video([RED, GREEN, BLUE] * 10, range(0, 1500, 50))
        return ReplayCamera(CameraSettings(kind="replay", path=str(path), fps=20, loop=True))


def test_the_settings_select_this_camera(folder):
    camera = open_camera(CameraSettings(kind="replay", path=str(folder)))
    assert camera.name == f"replay of {folder.name}"


def test_pictures_are_shown_in_the_order_of_their_names_for_hold_s(folder, clock):
    camera = replay(folder, clock, fps=10, hold_s=0.3)
    frames = [camera.frame(1.0) for _ in range(9)]
    assert [colour(f) for f in frames] == [RED] * 3 + [BLUE] * 3 + [GREEN] * 3
    assert [f.number for f in frames] == list(range(9))


def test_the_schedule_does_not_drift(folder, clock):
    camera = replay(folder, clock, fps=7, loop=True)
    for number in range(5000):
        frame = camera.frame(1.0)
        assert frame.number == number
        assert frame.at == pytest.approx(1000.0 + number / 7, abs=1e-9)
        clock.now += 0.01


def test_a_slow_reader_skips_to_the_frame_that_is_due(folder, clock):
    camera = replay(folder, clock, fps=10, hold_s=1.0)
    assert camera.frame(1.0).number == 0
    clock.now += 2.55
    frame = camera.frame(1.0)
    assert (frame.number, colour(frame)) == (25, GREEN)
    assert frame.at == pytest.approx(1002.5)


def test_after_the_end_grey_frames_follow_for_ever(folder, clock):
    camera = replay(folder, clock, fps=10, hold_s=0.2)
    for _ in range(6):
        camera.frame(1.0)
        assert not camera.exhausted
    after = [camera.frame(1.0) for _ in range(20)]
    assert camera.exhausted
    assert all((f.main == 128).all() for f in after)
    assert after[-1].number == 25


def test_a_loop_never_ends(folder, clock):
    camera = replay(folder, clock, fps=10, hold_s=0.1, loop=True)
    seen = [colour(camera.frame(1.0)) for _ in range(30)]
    assert seen == [RED, BLUE, GREEN] * 10
    assert not camera.exhausted


def test_a_reopened_recording_begins_again(folder, clock):
    camera = replay(folder, clock, fps=10, hold_s=0.1)
    for _ in range(5):
        camera.frame(1.0)
    assert camera.exhausted
    camera.close()
    camera.open()
    assert colour(camera.frame(1.0)) == RED
    assert not camera.exhausted


def test_a_single_picture_is_a_recording(picture, clock):
    camera = replay(picture("alone.jpg", RED, quality=95), clock, fps=10, hold_s=0.2)
    assert [near(camera.frame(1.0), c) for c in (RED, RED, GREY)] == [True] * 3


def test_a_large_picture_is_shown_at_1280(picture, clock):
    assert replay(picture("large.png", size=(2000, 1000)), clock).frame(1.0).main.shape == (640, 1280, 3)


def test_a_picture_is_decoded_and_scaled_once_while_it_is_shown(folder, clock, monkeypatch):
    camera = replay(folder, clock, fps=10, hold_s=1.0)
    loaded = []
    load = gated.camera.recording.load_picture
    monkeypatch.setattr(gated.camera.recording, "load_picture", lambda p: loaded.append(p.name) or load(p))
    frames = [camera.frame(1.0) for _ in range(15)]
    assert loaded == ["1.png", "10.png"]
    assert frames[0].lores is frames[9].lores


def test_a_picture_that_is_not_due_is_not_decoded(folder, clock, monkeypatch):
    camera = replay(folder, clock, fps=10, hold_s=1.0)
    loaded = []
    load = gated.camera.recording.load_picture
    monkeypatch.setattr(gated.camera.recording, "load_picture", lambda p: loaded.append(p.name) or load(p))
    clock.now += 2.0
    camera.frame(1.0)
    assert loaded == ["2.PNG"]


def test_a_frame_that_is_not_due_in_time_raises(folder, clock):
    camera = replay(folder, clock, fps=1)
    camera.frame(0.0)
    with pytest.raises(CameraError, match=r"no frame within 0.5 s; camera.fps is 1"):
        camera.frame(0.5)
    assert camera.frame(1.0).number == 1


def test_a_damaged_picture_is_named_when_the_camera_opens(folder):
    (folder / "5.jpg").write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(CameraError, match=r"cannot be shown: .*5\.jpg: is a damaged or incomplete JPEG picture"):
        replay(folder)


def test_a_picture_removed_later_raises_when_it_is_due(folder, clock):
    camera = replay(folder, clock, fps=1, hold_s=1.0)
    (folder / "10.png").unlink()
    camera.frame(1.0)
    with pytest.raises(CameraError, match=r"10\.png: is not a file"):
        camera.frame(1.0)


@pytest.mark.parametrize("name", ["gone", "gone.jpg", "gone.mp4"])
def test_a_missing_recording_is_refused(tmp_path, name):
    with pytest.raises(CameraError, match=f"camera.path: .*{name} does not exist; name a folder"):
        replay(tmp_path / name)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(CameraError, match="there is no picture in"):
        replay(tmp_path)


def test_a_video_keeps_its_own_times(write_video, clock):
    path = write_video([RED, GREEN, BLUE], [0, 250, 900])
    camera = replay(path, clock, fps=10)
    seen = [camera.frame(1.0) for _ in range(10)]
    assert all(near(f, RED) for f in seen[:3])
    assert all(near(f, GREEN) for f in seen[3:9])
    assert near(seen[9], BLUE)


def test_a_video_ends_in_grey_frames(write_video, clock):
    camera = replay(write_video([RED, GREEN], [0, 100]), clock, fps=10)
    frames = list(itertools.islice(iter(lambda: camera.frame(1.0), None), 60))
    assert camera.exhausted
    assert near(frames[0], RED)
    assert colour(frames[-1]) == GREY


def test_a_video_in_a_loop_begins_again(write_video, clock):
    camera = replay(write_video([RED, GREEN, BLUE], [0, 100, 200]), clock, fps=10, loop=True)
    frames = [camera.frame(1.0) for _ in range(200)]
    assert sum(near(f, RED) for f in frames) > 10
    assert not camera.exhausted


def test_a_video_of_zero_length_advances_in_a_loop(tmp_path):
    """One picture of 0.1 ms in a container with a resolution of 1 ms has a duration of 0."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10_000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode())
    rounds = [shot.begins_s for shot in itertools.islice(shots(path, hold_s=1.0, loop=True), 5)]
    assert rounds == pytest.approx([0.0, 0.001, 0.002, 0.003, 0.004])


def test_only_frames_that_are_due_are_converted(write_video, monkeypatch, clock):
    converted = []
    upright = gated.camera.recording._upright
    monkeypatch.setattr(gated.camera.recording, "_upright", lambda f: converted.append(f.pts) or upright(f))
    camera = replay(write_video([RED] * 100, range(0, 1000, 10)), clock, fps=10)
    for _ in range(10):
        camera.frame(1.0)
    assert len(converted) == 10


def test_a_long_video_is_decoded_step_by_step(write_video):
    """Only the current and the next frame are decoded: the generator does not run ahead."""
    recording = shots(write_video([RED, GREEN] * 50, range(0, 1000, 10)), hold_s=1.0, loop=False)
    first = next(recording)
    assert first.begins_s == 0.0
    assert recording.gi_frame is not None
    assert [s.begins_s for s in itertools.islice(recording, 3)] == pytest.approx([0.01, 0.02, 0.03])


def test_a_portrait_video_of_a_phone_is_shown_upright(write_video, clock):
    """The track matrix (ISO 14496-12, tkhd) turns the stored picture by 90 degrees clockwise."""
    path = write_video([RED], [0], size=(96, 48))
    left_red = np.zeros((48, 96, 3), np.uint8)
    left_red[:, :48] = RED
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(left_red, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 0x10000
    data[matrix : matrix + 36] = b"".join(
        v.to_bytes(4, "big", signed=True) for v in (0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    )
    path.write_bytes(data)
    frame = replay(path, clock).frame(1.0)
    assert frame.main.shape == (96, 48, 3)
    assert frame.main[:40, :, 0].min() > 200, "the left side is now at the top"
    assert frame.main[56:, :, 0].max() < 50


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(5000)])
def test_a_file_that_is_not_a_video_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(CameraError, match=r"a\.mp4: is not a video, or is damaged .*save it as MP4"):
        replay(tmp_path / "a.mp4")


def test_a_sound_file_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(CameraError, match="is not a video"):
        replay(path)


def test_without_pyav_the_error_names_the_package(write_video, monkeypatch):
    path = write_video([RED], [0])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CameraError, match=r"pip install 'gated\[video\]'"):
        replay(path)


def test_pictures_do_not_need_pyav(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert colour(replay(folder).frame(PATIENCE_S)) == RED


def test_frames_are_spaced_in_real_time(folder):
    camera = replay(folder, fps=50, loop=True)
    begun = time.monotonic()
    last = [camera.frame(PATIENCE_S) for _ in range(11)][-1]
    assert time.monotonic() - begun >= 0.19
    assert last.at <= time.monotonic()


def test_closing_closes_the_video_file(write_video):
    path = write_video([RED, GREEN] * 20, range(0, 2000, 50))
    camera = replay(path)
    camera.frame(PATIENCE_S)
    camera.close()
    assert str(path) not in {str(link.resolve()) for link in Path("/proc/self/fd").iterdir()}
