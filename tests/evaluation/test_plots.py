"""The picture has the right size, shows every set, and never fails on odd reports."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gated.evaluation.confidence import Rate
from gated.evaluation.pairs import Compared
from gated.evaluation.plots import COLOURS, SIZE, Panel, draw
from gated.evaluation.rates import scores_of
from gated.evaluation.report import report_pairs
from gated.evaluation.strokes import dashed, hatched, marked, upwards


@pytest.fixture
def made(ready):
    def report(mated=(0.9, 0.8, 0.7, 0.4), non_mated=(0.5, 0.3, 0.2, 0.1)):
        return report_pairs("a few pairs", ready, 0.5, Compared(scores_of(mated), scores_of(non_mated), Rate.of(0, 9)))

    return report


def drawn(reports, path):
    draw(reports, path)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def near(picture, colour):
    """Return the number of pixels of about this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(picture - wanted).max(axis=2) < 12).sum())


def test_the_picture_is_1200_by_600_px(made, tmp_path):
    assert drawn([made()], tmp_path / "p.png").shape == (SIZE[1], SIZE[0], 3)


def test_every_set_is_drawn_in_its_own_colour(made, tmp_path):
    one = drawn([made()], tmp_path / "one.png")
    two = drawn([made(), made(non_mated=(0.6, 0.55, 0.1, 0.0))], tmp_path / "two.png")
    assert near(one, COLOURS[0]) > 200
    assert near(one, COLOURS[1]) == 0
    assert near(two, COLOURS[0]) > 200
    assert near(two, COLOURS[1]) > 200


def test_more_than_four_sets_do_not_fail(made, tmp_path):
    assert drawn([made()] * 6, tmp_path / "p.png").std() > 1


@pytest.mark.parametrize(
    ("mated", "non_mated"),
    [((), ()), ((0.9,), ()), ((), (0.1,)), ((None, None), (None,)), ((1.0,), (-1.0,)), ((0.1,), (0.9,))],
)
def test_reports_without_scores_are_drawn(made, tmp_path, mated, non_mated):
    assert drawn([made(mated, non_mated)], tmp_path / "p.png").std() > 1


def test_the_picture_is_dark_on_light(made, tmp_path):
    picture = drawn([made()], tmp_path / "p.png")
    assert (picture.min(axis=2) > 225).mean() > 0.7
    assert (picture.max(axis=2) < 60).sum() > 500


def test_a_panel_clips_values_to_its_border():
    panel = Panel(10, 20, 100, 50, (0, 1), (0, 1))
    left, top, right, bottom = panel.box
    for x, y in ((-5, -5), (0.5, 0.5), (9, 9)):
        across, down = panel.at(x, y)
        assert left <= across <= right
        assert top <= down <= bottom
    assert panel.at(0, 0) == (left, bottom)
    assert panel.at(1, 1) == (right, top)


@pytest.fixture
def sheet():
    image = Image.new("RGB", (200, 100), "white")
    return image, ImageDraw.Draw(image)


def ink(image):
    return np.asarray(image).astype(int).min(axis=2) < 128


def test_a_line_without_lengths_is_solid(sheet):
    image, pen = sheet
    dashed(pen, [(10, 50), (190, 50)], (), "black", 3)
    assert ink(image)[50, 12:188].all()


def test_a_dashed_line_has_gaps_of_its_own_length(sheet):
    image, pen = sheet
    dashed(pen, [(0, 50), (100, 50), (199, 50)], (10, 10), "black", 3)
    row = ink(image)[50]
    assert row[2:8].all()
    assert not row[13:18].any()
    assert 0.4 < row.mean() < 0.65


def test_hatching_stays_in_its_box(sheet):
    image, pen = sheet
    hatched(pen, (40, 20, 90, 70), 8, "black", 1)
    seen = ink(image)
    assert 0.1 < seen[20:71, 40:91].mean() < 0.5
    seen[19:72, 39:92] = False
    assert not seen.any()


def test_every_kind_of_mark_looks_different():
    marks = []
    for kind in range(4):
        image = Image.new("RGB", (60, 60), "white")
        marked(ImageDraw.Draw(image), (30, 30), kind, 15, "black")
        marks.append(ink(image))
    assert all((a != b).sum() > 40 for i, a in enumerate(marks) for b in marks[i + 1 :])


def test_vertical_text_is_higher_than_wide(sheet):
    image, _ = sheet
    upwards(image, (100, 50), "FNIR, %", ImageFont.load_default(14), "#000000")
    rows, columns = np.nonzero(ink(image))
    assert np.ptp(rows) > 2 * np.ptp(columns)
    assert rows.mean() == pytest.approx(50, abs=6)
