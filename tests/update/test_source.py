"""What a version is installed from: proved byte for byte, and nothing in it says where it goes."""

import tarfile

import pytest

from gated.errors import UpdateError
from gated.update.source import Source, sources_in


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
        source = Source(path)
        assert source.version == "0.2.0"
        source.bring(copies)
        assert names(copies) == ["SHA256SUMS", WHEEL]


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(UpdateError, match="is not there"):
        Source(tmp_path / "nothing.tar")


def test_one_changed_byte_is_told_and_nothing_is_made_of_it(bundle, copies):
    (bundle / WHEEL).write_bytes(b"a wheeL")
    for path in (bundle, tar_of(bundle), bundle / WHEEL):
        with pytest.raises(UpdateError, match="is not what SHA256SUMS says"):
            Source(path).bring(copies)


def test_a_wheel_that_the_digests_do_not_know_is_told(bundle, copies):
    (bundle / "numpy-9-py3-none-any.whl").write_bytes(b"evil")
    with pytest.raises(UpdateError, match="numpy-9"):
        Source(bundle).bring(copies)


def test_without_digests_nothing_is_installed(bundle, copies):
    (bundle / "SHA256SUMS").unlink()
    with pytest.raises(UpdateError, match="with its SHA256SUMS"):
        Source(bundle).bring(copies)


def test_a_tar_cannot_say_where_its_files_go(bundle, copies, tmp_path):
    path = tar_of(bundle, prefix="../../outside/")
    Source(path).bring(copies)
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
    Source(path).bring(copies)
    assert names(copies) == ["SHA256SUMS", WHEEL]


def test_half_a_tar_is_told(bundle, copies):
    path = tar_of(bundle)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UpdateError, match="bring"):
        _ = Source(path).version
        Source(path).bring(copies)


def test_two_versions_in_one_bundle_or_none_are_told(bundle):
    (bundle / "gated-0.3.0-py3-none-any.whl").touch()
    with pytest.raises(UpdateError, match="has 2 wheels"):
        _ = Source(bundle).version
    for path in bundle.glob("gated-*"):
        path.unlink()
    with pytest.raises(UpdateError, match="has 0 wheels"):
        _ = Source(bundle).version


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
    with pytest.raises(UpdateError, match="others may write"):
        sources_in(place)
    with pytest.raises(UpdateError, match="mend --from"):
        sources_in(tmp_path / "nowhere")
