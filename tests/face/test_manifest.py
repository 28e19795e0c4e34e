import json
from pathlib import Path

import pytest

from gated.config import ModelSettings
from gated.config.model_limits import measured
from gated.errors import ModelError
from gated.face.manifest import Manifest, find_manifest, load_manifest, load_set, shipped_manifest

GOOD = shipped_manifest().read_text()


def manifest_at(folder: Path, text: str) -> ModelSettings:
    (folder / "manifest.toml").write_text(text)
    return ModelSettings(dir=str(folder), manifest=str(folder / "manifest.toml"))


@pytest.fixture
def shipped() -> Manifest:
    return load_manifest(ModelSettings(dir="/nowhere"))


def test_the_shipped_manifest_has_every_set(shipped):
    assert {name: shipped.model_set(name).grade for name in shipped.sets} == {
        "courtyard": "demo",
        "evaluation": "evaluation",
        "site": "site",
        "site-light": "site",
        "site-light-intel": "site",
    }
    for name in shipped.sets:
        found = shipped.model_set(name)
        assert found.name == name
        assert found.models == (found.detector, *found.pad, *found.embedders)


def test_every_model_has_a_digest_a_licence_and_measured_results(shipped):
    for model in shipped.models.values():
        assert len(model.sha256) == 64
        assert model.licence
        assert model.measured


def test_a_model_of_grade_site_keeps_every_rule_of_that_grade(shipped):
    """README: the publisher's address, size and digest; training data in words; a known answer; rates with their n."""
    site = {name: model for name, model in shipped.models.items() if model.grade == "site"}
    assert len(site) >= 6
    for name, model in site.items():
        assert model.origins, name
        assert all(source.size_bytes and len(source.sha256) == 64 for source in model.origins), name
        assert model.training_data, name
        assert model.known_answer is not None, name
        assert model.size_bytes, name


def test_the_site_sets_differ_by_the_sources_that_an_owner_may_refuse(shipped):
    files = {name: {model.file for model in shipped.model_set(name).models} for name in shipped.sets}
    light, intel = files["site-light"], files["site-light-intel"]
    assert light ^ intel == {"mobilefacenet_128d.onnx", "face_reidentification_retail_0095.onnx"}
    assert files["site"] - light - intel == {"face_antispoof_128.onnx"}
    assert all(shipped.model_set(name).is_centred for name in ("site", "site-light", "site-light-intel"))


def test_only_sface_has_no_known_answer_yet(shipped):
    without = [name for name, model in shipped.models.items() if model.known_answer is None]
    assert without == ["sface_2021dec"]


def test_the_landmark_template_is_that_of_the_aligned_crop(shipped):
    embedders = {embedder.file: embedder for name in shipped.sets for embedder in shipped.model_set(name).embedders}
    assert {file: embedder.input.size[0] for file, embedder in embedders.items()} == {
        "courtyard_embedder.onnx": 64, "mobilefacenet_128d.onnx": 112, "face_reidentification_retail_0095.onnx": 128
    }  # fmt: skip
    for embedder in embedders.values():
        right_eye, left_eye, *_ = embedder.landmarks
        assert right_eye[0] < left_eye[0]  # the person's right is the picture's left
        assert all(0 < place < embedder.input.size[0] for mark in embedder.landmarks for place in mark)


def test_a_misspelt_set_gets_a_hint(shipped):
    with pytest.raises(ModelError, match="did you mean 'evaluation'"):
        shipped.model_set("evalution")


def test_the_error_for_an_unknown_set_lists_the_known_ones(shipped):
    with pytest.raises(ModelError, match="known here: courtyard, evaluation, site, site-light, site-light-intel"):
        shipped.model_set("xyzzy")


def test_the_set_comes_from_the_settings():
    assert load_set(ModelSettings(dir="/nowhere", set="site")).name == "site"


def test_a_manifest_named_in_the_settings_comes_first(tmp_path):
    manifest_at(tmp_path, GOOD)
    other = tmp_path / "other.toml"
    assert find_manifest(ModelSettings(dir=str(tmp_path), manifest=str(other))) == other


def test_a_manifest_beside_the_models_is_not_read(tmp_path):
    """The gate's user can write there: such a manifest could relabel the demo set as a site set, or name another
    folder.
    """
    text = GOOD.replace('grade = "demo"', 'grade = "site"').replace('folder = "courtyard"', f'folder = "{tmp_path}"')
    manifest_at(tmp_path, text)
    assert find_manifest(ModelSettings(dir=str(tmp_path))) == shipped_manifest()
    assert load_manifest(ModelSettings(dir=str(tmp_path))).model_set("courtyard").grade == "demo"


@pytest.mark.parametrize(
    "name",
    [
        "/etc",
        "..",
        ".",
        "../models",
        "a/b",
        "a\\b",
        "-x",
        "",
        " ",
        "a b",
        "a\n",
        "a\x1b[2J",
        "a\u202e",
        "模型",
        "a\x00",
    ],
)
@pytest.mark.parametrize("key", ["folder", "file", "licence", "name"])
def test_names_in_a_manifest_have_no_folders_and_no_control_characters(tmp_path, key, name):
    written = json.dumps(name)
    old = {
        "folder": 'folder = "courtyard"',
        "file": 'file = "yunet_n_dynamic.onnx"',
        "licence": 'licence = "',
        "name": "[sets.courtyard]",
    }[key]
    if key == "licence":
        if name.isprintable():
            return
        text = GOOD.replace(old, f"{old}{written[1:-1]}", 1)
    else:
        text = GOOD.replace(old, f"[sets.{written}]" if key == "name" else f"{key} = {written}", 1)
    assert text != GOOD
    settings = manifest_at(tmp_path, text)
    if (key, name) == ("folder", ""):
        assert load_manifest(settings).model_set("courtyard").folder == ""
        return
    with pytest.raises(ModelError) as refused:
        load_manifest(settings)
    assert str(refused.value).isprintable()


