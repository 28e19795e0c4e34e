"""Tests the source of a version: every byte is proved, and no content chooses where it is written."""

import hashlib
import os
import tarfile

import pytest
from signing import make_key, sign_with

from gated.errors import UpdateError
from gated.update import listing, source
from gated.update.signature import read_keys
from gated.update.source import ReleaseSource, sources_in


def tar_of(folder, name="bundle.tar", prefix="inside/"):
    path = folder.with_name(name)
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, prefix + file.name)
    return path


@pytest.fixture
def copies(tmp_path):
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


WHEEL = "gated-0.2.0-py3-none-any.whl"


def test_a_folder_a_tar_and_a_wheel_bring_the_same(bundle, copies):
    for path in (bundle, tar_of(bundle), bundle / WHEEL):
        source = ReleaseSource(path)
        assert source.version == "0.2.0"
        source.bring(copies)
        assert names(copies) == ["SHA256SUMS", WHEEL]


def test_a_missing_version_is_reported_with_the_next_step(tmp_path):
    with pytest.raises(UpdateError, match="does not exist"):
        ReleaseSource(tmp_path / "nothing.tar")


def test_one_changed_byte_is_reported_and_creates_nothing(bundle, copies):
    (bundle / WHEEL).write_bytes(b"a wheeL")
    for path in (bundle, tar_of(bundle), bundle / WHEEL):
        with pytest.raises(UpdateError, match="does not match SHA256SUMS"):
            ReleaseSource(path).bring(copies)


def test_a_wheel_without_a_digest_is_reported(bundle, copies):
    (bundle / "numpy-9-py3-none-any.whl").write_bytes(b"evil")
    with pytest.raises(UpdateError, match="numpy-9"):
        ReleaseSource(bundle).bring(copies)


def test_without_digests_nothing_is_installed(bundle, copies):
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(UpdateError, match="with its SHA256SUMS"):
        ReleaseSource(bundle).bring(copies)


def test_a_tar_cannot_say_where_its_files_go(bundle, copies, tmp_path):
    path = tar_of(bundle, prefix="../../outside/")
    ReleaseSource(path).bring(copies)
    assert names(copies) == ["SHA256SUMS", WHEEL]
    assert not (tmp_path.parent / "outside").exists()


def test_a_link_in_a_tar_is_not_followed(bundle, copies, tmp_path):
    (tmp_path / "secret").write_text("secret")
    path = bundle.with_name("links.tar")
    with tarfile.open(path, "w") as tar:
        for file in sorted(bundle.iterdir()):
            tar.add(file, file.name)
        link = tarfile.TarInfo("evil-1-py3-none-any.whl")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(link)
    ReleaseSource(path).bring(copies)
    assert names(copies) == ["SHA256SUMS", WHEEL]


def test_an_incomplete_tar_is_reported(bundle, copies):
    path = tar_of(bundle)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UpdateError, match="copy the file again"):
        _ = ReleaseSource(path).version
        ReleaseSource(path).bring(copies)


def test_two_versions_in_one_bundle_or_none_are_told(bundle):
    (bundle / "gated-0.3.0-py3-none-any.whl").touch()
    with pytest.raises(UpdateError, match="has 2 wheels"):
        _ = ReleaseSource(bundle).version
    for path in bundle.glob("gated-*"):
        path.unlink()
    with pytest.raises(UpdateError, match="has 0 wheels"):
        _ = ReleaseSource(bundle).version


def test_a_folder_of_releases_is_sorted_by_version(bundle, tmp_path):
    place = tmp_path / "releases"
    place.mkdir(mode=0o755)
    for version in ("0.10.0", "0.9.0", "0.2.0"):
        (place / f"gated-{version}-py3-none-any.whl").touch()
    assert [source.version for source in sources_in(place)] == ["0.2.0", "0.9.0", "0.10.0"]


def test_where_others_may_write_nothing_is_installed_from(tmp_path):
    place = tmp_path / "releases"
    place.mkdir()
    place.chmod(0o775)
    with pytest.raises(UpdateError, match="other users may write"):
        sources_in(place)
    with pytest.raises(UpdateError, match="correct --from"):
        sources_in(tmp_path / "nowhere")


# -- the signer --------------------------------------------------------------------------------------------------------


