"""The office's keys behind a passphrase. A copy of the folder is useless, and the office starts without an operator."""

import contextlib
import os
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.errors import OfficeError, StateError
from gated.office import key_lock
from gated.office.authority import Authority
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.office.rekey import rekey
from gated.office.renewals import Renewals
from gated.office.store import Store
from gated.protocol.recovery_key import RecoveryKey

SITE, WORDS, OTHERS = "market-south", "lantern river nine", "copper window seven"
NOW = datetime.now(UTC)
KEY = RecoveryKey(bytes(range(32)))
PRIVATE = ("office.keys", "ca.key")


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "office"
    create_office(folder, SITE, Place("localhost", 18883, 18884), NOW, recovery=KEY)
    return folder


def cheap(monkeypatch):
    """Use the cheapest argon2 cost a key file allows. Only the real command uses the full cost."""
    monkeypatch.setattr(key_lock, "MEMORY_KIB", 8 * 1024)
    monkeypatch.setattr(key_lock, "PASSES", 1)


@pytest.fixture
def office(founded, tmp_path, monkeypatch):
    monkeypatch.delenv(key_lock.NAMED_BY, raising=False)
    monkeypatch.setattr(key_lock, "_prompt", [])
    cheap(monkeypatch)
    key_lock.forget_keys()
    yield Path(shutil.copytree(founded, tmp_path / "office"))
    key_lock.forget_keys()


def kid(folder):
    Authority.load(folder)
    with closing(Store.open(folder)) as store:
        return store.identity.party.kid


def typed(words):
    key_lock.forget_keys()
    key_lock.set_prompt(lambda _: words)


def test_a_copied_folder_opens_only_with_the_passphrase(office, founded, tmp_path):
    before = kid(office)
    key_lock.lock(office, WORDS)
    stolen = Path(shutil.copytree(office, tmp_path / "stolen"))
    plain = (founded / "ca.key").read_bytes().splitlines()[1:-1]
    plain += [part.split(b'"')[0] for part in (founded / "office.keys").read_bytes().split(b'"d":"')[1:]]
    assert len(plain) >= 4
    for path in stolen.iterdir():
        assert not any(word in path.read_bytes() for word in plain), path.name
    key_lock.forget_keys()
    with pytest.raises(key_lock.LockedError, match="gated office passphrase"):
        Store.open(stolen)
    with pytest.raises(key_lock.LockedError):
        Authority.load(stolen)
    typed(WORDS)
    assert kid(stolen) == before


@pytest.mark.parametrize("wrong", ["", WORDS[:-1], WORDS.upper(), f"{WORDS} ", "灯笼河九灯笼河九灯笼河九"])
def test_a_wrong_passphrase_gives_one_clear_message(office, wrong):
    key_lock.lock(office, WORDS)
    typed(wrong)
    with pytest.raises(OfficeError, match="^this is not the passphrase of this office; nothing was changed$"):
        Store.open(office)
    typed(WORDS)
    kid(office)


def test_the_passphrase_can_be_changed_and_the_old_one_is_invalid(office):
    before = kid(office)
    key = key_lock.lock(office, WORDS)
    assert key_lock.lock(office, OTHERS, key_lock.key_for(office, WORDS)) == key, "an office that runs goes on"
    with pytest.raises(OfficeError, match="not the passphrase"):
        key_lock.key_for(office, WORDS)
    typed(OTHERS)
    assert kid(office) == before


def test_the_passphrase_can_be_removed(office, founded):
    key_lock.lock(office, WORDS)
    key_lock.unlock(office)
    key_lock.forget_keys()
    assert not key_lock.is_locked(office)
    for name in PRIVATE:
        assert (office / name).stat().st_mode & 0o777 == 0o600
    assert kid(office) == kid(founded)


def test_a_short_passphrase_is_refused_and_changes_nothing(office):
    with pytest.raises(OfficeError, match="at least 12"):
        key_lock.lock(office, "lantern")
    assert not key_lock.is_locked(office)


@pytest.mark.parametrize("change", ["lock", "change", "unlock"])
@pytest.mark.parametrize("name", ["replace", "fsync", "unlink"])
def test_after_a_power_cut_one_of_the_passphrases_opens_the_office(
    founded, tmp_path, monkeypatch, power_goes, name, change
):
    cheap(monkeypatch)
    before, home = kid(founded), os if name == "fsync" else Path
    for step in range(1, 20, 2 if name == "fsync" else 1):
        office = Path(shutil.copytree(founded, tmp_path / f"{step}"))
        key = key_lock.lock(office, WORDS) if change != "lock" else None
        with power_goes(home, name, step) as is_gone, contextlib.suppress(OfficeError, OSError):
            key_lock.unlock(office) if change == "unlock" else key_lock.lock(office, OTHERS, key)
        assert before in {_opened(office, words) for words in (WORDS, OTHERS)}
        if not is_gone():
            break


def _opened(office, words):
    typed(words)
    try:
        return kid(office)
    except (OfficeError, StateError):
        return None
    finally:
        key_lock.forget_keys()


