"""Root puts models into a folder of the gate's user, and that user cannot misuse this against root."""

import contextlib
import os
import pwd
import shutil
import threading

import pytest

from gated.config import ModelSettings
from gated.errors import GatedError
from gated.face.manifest import load_set, shipped_manifest
from gated.face.model_files import pull_set
from gated.storage.named_files import reading
from gated.storage.owner import as_holder_of

NOBODY = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def place(open_folder, tmp_path):
    """Return the settings, models in a folder of root's, the target folder of the gate's user, and a file of root's."""
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(shipped_manifest().read_text().replace('folder = "courtyard"\n', ""))
    source = tmp_path / "stick"
    shutil.copytree(shipped_manifest().parent / "courtyard", source)
    source.chmod(0o700)
    state = open_folder / "state"
    (state / "models").mkdir(parents=True)
    for each in (state, state / "models"):
        os.chown(each, NOBODY, NOBODY)
    secret = open_folder / "secret"
    secret.write_bytes(b"root's")
    secret.chmod(0o600)
    settings = ModelSettings(dir=str(state / "models"), set="courtyard", manifest=str(manifest))
    return settings, source, state / "models", secret


def bring(place):
    settings, source, models, _ = place
    with as_holder_of(models):
        return pull_set(settings, "courtyard", source=source, accept=True, reading=reading)


def names(place):
    return [entry.file for entry in load_set(place[0]).models]


def test_files_copied_by_root_belong_to_the_gates_user_and_are_readable(place):
    bring(place)
    for name in names(place):
        found = (place[2] / name).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (NOBODY, 0o644)


@pytest.mark.parametrize("suffix", [".part", ""])
@pytest.mark.parametrize("laid", ["link", "dangling", "second name"])
def test_a_planted_link_gets_no_file_of_root(place, laid, suffix):
    models, secret = place[2:]
    victims = [f"{name}{suffix}" for name in names(place)] + [".pull.lock", ".licences.json.new", "licences.json"]
    for name in victims:
        if laid == "second name":
            (models / name).hardlink_to(secret)
        else:
            (models / name).symlink_to(secret if laid == "link" else secret.with_name("made"))
            os.chown(models / name, NOBODY, NOBODY, follow_symlinks=False)
    try:
        bring(place)
    except GatedError as error:
        assert "models" in str(error)
    found = secret.stat()
    assert (secret.read_bytes(), found.st_uid, found.st_mode & 0o777) == (b"root's", os.getuid(), 0o600)
    assert not secret.with_name("made").exists()


def test_a_folder_of_models_that_is_a_link_to_roots_gets_nothing(place):
    models, secret = place[2:]
    roots = secret.with_name("roots")
    roots.mkdir()
    models.rmdir()
    models.symlink_to(roots)
    os.chown(models, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(GatedError):
        bring(place)
    assert list(roots.iterdir()) == []


def test_a_rename_race_gets_no_file_of_root(place):
    """An attacker repeatedly swaps the folder for a link to root's folder while root brings the models."""
    models, secret = place[2:]
    roots, other = secret.with_name("roots"), models.with_name("other")
    roots.mkdir()
    other.symlink_to(roots)
    os.chown(other, NOBODY, NOBODY, follow_symlinks=False)
    ended = threading.Event()

    def swap():
        aside = models.with_name("aside")
        while not ended.is_set():
            for old, new in ((models, aside), (other, models), (models, other), (aside, models)):
                with contextlib.suppress(OSError):  # root made that folder meanwhile
                    old.rename(new)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(10):
            try:
                bring(place)
            except GatedError:
                continue
    finally:
        ended.set()
        thread.join()
    assert list(roots.iterdir()) == []


def test_a_pipe_instead_of_a_model_does_not_block(place):
    for name in names(place):
        os.mkfifo(place[2] / name)
        os.mkfifo(place[2] / f"{name}.part")
    assert len(bring(place)) == len(names(place))


def test_files_that_root_left_do_not_hinder_the_next_run(place):
    """Root brought models before, and left their lock file and a partial file."""
    for name in (".pull.lock", f"{names(place)[0]}.part"):
        (place[2] / name).write_bytes(b"1")
        (place[2] / name).chmod(0o600)
    assert len(bring(place)) == len(names(place))
