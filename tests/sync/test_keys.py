"""A key file is read back as it was written, and only its owner can read a private one.

Any other content raises an error that names the file and quotes none of its content.
"""

import base64
import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import StateError, WireError
from gated.protocol.jose import Identity, Party


@pytest.fixture
def identity():
    return Identity.make()


@pytest.fixture
def private(identity, tmp_path):
    """A file of private keys, as pairing writes it."""
    path = tmp_path / "state" / "gate.keys"
    identity.save(path)
    return path


@pytest.fixture
def public(identity, tmp_path):
    """A file of the same end's public keys."""
    path = tmp_path / "office.keys"
    path.write_bytes(identity.party.dump())
    return path


def changed(path, change):
    """Apply `change` to the JSON list of keys in a file."""
    keys = json.loads(path.read_text())
    change(keys["keys"])
    path.write_text(json.dumps(keys))


def test_private_keys_come_back_and_sign_and_open_as_before(identity, private):
    again = Identity.load(private)
    assert (again.party.kid, again.party.seal_kid) == (identity.party.kid, identity.party.seal_kid)
    assert identity.party.verify(again.sign("ack", b"words"), "ack") == b"words"
    assert again.open(identity.party.seal(b"for one alone")) == b"for one alone"


def test_public_keys_come_back_and_verify_and_seal_as_before(identity, public):
    party = Party.load(public)
    assert (party.kid, party.seal_kid) == (identity.party.kid, identity.party.seal_kid)
    assert party.verify(identity.sign("ack", b"words"), "ack") == b"words"
    assert identity.open(party.seal(b"for one alone")) == b"for one alone"
    assert json.loads(party.dump()) == json.loads(identity.party.dump())


def test_a_private_file_and_its_folder_are_their_owners_alone(private):
    old = os.umask(0)
    try:
        Identity.make().save(private.with_name("other.keys"))
        Identity.make().save(private.parent / "new" / "other.keys")
    finally:
        os.umask(old)
    for path in (private, private.with_name("other.keys"), private.parent / "new" / "other.keys"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((private.parent / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o644])
def test_a_private_file_that_others_may_touch_is_not_used(private, mode):
    private.chmod(mode)
    with pytest.raises(StateError, match=f"{private.name}.*chmod 600"):
        Identity.load(private)
    private.chmod(0o400)
    Identity.load(private)


def test_keys_are_never_written_over_others(identity, private):
    before = private.read_bytes()
    with pytest.raises(StateError, match=r"gate\.keys.*cannot be written"):
        Identity.make().save(private)
    assert private.read_bytes() == before


def test_keys_that_cannot_be_written_raise_an_error_with_the_path(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="file/gate.keys"):
        Identity.make().save(tmp_path / "file" / "gate.keys")


@pytest.mark.parametrize("kind", [Identity, Party])
@pytest.mark.parametrize("there", ["nothing", "a folder"])
def test_a_missing_file_gives_the_next_step(tmp_path, kind, there):
    path = tmp_path / "missing.keys"
    if there == "a folder":
        path.mkdir(mode=0o700)
    with pytest.raises(StateError, match=r"missing\.keys.*pair the gate with its office"):
        kind.load(path)


def test_public_keys_are_no_identity(public):
    public.chmod(0o600)
    with pytest.raises(StateError, match="private keys where public keys are expected, or the reverse"):
        Identity.load(public)


def test_private_keys_are_not_taken_for_somebody_elses_public_ones(private):
    with pytest.raises(StateError, match="private keys where public keys are expected, or the reverse"):
        Party.load(private)


def test_the_public_keys_for_the_other_end_hold_nothing_private(identity, private):
    secrets = [key["d"] for key in json.loads(private.read_text())["keys"]]
    assert len(secrets) == 2
    for secret in secrets:
        assert secret.encode() not in identity.party.dump()
    assert all("d" not in key for key in json.loads(identity.party.dump())["keys"])


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"keys":5}', b'{"keys":[]}', b'{"keys":[{}]}', b'{"keys":[[]]}',
     b'{"keys":[{"crv":"Ed25519"},{"crv":"X25519"}]}', b'{"keys":[{"crv":["Ed25519"]}]}', b"[" * 20_000, bytes(5000),
     b"-----BEGIN PRIVATE KEY-----\n", b'{"keys":' + b'[{"crv":' * 3000],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Identity, Party])
