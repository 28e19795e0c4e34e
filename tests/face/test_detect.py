from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import FaceSettings, ModelSettings
from gated.face.detect import MAX_CANDIDATES, MAX_OVERLAP, STRIDES, Face, decode, overlap, suppressed
from gated.face.pipeline import load_pipeline

SIZE = (320, 256)

boxes = st.lists(
    st.tuples(st.floats(-100, 400), st.floats(-100, 400), st.floats(1, 300), st.floats(1, 300)), min_size=1, max_size=12
).map(lambda rows: np.array(rows, np.float32))


def outputs(fill=0.0):
    anchors = {s: (SIZE[0] // s) * (SIZE[1] // s) for s in STRIDES}
    kinds = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return {f"{k}_{s}": np.full((1, n, w), fill, np.float32) for s, n in anchors.items() for k, w in kinds.items()}


def with_face(stride=16, score=0.9):
    """YuNet's outputs with one face, at column 4 and row 3 of a stride's grid."""
    made = outputs()
    place = 3 * (SIZE[0] // stride) + 4
    made[f"cls_{stride}"][0, place] = made[f"obj_{stride}"][0, place] = score
    made[f"bbox_{stride}"][0, place] = (0.5, 0.25, 1.0, 1.2)
    made[f"kps_{stride}"][0, place] = range(10)
    return made


@pytest.mark.parametrize("stride", STRIDES)
def test_decoding_follows_yunets_authors(stride):
    found = decode(with_face(stride), SIZE, 0.6)
    width, height = np.exp(1.0) * stride, np.exp(1.2) * stride
    centre_x, centre_y = (4 + 0.5) * stride, (3 + 0.25) * stride
    np.testing.assert_allclose(found.boxes, [[centre_x - width / 2, centre_y - height / 2, width, height]], rtol=1e-5)
    marks = (np.array([[4, 3]]) + np.arange(10).reshape(5, 2)) * stride
    np.testing.assert_allclose(found.landmarks, marks[None], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [0.9], rtol=1e-5)


def test_the_score_is_the_geometric_mean_and_at_most_one():
    made = with_face()
    made["cls_16"][made["cls_16"] > 0] = 4.0
    made["obj_16"][made["obj_16"] > 0] = 0.49
    np.testing.assert_allclose(decode(made, SIZE, 0.6).scores, [0.7], rtol=1e-5)


def test_two_negative_outputs_are_no_face():
    assert len(decode(with_face(score=-0.9), SIZE, 0.6).scores) == 0


def test_a_score_below_the_minimum_is_no_face():
    assert len(decode(with_face(score=0.59), SIZE, 0.6).scores) == 0
    assert len(decode(with_face(score=0.61), SIZE, 0.6).scores) == 1


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), 3e38])
@pytest.mark.parametrize("kind", ["cls", "obj", "bbox", "kps"])
def test_a_candidate_with_one_odd_number_is_dropped(kind, odd):
    made = with_face()
    where = np.argmax(made["cls_16"])
    made[f"{kind}_16"][0, where, -1] = odd
    assert len(decode(made, SIZE, 0.6).scores) == 0


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), 1.0])
def test_odd_outputs_give_few_faces(odd):
    assert len(decode(outputs(odd), SIZE, 0.6).scores) <= MAX_CANDIDATES


@given(boxes)
def test_overlap_is_a_share_and_symmetric(rows):
    ratio = overlap(rows, rows)
    assert ((ratio >= 0) & (ratio <= 1.0001)).all()
    np.testing.assert_allclose(ratio, ratio.T, atol=1e-5)
    np.testing.assert_allclose(np.diag(ratio), 1, atol=1e-3)


@given(boxes)
def test_suppression_drops_only_boxes_that_overlap_a_better_one(rows):
    kept = suppressed(rows)
    ratio = overlap(rows, rows)
    assert kept[0] == 0
    for position, index in enumerate(kept):
        assert all(ratio[index, better] <= MAX_OVERLAP for better in kept[:position])
    for index in set(range(len(rows))) - set(kept):
        assert any(ratio[index, better] > MAX_OVERLAP for better in kept if better < index)


def test_boxes_apart_do_not_overlap():
    apart = np.array([[0, 0, 10, 10], [10, 0, 10, 10], [100, 100, 5, 5]], np.float32)
    np.testing.assert_array_equal(overlap(apart, apart), np.eye(3))


@pytest.mark.parametrize("place", [(300, 400), (700, 500), (960, 600)])
def test_a_face_is_found_where_it_is_in_the_main_picture(pipeline, view, place):
    (face,) = pipeline.detect(view(place))
    middle = np.array(face.box[:2]) + np.array(face.box[2:]) / 2
    assert np.hypot(*(middle - place)) < 40
    assert face.landmarks.shape == (5, 2)
    assert np.hypot(*(face.landmarks.mean(axis=0) - place)) < 60


def test_the_largest_face_comes_first(pipeline, view):
    sizes = [face.size for face in pipeline.detect(view((300, 300), (900, 600)))]
    assert len(sizes) == 2
    assert sizes == sorted(sizes, reverse=True)


def test_a_face_without_a_second_detection_is_dropped(pipeline, view):
    """The small picture shows a spot that the main picture does not have."""
    shown, empty = view((640, 480)), view()
    assert pipeline.detect(shown)
    seen_afar = type(shown)(empty.main, shown.lores, 0.0, 0)
    assert pipeline.detect(seen_afar) == []


def test_without_a_second_pass_the_first_one_counts(tiny, view, tmp_path):
    manifest = tmp_path / "once.toml"
    manifest.write_text((Path(tiny.dir) / "manifest.toml").read_text().replace("second_look = 128", ""))
    settings = ModelSettings(dir=tiny.dir, set="tiny", manifest=str(manifest))
    once = load_pipeline(settings, FaceSettings(threads=1))
    assert len(once.detect(view((640, 480)))) == 1
    assert len(once.detector.tensors) == 1


def test_a_face_knows_its_size():
    assert Face((0, 0, 90, 160), np.zeros((5, 2), np.float32), 0.9).size == 120
