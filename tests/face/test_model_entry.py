"""A model entry with a wrong source, address, name or mean is refused before anything uses it."""

from pathlib import Path

import msgspec
import pytest

from gated.config import ModelSettings
from gated.errors import ModelError
from gated.face.manifest import load_manifest, shipped_manifest
from gated.face.model_entry import MOST_BYTES, DetectorEntry, Source

GOOD = shipped_manifest().read_text()
SOURCE = '{ file = "x.bin", url = "https://a.example/x.bin", size_bytes = 3, sha256 = "%s" }'
NET = "96b69f8bf76c5cc3fd8cf8a452bef2c9c578ed4ff5448ffda316953411f94d23"
OTHER = "0" * 64


def manifest_at(folder: Path, text: str) -> ModelSettings:
    (folder / "manifest.toml").write_text(text)
    return ModelSettings(dir=str(folder), manifest=str(folder / "manifest.toml"))


def entry(**changes) -> DetectorEntry:
    image = {"size": (80, 80), "order": "rgb"}
    given = {"file": "a.onnx", "sha256": NET, "licence": "MIT", "grade": "demo", "input": image, **changes}
    return msgspec.convert({"role": "detector", **given}, DetectorEntry)


@pytest.mark.parametrize(
    ("convert", "sources", "problem"),
    [
        ("copy", [NET], None),
        ("copy", [OTHER], "both need the same sha256"),
        ("copy", [NET, NET], "two of its sources have the same name"),
        ("minifasnet", [OTHER], None),
        ("minifasnet", [], "needs 1 sources"),
        ("openvino", [OTHER], "needs 2 sources"),
        ("pickle", [OTHER], "convert"),
    ],
)
def test_the_sources_of_a_model_must_fit_its_converter(tmp_path, convert, sources, problem):
    listed = ", ".join(SOURCE % sha256 for sha256 in sources)
    old = 'file = "minifasnet_v2_2.7_80x80.onnx"'
    text = GOOD.replace(old, f'{old}\nconvert = "{convert}"\nsources = [{listed}]')
    settings = manifest_at(tmp_path, text)
    if problem is None:
        entry = load_manifest(settings).models["minifasnet_v2"]
        assert [(each.file, each.size_bytes, each.sha256) for each in entry.sources] == [("x.bin", 3, sources[0])]
        assert entry.convert == convert
    else:
        with pytest.raises(ModelError, match=problem):
            load_manifest(settings)


@pytest.mark.parametrize("url", ["http://a.example/x", "https://a.example/\\u0007", "file:///etc/passwd", ""])
def test_a_source_has_an_https_address(tmp_path, url):
    old = 'file = "minifasnet_v2_2.7_80x80.onnx"'
    source = (SOURCE % NET).replace("https://a.example/x.bin", url)
    settings = manifest_at(tmp_path, GOOD.replace(old, f"{old}\nsources = [{source}]"))
    with pytest.raises(ModelError, match="https"):
        load_manifest(settings)


def test_a_short_address_and_sources_exclude_each_other(tmp_path):
    old = 'file = "minifasnet_v2_2.7_80x80.onnx"'
    text = GOOD.replace(old, f'{old}\nurl = "https://a.example/x"\nsources = [{SOURCE % NET}]')
    with pytest.raises(ModelError, match="url or sources, not both"):
        load_manifest(manifest_at(tmp_path, text))


def test_a_short_address_is_the_only_source_of_a_copied_model():
    short = entry(url="https://a.example/x", size_bytes=3)
    assert short.origins == (Source("a.onnx", "https://a.example/x", NET, 3),)
    assert entry().origins == ()


def test_a_file_without_a_size_is_limited_all_the_same():
    assert entry().most_bytes == MOST_BYTES
    assert entry(size_bytes=3).most_bytes == 3
    assert Source("x.bin", "https://a.example/x", NET).most_bytes == MOST_BYTES


@pytest.mark.parametrize("file", ["../x", "a/b", "", ".x", "x\n", "/etc/passwd"])
def test_a_file_of_a_model_is_never_outside_its_folder(file):
    with pytest.raises(msgspec.ValidationError):
        entry(file=file)


def test_an_unknown_key_of_a_model_is_refused():
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        entry(colour="blue")
