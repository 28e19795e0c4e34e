import numpy as np
import pytest

from gated.face.motion import ACTIVE_S, MOST_PAUSE_S, MotionGate

RNG = np.random.default_rng(0)
VIEW = RNG.integers(40, 200, (240, 320)).astype(np.uint8)


def settled(view=VIEW) -> tuple[MotionGate, float]:
    """Return a gate after ten seconds without motion, and the time."""
    gate, now = MotionGate(), 0.0
    for i in range(100):
        now = i / 10
        gate.wants(view, now, tracking=False)
    return gate, now


def looks(gate, views, now, tracking=False):
    return [gate.wants(view, now + (i + 1) / 10, tracking) for i, view in enumerate(views)]


def with_person(view=VIEW, x=150):
    changed = view.copy()
    changed[80:160, x : x + 40] = 255 - changed[80:160, x : x + 40] // 2
    return changed


def test_the_detector_runs_on_the_first_frame():
    assert MotionGate().wants(VIEW, 0.0, tracking=False)


def test_the_detector_runs_once_a_second_on_a_still_view():
    gate, now = settled()
    looked = looks(gate, [VIEW] * 100, now)
    assert 9 <= sum(looked) <= 11


def test_the_detector_runs_on_the_first_frame_of_a_person():
    gate, now = settled()
    gate.wants(VIEW, now + MOST_PAUSE_S, tracking=False)  # the regular run has just happened
    assert gate.wants(with_person(), now + MOST_PAUSE_S + 0.1, tracking=False)


def test_the_detector_runs_for_a_while_after_motion():
    gate, now = settled()
    gate.wants(with_person(), now + 0.1, tracking=False)
    looked = looks(gate, [VIEW] * 60, now + 0.1)
    assert all(looked[: int(ACTIVE_S * 10) - 1])
    assert not all(looked[-20:])


def test_the_detector_runs_on_every_frame_while_a_track_is_alive():
    gate, now = settled()
    assert all(looks(gate, [VIEW] * 50, now, tracking=True))


@pytest.mark.parametrize("shift", [-30, 25])
def test_a_change_of_light_is_not_motion(shift):
    gate, now = settled()
    gate.wants(VIEW, now + MOST_PAUSE_S, tracking=False)
    brighter = (VIEW.astype(int) + shift).astype(np.uint8)
    assert not gate.wants(brighter, now + MOST_PAUSE_S + 0.1, tracking=False)


def test_noise_of_the_sensor_is_not_motion():
    gate, now = settled()
    noisy = [np.clip(VIEW + RNG.normal(0, 3, VIEW.shape), 0, 255).astype(np.uint8) for _ in range(50)]
    assert sum(looks(gate, noisy, now)) <= 6


def test_a_lasting_change_becomes_background():
    gate, now = settled()
    parked = [with_person()] * 300
    looked = looks(gate, parked, now)
    assert looked[0]
    assert sum(looked[-50:]) <= 6


def test_another_picture_size_resets_the_background():
    gate, now = settled()
    assert gate.wants(VIEW[:120, :160], now + 0.1, tracking=False)


@pytest.mark.parametrize("shape", [(2, 2), (4, 320), (1, 1), (1080, 1920)])
def test_any_picture_size_works(shape):
    gate = MotionGate()
    for i in range(5):
        gate.wants(np.full(shape, 90, np.uint8), float(i), tracking=False)


def test_a_stopped_clock_raises_nothing():
    gate = MotionGate()
    for _ in range(5):
        gate.wants(VIEW, 1.0, tracking=False)
