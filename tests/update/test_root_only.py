"""Root installs at night only from paths that root alone can change, from the top folder to each file."""

import os

import pytest

from gated.errors import UpdateError
from gated.update.root_only import check_roots
from gated.update.source import sources_in

OTHER = 65534
roots = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def place(tmp_path):
    """Return a folder of releases inside another folder, with a wheel and a bundle."""
    place = tmp_path / "above" / "releases"
    (place / "bundle" / "wheels").mkdir(parents=True)
    for path in (place / "gated-0.2.0-py3-none-any.whl", place / "bundle" / "SHA256SUMS",
                 place / "bundle" / "wheels" / "gated-0.3.0-py3-none-any.whl"):  # fmt: skip
        path.write_bytes(b"a wheel")
        path.chmod(0o644)
    for path in (place.parent, place, place / "bundle", place / "bundle" / "wheels"):
        path.chmod(0o755)
    return place


def test_a_bundle_that_only_root_may_write_is_accepted(place):
    assert [source.version for source in sources_in(place)] == ["0.2.0", "0.3.0"]


@pytest.mark.parametrize("where", [".", "..", "bundle", "bundle/wheels", "gated-0.2.0-py3-none-any.whl",
                                   "bundle/SHA256SUMS", "bundle/wheels/gated-0.3.0-py3-none-any.whl"])  # fmt: skip
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_a_path_that_other_users_may_write_is_refused_by_name(place, where, mode):
    path = (place / where).resolve()
    path.chmod(path.stat().st_mode | mode)
    with pytest.raises(UpdateError, match="other users may write it"):
        sources_in(place)


@roots
@pytest.mark.parametrize("where", [".", "..", "bundle", "gated-0.2.0-py3-none-any.whl",
                                   "bundle/wheels/gated-0.3.0-py3-none-any.whl"])  # fmt: skip
def test_a_path_of_another_user_is_refused_by_name(place, where):
    os.chown((place / where).resolve(), OTHER, OTHER)
    with pytest.raises(UpdateError, match="belongs to another user"):
        sources_in(place)


@pytest.mark.parametrize("kind", ["file", "folder", "to nowhere", "fifo"])
def test_a_link_or_a_pipe_among_the_releases_is_refused(place, tmp_path, kind):
    path = place / "gated-0.9.0-py3-none-any.whl"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to({"file": place / "bundle" / "SHA256SUMS", "folder": tmp_path}.get(kind, "nowhere"))
    with pytest.raises(UpdateError, match="link"):
        sources_in(place)


def test_a_place_behind_a_link_is_refused_and_the_place_itself_is_named(place, tmp_path):
    (tmp_path / "link").symlink_to(place.parent)
    for path in (tmp_path / "link" / "releases", tmp_path / "link" / "releases" / "bundle"):
        with pytest.raises(UpdateError, match=f"give the real path: {path.resolve()}"):
            check_roots(path)


def test_a_folder_above_where_nobody_can_replace_what_is_anothers_is_good(place):
    place.parent.chmod(0o1777)
    check_roots(place)
    place.chmod(0o1777)
    with pytest.raises(UpdateError, match="other users may write it"):
        check_roots(place)