def test_a_missing_manifest_is_one_clear_error(tmp_path):
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
    with pytest.raises(ModelError, match=r"manifest\.toml: the manifest of models .*restore it"):
        load_manifest(ModelSettings(manifest=str(tmp_path / "manifest.toml")))


@pytest.mark.parametrize("cut", range(100, len(GOOD), 397))
def test_a_truncated_manifest_is_never_read_in_part(tmp_path, cut):
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
def test_a_set_of_parts_that_do_not_fit_is_refused(tmp_path, before, after, complaint):
    assert before in GOOD
    with pytest.raises(ModelError, match=complaint):
        load_manifest(manifest_at(tmp_path, GOOD.replace(before, after, 1))).model_set("evaluation")


SEVERAL = GOOD.replace('embedder = "mobilefacenet_128d"', 'embedder = ["mobilefacenet_128d", "courtyard_embedder"]', 1)
SEVERAL = SEVERAL.replace('grade = "evaluation"', 'grade = "demo"', 1)


def test_a_set_may_have_several_embedders(tmp_path):
    text = SEVERAL.replace("pad_threshold", "threshold = 0.4\nweights = [1, 3]\npad_threshold", 1)
    found = load_manifest(manifest_at(tmp_path, text)).model_set("evaluation")
    first, second = (found.embedders[0].sha256, found.embedders[1].sha256)
    assert found.models == (found.detector, *found.pad, *found.embedders)
    assert (found.embedder_name, found.dimension) == ("mobilefacenet_128d+courtyard_embedder", 256)
    assert (found.weights, found.threshold, found.is_centred) == ((0.25, 0.75), 0.4, False)
    assert found.embedder_sha256 not in {first, second}
    assert found.composite.sizes == (128, 128)
    assert found.composite.mean is None


def test_a_set_with_one_embedder_keeps_its_digest_and_threshold(shipped):
    """Galleries and thresholds from before stay valid."""
    for name in ("evaluation", "courtyard"):
        found = shipped.model_set(name)
        (embedder,) = found.embedders
        assert (found.embedder_sha256, found.dimension) == (embedder.sha256, embedder.dimension)
        assert (found.threshold, found.weights, found.is_centred) == (embedder.threshold, (1.0,), False)
        assert found.composite.centring.mean is None


def test_the_threshold_of_a_set_comes_before_that_of_its_embedder(tmp_path):
    text = GOOD.replace("pad_threshold", "threshold = 0.37\npad_threshold", 1)
    settings = manifest_at(tmp_path, text)
    assert load_manifest(settings).model_set("evaluation").threshold == 0.37
    assert measured(settings, "evaluation").threshold == 0.37


def test_the_limits_for_the_office_know_sets_with_several_embedders(tmp_path):
    text = SEVERAL.replace("pad_threshold", "threshold = 0.4\npad_threshold", 1)
    assert measured(manifest_at(tmp_path, text), "evaluation").threshold == 0.4
    assert measured(manifest_at(tmp_path, SEVERAL), "evaluation") is None


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("threshold = 0.4\nweights = [1]", "1 weights for 2 embedders"),
        ("", "needs a threshold of its own"),
        ("threshold = 0.4\ncentred = true", "each of its embedders needs a mean"),
    ],
)
def test_embedders_that_do_not_fit_together_are_refused(tmp_path, more, complaint):
    text = SEVERAL.replace("pad_threshold", f"{more}\npad_threshold", 1)
    with pytest.raises(ModelError, match=complaint):
        load_manifest(manifest_at(tmp_path, text)).model_set("evaluation")


def test_one_embedder_twice_is_refused(tmp_path):
    text = SEVERAL.replace('"courtyard_embedder"]', '"mobilefacenet_128d"]').replace(
        "pad_threshold", "threshold = 0.4\npad_threshold", 1
    )
    with pytest.raises(ModelError, match="names one embedder twice"):
        load_manifest(manifest_at(tmp_path, text)).model_set("evaluation")


@pytest.mark.parametrize("odd", ["AAAA", "no base64", "AHw=" * 64])
def test_a_missing_mean_is_one_clear_error(tmp_path, odd):
    text = GOOD.replace("dimension = 128\n", f'dimension = 128\nmean = "{odd}"\n', 1)
    with pytest.raises(ModelError, match=r"manifest of models .*restore it"):
        load_manifest(manifest_at(tmp_path, text))


def test_the_error_names_an_unread_manifest_beside_the_models(tmp_path):
    manifest_at(tmp_path, GOOD.replace("[sets.courtyard]", "[sets.ours]"))
    with pytest.raises(
        ModelError, match=r"unknown set 'ours'.*manifest\.toml is not read: name it in models\.manifest"
    ):
        load_set(ModelSettings(dir=str(tmp_path), set="ours"))
