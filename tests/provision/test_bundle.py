"""A bundle arrives as it was packed. One format serves a fresh card and a gate that runs."""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.config import ModelSettings
from gated.errors import ModelError, ProvisionError, UpdateError
from gated.face.manifest import load_manifest
from gated.face.model_files import pull_set
from gated.face.onnx import Model
from gated.provision import bundle as bundling
from gated.provision.bundle import TARGETS, Signer, bundle
from gated.update.listing import sums
from gated.update.signature import read_keys
from gated.update.source import ReleaseSource

sys.path.append(str(Path(__file__).parents[1] / "update"))
from signing import make_key


@pytest.fixture
def wheel(tmp_path):
    """Return a wheel of gated without dependencies, so that pip asks no network."""
    path = tmp_path / "gated-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gated/__init__.py", "")
        archive.writestr("gated/update/locked/3.11.txt", "# needs nothing\n")
        archive.writestr("gated-9.9.9.dist-info/METADATA", "Metadata-Version: 2.1\nName: gated\nVersion: 9.9.9\n")
        wheel_of = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("gated-9.9.9.dist-info/WHEEL", wheel_of)
        archive.writestr("gated-9.9.9.dist-info/RECORD", "")
    return path


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / "prompts/en").mkdir(parents=True)
    (tmp_path / "prompts/en/open.wav").write_bytes(b"a voice")
    return tmp_path / "prompts"


def made(tmp_path, wheel, **more):
    out = tmp_path / "bundle.tar"
    values = {"models": None, "prompts": None} | more
    assert bundle(out, TARGETS["bookworm-arm64"], wheel=wheel, **values) == "9.9.9"
    return out


def test_a_bundle_has_everything_and_its_digests(tmp_path, wheel, prompts):
    out = made(tmp_path, wheel, prompts=prompts)
    with tarfile.open(out) as tar:
        names = {member.name for member in tar.getmembers() if member.isfile()}
        assert {member.uid for member in tar.getmembers()} == {0}
        tar.extractall(tmp_path / "out")
    assert names == {"SHA256SUMS", "install", "wheels/gated-9.9.9-py3-none-any.whl", "prompts/en/open.wav"}
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out", check=False)
    assert done.returncode == 0


def test_a_file_that_was_private_when_packed_is_readable_at_the_gate(tmp_path, wheel, prompts):
    (prompts / "en").chmod(0o700)
    (prompts / "en/open.wav").chmod(0o600)
    with tarfile.open(made(tmp_path, wheel, prompts=prompts)) as tar:
        modes = {member.mode for member in tar.getmembers()}
    assert modes == {0o755, 0o644}


def test_a_gate_that_runs_takes_it_as_another_version(tmp_path, wheel):
    source = ReleaseSource(made(tmp_path, wheel))
    assert source.version == "9.9.9"
    (tmp_path / "release").mkdir()
    source.bring(tmp_path / "release")
    assert (tmp_path / "release/gated-9.9.9-py3-none-any.whl").read_bytes() == wheel.read_bytes()


def test_a_bundle_that_was_altered_is_not_taken(tmp_path, wheel):
    out = made(tmp_path, wheel)
    data = out.read_bytes()
    at = data.index(b"Generator: tests")
    out.write_bytes(data[:at] + b"X" + data[at + 1 :])
    (tmp_path / "release").mkdir()
    with pytest.raises(UpdateError, match="does not match SHA256SUMS"):
        ReleaseSource(out).bring(tmp_path / "release")


@pytest.fixture
def needs_tiny(tmp_path, wheel, monkeypatch):
    """Make the wheel require a library that pip finds in a folder. Returns a function that locks its SHA-256."""
    folder = tmp_path / "index"
    folder.mkdir()
    tiny = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(tiny, "w") as archive:
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def lock(digest=None):
        digest = digest or hashlib.sha256(tiny.read_bytes()).hexdigest()
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("gated/update/locked/3.13.txt", f"tiny==1.0 --hash=sha256:{digest}\n")

    return lock


def test_a_bundle_has_what_the_lock_of_its_python_names(tmp_path, wheel, needs_tiny):
    needs_tiny()
    bundle(tmp_path / "b.tar", TARGETS["trixie-arm64"], wheel=wheel, models=None, prompts=None)
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert "wheels/tiny-1.0-py3-none-any.whl" in tar.getnames()


def test_a_wheel_of_another_hash_than_the_locks_is_not_bundled(tmp_path, wheel, needs_tiny):
    needs_tiny("0" * 64)
    with pytest.raises(UpdateError, match="ended with 1"):
        bundle(tmp_path / "b.tar", TARGETS["trixie-arm64"], wheel=wheel, models=None, prompts=None)
    assert not (tmp_path / "b.tar").exists()


