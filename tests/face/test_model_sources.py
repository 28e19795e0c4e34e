"""A model comes from its publisher's files: downloaded, from a mirror or from a stick, verified, and converted."""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from gated.config import ModelSettings
from gated.errors import ModelError
from gated.face import model_sources
from gated.face.convert.confined import convert_confined
from gated.face.manifest import load_manifest
from gated.face.model_files import pull_set
from gated.face.model_sources import find, lacking
from gated.storage.named_files import reading
from gated.storage.owner import as_holder_of

PTH, XML, BIN = "2.7_80x80_MiniFASNetV2.pth", "net.xml", "net.bin"
PTH_SHA256 = "a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0"
ONNX_SHA256 = "aacd745e5053e38a120044cb0f12c9a1db7862633a304aa9895a001a532a9e24"
FINDS, KNOWS = (random.Random(name).randbytes(30_000) for name in ("finds", "knows"))
MORE = {
    "finds": ("detector", ""),
    "looks": ("pad", "crop_scale = 2.7\nbona_fide = 1\n"),
    "knows": ("embedder", "dimension = 16\nthreshold = 0.5\nlandmarks = [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]]\n"),
}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def source(name, data, address):
    url = json.dumps(f"{address}/{name}")
    return f'{{ file = "{name}", url = {url}, size_bytes = {len(data)}, sha256 = "{sha256(data)}" }}'


def manifest(folder, address, looks, *, looks_sha256, convert="minifasnet"):
    """Write a manifest whose PAD net is converted from the sources `looks`, by name."""
    text = '[sets.site]\ngrade = "site"\nabout = ""\ndetector = "finds"\npad = ["looks"]\nembedder = "knows"\n'
    text += "pad_threshold = 0.5\n"
    for name, digest, sources, how in (
        ("finds", sha256(FINDS), {"finds.onnx": FINDS}, "copy"),
        ("looks", looks_sha256, looks, convert),
        ("knows", sha256(KNOWS), {"best.onnx": KNOWS}, "copy"),
    ):
        role, more = MORE[name]
        listed = ", ".join(source(file, data, address) for file, data in sources.items())
        text += f'[models.{name}]\nrole = "{role}"\nfile = "{name}.onnx"\nsha256 = "{digest}"\nconvert = "{how}"\n'
        text += f'sources = [{listed}]\nlicence = "Apache-2.0"\ntraining_data = "pictures of {name}"\ngrade = "site"\n'
        text += f'input = {{ size = [80, 80], order = "bgr" }}\n{more}'
    (folder / "manifest.toml").write_text(text)
    return ModelSettings(dir=str(folder / "models"), manifest=str(folder / "manifest.toml"))


@pytest.fixture
def pth(shared):
    return (shared / "models" / "sources" / PTH).read_bytes()


@pytest.fixture
def site(https_shelf, tmp_path, pth):
    """A set whose PAD net is the real MiniFASNet, with a server that has every source."""
    https_shelf.files = {"/a/b/finds.onnx": FINDS, f"/a/b/{PTH}": pth, "/a/b/best.onnx": KNOWS}
    return manifest(tmp_path, https_shelf.url("a/b"), {PTH: pth}, looks_sha256=ONNX_SHA256)


def installed(site):
    return {name: sha256((Path(site.dir) / name).read_bytes()) for name in WANTED}


WANTED = {"finds.onnx": sha256(FINDS), "looks.onnx": ONNX_SHA256, "knows.onnx": sha256(KNOWS)}


def test_sources_are_downloaded_and_converted_and_nothing_else_stays(site, tmp_path):
    done = pull_set(site, "site", accept=True)
    assert [(each.file, each.origin) for each in done] == [(name, "fetched") for name in WANTED]
    assert installed(site) == WANTED
    assert {path.name for path in (tmp_path / "models").iterdir()} == {*WANTED, "licences.json", ".pull.lock"}
    assert {(tmp_path / "models" / name).stat().st_mode & 0o777 for name in WANTED} == {0o644}


