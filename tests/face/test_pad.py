import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gated.config import FaceSettings, ModelSettings
from gated.errors import ModelError
from gated.face.framing import MOST_SHARE, is_too_near
from gated.face.log_odds import log_odds
from gated.face.manifest import load_manifest
from gated.face.onnx import Model
from gated.face.pad import PadNet, combined, joined_score
from gated.face.pipeline import FacePipeline
from tests.conftest import SHARED

NUMBERS = st.floats(0, 1)
ANY = st.floats()


def pad_score(nets, picture, box):
    """The score of the nets that vote, as the pipeline computes it."""
    voting = [net for net in nets if net.votes(picture, box)]
    return joined_score(voting, [net.score(picture, box) for net in voting])


def coloured(rgb):
    return np.full((960, 1280, 3), rgb, np.uint8)


def test_bona_fide_is_at_the_index_of_the_manifest(pipeline):
    """The tiny net outputs how green the crop is."""
    box = (600, 400, 100, 120)
    assert pad_score(pipeline.pad_nets, coloured((10, 200, 10)), box) > 0.99
    assert pad_score(pipeline.pad_nets, coloured((200, 10, 10)), box) < 0.01
    assert pad_score(pipeline.pad_nets, coloured((100, 100, 100)), box) == pytest.approx(1 / 3, abs=1e-3)


def test_the_nets_are_averaged(pipeline):
    green, box = coloured((60, 80, 60)), (600, 400, 100, 120)
    (net,) = pipeline.pad_nets
    assert pad_score([net, net, net], green, box) == pytest.approx(net.score(green, box))


def test_odd_numbers_are_an_attack(pipeline):
    """Infinite input makes this net output NaN."""
    (net,) = pipeline.pad_nets
    net.tensor._gain, net.tensor._plain = np.float32(np.inf), False
    with np.errstate(all="ignore"):
        assert net.score(coloured((10, 200, 10)), (600, 400, 100, 120)) == 0.0


class Votes:
    """A net with a fixed score, which votes or abstains."""

    def __init__(self, entry, score, votes=True):
        self.entry, self._score, self._votes = entry, score, votes

    def votes(self, picture, box):
        return self._votes

    def score(self, picture, box):
        return self._score


@pytest.fixture
def entry(pipeline):
    return pipeline.model_set.pad[0]


BOX = (600, 400, 100, 120)


def judged(*nets):
    return pad_score(nets, coloured((9, 9, 9)), BOX)


def test_one_group_of_weight_one_keeps_the_mean_exactly(entry):
    """Sets with one group have the same scores as in earlier releases."""
    assert judged(Votes(entry, 0.0093), Votes(entry, 0.3471)) == (0.0093 + 0.3471) / 2
    assert judged(Votes(entry, 1.0), Votes(entry, 1.0)) == 1.0


def test_groups_add_their_log_odds_with_their_weights(entry):
    other = replace(entry, group="other", weight=0.5)
    score = judged(Votes(entry, 0.8), Votes(entry, 0.6), Votes(other, 0.1))
    assert log_odds(score) == pytest.approx(log_odds(0.7) + 0.5 * log_odds(0.1))


def test_a_net_that_abstains_changes_nothing(entry):
    other = replace(entry, group="other", weight=0.5)
    assert judged(Votes(entry, 0.8), Votes(other, 0.1, votes=False)) == 0.8
    assert judged(Votes(entry, 0.8), Votes(entry, 0.1, votes=False)) == 0.8


def test_without_a_vote_there_is_no_score(entry):
    assert judged(Votes(entry, 0.8, votes=False)) is None


@given(scores=st.dictionaries(st.sampled_from("abc"), st.one_of(NUMBERS, ANY), min_size=2), weight=st.floats(0.1, 4))
def test_the_combined_score_of_any_numbers_is_within_0_and_1(scores, weight):
    score = combined(scores, dict.fromkeys(scores, weight))
    assert score is not None
    assert 0 < score < 1


@given(first=NUMBERS, second=NUMBERS, more=NUMBERS)
def test_more_evidence_of_a_bona_fide_face_never_lowers_the_score(first, second, more):
    weights = {"a": 1.0, "b": 0.5}
    low, high = sorted((second, more))
    assert combined({"a": first, "b": low}, weights) <= combined({"a": first, "b": high}, weights)


