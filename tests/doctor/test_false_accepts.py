"""The doctor shows the calibrated threshold and how seldom a stranger is accepted."""

import numpy as np
import pytest

from gated.config import parse
from gated.doctor.false_accepts import days_text, of_faces, threshold_text
from gated.gallery.calibration import Calibration, Reason
from gated.gallery.calibrator import GalleryCalibration, store

FITTED = Calibration(0.46, Reason.FITTED, 216, 0.003, 0.42, 0.46, 0.55, 0.0008, 0.002)
TABLE = Calibration(0.44, Reason.TABLE, 30, 0.003, 0.44, 0.44, 0.5)


@pytest.fixture
def settings(tmp_path):
    return parse(
        {"site": {"id": "yard"}, "gate": {"id": "front"}, "state_dir": str(tmp_path), "models": {"set": "site"}},
        tmp_path,
    )


def stored(settings, calibration, **more):
    store(settings.state, "site", GalleryCalibration(calibration, **more))


def test_nothing_is_reported_before_the_first_calibration(settings):
    assert list(of_faces(settings)) == []
    assert threshold_text(settings) == ""


def test_the_calibration_of_another_model_set_is_not_shown(settings):
    store(settings.state, "site-light", GalleryCalibration(FITTED))
    assert list(of_faces(settings)) == []


def test_the_budget_is_in_days_at_so_many_strangers(settings):
    stored(settings, FITTED)
    (finding,) = of_faces(settings)
    assert finding.light == "green"
    assert "of 100 strangers a day one is accepted in 12 days, at least 5.0" in finding.result
    assert finding.figures["days"] == pytest.approx(12.5)
    assert threshold_text(settings) == "0.460 (fitted, interval 0.420 to 0.460) for 216 people; one stranger in 12 days"


def test_a_few_people_have_the_table_and_no_budget(settings):
    stored(settings, TABLE)
    (finding,) = of_faces(settings)
    assert finding.light == "green"
    assert "table" in finding.result
    assert threshold_text(settings) == "0.440 (table) for 30 people"


@pytest.mark.parametrize(
    ("reason", "words", "step"),
    [(Reason.CEILING, "cannot distinguish 216 people", "card or a PIN"), (Reason.SETTING, "the fixed", "delete")],
)
def test_a_rate_above_the_target_is_amber_with_the_next_step(settings, reason, words, step):
    stored(settings, Calibration(0.4, reason, 216, 0.003, 0.4, 0.4, 0.5, 0.02, 0.05))
    (finding,) = of_faces(settings)
    assert finding.light == "amber"
    assert words in finding.result
    assert step in finding.next_step


def test_people_who_need_the_registrar_are_counted_and_not_named(settings):
    stored(settings, FITTED, not_recognised=("p1", "p2"))
    _, finding = of_faces(settings)
    assert "2 people need new pictures" in finding.result
    assert "p1" not in finding.result + finding.next_step


@pytest.mark.parametrize(("days", "text"), [(0.0123, "0.01"), (1.234, "1.2"), (12.6, "13"), (np.float64(400), "400")])
def test_days_have_two_digits(days, text):
    assert days_text(days) == text
