import numpy as np
import pytest

from gated.config import FaceSettings
from gated.embedding import check_embedding
from gated.errors import EmbeddingError
from gated.face.pipeline import load_pipeline

CROP = np.random.default_rng(0).integers(0, 256, (3, 112, 112)).astype(np.float32)


def test_an_embedding_is_a_unit_vector(pipeline):
    embedding = pipeline.embedders[0].embed(CROP)
    assert check_embedding(embedding, 48) is embedding


def test_the_same_crop_gives_the_same_embedding(pipeline):
    np.testing.assert_array_equal(pipeline.embedders[0].embed(CROP), pipeline.embedders[0].embed(CROP.copy()))


def test_contrast_does_not_change_the_embedding(pipeline):
    faint = CROP * np.float32(0.5) + 20
    assert pipeline.embedders[0].embed(CROP) @ pipeline.embedders[0].embed(faint) > 0.999


def test_a_zero_output_is_an_error(pipeline):
    with pytest.raises(EmbeddingError):
        pipeline.embedders[0].embed(np.zeros_like(CROP))


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_odd_numbers_never_become_an_embedding(pipeline, odd):
    crop = CROP.copy()
    crop[0, 5, 5] = odd
    with pytest.raises(EmbeddingError):
        pipeline.embedders[0].embed(crop)


@pytest.fixture
def pair(tiny_pair):
    return load_pipeline(tiny_pair, FaceSettings(threads=1, max_saturated=0.9))


def test_every_embedder_of_a_set_gives_its_part(pair, view):
    """Each embedder aligns the face to its own template."""
    (seen,) = pair.analyse_photo(view((640, 480))).observations
    embedding = check_embedding(np.frombuffer(seen.embedding, "<f4"), 96)
    (first, second), places = pair.embedders, pair.composite.slices
    (face,) = pair.detect(view((640, 480)))
    crops = [each.align(view((640, 480)).main, face.landmarks) for each in (first, second)]
    assert not np.array_equal(*crops)
    for embedder, crop, place, weight in zip(pair.embedders, crops, places, (0.75, 0.25), strict=True):
        np.testing.assert_allclose(embedding[place], np.sqrt(weight) * embedder.embed(crop), atol=1e-5)


def test_the_first_part_is_that_of_the_embedder_alone(pair, pipeline, view):
    (both,), (alone,) = (each.analyse_photo(view((640, 480))).observations for each in (pair, pipeline))
    part = np.frombuffer(both.embedding, "<f4")[:48] / np.sqrt(np.float32(0.75))
    np.testing.assert_allclose(part, np.frombuffer(alone.embedding, "<f4"), atol=1e-5)
    assert both.quality == alone.quality


def test_a_part_that_cannot_be_aligned_is_never_left_out(pair, view):
    second = pair.embedders[1]
    with pytest.raises(EmbeddingError, match="one place"):
        second.part(view((640, 480)).main, np.zeros((5, 2), np.float32))
