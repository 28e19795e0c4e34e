"""A gate's private files open with its site key alone. A copy of them is useless, and no power cut loses them."""

import os
import shutil
import ssl
from contextlib import closing
from datetime import UTC, datetime

import pytest

from gated.config import SyncSettings
from gated.errors import ConfigError, StateError
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.office.registrar import Registrar
from gated.office.store import Store
from gated.protocol.broker import tls_context
from gated.protocol.jose import Identity
from gated.protocol.pairing_code import der_of
from gated.protocol.sealed_files import UNLOCKED, Lock, is_on_trial, is_sealed, seal_folders
from gated.simulator.network import free_port, join
from gated.storage import vault
from gated.sync.pairing import PairingDraft

SITE, GATE = "market-south", "gate-2"
PRIVATE = ("gate.key", "gate.keys")


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """The folder of an office."""
    folder = tmp_path_factory.mktemp("site") / "office"
    create_office(folder, SITE, Place("localhost", free_port(), free_port()), datetime.now(UTC))
    return folder


@pytest.fixture(scope="module")
def plain(office):
    """The state folder of a gate that was paired before a site key existed."""
    join(office, office.parent / "state", GATE)
    return office.parent / "state"


@pytest.fixture
def state(plain, tmp_path):
    """The state folder of the paired gate, with a site key."""
    shutil.copytree(plain, tmp_path / "state")
    vault.site_key(tmp_path / "state", may_create=True)
    return tmp_path / "state"


def settings(state):
    names = {"ca": "ca.pem", "cert": "gate.pem", "key": "gate.key", "gate_keys": "gate.keys"}
    return SyncSettings(url="mqtts://x", **{key: str(state / "pairing" / name) for key, name in names.items()})


def kid(state, lock=None):
    return (lock or Lock.of(state)).identity(state / "pairing" / "gate.keys").party.kid


def is_usable(state, lock=None):
    """Check that TLS works with the keys, and return the key id of the signing key."""
    tls_context(settings(state), lock or Lock.of(state))
    return kid(state, lock)


def test_the_pairing_folder_alone_can_neither_sign_nor_read(state, plain, tmp_path):
    secrets = [Identity.load(plain / "pairing" / "gate.keys")]
    assert seal_folders(state, Lock.of(state))
    stolen = tmp_path / "stolen"
    shutil.copytree(state / "pairing", stolen / "pairing")
    for lock in (Lock.of(stolen), UNLOCKED):
        with pytest.raises(StateError, match="sealed"):
            tls_context(settings(stolen), lock)
        with pytest.raises(StateError):
            kid(stolen, lock)
    assert b"PRIVATE KEY" in (stolen / "pairing" / "gate.key").read_bytes()
    assert b"ENCRYPTED" in (stolen / "pairing" / "gate.key").read_bytes()
    everything = b"".join(path.read_bytes() for path in stolen.rglob("*") if path.is_file())
    for key in vault_words(secrets[0], plain):
        assert key not in everything
    vault.site_key(stolen, may_create=True)  # another site's key
    with pytest.raises(StateError, match="another site key"):
        tls_context(settings(stolen), Lock.of(stolen))


def vault_words(identity, plain):
    """Return the private parts that a plain file shows: the lines of the PEM, and each "d" of the key set."""
    lines = (plain / "pairing" / "gate.key").read_bytes().splitlines()[1:-1]
    assert identity
    words = (plain / "pairing" / "gate.keys").read_bytes().split(b'"d":"')[1:]
    return [*lines, *(word.split(b'"')[0] for word in words)]


def test_the_gate_keeps_the_same_keys(state, plain):
    before = is_usable(state)
    assert seal_folders(state, Lock.of(state))
    assert is_usable(state) == before
    assert {(state / "pairing" / name).stat().st_mode & 0o777 for name in PRIVATE} == {0o600}
    assert not seal_folders(state, Lock.of(state))


