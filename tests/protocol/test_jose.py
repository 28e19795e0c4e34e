"""Signatures and seals hold, and only the owner can read a private key file."""

import base64
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from gated.errors import SealError, StateError, WireError
from gated.protocol.jose import SIGNING, Identity, Party, type_of

OFFICE, GATE = Identity.make(), Identity.make()


def parts(token):
    return [base64.urlsafe_b64decode(part + b"==") for part in token.split(b".")]


def test_a_signed_payload_is_returned_with_its_signer_and_kind():
    token = OFFICE.sign("word", b"payload")
    assert OFFICE.party.verify(token, "word") == b"payload"
    assert json.loads(parts(token)[0]) == {"alg": "Ed25519", "kid": OFFICE.party.kid, "typ": "gated.1.word"}


def test_another_key_another_kind_and_another_payload_are_refused():
    token = OFFICE.sign("word", b"payload")
    header, payload, signature = token.split(b".")
    for party, forged, kind in [
        (GATE.party, token, "word"),
        (OFFICE.party, token, "ack"),
        (OFFICE.party, b".".join([header, payload + b"AA", signature]), "word"),
        (OFFICE.party, b".".join([header, payload, signature[:-4] + b"AAAA"]), "word"),
        (OFFICE.party, b".".join([header, payload, b""]), "word"),
    ]:
        with pytest.raises(WireError):
            party.verify(forged, kind)


def forged(header, payload=b"{}", signature=b""):
    return b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=") for part in (json.dumps(header).encode(), payload, signature)
    )


@pytest.mark.parametrize("alg", ["none", "HS256", "EdDSA", "ES256", "ed25519", "", None])
def test_no_other_algorithm_is_accepted_whatever_the_header_names(alg):
    header = {"alg": alg, "kid": OFFICE.party.kid, "typ": type_of("word")}
    _, payload, signature = OFFICE.sign("word", b"{}").split(b".")
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
    for token in (forged(header), head + b"." + payload + b"." + signature):
        with pytest.raises(WireError):
            OFFICE.party.verify(token, "word")


def test_the_public_key_cannot_be_used_as_a_shared_secret():
    secret = OctKey.import_key(OFFICE.party.dump())
    header = {"alg": "HS256", "kid": OFFICE.party.kid, "typ": type_of("word")}
    token = jws.serialize_compact(header, b"{}", secret).encode()
    with pytest.raises(WireError):
        OFFICE.party.verify(token, "word")


def test_a_key_inside_a_message_is_not_used():
    mallory = OKPKey.generate_key("Ed25519")
    header = {"alg": SIGNING, "kid": OFFICE.party.kid, "typ": type_of("word"), "jwk": mallory.as_dict(private=False)}
    token = jws.serialize_compact(header, b"{}", mallory, algorithms=[SIGNING]).encode()
    with pytest.raises(WireError):
        OFFICE.party.verify(token, "word")


def test_a_sealed_text_opens_for_one_reader_and_differs_each_time():
    sealed = GATE.party.seal(b"secret")
    assert GATE.open(sealed) == b"secret"
    assert sealed != GATE.party.seal(b"secret")
    with pytest.raises(SealError):
        OFFICE.open(sealed)


@given(st.data())
@settings(deadline=None)
def test_an_altered_sealed_text_does_not_open(data):
    sealed = bytearray(GATE.party.seal(b"secret"))
    at = data.draw(st.integers(0, len(sealed) - 2))
    old, sealed[at] = sealed[at], data.draw(st.integers(0, 127))
    if sealed[at] != old:
        with pytest.raises(SealError):
            GATE.open(bytes(sealed))


@given(st.binary(max_size=500))
def test_random_bytes_neither_open_nor_verify(data):
    with pytest.raises(SealError):
        GATE.open(data)
    with pytest.raises(WireError):
        OFFICE.party.verify(data, "word")


def test_keys_are_read_back_from_their_private_file(tmp_path):
    GATE.save(tmp_path / "new" / "gate.jwks")
    path = tmp_path / "new" / "gate.jwks"
    assert path.stat().st_mode & 0o777 == 0o600
    again = Identity.load(path)
    assert again.party.kid == GATE.party.kid
    assert again.open(GATE.party.seal(b"x")) == b"x"


def test_keys_that_others_may_read_are_refused(tmp_path):
    path = tmp_path / "gate.jwks"
    GATE.save(path)
    path.chmod(0o640)
    with pytest.raises(StateError, match="chmod 600"):
        Identity.load(path)


def test_keys_are_never_written_over_others(tmp_path):
    path = tmp_path / "gate.jwks"
    GATE.save(path)
    with pytest.raises(StateError, match="cannot be written"):
        OFFICE.save(path)
    assert Identity.load(path).party.kid == GATE.party.kid


def test_the_public_part_has_no_private_key():
    for key in msgspec.json.decode(GATE.party.dump())["keys"]:
        assert "d" not in key
    assert Party.parse(GATE.party.dump()).seal_kid == GATE.party.seal_kid


def test_a_public_file_instead_of_a_private_one_is_refused_and_the_reverse(tmp_path):
    public, private = tmp_path / "public", tmp_path / "private"
    public.write_bytes(GATE.party.dump())
    public.chmod(0o600)
    GATE.save(private)
    with pytest.raises(StateError, match="not a pair of private keys"):
        Identity.load(public)
    with pytest.raises(StateError, match="not a pair of public keys"):
        Party.load(private)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"keys":[]}', b'{"keys":[{"crv":"Ed25519"}]}', b"\xff", b"[1]"])
def test_an_invalid_key_file_is_named_and_not_quoted(tmp_path, text):
    path = tmp_path / "office.jwks"
    path.write_bytes(text)
    with pytest.raises(StateError, match=r"office\.jwks: is not a pair of public keys"):
        Party.load(path)


def test_a_missing_file_is_named(tmp_path):
    for load in (Identity.load, Party.load):
        with pytest.raises(StateError, match="nowhere"):
            load(tmp_path / "nowhere")
