"""The brain takes the parts of an embedding from its own manifest, and never from vision."""

from pathlib import Path

import msgspec
import pytest

from gated.config import parse
from gated.errors import WireError
from gated.face.manifest import load_set
from gated.face.own_models import OwnModels
from gated.face.vision_messages import ready_with


@pytest.fixture
def settings(tiny_pair, tmp_path):
    models = {"dir": tiny_pair.dir, "set": tiny_pair.set, "manifest": tiny_pair.manifest}
    return parse({"site": {"id": "s"}, "gate": {"id": "g"}, "door": {"pins": "mock"}, "models": models}, tmp_path)


def test_the_gallery_gets_origin_length_and_centring_of_the_set(settings):
    sha256, dimension, composite = OwnModels(settings, print).embedder
    chosen = load_set(settings.models)
    assert (sha256, dimension) == (chosen.embedder_sha256, 96)
    assert (composite.sizes, composite.weights) == ((48, 48), (0.75, 0.25))
    assert composite.mean.shape == (96,)


def test_vision_with_other_weights_is_refused(settings, tiny_pair, tmp_path):
    """The origin names the embedders and their weights."""
    ours = OwnModels(settings, print)
    ours.check(ready_with(load_set(settings.models)))
    other = tmp_path / "manifest.toml"
    other.write_text(Path(tiny_pair.manifest).read_text().replace("weights = [3, 1]", "weights = [1, 1]"))
    theirs = load_set(type(tiny_pair)(dir=tiny_pair.dir, set="pair", manifest=str(other)))
    with pytest.raises(WireError, match="other models"):
        ours.check(ready_with(theirs))


def test_a_set_that_is_no_longer_centred_is_followed(settings, tiny_pair, tmp_path):
    own = tmp_path / "manifest.toml"
    own.write_text(Path(tiny_pair.manifest).read_text())
    models = msgspec.structs.replace(settings.models, manifest=str(own))
    ours = OwnModels(msgspec.structs.replace(settings, models=models), print)
    own.write_text(own.read_text().replace("centred = true", "centred = false"))
    assert ours.reload()
    assert ours.embedder[2].mean is None


def test_without_a_set_nothing_is_searched(settings):
    lost = []
    missing = type(settings.models)(dir="nowhere", set="none")
    ours = OwnModels(msgspec.structs.replace(settings, models=missing), lost.append)
    assert ours.embedder == ("", 0, None)
    assert len(lost) == 1
