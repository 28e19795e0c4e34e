from pathlib import Path

import pytest

from gated.config import ModelSettings
from gated.errors import ModelError
from gated.face.manifest import Manifest, find_manifest, load_manifest, load_set, shipped_manifest

GOOD = shipped_manifest().read_text()


def manifest_at(folder: Path, text: str) -> ModelSettings:
    (folder / "manifest.toml").write_text(text)
    return ModelSettings(dir=str(folder))


@pytest.fixture
def shipped() -> Manifest:
    return load_manifest(ModelSettings(dir="/nowhere"))


def test_the_manifest_that_comes_along_has_every_set(shipped):
    assert {name: shipped.model_set(name).grade for name in shipped.sets} == {
        "courtyard": "demo", "evaluation": "evaluation", "site": "site"
    }  # fmt: skip
    for name in shipped.sets:
        found = shipped.model_set(name)
        assert found.name == name
        assert found.models == (found.detector, *found.pad, found.embedder)


def test_every_model_says_where_it_is_from_and_what_it_may_be_used_for(shipped):
    for model in shipped.models.values():
        assert len(model.sha256) == 64
        assert model.licence
        assert model.measured


def test_only_what_is_not_here_yet_has_no_known_answer(shipped):
    without = [name for name, model in shipped.models.items() if model.known_answer is None]
    assert without == ["sface_2021dec"]


def test_the_template_is_the_one_of_the_aligned_crop(shipped):
    for name in shipped.sets:
        embedder = shipped.model_set(name).embedder
        right_eye, left_eye, *_ = embedder.landmarks
        assert embedder.input.size == ((64, 64) if name == "courtyard" else (112, 112))
        assert right_eye[0] < left_eye[0]  # the person's right is the picture's left
        assert all(0 < place < embedder.input.size[0] for mark in embedder.landmarks for place in mark)


def test_a_misspelt_set_gets_a_hint(shipped):
    with pytest.raises(ModelError, match="did you mean 'evaluation'"):
        shipped.model_set("evalution")


def test_an_unknown_set_is_told_what_is_known(shipped):
    with pytest.raises(ModelError, match="known here: courtyard, evaluation, site"):
        shipped.model_set("xyzzy")


def test_the_set_is_found_by_the_settings():
    assert load_set(ModelSettings(dir="/nowhere", set="site")).name == "site"


def test_a_manifest_that_the_settings_name_comes_first(tmp_path):
    manifest_at(tmp_path, GOOD)
    other = tmp_path / "other.toml"
    assert find_manifest(ModelSettings(dir=str(tmp_path), manifest=str(other))) == other


def test_a_manifest_beside_the_models_comes_before_the_shipped_one(tmp_path):
    assert find_manifest(manifest_at(tmp_path, GOOD)) == tmp_path / "manifest.toml"


def test_without_either_the_shipped_one_is_read(tmp_path):
    assert find_manifest(ModelSettings(dir=str(tmp_path))) == shipped_manifest()


def test_a_manifest_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(ModelError, match=r"cannot be read .*check models.manifest"):
        load_manifest(ModelSettings(manifest=str(tmp_path / "none.toml")))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('role = "detector"', 'role = "reader"'),
        ('grade = "evaluation"', 'grade = "best"'),
        ('file = "yunet_n_dynamic.onnx"', 'file = "../yunet.onnx"'),
        ('sha256 = "104ee', 'sha256 = "XYZ'),
        ("size = [320, 256]", "size = [320]"),
        ("threshold = 0.42", "threshold = 42"),
        ("second_look = 128", "second_look = 100"),
        ("second_look = 128", "third_look = 128"),
        ("crop_scale = 2.7\n", ""),
        ("std = [0.229,", "std = [0.0,"),
        ('detector = "yunet_n_dynamic"', "detector = 3"),
        ("[sets.evaluation]", "[sets.evaluation"),
        ("# The models", "\udcff"),
    ],
)
def test_a_damaged_manifest_is_one_clear_error(tmp_path, before, after):
    assert before in GOOD
    (tmp_path / "manifest.toml").write_bytes(GOOD.replace(before, after, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"manifest\.toml: the manifest of models is damaged: .*restore it"):
        load_manifest(ModelSettings(dir=str(tmp_path)))


@pytest.mark.parametrize("cut", range(100, len(GOOD), 397))
def test_a_manifest_that_ends_too_soon_is_never_half_believed(tmp_path, cut):
    settings = manifest_at(tmp_path, GOOD[:cut])
    try:
        whole = load_manifest(settings).model_set("evaluation")
    except ModelError:
        return
    assert whole == load_manifest(ModelSettings(dir="/nowhere")).model_set("evaluation")


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('detector = "yunet_n_dynamic"', 'detector = "yunet"', "'yunet' as its detector: that model is not in it"),
        ('detector = "yunet_n_dynamic"', 'detector = "minifasnet_v2"', "of another role"),
        ('[sets.evaluation]\ngrade = "evaluation"', '[sets.evaluation]\ngrade = "site"', "only 'evaluation'"),
    ],
)
def test_a_set_whose_parts_do_not_go_together_is_refused(tmp_path, before, after, complaint):
    assert before in GOOD
    with pytest.raises(ModelError, match=complaint):
        load_manifest(manifest_at(tmp_path, GOOD.replace(before, after, 1))).model_set("evaluation")
