import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import SealError, StateError
from gated.storage import vault
from gated.storage.vault import Vault, seal, site_key, unseal
from gated.types import SubjectId

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)


@given(st.binary(max_size=600), st.binary(max_size=80))
def test_a_sealed_text_opens_with_the_same_key_and_label(plaintext: bytes, label: bytes) -> None:
    assert unseal(KEY, seal(KEY, plaintext, label), label) == plaintext


@given(st.binary(min_size=16, max_size=64), st.data())
def test_one_altered_bit_and_a_seal_does_not_open(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, plaintext, b"label"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError):
        unseal(KEY, bytes(sealed), b"label")


@given(st.binary(max_size=40))
def test_bytes_that_were_never_sealed_do_not_open(junk: bytes) -> None:
    with pytest.raises(SealError):
        unseal(KEY, junk, b"label")


@pytest.mark.parametrize(("key", "label"), [(OTHER_KEY, b"label"), (KEY, b"another label"), (KEY, b"")])
def test_another_key_or_label_opens_nothing(key: bytes, label: bytes) -> None:
    with pytest.raises(SealError, match="another key or place"):
        unseal(key, seal(KEY, b"secret", b"label"), label)


def test_the_same_thing_is_never_sealed_the_same_way_twice() -> None:
    assert len({seal(KEY, b"the same", b"label") for _ in range(200)}) == 200


def test_a_seal_shows_nothing_of_what_is_in_it() -> None:
    assert b"secret" not in seal(KEY, b"secret" * 20, b"label")


def test_a_data_key_is_one_persons_at_one_site_under_one_site_key() -> None:
    data_key, wrapped = Vault(KEY, "site").new_data_key(ANN)
    assert Vault(KEY, "site").data_key(ANN, wrapped) == data_key
    for strange, subject in ((Vault(KEY, "site"), BOB), (Vault(KEY, "site-2"), ANN), (Vault(OTHER_KEY, "site"), ANN)):
        with pytest.raises(SealError):
            strange.data_key(subject, wrapped)


def test_every_person_gets_a_key_of_their_own() -> None:
    keys = {Vault(KEY, "site").new_data_key(ANN)[0] for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {32}


@given(st.lists(st.text(max_size=4), min_size=4, max_size=4), st.lists(st.text(max_size=4), min_size=4, max_size=4))
def test_labels_of_different_places_are_different(one: list[str], other: list[str]) -> None:
    labels = [Vault(KEY, "site").template_label(SubjectId(parts[0]), *parts[1:]) for parts in (one, other)]
    assert (labels[0] == labels[1]) == (one == other)


def test_a_data_key_label_is_no_template_label() -> None:
    shop = Vault(KEY, "site")
    _, wrapped = shop.new_data_key(ANN)
    with pytest.raises(SealError):
        unseal(KEY, wrapped, shop.template_label(ANN, "", "", ""))


def test_the_site_key_is_made_once_and_is_its_owners_alone(state: Path) -> None:
    key = site_key(state, may_create=True)
    file = state / "keys" / "site.key"
    assert len(key) == 32
    assert key == file.read_bytes() == site_key(state, may_create=True) == site_key(state, may_create=False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_two_sites_never_get_the_same_key(tmp_path: Path) -> None:
    assert len({site_key(tmp_path / str(i), may_create=True) for i in range(20)}) == 20


def test_a_missing_key_is_not_replaced_where_there_is_something_to_open(state: Path) -> None:
    with pytest.raises(StateError, match="restore the key from the backup"):
        site_key(state, may_create=False)
    assert not (state / "keys" / "site.key").exists()


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_the_wrong_length_is_refused_and_kept(state: Path, length: int) -> None:
    site_key(state, may_create=True)
    file = state / "keys" / "site.key"
    file.write_bytes(b"k" * length)
    with pytest.raises(StateError, match=f"has {length} bytes instead of 32"):
        site_key(state, may_create=True)
    assert file.read_bytes() == b"k" * length


@pytest.mark.parametrize(("place", "mode"), [("keys", 0o750), ("keys", 0o701), ("keys/site.key", 0o640)])
def test_a_key_that_others_may_touch_is_refused_with_the_command_that_repairs_it(
    state: Path, place: str, mode: int
) -> None:
    site_key(state, may_create=True)
    (state / place).chmod(mode)
    with pytest.raises(StateError, match="chmod"):
        site_key(state, may_create=True)


def test_a_half_written_key_of_a_power_cut_is_not_used(state: Path) -> None:
    (state / "keys").mkdir(parents=True, mode=0o700)
    half = state / "keys" / ".site.key.new"
    half.write_bytes(b"half")
    assert len(site_key(state, may_create=True)) == 32
    assert not half.exists()


def test_a_folder_that_cannot_be_made_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="cannot be made"):
        site_key(tmp_path / "file", may_create=True)


def test_systemds_credential_comes_first(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_the_file = site_key(state, may_create=True)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert site_key(state, may_create=True) == of_the_file  # the directory has other credentials, but no site key
    (credentials / "site-key").write_bytes(KEY)
    assert site_key(state, may_create=True) == KEY


def test_with_a_credential_no_key_is_written_to_the_card(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-key").write_bytes(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert site_key(state, may_create=True) == KEY
    assert not state.exists()


def test_a_credential_of_the_wrong_length_is_refused(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-key").write_bytes(b"short\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(StateError, match="6 bytes instead of 32"):
        site_key(state, may_create=True)


def test_processes_that_make_the_key_at_once_end_up_with_the_same(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    monkeypatch.setattr(vault.os, "fsync", lambda _: time.sleep(0.02))  # slow enough for the processes to collide

    def make() -> None:
        try:
            queue.put(site_key(state, may_create=True))
        except StateError:
            queue.put(None)

    children = [context.Process(target=make) for _ in range(8)]
    for child in children:
        child.start()
    keys = {queue.get() for _ in children}
    for child in children:
        child.join()
    assert keys == {(state / "keys" / "site.key").read_bytes()}


def test_the_key_is_on_disk_before_it_has_its_name(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("sync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda old, new: (order.append("rename"), replace(old, new)))
    site_key(state, may_create=True)
    assert order == ["sync", "rename", "sync"]


def test_a_digest_is_one_secrets_for_one_use_at_one_site_under_one_key() -> None:
    digest = Vault(KEY, "site").digest("card", "0012345678")
    assert len(digest) == 32
    assert Vault(KEY, "site").digest("card", "0012345678") == digest
    others = [
        Vault(KEY, "site").digest("card", "0012345679"),
        Vault(KEY, "site").digest("pin", "0012345678"),
        Vault(KEY, "site-2").digest("card", "0012345678"),
        Vault(OTHER_KEY, "site").digest("card", "0012345678"),
    ]
    assert len({digest, *others}) == 5


@given(st.text(st.characters(exclude_categories=())))
def test_every_typed_text_has_a_digest(secret: str) -> None:
    assert len(Vault(KEY, "site").digest("pin", secret)) == 32


def test_a_digest_is_what_rfc_2104_and_rfc_5869_make_of_it() -> None:
    import hashlib
    import hmac

    key = hmac.new(KEY, b'["site","digest-key","card"]\x01', hashlib.sha256).digest()
    assert Vault(KEY, "site").digest("card", "1234") == hmac.new(key, b"1234", hashlib.sha256).digest()
