"""A command run by root acts as the folder's owner. No link in that folder leads root elsewhere."""

import json
import os
import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from gated.access.pass_keys import make_pass_key, pass_key_text
from gated.cli import main, owners
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.office.store import Store
from gated.protocol.jose import Identity

NOBODY, DAEMON = 65534, 1
roots = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")


# -- the table --------------------------------------------------------------------------------------------------------


def all_commands(group=main, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command, here = group.get_command(context, name), (*path, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join(here), command
        if isinstance(command, click.Group):
            yield from all_commands(command, here)


def test_every_command_runs_as_the_owner_or_is_an_exception_with_a_reason():
    commands = dict(all_commands())
    assert len(commands) > 90
    by_holder = {path for path, command in commands.items() if hasattr(command.callback, owners.MARK)}
    assert set(commands) - by_holder == set(owners.BY_ITSELF)
    assert all(owners.BY_ITSELF.values())


# -- a gate's and an office's folder, and a file of root's beside them ------------------------------------------------


def give(folder, uid=NOBODY):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


@pytest.fixture
def secret(open_folder):
    path = open_folder / "secret"
    path.write_bytes(b"root's")
    path.chmod(0o600)
    return path


@pytest.fixture
def config(open_folder):
    """Return settings of root's that the gate's user reads, with an empty state folder of that user's."""
    (open_folder / "state").mkdir(mode=0o700)
    give(open_folder / "state")
    path = open_folder / "gated.toml"
    path.write_text(
        f'state_dir = "{open_folder}/state"\n[site]\nid = "market-south"\n[gate]\nid = "front"\n'
        f'[door]\npins = "mock"\n[camera]\nkind = "replay"\npath = "{open_folder}/frames"\n[readers]\n'
    )
    return path


@pytest.fixture
def office(open_folder):
    """Return an office's folder that belongs to its own user."""
    begin_office(open_folder / "office")
    give(open_folder / "office")
    return open_folder / "office"


def begin_office(folder):
    create_office(folder, "market-south", Place("localhost", 8883, 8884), datetime.now(UTC))
    with closing(Store.open(folder)) as store:
        store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")


def run(*words, check=None):
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert check is None or done.exit_code == check, done.output
    return done.output


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def is_untouched(secret):
    is_now = secret.stat()
    return (secret.read_bytes(), is_now.st_uid, is_now.st_gid, is_now.st_mode & 0o777) == (b"root's", 0, 0, 0o600)


def attack(folder, secret, names, command):
    """Attack each file that a command writes: the folder's user puts a link in its place, and root runs the command."""
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole, symlinks=True)
    for name in names:
        for target in (secret, secret.with_name("made")):
            shutil.rmtree(folder)
            shutil.copytree(whole, folder, symlinks=True)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(target)
            give(folder)
            run(*command)
            assert is_untouched(secret), f"{name} led root to its secret"
            assert not secret.with_name("made").exists(), f"{name} had root make a file"
    shutil.rmtree(whole)


def pass_text(folder):
    make_pass_key(folder / "site.key")
    return pass_key_text((folder / "site.key").read_bytes())


GATE = {
    "people add": ["people", "add", "--name", "Ann", "--household", "2-401"],
    "lockdown on": ["lockdown", "on", "--by", "li"],
    "pass trust": ["pass", "trust", pass_text, "--replace"],
    "quarantine renew": ["people", "quarantine", "renew"],
}
OFFICE = {
    "person add": ["person", "add", "--name", "Ann", "--household", "2-401"],
    "invite": ["invite", "gate-2"],
    "pass key": ["pass", "key"],
    "timezone": ["timezone", "Asia/Tokyo"],
}


NAMED = {
    "sheet.html": ["invite", "gate-2", "--sheet", "{}"],
    "key.txt": ["recovery", "{}"],
    "forms": ["forms", "--no-voice", "--version", "1", "--out", "{}"],
    "pass.png": ["pass", "issue", "gate-1", "--until", "2099-01-01", "--png", "{}"],
}


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory):
    """Import as root everything that these commands import. Other users may be unable to read the interpreter."""
    folder = tmp_path_factory.mktemp("imported")
    text = pass_text(folder)
    (folder / "gated.toml").write_text('state_dir = "state"\n[site]\nid = "market-south"\n[gate]\nid = "front"\n')
    for words in (*GATE.values(), ["check"]):
        run("--config", folder / "gated.toml", *(text if callable(word) else word for word in words))
    begin_office(folder / "office")
    for name, words in (*OFFICE.items(), *NAMED.items()):
        run("office", "--dir", folder / "office", *(word.format(folder / name) for word in words))


@roots
@pytest.mark.parametrize("words", GATE.values(), ids=GATE)
def test_files_that_root_makes_at_a_gate_belong_to_its_user_and_links_mislead_nobody(
    config, open_folder, secret, words
):
    state = open_folder / "state"
    command = ["--config", config, *(pass_text(open_folder) if callable(word) else word for word in words)]
    run(*command, check=0)
    written = files_in(state)
    assert written
    assert {path.stat().st_uid for path in (state, *state.rglob("*"))} == {NOBODY}
    assert config.stat().st_uid == 0
    shutil.rmtree(state)
    state.mkdir(mode=0o700)
    attack(state, secret, [*written, *(f".{name}.new" for name in written if "/" not in name)], command)


@roots
@pytest.mark.parametrize("words", OFFICE.values(), ids=OFFICE)
def test_files_that_root_makes_at_an_office_belong_to_its_user_and_links_mislead_nobody(office, secret, words):
    command = ["office", "--dir", office, *words]
    before = files_in(office)
    run(*command)
    assert {path.stat().st_uid for path in (office, *office.rglob("*"))} == {NOBODY}
    new = set(files_in(office)) - set(before)
    attack(office, secret, [*before, *new, *(f".{name}.new" for name in new if "/" not in name)], command)


