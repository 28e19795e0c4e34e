"""The calibration of a stored gallery: when it is due, what it names, and what is stored."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from gated.composite import Composite
from gated.gallery.calibration import Reason
from gated.gallery.calibrator import (
    LONGEST_PAUSE_S,
    PAUSE_S,
    Calibrator,
    calibrate_gallery,
    store,
    stored_calibration,
)
from gated.gallery.search import Index, Row
from gated.threshold_table import ThresholdTable
from tests.gallery.populations import PARTS, faces, pictures

TABLE = ThresholdTable(0.3, 0.9, ((72, 0.5), (3600, 0.62)))
COMPOSITE = Composite.of(PARTS, (0.5, 0.5), [np.zeros(size) for size in PARTS])


def index_of(templates, households=None):
    """Return an index over people x pictures x dimension; person i is "p0i"."""
    rows = [
        Row(f"p{number:03}", households[number] if households else f"h{number:03}", "active", picture)
        for number, person in enumerate(templates)
        for picture in person
    ]
    return Index(rows, sum(PARTS), COMPOSITE)


def people(count=100, seed=0):
    """Return people whose parts have norms that fit the composite."""
    templates = pictures(faces(count, seed), 2, 0.3)
    for start, stop in ((0, PARTS[0]), (PARTS[0], sum(PARTS))):
        part = templates[..., start:stop]
        templates[..., start:stop] = part / np.linalg.norm(part, axis=-1, keepdims=True) / np.sqrt(2)
    return templates


@dataclass
class Gallery:
    """The part of `gallery.Gallery` that a calibrator reads."""

    index: Index
    index_number: int = 1
    centring: object = field(default=None)

    def __post_init__(self):
        self.centring = self.index.centring

    @property
    def size(self):
        return self.index.size

    def enrolled(self):
        return self.index.enrolled()


def test_the_calibration_finds_the_people_of_the_index():
    templates = people()
    templates[50] = templates[3]
    templates[7, 1] = templates[9, 0]
    found = calibrate_gallery(index_of(templates).enrolled(), TABLE, 0.003)
    assert found.calibration.reason is Reason.FITTED
    assert found.calibration.people == 100
    assert {pair[:2] for pair in found.pairs[:2]} == {("p003", "p050"), ("p007", "p009")}
    assert found.threshold_of("p003") == TABLE.ceiling > found.threshold_of("p001") == found.calibration.threshold
    assert {"p003", "p050"} <= found.needing_more
    assert "p007" in found.not_recognised


def test_two_people_of_one_household_are_compared_as_family():
    templates = people()
    templates[50] = templates[3]
    homes = ["twins" if number in (3, 50) else str(number) for number in range(100)]
    found = calibrate_gallery(index_of(templates, homes).enrolled(), TABLE, 0.003)
    assert found.pairs[0][2].is_family
    assert found.needing_more == frozenset()


def test_children_are_marked_by_the_registrar():
    rows = index_of(people()).enrolled()
    found = calibrate_gallery(rows, TABLE, 0.003, children=frozenset({"p004"}))
    assert found.threshold_of("p004") == found.calibration.child_threshold > found.threshold_of("p005")


def test_a_new_child_makes_a_calibration_due():
    marked = set()
    calibrator = Calibrator(Gallery(index_of(people())), TABLE, 0.003, children=lambda: frozenset(marked))
    assert calibrator.follow().children == frozenset()
    marked.add("p004")
    assert not calibrator.is_due(100.0)
    assert calibrator.is_due(100.0 + PAUSE_S)
    assert calibrator.follow().children == {"p004"}
    assert not calibrator.is_due(200.0)


def test_an_empty_gallery_has_the_threshold_of_the_table():
    found = calibrate_gallery(index_of(people(0)).enrolled(), TABLE, 0.003)
    assert found.calibration.reason in (Reason.TABLE, Reason.FLOOR)
    assert found.pairs == () == found.not_recognised


@pytest.mark.filterwarnings("error")
def test_a_gallery_of_one_repeated_face_gets_the_ceiling():
    found = calibrate_gallery(index_of(np.repeat(people(1), 60, axis=0)).enrolled(), TABLE, 0.003)
    assert (found.calibration.threshold, found.calibration.reason) == (TABLE.ceiling, Reason.CEILING)
    assert found.calibration.fpir == found.calibration.fpir_bound == 1.0


def test_before_the_first_calibration_the_table_counts():
    calibrator = Calibrator(Gallery(index_of(people())), TABLE, 0.003)
    assert calibrator.now.calibration.reason is Reason.TABLE
    assert calibrator.now.calibration.threshold == pytest.approx(TABLE.threshold(100))


def test_a_setting_counts_instead_of_the_calibration():
    calibrator = Calibrator(Gallery(index_of(people())), TABLE, 0.003, 0.42)
    for found in (calibrator.now, calibrator.follow()):
        assert (found.calibration.threshold, found.calibration.reason) == (0.42, Reason.SETTING)
    assert calibrator.now.calibration.fpir > 0.003


def test_a_change_is_due_after_a_pause_and_once():
    gallery = Gallery(index_of(people()))
    calibrator = Calibrator(gallery, TABLE, 0.003)
    assert calibrator.is_due(100.0), "the first one is due at once"
    calibrator.follow()
    assert not calibrator.is_due(200.0)
    gallery.index_number += 1
    assert not calibrator.is_due(300.0)
    assert calibrator.is_due(300.0 + PAUSE_S)
    calibrator.follow()
    assert not calibrator.is_due(400.0)


def test_a_gallery_that_never_rests_is_calibrated_too():
    gallery = Gallery(index_of(people(10)))
    calibrator = Calibrator(gallery, TABLE, 0.003)
    calibrator.follow()
    waited = []
    for second in range(100):
        gallery.index_number += 1
        waited.append(calibrator.is_due(1000.0 + second))
    assert waited.index(True) == LONGEST_PAUSE_S


def test_the_stored_calibration_has_no_person(tmp_path):
    templates = people()
    templates[50] = templates[3]
    found = calibrate_gallery(index_of(templates).enrolled(), TABLE, 0.003)
    store(tmp_path, "site", found)
    text = (tmp_path / "calibration.json").read_text()
    assert "p003" not in text and "h003" not in text  # noqa: PT018
    stored = stored_calibration(tmp_path, "site")
    assert stored.calibration == found.calibration
    assert stored.alike == 1
    assert stored_calibration(tmp_path, "another-set") is None
    assert json.loads(text)["calibration"]["people"] == 100


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"calibration": 1}'])
def test_a_damaged_file_counts_as_none(tmp_path, content):
    (tmp_path / "calibration.json").write_bytes(content)
    assert stored_calibration(tmp_path, "site") is None


def test_a_full_disk_is_logged(tmp_path, caplog):
    found = calibrate_gallery(index_of(people(10)).enrolled(), TABLE, 0.003)
    store(tmp_path / "missing", "site", found)
    assert "not stored" in caplog.text


def test_a_calibrator_has_a_result_after_its_first_calibration_and_none_after_a_failure():
    calibrator = Calibrator(Gallery(index_of(people(5))), TABLE, 0.003)
    assert not calibrator.has_result
    calibrator.follow()
    assert calibrator.has_result
    failing = Calibrator(Gallery(index_of(people(5))), TABLE, 0.003)
    failing._gallery.index = None
    with pytest.raises(AttributeError):
        failing.follow()
    assert not failing.has_result