def test_logits_become_the_same_probabilities(pipeline, entry):
    """The softmax of the tiny net's probabilities: 1, 0, 0 becomes e / (e + 2)."""
    net = PadNet(pipeline.models[entry.file], replace(entry, output="logits"))
    assert net.score(coloured((10, 255, 10)), BOX) == pytest.approx(math.e / (math.e + 2), abs=1e-3)


def test_logits_that_are_not_finite_are_an_attack(pipeline, entry):
    net = PadNet(pipeline.models[entry.file], replace(entry, output="logits"))
    net.tensor._gain, net.tensor._plain = np.float32(np.inf), False
    with np.errstate(all="ignore"):
        assert net.score(coloured((10, 200, 10)), BOX) == 0.0


def test_a_net_abstains_below_its_measured_crop_scale_and_outside_its_sizes(pipeline, entry):
    model, picture = pipeline.models[entry.file], coloured((10, 200, 10))
    assert PadNet(model, replace(entry, crop_scale=4.0, least_scale=2.0)).votes(picture, (100, 100, 400, 480))
    assert not PadNet(model, replace(entry, crop_scale=4.0, least_scale=2.0)).votes(picture, (100, 100, 400, 500))
    assert PadNet(model, replace(entry, face_px=(100, 120))).votes(picture, BOX)
    assert not PadNet(model, replace(entry, face_px=(121, 300))).votes(picture, BOX)
    assert not PadNet(model, replace(entry, face_px=(50, 119))).votes(picture, BOX)
    assert not PadNet(model, replace(entry, face_px=(50, 119))).votes(picture, (0, 0, math.nan, math.nan))


@pytest.mark.parametrize("name", ["site", "site-light", "site-light-intel"])
@pytest.mark.parametrize("size", [(640, 480), (1280, 960), (960, 1280)])
@pytest.mark.parametrize("share", [0.25, 0.5, MOST_SHARE])
def test_all_pad_nets_of_a_site_vote_on_a_face_that_is_not_too_near(pipeline, entry, name, size, share):
    """No face is decided by a part of the nets."""
    nets = [PadNet(pipeline.models[entry.file], each) for each in load_manifest(ModelSettings()).model_set(name).pad]
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    box = (0.0, 0.0, share * min(size), share * min(size))
    assert not is_too_near(box, size)
    assert all(net.votes(picture, box) for net in nets)


def test_a_face_that_no_net_can_judge_is_too_near(tiny, pipeline, entry, view):
    unable = replace(pipeline.model_set, pad=(replace(entry, face_px=(1000, 2000)),))
    blind = FacePipeline(unable, pipeline.models, FaceSettings(threads=1, max_saturated=0.9))
    (seen,) = blind.analyse_photo(view((640, 480))).observations
    assert (seen.problem, seen.pad_score, seen.embedding) == ("too_near", None, None)
    assert seen.quality is not None


def test_one_group_has_one_weight(tiny):
    manifest = load_manifest(tiny)
    heavy = replace(manifest.models["green"], weight=2.0)
    two = replace(manifest.sets["tiny"], pad=("green", "heavy"))
    odd = replace(manifest, models={**manifest.models, "heavy": heavy}, sets={"tiny": two})
    with pytest.raises(ModelError, match="the same weight"):
        odd.model_set("tiny")


class TestFaceAntispoof:
    """The third net of a site."""

    pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")

    @pytest.fixture
    def nets(self, real_pipeline):
        entry = load_manifest(ModelSettings()).models["face_antispoof_128"]
        third = PadNet(Model.load(entry, SHARED / "models" / "sources"), entry)
        return [*real_pipeline.pad_nets, third]

    def test_separates_a_bona_fide_face_from_a_picture_of_a_picture(self, nets, real_pipeline, picture):
        scores = {}
        for name in ("pad_bona_fide", "pad_attack"):
            frame = picture(name)
            scores[name] = pad_score(nets, frame.main, real_pipeline.detect(frame)[0].box)
        assert scores["pad_bona_fide"] > 0.99
        assert scores["pad_attack"] < 0.01