def test_with_a_credential_or_a_named_file_the_office_starts_unattended(office, tmp_path, monkeypatch):
    before, key = kid(office), key_lock.lock(office, WORDS)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "office-key").write_text(key.hex())
    (tmp_path / "file").write_text(f"{key.hex()}\n")
    for name, value in (("CREDENTIALS_DIRECTORY", tmp_path / "credentials"), (key_lock.NAMED_BY, tmp_path / "file")):
        key_lock.forget_keys()
        with monkeypatch.context() as patch:
            patch.setenv(name, str(value))
            assert kid(office) == before


@pytest.mark.parametrize("given", ["", "00" * 32, "00" * 31, "no key", "zz" * 32])
def test_a_wrong_credential_does_not_open(office, tmp_path, monkeypatch, given):
    key_lock.lock(office, WORDS)
    key_lock.forget_keys()
    (tmp_path / "file").write_text(given)
    monkeypatch.setenv(key_lock.NAMED_BY, str(tmp_path / "file"))
    with pytest.raises(key_lock.LockedError):
        Store.open(office)


def test_renewed_and_replaced_keys_are_sealed_too(office):
    key_lock.lock(office, WORDS)
    Authority.load(office).renewed(NOW).save(office)
    with closing(Store.open(office)) as store:
        Renewals(office, store).renew_own(NOW)
    rekey(office, KEY, None, NOW, passphrase=WORDS)
    for name in PRIVATE:
        assert (office / name).read_bytes().startswith(b"eyJ"), name
    after = kid(office)
    typed(WORDS)
    assert kid(office) == after


def test_the_old_passphrase_opens_no_copy_after_rekeying(office, tmp_path):
    key_lock.lock(office, WORDS)
    old = key_lock.key_for(shutil.copytree(office, tmp_path / "old"), WORDS)
    with pytest.raises(OfficeError, match="not the passphrase"):
        rekey(office, KEY, None, NOW, passphrase=OTHERS)
    rekey(office, KEY, None, NOW, passphrase=WORDS)
    key_lock.lock(office, OTHERS, key_lock.key_for(office, WORDS))
    copy = shutil.copytree(office, tmp_path / "new")
    key_lock.forget_keys()
    key_lock.use_key(copy, old)
    with pytest.raises((OfficeError, StateError)):
        Store.open(copy)
    with pytest.raises((OfficeError, StateError)):
        Authority.load(copy)
    typed(OTHERS)
    assert kid(copy) == kid(office)


COSTS = '"memory_kib":8192,"passes":1,"lanes":1'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        f'{{"v":1,"salt":"","key":"",{COSTS}}}',
        f'{{"v":1,"salt":"!","key":"x",{COSTS}}}',
        '{"v":1,"salt":"AAAA","key":"x","memory_kib":1000000000,"passes":1,"lanes":1}',
    ],
)
def test_a_damaged_file_is_reported_without_much_memory(office, content):
    key_lock.lock(office, WORDS)
    (office / key_lock.LOCK_FILE).write_text(content)
    typed(WORDS)
    with pytest.raises((OfficeError, StateError)):
        Store.open(office)


# -- the command


@pytest.fixture
def gated(office, monkeypatch):
    """Return a function that runs `gated office` with an operator at the terminal, who types the given lines."""
    monkeypatch.setattr("gated.cli.office.passphrase.has_terminal", lambda: True)

    def run(*words, typed=(), check=0):
        key_lock.forget_keys()
        lines = "".join(f"{line}\n" for line in typed)
        done = CliRunner().invoke(main, ["office", "--dir", str(office), *words], input=lines)
        assert done.exit_code == check, done.output
        return done.output

    return run


def alone(folder, *words, check=0, **environment):
    """Run `gated office` in its own process, without a terminal. Return its output."""
    command = [sys.executable, "-m", "gated", "office", "--dir", str(folder), *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env=os.environ | environment)  # fmt: skip
    assert done.returncode == check, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_command_sets_and_removes_the_passphrase_and_explains_unattended_starts(office, gated, tmp_path):
    file = tmp_path / "office.key"
    output = gated("passphrase", typed=(WORDS, WORDS))
    assert "new passphrase protects" in output
    assert "--key-file" in output or "credential" in output
    gated("gates", typed=(WORDS,))
    assert "not the passphrase of this office" in gated("gates", typed=("something else",), check=1)
    gated("passphrase", "--key-file", str(file), typed=(WORDS,))
    assert file.stat().st_mode & 0o777 == 0o600
    inside = gated("passphrase", "--key-file", str(office / "x"), typed=(WORDS,), check=1)
    assert "outside all copies" in inside
    assert "there is no terminal" in alone(office, "gates", "--json", check=1)
    alone(office, "gates", "--json", GATED_OFFICE_KEY=str(file))
    gated("passphrase", typed=(WORDS, OTHERS, OTHERS))
    assert "not the passphrase" in gated("gates", typed=(WORDS,), check=1)
    alone(office, "gates", "--json", GATED_OFFICE_KEY=str(file))
    gated("passphrase", "--remove", typed=(OTHERS,))
    alone(office, "gates", "--json")
    assert "no passphrase" in gated("passphrase", "--remove", check=1)