def test_garbage_is_an_error_that_names_the_file(tmp_path, kind, garbage):
    path = tmp_path / "odd.keys"
    path.write_bytes(garbage)
    path.chmod(0o600)
    with pytest.raises(StateError, match=r"odd\.keys"):
        kind.load(path)


CHANGES = {
    "one is missing": lambda keys: keys.pop(),
    "another kind": lambda keys: keys[0].update(kty="EC"),
    "another curve": lambda keys: keys[0].update(crv="Ed448"),
    "swapped": lambda keys: keys[0].update(crv="X25519"),
    "no x": lambda keys: keys[0].pop("x"),
    "a short x": lambda keys: keys[1].update(x=keys[1]["x"][:20]),
    "a long x": lambda keys: keys[1].update(x=keys[1]["x"] * 2),
    "x is no text": lambda keys: keys[0].update(x=5),
    "x is no base64": lambda keys: keys[0].update(x="!" * 43),
    "x is empty": lambda keys: keys[0].update(x=""),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_damaged_keys_are_refused(public, change):
    changed(public, change)
    with pytest.raises(StateError, match=r"office\.keys"):
        Party.load(public)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_damaged_private_keys_are_refused(private, change):
    changed(private, change)
    with pytest.raises(StateError, match=r"gate\.keys"):
        Identity.load(private)


def test_a_private_key_that_is_not_its_public_ones_is_refused(private):
    """Otherwise this end would sign messages that no reader can verify, or open no sealed message, and fail only in
    use.
    """
    another, whole = private.with_name("another.keys"), private.read_text()
    Identity.make().save(another)
    foreign = json.loads(another.read_text())["keys"]
    for at in (0, 1):
        private.write_text(whole)
        changed(private, lambda keys, at=at: keys[at].update(d=foreign[at]["d"]))
        with pytest.raises(StateError, match=r"gate\.keys.*private and public parts do not match"):
            Identity.load(private)


def test_no_error_quotes_a_key(private, public):
    key = json.loads(private.read_text())["keys"][0]
    changed(private, lambda keys: keys.pop(0))
    changed(public, lambda keys: keys[0].update(x="no-key-" + key["d"]))
    for load, path in ((Identity.load, private), (Party.load, public), (Party.load, private)):
        with pytest.raises(StateError) as caught:
            load(path)
        assert key["d"] not in str(caught.value)
        assert key["x"] not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_wire_error_at_worst(text):
    with pytest.raises(WireError):
        Party.parse(text)


KEYS = Identity.make().party.dump()


@given(st.data())
def test_public_keys_with_a_byte_changed_are_keys_or_a_wire_error(data):
    text = bytearray(KEYS)
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        party = Party.parse(bytes(text))
    except WireError:
        return
    assert party.seal(b"x").count(b".") == 4


@pytest.mark.parametrize("said", [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "RSA1_5"}, {"kid": 5}, {"x5c": 5}])
def test_extra_members_of_a_key_change_nothing(identity, public, said):
    """Other gates' keys come in records; no extra member may make sealing fail later."""
    changed(public, lambda keys: [key.update(said) for key in keys])
    party = Party.load(public)
    assert party.kid == identity.party.kid
    assert party.verify(identity.sign("ack", b"words"), "ack") == b"words"
    assert identity.open(party.seal(b"words")) == b"words"


def test_one_key_has_one_name():
    """Four last letters, and padding, spell the same 32 bytes. Each spelling would give one key another name."""
    keys = json.loads(KEYS)["keys"]
    right = keys[0]["x"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = letters.index(right[-1]) & ~3
    same = [right[:-1] + letter for letter in letters[at : at + 4]]
    assert {base64.urlsafe_b64decode(x + "=") for x in same} == {base64.urlsafe_b64decode(right + "=")}
    for x in {*same, right + "="} - {right}:
        keys[0]["x"] = x
        with pytest.raises(WireError):
            Party.parse(json.dumps({"keys": keys}))


@pytest.mark.parametrize("point", [0, 1, 2**255 - 19, 2**255 - 20])
def test_a_key_that_nothing_can_be_sealed_to_is_refused(public, point):
    """Points of small order would make the shared secret zero, which everyone knows."""
    x = base64.urlsafe_b64encode(point.to_bytes(32, "little")).rstrip(b"=").decode()
    changed(public, lambda keys: keys[1].update(x=x))
    with pytest.raises(StateError, match="this key is weak"):
        Party.load(public)
