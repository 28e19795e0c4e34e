"""The controls of a Pi camera by module, and the notes about their state."""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.camera.tuning import MOST_EXPOSURE_US, Due, controls_for, notes_of, sensor_period_us
from gated.config import CameraSettings

ALL = ("AfMode", "AeFlickerMode", "AeFlickerPeriod", "ExposureTime")


@given(st.floats(1, 60))
def test_an_exposure_is_at_most_a_thirtieth_of_a_second_and_the_sensor_rate_a_multiple_of_fps(fps):
    period_us = sensor_period_us(fps)
    assert period_us <= MOST_EXPOSURE_US + 1
    parts = 1e6 / fps / period_us
    assert parts == pytest.approx(round(parts), abs=0.01)


@given(st.sampled_from([1.0, 5.0, 7.5, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 60.0]), st.floats(0, 0.01))
def test_frames_are_requested_at_fps(fps, busy_s):
    """Simulate a sensor, and a reader that requests a frame, takes the next one, and is busy for a while."""
    due, period_s, now, taken = Due(fps), sensor_period_us(fps) / 1e6, 0.0, []
    while now < 5:
        now += due.wait_s(now)
        now = (int(now / period_s + 1e-9) + 1) * period_s
        taken.append(now)
        now += min(busy_s, period_s / 3)
        due.update(now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(taken)]
    assert all(gap == pytest.approx(1 / fps, abs=1e-3) for gap in gaps[1:])


@pytest.mark.parametrize(("mains_hz", "period_us"), [(50, 10_000), (60, 8_333)])
def test_the_flicker_period_follows_the_mains_frequency(mains_hz, period_us):
    assert controls_for(CameraSettings(mains_hz=mains_hz), ALL)["AeFlickerPeriod"] == period_us


@given(st.sets(st.sampled_from(ALL)))
def test_only_offered_controls_are_set(offered):
    assert set(controls_for(CameraSettings(), offered)) <= offered


@dataclass
class ExpectedNote:
    """The expected part, beginning and state of a note."""

    part: str
    beginning: str
    is_fine: bool


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"AfState": 2, "LensPosition": 0.8}, ExpectedNote("autofocus", "continuous, in focus at 1.2 m", True)),
        ({"AfState": 1, "LensPosition": 0.0}, ExpectedNote("autofocus", "continuous, focusing", True)),
        ({"AfState": 3, "LensPosition": 0.8}, ExpectedNote("autofocus", "continuous, not found", False)),
        ({}, ExpectedNote("autofocus", "continuous, state unknown", True)),
        ({"FrameDuration": 33_333}, ExpectedNote("exposure", "at most 33 ms, then gain", True)),
        (
            {"FrameDuration": 100_000},
            ExpectedNote("exposure", "at most 100 ms, then gain; moving faces will be", False),
        ),
        ({}, ExpectedNote("exposure", "the camera does not report its limit", True)),
    ],
)
def test_the_notes_show_the_state_of_the_camera(metadata, expected):
    settings = CameraSettings()
    notes = {note.part: note for note in notes_of(settings, controls_for(settings, ALL), metadata)}
    assert notes[expected.part].text.startswith(expected.beginning)
    assert notes[expected.part].is_fine == expected.is_fine