@pytest.fixture
def signed(bundle, tmp_path):
    """Sign the bundle. Returns the key, whose public half is in the bundle."""
    key = make_key(tmp_path / "keys")
    carry(bundle, tmp_path / "keys" / "release.pub")
    sign_with(key, bundle / "SHA256SUMS")
    return key


def carry(bundle, public):
    """Add a file of public keys to the signed list."""
    (bundle / "release.pub").write_bytes(public.read_bytes())
    lines = [line for line in (bundle / "SHA256SUMS").read_text().splitlines() if "release.pub" not in line]
    lines.append(f"{hashlib.sha256(public.read_bytes()).hexdigest()}  release.pub")
    (bundle / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def test_a_gate_that_believes_a_key_takes_what_is_signed_with_it_in_every_shape(signed, bundle, copies):
    keys = read_keys(signed.with_name("release.pub"))
    for path in (bundle, tar_of(bundle), bundle / WHEEL):
        assert ReleaseSource(path).bring(copies, keys) == keys[0]
    assert names(copies) == ["SHA256SUMS", "SHA256SUMS.sig", WHEEL, "release.pub"]


def test_a_gate_that_believes_a_key_takes_nothing_unsigned_or_signed_by_another(signed, bundle, copies, tmp_path):
    keys = read_keys(signed.with_name("release.pub"))
    stranger = make_key(tmp_path / "elsewhere")
    sign_with(stranger, bundle / "SHA256SUMS")
    for path in (bundle, tar_of(bundle), bundle / WHEEL):
        with pytest.raises(UpdateError, match="does not trust"):
            ReleaseSource(path).bring(copies, keys)
    carry(bundle, stranger.with_name("release.pub"))
    sign_with(stranger, bundle / "SHA256SUMS")
    with pytest.raises(UpdateError, match="does not trust"):  # its own key in the bundle changes nothing
        ReleaseSource(bundle).bring(copies, keys)
    (bundle / "SHA256SUMS.sig").unlink()
    with pytest.raises(UpdateError, match="is not signed"):
        ReleaseSource(bundle).bring(copies, keys)
    assert WHEEL not in names(copies), "nothing is copied before it is known whose it is"


def test_digests_that_were_made_anew_without_the_key_are_not_believed(signed, bundle, copies):
    keys = read_keys(signed.with_name("release.pub"))
    (bundle / WHEEL).write_bytes(b"evil")
    (bundle / "SHA256SUMS").write_text(f"{hashlib.sha256(b'evil').hexdigest()}  {WHEEL}\n")
    with pytest.raises(UpdateError, match="does not match"):
        ReleaseSource(bundle).bring(copies, keys)


def test_a_key_that_comes_with_a_bundle_must_have_signed_it(bundle, copies, tmp_path):
    make_key(tmp_path / "keys")
    carry(bundle, tmp_path / "keys" / "release.pub")
    assert ReleaseSource(bundle).bring(copies) is None
    assert "release.pub" not in names(copies), "a key that signed nothing is not believed later"
    sign_with(make_key(tmp_path / "other"), bundle / "SHA256SUMS")
    with pytest.raises(UpdateError, match="does not trust"):
        ReleaseSource(bundle).bring(copies)


def test_a_file_that_changes_after_its_check_is_not_used(signed, bundle, copies, monkeypatch):
    """An attacker who swaps a file after the check gains nothing: the proved copy is used."""
    keys, source = read_keys(signed.with_name("release.pub")), ReleaseSource(bundle)
    before = source._copy

    def swapped(folder, most):
        digests = before(folder, most)
        (bundle / WHEEL).write_bytes(b"evil")
        return digests

    monkeypatch.setattr(source, "_copy", swapped)
    with pytest.raises(UpdateError, match="does not match SHA256SUMS"):
        source.bring(copies, keys)


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.sig", "release.pub"])
def test_a_long_list_or_signature_fills_no_disk(signed, bundle, copies, name):
    (bundle / name).write_bytes(b"#" * 2_000_000)
    with pytest.raises(UpdateError, match="longer than"):
        ReleaseSource(tar_of(bundle)).bring(copies)
    assert name not in names(copies)
    assert sum(path.stat().st_size for path in copies.iterdir()) <= 1_100_000


def test_a_replaced_bundle_of_another_version_is_reported(bundle, copies):
    source = ReleaseSource(bundle)
    assert source.version == "0.2.0"
    (bundle / WHEEL).rename(bundle / WHEEL.replace("0.2.0", "0.3.0"))
    (bundle / "SHA256SUMS").write_text((bundle / "SHA256SUMS").read_text().replace("0.2.0", "0.3.0"))
    with pytest.raises(UpdateError, match="changed while it was read"):
        source.bring(copies)


# -- content that fills a disk or memory, and odd members of an archive ------------------------------------------------


def sized(bundle, size=None):
    """Write the bundle's list with the size of its wheel: the true size or another."""
    content = (bundle / WHEEL).read_bytes()
    size = len(content) if size is None else size
    digest = hashlib.sha256(content).hexdigest()
    (bundle / "SHA256SUMS").write_text(f"# size {size} {WHEEL}\n{digest}  {WHEEL}\n")


@pytest.mark.parametrize("shape", ["folder", "tar", "wheel"])
def test_a_wheel_is_copied_to_the_size_that_is_signed_and_no_further(bundle, copies, shape):
    sized(bundle)
    with (bundle / WHEEL).open("ab") as file:
        file.write(bytes(3_000_000))
    path = {"folder": bundle, "wheel": bundle / WHEEL}.get(shape) or tar_of(bundle)
    with pytest.raises(UpdateError, match=rf"{WHEEL} is longer than 7 bytes.*copy it again"):
        ReleaseSource(path).bring(copies)
    assert names(copies) == ["SHA256SUMS"], "nothing of it stays"


def test_a_wheel_without_a_stated_size_has_a_bound_too(bundle, copies, monkeypatch):
    monkeypatch.setattr(listing, "MOST_FILE", 6)
    with pytest.raises(UpdateError, match="longer than 6 bytes"):
        ReleaseSource(bundle).bring(copies)


def test_all_files_together_have_a_bound(bundle, copies, monkeypatch):
    monkeypatch.setattr(source, "MOST_ALL", 200)
    with pytest.raises(UpdateError, match="longer than"):
        (bundle / "SHA256SUMS").write_bytes((bundle / "SHA256SUMS").read_bytes() + b"#" * 150)
        ReleaseSource(tar_of(bundle)).bring(copies)


@pytest.mark.parametrize("mark", ["w:gz", "w:xz", "w:bz2"])
def test_an_archive_that_is_compressed_is_not_read(bundle, copies, mark):
    """One compressed megabyte can hold a gigabyte of headers or endless files."""
    path = bundle.with_name("bundle.tar")
    with tarfile.open(path, mark) as tar:
        for file in sorted(bundle.iterdir()):
            tar.add(file, file.name)
    with pytest.raises(UpdateError, match="cannot be read"):
        ReleaseSource(path).bring(copies)


def test_a_wheel_that_is_there_twice_is_not_taken(bundle, copies):
    (bundle / "tiny-1-py3-none-any.whl").write_bytes(b"tiny")
    tiny = hashlib.sha256(b"tiny").hexdigest()
    with (bundle / "SHA256SUMS").open("a") as sums:
        sums.write(f"{tiny}  tiny-1-py3-none-any.whl\n")
    path = tar_of(bundle)
    with tarfile.open(path, "a") as tar:
        tar.add(bundle / "tiny-1-py3-none-any.whl", "elsewhere/tiny-1-py3-none-any.whl")
    with pytest.raises(UpdateError, match="contains tiny"):
        ReleaseSource(path).bring(copies)


def test_a_folder_with_a_world_in_it_is_not_walked_through(bundle, monkeypatch):
    monkeypatch.setattr(source, "MOST_FILES", 5)
    for number in range(6):
        (bundle / f"{number}").mkdir()
    with pytest.raises(UpdateError, match="more than 5 files"):
        _ = ReleaseSource(bundle).version


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(bundle, copies, tmp_path):
    found = ReleaseSource(bundle)
    assert found.version == "0.2.0"
    (bundle / "SHA256SUMS").unlink()
    os.mkfifo(bundle / "SHA256SUMS")
    with pytest.raises(UpdateError, match="cannot be read"):
        found.bring(copies)
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(UpdateError, match="no plain file"):
        _ = ReleaseSource(tmp_path / "pipe.tar").version