def test_opening_a_sealed_key_never_asks_for_a_password(state, monkeypatch):
    """OpenSSL would ask on the terminal, and a service would wait forever."""
    seal_folders(state, Lock.of(state))
    password = Lock.of(state).password(state / "pairing" / "gate.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(state / "pairing/gate.pem", state / "pairing/gate.key", password[:-1])
    (state / "pairing" / "gate.key").write_bytes(b"")
    with pytest.raises(ConfigError):
        tls_context(settings(state), Lock.of(state))


@pytest.mark.parametrize("name", ["replace", "fsync", "open"])
def test_after_a_power_cut_during_sealing_the_next_start_has_the_same_keys(state, plain, monkeypatch, name):
    """Each call of this kind fails once, from the first to the last, as at a power cut."""
    before, failures = kid(state), 0
    for step in range(1, 30):
        shutil.rmtree(state / "pairing")
        shutil.copytree(plain / "pairing", state / "pairing")
        left = [step]
        real = getattr(os, name)

        def failing(*values, left=left, real=real, **more):
            left[0] -= 1
            if left[0] == 0:
                raise OSError(5, "the power went")
            return real(*values, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            try:
                seal_folders(state, Lock.of(state))
            except StateError:
                failures += 1
        assert is_usable(state) == before
        seal_folders(state, Lock.of(state))
        assert is_usable(state) == before
        assert all(is_sealed(state / "pairing" / each) for each in PRIVATE)
        assert not list((state / "pairing").glob(".gate.key*"))
        if left[0] > 0:
            break
    assert failures >= 2, "both files"


def test_files_of_an_interrupted_pairing_are_sealed_or_deleted(state, plain):
    shutil.copytree(plain / "pairing", state / "pairing.new")
    shutil.copytree(plain / "pairing", state / "pairing.old")
    shutil.copy(plain / "pairing" / "gate.key", state / "pairing" / ".gate.key.new")
    shutil.copy(plain / "pairing" / "gate.keys", state / "pairing.new" / ".gate.keys.new")
    seal_folders(state, Lock.of(state))
    words = vault_words(True, plain)
    left = [path for path in state.rglob("*") if path.is_file() and any(word in path.read_bytes() for word in words)]
    assert left == []
    assert not (state / "pairing.old").exists()


def test_a_systemd_credential_replaces_the_key_on_the_card(state, monkeypatch, tmp_path):
    seal_folders(state, Lock.of(state))
    before, credentials = kid(state), tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "site-key").write_bytes(os.urandom(32))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert is_usable(state) == before
    assert seal_folders(state, Lock.of(state))
    (state / "keys" / "site.key").unlink()
    assert is_usable(state) == before
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(StateError, match="site key, which cannot be read here"):
        tls_context(settings(state), Lock.of(state))


def test_a_gate_that_pairs_again_keeps_its_keys_and_writes_no_plain_one(state, plain):
    seal_folders(state, Lock.of(state))
    draft = PairingDraft(state)
    assert draft._identity.party.kid == kid(state)
    assert all(is_sealed(state / "pairing.new" / name) for name in PRIVATE)
    shutil.rmtree(state / "pairing")
    shutil.rmtree(state / "pairing.new")
    PairingDraft(state)
    assert all(is_sealed(state / "pairing.new" / name) for name in PRIVATE)


@pytest.fixture
def fresh(office, tmp_path):
    """The state folder of a gate that has joined and has never started."""
    draft = PairingDraft(tmp_path / "fresh")
    with closing(Store.open(office)) as store, closing(Registrar(office, store)) as registrar:
        code = registrar.invite("gate-3", now := datetime.now(UTC))
        answer = registrar.answer(draft.application(code, SITE), now)
        draft.finish(code, der_of(registrar.authority.pem.decode()), answer)
    return tmp_path / "fresh"


def test_a_newly_paired_gate_has_no_plain_key_on_its_card(fresh):
    assert all(is_sealed(fresh / "pairing" / name) for name in PRIVATE)
    assert not [path for path in fresh.rglob("*") if path.is_file() and b"BEGIN PRIVATE KEY" in path.read_bytes()]
    stolen = fresh.parent / "stolen"
    shutil.copytree(fresh / "pairing", stolen / "pairing")
    vault.site_key(stolen, may_create=True)
    with pytest.raises(StateError, match="another site key"):
        tls_context(settings(stolen), Lock.of(stolen))
    with pytest.raises(StateError, match="another key"):
        kid(stolen)


@pytest.mark.parametrize("is_given", [False, True])
def test_the_first_start_seals_with_the_site_key_and_deletes_the_temporary_key(fresh, monkeypatch, is_given):
    before = is_usable(fresh)
    if is_given:
        (fresh.parent / "site-key").write_bytes(os.urandom(32))
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(fresh.parent))
    vault.site_key(fresh, may_create=True)
    assert is_usable(fresh) == before
    assert seal_folders(fresh, Lock.of(fresh))
    assert not (fresh / vault.PAIRING_KEY).exists()
    assert (fresh / "keys" / "site.key").exists() is not is_given
    assert is_usable(fresh, Lock(lambda: [vault.site_key(fresh, may_create=False)])) == before


def test_the_temporary_key_stays_while_it_is_needed(fresh, monkeypatch):
    before = is_usable(fresh)
    assert not seal_folders(fresh, Lock.of(fresh))  # no site key yet: the gate has not started
    vault.site_key(fresh, may_create=True)
    monkeypatch.setattr("gated.protocol.sealed_files.atomic_rewrite", lambda *_: None)  # a power cut
    seal_folders(fresh, Lock.of(fresh))
    assert (fresh / vault.PAIRING_KEY).exists()
    assert is_usable(fresh) == before


def test_a_gate_without_its_site_key_reports_it_and_pairing_makes_no_other(fresh):
    vault.site_key(fresh, may_create=True)
    seal_folders(fresh, Lock.of(fresh))
    (fresh / "keys" / "site.key").unlink()
    PairingDraft(fresh)
    assert not (fresh / "keys" / "site.key").exists()
    assert all(is_sealed(fresh / "pairing.new" / name) for name in PRIVATE)


def test_pairing_during_a_version_trial_writes_files_that_the_previous_version_reads(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.protocol.sealed_files.is_on_trial", lambda _: True)
    vault.site_key(tmp_path, may_create=True)
    PairingDraft(tmp_path)
    assert not any(is_sealed(tmp_path / "pairing.new" / name) for name in PRIVATE)


def test_nothing_is_sealed_while_a_rollback_is_possible(tmp_path):
    prefix = tmp_path / "releases" / "0.2.0" / "venv"
    prefix.mkdir(parents=True)
    assert not is_on_trial(prefix)
    (tmp_path / "trial").write_text("before 0.1.0\n")
    assert is_on_trial(prefix)


def test_without_a_site_key_plain_files_stay_and_it_is_reported(plain):
    with pytest.raises(StateError, match="site key"):
        seal_folders(plain, Lock.of(plain))
    assert is_usable(plain)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END",
        b"eyJ....",
        b"eyJhbGciOiJkaXIifQ....",
        b"\x00" * 40,
        b"-----BEGIN PRIVATE KEY-----",
    ],
)
def test_invalid_key_files_are_reported(state, data):
    for name in PRIVATE:
        (state / "pairing" / name).write_bytes(data)
    seal_folders(state, Lock.of(state))
    with pytest.raises((StateError, ConfigError)):
        tls_context(settings(state), Lock.of(state))
    with pytest.raises(StateError):
        kid(state)
    assert (state / "pairing" / "gate.key").read_bytes() == data