def test_an_interrupted_pull_goes_on_with_the_sources_that_it_has(site, https_shelf, tmp_path, pth):
    def cut(answer, content, begin):
        place = {"Content_Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        answer.head(206 if begin else 200, Content_Length=len(content) - begin, **place)
        answer.wfile.write(content[begin : begin + 100_000])

    https_shelf.todo = [None, *[cut] * 4]
    with pytest.raises(ModelError, match=r"MiniFASNetV2.pth: .*400000 bytes are here, run the command again"):
        pull_set(site, "site", accept=True)
    https_shelf.asked.clear()
    pull_set(site, "site", accept=True)
    assert [(path, begin) for path, begin, _ in https_shelf.asked] == [(f"/a/b/{PTH}", 400_000)]
    assert installed(site) == WANTED


def test_a_mirror_has_every_source_under_its_name(site, https_shelf, pth):
    https_shelf.files = {"/m/finds.onnx": FINDS, f"/m/{PTH}": pth, "/m/best.onnx": KNOWS}
    pull_set(site, "site", mirror=https_shelf.url("m/"), accept=True)
    assert installed(site) == WANTED


def test_a_mirror_with_other_files_installs_nothing(site, https_shelf, tmp_path):
    https_shelf.files = {f"/m/{name}": b"x" * 100 for name in ("finds.onnx", PTH, "best.onnx")}
    with pytest.raises(ModelError, match="is another file"):
        pull_set(site, "site", mirror=https_shelf.url("m"), accept=True)
    assert list((tmp_path / "models").glob("*.onnx*")) == []


@pytest.mark.parametrize("base", ["http://localhost/m", "file:///etc", "ftp://x", "https://user:pw@x", "models", ""])
def test_a_mirror_needs_https(site, tmp_path, base):
    with pytest.raises(ModelError, match="only https"):
        pull_set(site, "site", mirror=base, accept=True)
    assert list((tmp_path / "models").glob("*.onnx")) == []


@pytest.mark.parametrize("below", ["", "sources"])
def test_a_stick_with_the_publishers_files_needs_no_network(site, https_shelf, tmp_path, pth, below):
    stick = tmp_path / "stick" / below
    stick.mkdir(parents=True)
    for name, data in (("finds.onnx", FINDS), (PTH, pth), ("best.onnx", KNOWS)):
        (stick / name).write_bytes(data)
    done = pull_set(site, "site", source=tmp_path / "stick", accept=True)
    assert {each.origin for each in done} == {"copied"}
    assert installed(site) == WANTED
    assert https_shelf.asked == []


def test_a_stick_with_the_finished_files_needs_no_conversion(site, https_shelf, tmp_path):
    pull_set(site, "site", accept=True)
    (tmp_path / "models").rename(tmp_path / "stick")
    https_shelf.asked.clear()
    pull_set(site, "site", source=tmp_path / "stick", accept=True)
    assert installed(site) == WANTED
    assert https_shelf.asked == []


def test_the_error_for_a_missing_source_has_both_file_names(site, tmp_path):
    (tmp_path / "stick").mkdir()
    with pytest.raises(ModelError, match=rf"looks\.onnx: file not found, nor all of its sources \({PTH}\); copy it"):
        pull_set(site, "site", source=tmp_path / "stick", accept=True)


def test_the_missing_files_of_a_stick_are_listed(site, tmp_path, pth):
    entry = load_manifest(site).model_set("site").pad[0]
    assert lacking(tmp_path, entry) == [PTH]
    (tmp_path / PTH).write_bytes(pth[:-1])
    assert lacking(tmp_path, entry) == [PTH]
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / PTH).write_bytes(pth)
    assert lacking(tmp_path, entry) == []
    assert find(tmp_path, entry.sources[0]) == tmp_path / "sources" / PTH


