import numpy as np
import pytest

from gated.face.motion import AT_LEAST_S, LATELY_S, MotionGate

RNG = np.random.default_rng(0)
VIEW = RNG.integers(40, 200, (240, 320)).astype(np.uint8)


def settled(view=VIEW) -> tuple[MotionGate, float]:
    """A gate that has seen nothing move for ten seconds, and the time."""
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


def test_the_first_frame_is_looked_at():
    assert MotionGate().wants(VIEW, 0.0, tracking=False)


def test_a_still_view_is_looked_at_once_a_second():
    gate, now = settled()
    looked = looks(gate, [VIEW] * 100, now)
    assert 9 <= sum(looked) <= 11


def test_somebody_who_comes_is_looked_at_in_that_frame():
    gate, now = settled()
    gate.wants(VIEW, now + AT_LEAST_S, tracking=False)  # the regular look has just been
    assert gate.wants(with_person(), now + AT_LEAST_S + 0.1, tracking=False)


def test_after_a_movement_looking_goes_on_for_a_while():
    gate, now = settled()
    gate.wants(with_person(), now + 0.1, tracking=False)
    looked = looks(gate, [VIEW] * 60, now + 0.1)
    assert all(looked[: int(LATELY_S * 10) - 1])
    assert not all(looked[-20:])


def test_while_a_face_is_tracked_every_frame_is_looked_at():
    gate, now = settled()
    assert all(looks(gate, [VIEW] * 50, now, tracking=True))


@pytest.mark.parametrize("shift", [-30, 25])
def test_a_change_of_light_is_no_movement(shift):
    gate, now = settled()
    gate.wants(VIEW, now + AT_LEAST_S, tracking=False)
    brighter = (VIEW.astype(int) + shift).astype(np.uint8)
    assert not gate.wants(brighter, now + AT_LEAST_S + 0.1, tracking=False)


def test_a_sensors_noise_is_no_movement():
    gate, now = settled()
    noisy = [np.clip(VIEW + RNG.normal(0, 3, VIEW.shape), 0, 255).astype(np.uint8) for _ in range(50)]
    assert sum(looks(gate, noisy, now)) <= 6


def test_what_stays_becomes_background():
    gate, now = settled()
    parked = [with_person()] * 300
    looked = looks(gate, parked, now)
    assert looked[0]
    assert sum(looked[-50:]) <= 6


def test_another_size_starts_anew():
    gate, now = settled()
    assert gate.wants(VIEW[:120, :160], now + 0.1, tracking=False)


@pytest.mark.parametrize("shape", [(2, 2), (4, 320), (1, 1), (1080, 1920)])
def test_any_size_will_do(shape):
    gate = MotionGate()
    for i in range(5):
        gate.wants(np.full(shape, 90, np.uint8), float(i), tracking=False)


def test_a_clock_that_stands_still_is_no_trouble():
    gate = MotionGate()
    for _ in range(5):
        gate.wants(VIEW, 1.0, tracking=False)