@roots
def test_a_linked_state_folder_of_another_user_gets_no_file_of_root(config, open_folder, secret):
    (open_folder / "theirs").mkdir()
    (open_folder / "roots").mkdir()
    (open_folder / "theirs/state").symlink_to(open_folder / "roots")
    give(open_folder / "theirs")
    config.write_text(config.read_text().replace(f"{open_folder}/state", f"{open_folder}/theirs/state"))
    for words in GATE.values():
        run("--config", config, *(pass_text(open_folder) if callable(word) else word for word in words[:-1]), words[-1])
        (open_folder / "site.key").unlink(missing_ok=True)
    assert list((open_folder / "roots").iterdir()) == []


@roots
def test_a_new_office_belongs_to_the_owner_of_its_place(open_folder):
    (open_folder / "home").mkdir()
    give(open_folder / "home")
    folder = open_folder / "home/office"
    words = ["init", "--site", "market-south", "--host", "localhost"]
    run("office", "--dir", folder, *words, check=0)
    assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {NOBODY}


@roots
def test_in_a_folder_of_root_files_belong_to_root(open_folder, config):
    give(open_folder / "state", 0)
    run("--config", config, "people", "add", "--name", "Ann", "--household", "2-401", check=0)
    assert {path.stat().st_uid for path in (open_folder / "state").rglob("*")} == {0}
    assert os.geteuid() == 0


@roots
def test_a_folder_of_root_that_others_may_write_is_refused(open_folder, config):
    give(open_folder / "state", 0)
    (open_folder / "state").chmod(0o777)
    printed = run("--config", config, "people", "add", "--name", "Ann", "--household", "2-401", check=3)
    assert "others may write it too" in printed
    assert list((open_folder / "state").iterdir()) == []


# -- programs that a command starts, and files that its caller names ---------------------------------------------------


@roots
def test_a_program_started_by_a_command_is_not_root_and_cannot_become_root(open_folder):
    (open_folder / "state").mkdir()
    give(open_folder / "state")
    printed = []

    @click.command()
    @click.pass_obj
    def look(_):
        printed.extend(subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.split())
        printed.extend(subprocess.run(["id", "-ru"], capture_output=True, text=True, check=True).stdout.split())

    owners.by_holder(look, "look").main([], obj=SimpleNamespace(place=open_folder / "state"), standalone_mode=False)
    assert printed == [str(NOBODY), str(NOBODY)]
    assert os.getresuid() == (0, 0, 0)


@pytest.fixture
def home(open_folder):
    """Return the folder of a third user, who runs `sudo`."""
    folder = open_folder / "home"
    folder.mkdir(mode=0o700)
    give(folder, DAEMON)
    return folder


@roots
@pytest.mark.parametrize(("name", "words"), NAMED.items(), ids=NAMED)
def test_a_named_file_is_created_by_the_owner_of_its_folder(office, home, secret, words, name):
    command = ["office", "--dir", office, *(word.format(home / name) for word in words)]
    run(*command)
    made = list(home.rglob("*"))
    assert {path.stat().st_uid for path in made} == {DAEMON}
    for path in [each for each in made if each.is_file()]:
        path.unlink()
        path.symlink_to(secret)
    give(home, DAEMON)
    run(*command)
    assert is_untouched(secret)
    assert {path.stat().st_uid for path in (office, *office.rglob("*"))} == {NOBODY}


@roots
def test_a_named_file_is_read_as_the_owner_of_its_folder(office, home, secret):
    (home / "new.toml").symlink_to(secret)
    give(home, DAEMON)
    printed = run("office", "--dir", office, "settings", "gate-1", home / "new.toml", check=2)
    assert "Permission denied" in printed
    (home / "new.toml").unlink()
    (home / "new.toml").write_text("[access]\nframes = 3\n")
    give(home, DAEMON)
    printed = run("office", "--dir", office, "settings", "gate-1", home / "new.toml", check=1)
    assert "`gated office serve`" in printed, "it was read, and would be ordered"


@roots
def test_settings_that_only_root_may_read_work_for_roots_command(config):
    config.chmod(0o600)
    run("--config", config, "people", "add", "--name", "Ann", "--household", "2-401", check=0)
    assert "Ann" in run("--config", config, "people", "list", check=0)


@roots
def test_learning_a_reader_reveals_no_file_of_root(config, open_folder, secret):
    (open_folder / "state/readers.loan").symlink_to(secret)
    (open_folder / ".gated.toml.new").symlink_to(secret)
    give(open_folder / "state")
    os.mkfifo(open_folder / "event7")
    run("--config", config, "readers", "learn", "--device", open_folder / "event7", "--seconds", "1")
    assert is_untouched(secret)
    assert config.stat().st_uid == 0


# -- `gated check` ----------------------------------------------------------------------------------------------------


@roots
def test_a_camera_path_that_the_gates_user_cannot_reach_is_a_finding(config, open_folder):
    (open_folder / "closed/frames").mkdir(parents=True)
    (open_folder / "closed").chmod(0o700)
    config.write_text(config.read_text().replace(f"{open_folder}/frames", f"{open_folder}/closed/frames"))
    printed = json.loads(run("--config", config, "check", "--json", check=3))
    [camera] = [each for each in printed["checks"] if each["part"] == "camera"]
    assert f"{open_folder}/closed/frames" in camera["problem"]
    assert "Permission denied" in camera["problem"]
    assert "give that user access" in camera["problem"]