def test_a_source_that_the_converter_refuses_is_named_with_the_reason(https_shelf, tmp_path):
    evil = b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R."
    https_shelf.files = {"/finds.onnx": FINDS, "/evil.pth": evil, "/best.onnx": KNOWS}
    site = manifest(tmp_path, https_shelf.url("")[:-1], {"evil.pth": evil}, looks_sha256="0" * 64)
    with pytest.raises(ModelError, match=r"evil\.pth: cannot be converted: its pickle names 'posix\.system'"):
        pull_set(site, "site", accept=True)
    assert sorted(path.name for path in (tmp_path / "models").glob("*.onnx")) == ["finds.onnx", "knows.onnx"]


def test_a_conversion_with_another_digest_is_not_installed(https_shelf, tmp_path, pth):
    https_shelf.files = {"/finds.onnx": FINDS, f"/{PTH}": pth, "/best.onnx": KNOWS}
    site = manifest(tmp_path, https_shelf.url("")[:-1], {PTH: pth}, looks_sha256="0" * 64)
    with pytest.raises(ModelError, match="the converted file is not the one in the manifest"):
        pull_set(site, "site", accept=True)
    assert not (tmp_path / "models" / "looks.onnx").exists()
    assert not (tmp_path / "models" / "looks.onnx.part").exists()


def test_a_process_that_a_converter_leaves_behind_cannot_change_the_model(site, monkeypatch):
    """It keeps the open file of the output, and writes after the digest was found."""
    kept = []

    def convert(kind, sources, target):
        convert_confined(kind, sources, target)
        kept.append(os.dup(target.fileno()))

    monkeypatch.setattr(model_sources, "convert_confined", convert)
    pull_set(site, "site", accept=True)
    os.pwrite(kept[0], b"evil", 0)
    os.close(kept[0])
    assert installed(site) == WANTED


def test_a_refused_source_leaves_no_file_of_the_model(https_shelf, tmp_path):
    https_shelf.files = {"/finds.onnx": FINDS, "/evil.pth": b"evil", "/best.onnx": KNOWS}
    site = manifest(tmp_path, https_shelf.url("")[:-1], {"evil.pth": b"evil"}, looks_sha256="0" * 64)
    with pytest.raises(ModelError, match="cannot be converted"):
        pull_set(site, "site", accept=True)
    assert not (tmp_path / "models" / "looks.onnx.part").exists()


def test_a_source_with_another_digest_is_never_converted(site, https_shelf, tmp_path, pth):
    https_shelf.files[f"/a/b/{PTH}"] = pth[:-1] + b"x"
    with pytest.raises(ModelError, match=r"MiniFASNetV2.pth: the one from https.* is another file"):
        pull_set(site, "site", accept=True)
    assert not (tmp_path / "models" / "looks.onnx").exists()


def test_the_whole_site_set_comes_from_its_publishers(https_shelf, tmp_path, shared):
    """Every source of the shipped manifest, from a mirror; the addresses themselves need the internet."""
    settings = ModelSettings(dir=str(tmp_path / "models"))
    chosen = load_manifest(settings).model_set("site")
    for entry in chosen.models:
        for each in entry.origins:
            https_shelf.files[f"/{each.file}"] = find(shared / "models", each).read_bytes()
    done = pull_set(settings, "site", mirror=https_shelf.url(""), accept=True)
    assert len(done) == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_root_converts_into_the_folder_of_another_user(open_folder, tmp_path, pth):
    """The interpreter may lie where only root can read. So root starts the converter, and it becomes nobody."""
    folder, stick = open_folder / "models", open_folder / "stick"
    folder.mkdir()
    os.chown(folder, 1234, 1234)
    stick.mkdir()
    for name, data in (("finds.onnx", FINDS), (PTH, pth), ("best.onnx", KNOWS)):
        (stick / name).write_bytes(data)
    manifest(open_folder, "https://a.example", {PTH: pth}, looks_sha256=ONNX_SHA256)
    settings = ModelSettings(dir=str(folder), manifest=str(open_folder / "manifest.toml"))
    with as_holder_of(folder):
        pull_set(settings, "site", source=stick, accept=True, reading=reading)
    assert installed(settings) == WANTED
    assert {path.stat().st_uid for path in folder.glob("*.onnx")} == {1234}