class Endless(BaseHTTPRequestHandler):
    """A page of an index without an end."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"<!-- more -->" * 10_000)

    def log_message(self, *_):
        """Say nothing."""


def test_an_index_without_an_end_fills_no_memory(tmp_path, wheel, monkeypatch, needs_tiny):
    monkeypatch.setattr(bundling, "MOST_MEMORY", 200 << 20)
    needs_tiny()
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/")
        with pytest.raises(UpdateError, match="MemoryError"):
            bundle(tmp_path / "b.tar", TARGETS["trixie-arm64"], wheel=wheel, models=None, prompts=None)
        server.shutdown()


def test_a_gated_without_a_lock_for_that_system_is_not_bundled(tmp_path, wheel):
    with pytest.raises(UpdateError, match=r"no list of tested libraries for Python 3\.13"):
        bundle(tmp_path / "b.tar", TARGETS["trixie-arm64"], wheel=wheel, models=None, prompts=None)


def test_a_package_without_a_wheel_for_the_machine_is_named(tmp_path, wheel, monkeypatch, needs_tiny):
    def refuse(command, *_):
        raise UpdateError("pip download ... ended with 1: no matching distribution")

    needs_tiny()
    monkeypatch.setattr(bundling, "run", refuse)
    with pytest.raises(UpdateError, match="no matching distribution"):
        bundle(tmp_path / "b.tar", TARGETS["trixie-arm64"], wheel=wheel, models=None, prompts=None)
    assert not (tmp_path / "b.tar").exists()


def test_a_full_disk_leaves_no_half_bundle(tmp_path, wheel, full_disk):
    (tmp_path / "prompts/en").mkdir(parents=True)
    (tmp_path / "prompts/en/open.wav").write_bytes(bytes(2_000_000))
    with pytest.raises(ProvisionError, match="free some space"):
        bundle(full_disk / "b.tar", TARGETS["bookworm-arm64"], wheel=wheel, models=None, prompts=tmp_path / "prompts")
    assert list(full_disk.iterdir()) == []


def test_an_interrupted_command_leaves_no_half_bundle(tmp_path, wheel, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(bundling, "_nobodys", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, wheel)
    assert [path.name for path in tmp_path.iterdir()] == [wheel.name]


def test_an_installed_gated_cannot_pack_itself_without_its_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr(bundling.gated, "__file__", str(tmp_path / "lib/gated/__init__.py"))
    with pytest.raises(ProvisionError, match="give a wheel with --wheel"):
        bundling._own_wheel(tmp_path / "own")


def test_the_sums_name_every_file_by_its_path(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(b"")
    (tmp_path / "SHA256SUMS").write_text("old")
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sums(tmp_path, ("SHA256SUMS",)) == f"# size 0 a/b\n{digest}  a/b\n"
    (tmp_path / "SHA256SUMS").write_text(sums(tmp_path, ("SHA256SUMS",)))
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    subprocess.run(check, cwd=tmp_path, check=True, capture_output=True)


# -- the signer --------------------------------------------------------------------------------------------------------


def test_a_signed_bundle_is_believed_by_who_believes_its_key_and_by_ssh_keygen(tmp_path, wheel, prompts):
    key = make_key(tmp_path / "keys")
    out = made(tmp_path, wheel, prompts=prompts, signer=Signer(key))
    believed = read_keys(tmp_path / "keys/release.pub")
    (tmp_path / "release").mkdir()
    assert ReleaseSource(out).bring(tmp_path / "release", believed) == believed[0]
    with tarfile.open(out) as tar:
        tar.extractall(tmp_path / "out")
    (tmp_path / "out/signers").write_text(f"us {believed[0].line}\n")
    verify = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "us", "-n", "gated-release", "-s", "SHA256SUMS.sig"]
    told = (tmp_path / "out/SHA256SUMS").read_bytes()
    subprocess.run(verify, input=told, cwd=tmp_path / "out", check=True, capture_output=True)
    packed = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    listed = {line.split("  ", 1)[1] for line in told.decode().splitlines() if not line.startswith("# size ")}
    assert packed - listed == {"SHA256SUMS", "SHA256SUMS.sig", "signers"}, "everything else is signed"


def test_a_bundle_names_the_keys_that_come_after(tmp_path, wheel):
    key, following = make_key(tmp_path / "keys"), make_key(tmp_path / "keys", "following")
    out = made(tmp_path, wheel, signer=Signer(key, following.with_name("following.pub")))
    (tmp_path / "release").mkdir()
    ReleaseSource(out).bring(tmp_path / "release", read_keys(tmp_path / "keys/release.pub"))
    assert read_keys(tmp_path / "release/release.pub")[0].comment == "following"


def test_a_key_that_signs_nothing_leaves_no_bundle(tmp_path, wheel):
    key = make_key(tmp_path / "keys")
    key.write_text("no key any more")
    with pytest.raises(UpdateError, match="cannot sign with it"):
        made(tmp_path, wheel, signer=Signer(key))
    assert not (tmp_path / "bundle.tar").exists()


def test_the_command_signs_and_says_when_it_does_not(tmp_path, wheel):
    key = make_key(tmp_path / "keys")

    def run(*words):
        return CliRunner().invoke(main, ["bundle", str(tmp_path / "b.tar"), "--wheel", str(wheel), *map(str, words)])

    assert "not signed" in run().stderr
    done = run("--sign", key)
    assert (done.exit_code, done.stderr) == (0, "")
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert {"SHA256SUMS.sig", "release.pub"} <= set(tar.getnames())
    assert "give --sign too" in run("--keys", key).stderr


def test_a_bundle_has_the_converted_models_of_a_stick_and_a_gate_installs_them_offline(tmp_path, wheel, shared):
    packed = made(tmp_path, wheel, models=ModelSettings(dir=str(shared / "models"), set="site"))
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    models = tmp_path / "out" / "models"
    chosen = load_manifest(ModelSettings()).model_set("site")
    assert {path.name for path in models.iterdir()} == {entry.file for entry in chosen.models}
    gate = ModelSettings(dir=str(tmp_path / "gate"), set="site")
    assert {each.origin for each in pull_set(gate, "site", source=models, accept=True)} == {"copied"}
    for entry in chosen.models:
        Model.load(entry, tmp_path / "gate", 1)


def test_a_bundle_without_its_models_names_the_command_that_gets_them(tmp_path, wheel):
    (tmp_path / "models").mkdir()
    with pytest.raises(ModelError, match=r"lacks yunet_n_dynamic\.onnx, .*\.xml, .*run `gated models pull site"):
        made(tmp_path, wheel, models=ModelSettings(dir=str(tmp_path / "models"), set="site"))
    assert not (tmp_path / "bundle.tar").exists()
