"""What is packed on one machine is what arrives on another, and one format serves a fresh card and a gate that runs."""

import subprocess
import tarfile
import zipfile

import pytest

from gated.errors import ProvisionError, UpdateError
from gated.provision import bundle as bundling
from gated.provision.bundle import TARGETS, bundle, sums
from gated.update.source import Source


@pytest.fixture
def wheel(tmp_path):
    """A gated that needs nothing, so that nothing is asked for over a network."""
    path = tmp_path / "gated-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("gated/__init__.py", "")
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


def test_what_was_private_where_it_was_packed_can_be_read_at_the_gate(tmp_path, wheel, prompts):
    (prompts / "en").chmod(0o700)
    (prompts / "en/open.wav").chmod(0o600)
    with tarfile.open(made(tmp_path, wheel, prompts=prompts)) as tar:
        modes = {member.mode for member in tar.getmembers()}
    assert modes == {0o755, 0o644}


def test_a_gate_that_runs_takes_it_as_another_version(tmp_path, wheel):
    source = Source(made(tmp_path, wheel))
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
    with pytest.raises(UpdateError, match="is not what SHA256SUMS says"):
        Source(out).bring(tmp_path / "release")


def test_what_has_no_wheel_for_that_machine_is_said(tmp_path, wheel, monkeypatch):
    def refuse(command, *_):
        raise UpdateError("pip download ... ended with 1: no matching distribution")

    monkeypatch.setattr(bundling, "run", refuse)
    with pytest.raises(UpdateError, match="no matching distribution"):
        made(tmp_path, wheel)
    assert not (tmp_path / "bundle.tar").exists()


def test_a_full_disk_leaves_no_half_bundle(tmp_path, wheel, full_disk):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/long.wav").write_bytes(bytes(2_000_000))
    with pytest.raises(ProvisionError, match="make room"):
        bundle(full_disk / "b.tar", TARGETS["bookworm-arm64"], wheel=wheel, models=None, prompts=tmp_path / "prompts")
    assert list(full_disk.iterdir()) == []


def test_an_installed_gated_cannot_pack_itself_without_its_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr(bundling.gated, "__file__", str(tmp_path / "lib/gated/__init__.py"))
    with pytest.raises(ProvisionError, match="name one with --wheel"):
        bundling._own_wheel(tmp_path / "own")


def test_the_sums_name_every_file_by_its_path(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(b"")
    (tmp_path / "SHA256SUMS").write_text("old")
    assert sums(tmp_path) == f"{'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}  a/b\n"
