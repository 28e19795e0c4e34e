"""Sign and seal messages. The only module that imports joserfc.

A JWS with Ed25519 stops a broker from forging. A JWE with X25519 and AES-256-GCM stops it from reading. Each end has
two key pairs: one for signatures, one for encryption to this end (RFC 8037, RFC 9864). A key's name is its thumbprint
(RFC 7638). Only the owner may read a file of private keys. The other end gets only the public keys (`Party`).
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey, OKPKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode

from gated.atomic_files import create_file
from gated.errors import SealError, StateError, WireError
from gated.wording import UNDECODABLE

SIGNING = "Ed25519"
SEALING = ["ECDH-ES", "A256GCM"]
AT_REST = ["dir", "A256GCM"]
"""JWE algorithms for a file of private keys (RFC 7517, section 7)."""
SET = "jwk-set+json"
"""Media type of a JWK set, without `application/`."""
NAME_DIGITS = 24
"""Length of a secret name in hex digits: 96 bits."""

_signing = JWSRegistry(algorithms=[SIGNING])
_signing.max_payload_length = 128 * 1024
_sealing = JWERegistry(algorithms=SEALING)
_sealing.max_ciphertext_length = 128 * 1024
_at_rest = JWERegistry(algorithms=AT_REST)


class Party:
    """The public keys of one end. Verifies signatures of that end, and seals messages that only that end can open."""

    def __init__(self, sign: OKPKey, seal: OKPKey) -> None:
        self._sign, self._seal = sign, seal
        self.kid: str = sign.thumbprint()
        """Thumbprint of the signing key."""
        self.seal_kid: str = seal.thumbprint()

    @classmethod
    def parse(cls, text: bytes | str) -> "Party":
        """Read two public keys from a JWK set. Raises `WireError`."""
        party = cls(*_keys(text, is_private=False))
        try:
            party.seal(b"")
        except ValueError as error:  # a point of small order (RFC 7748, section 6.1)
            raise WireError("this key is weak: messages encrypted to it would not be secret") from error
        return party

    @classmethod
    def load(cls, path: Path) -> "Party":
        """Read two public keys from a file. Raises `StateError`."""
        try:
            return cls.parse(path.read_bytes())
        except (OSError, WireError) as error:
            raise StateError(
                f"{path}: is not a pair of public keys ({error}); pair the gate with its office"
            ) from error

    def dump(self) -> bytes:
        """Return the keys as a JWK set (RFC 7517)."""
        return _dump(self._sign, self._seal, is_private=False)

    def verify(self, token: bytes, kind: str) -> bytes:
        """Return the payload of a compact JWS that this end signed as `kind`.

        Raises `WireError`, which quotes no content.
        """
        try:
            checked = jws.deserialize_compact(token, self._sign, algorithms=[SIGNING], registry=_signing)
            header = checked.protected
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise WireError(f"{kind}: is not signed by whom it should be ({type(error).__name__})") from error
        if header.get("alg") != SIGNING or header.get("typ") != type_of(kind) or header.get("kid") != self.kid:
            raise WireError(f"{kind}: is signed as another kind, or with another key")
        return checked.payload

    def seal(self, plaintext: bytes) -> bytes:
        """Return a compact JWE that only this end can open."""
        header = {"alg": SEALING[0], "enc": SEALING[1], "kid": self.seal_kid}
        return jwe.encrypt_compact(header, plaintext, self._seal, registry=_sealing).encode()


class Identity:
    """The private keys of this end."""

    def __init__(self, sign: OKPKey, seal: OKPKey) -> None:
        self._sign, self._seal = sign, seal
        self.party = Party(sign, seal)
        """The public keys, for the other end."""

    @classmethod
    def make(cls) -> "Identity":
        """Generate new keys."""
        return cls(OKPKey.generate_key("Ed25519"), OKPKey.generate_key("X25519"))

    @classmethod
    def load(cls, path: Path, opening: Callable[[], Sequence[bytes]] = tuple) -> "Identity":
        """Read the keys from a file that only its owner may read. Raises `StateError`.

        `opening` returns keys that may open the file. It is called only if the file is sealed.
        """
        try:
            if path.stat().st_mode & 0o077:
                raise StateError(f"{path}: other users may read this key; if none did, run `chmod 600 {path}`")
            data = path.read_bytes()
            return cls(*_keys(_unsealed(data, opening()) if is_sealed_set(data) else data, is_private=True))
        except (OSError, WireError) as error:
            raise StateError(
                f"{path}: is not a pair of private keys ({error}); pair the gate with its office"
            ) from error

    @classmethod
    def parse(cls, data: bytes) -> "Identity":
        """Read two private keys from a JWK set. Raises `WireError`."""
        return cls(*_keys(data, is_private=True))

    def save(self, path: Path) -> None:
        """Write the keys to a new file, and sync it to disk. Raises `StateError`, also if the file exists."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_file(path, _dump(self._sign, self._seal, is_private=True))
        except OSError as error:
            raise StateError(f"{path}: the keys cannot be written ({error.strerror})") from error

    def dump(self, key: bytes | None) -> bytes:
        """Return the private keys as a JWK set, sealed if a 32-byte key is given."""
        plain = _dump(self._sign, self._seal, is_private=True)
        if key is None:
            return plain
        return seal_at_rest(plain, key, SET)

    def sign(self, kind: str, payload: bytes) -> bytes:
        """Return a compact JWS that is valid only as `kind`."""
        header = {"alg": SIGNING, "kid": self.party.kid, "typ": type_of(kind)}
        return jws.serialize_compact(header, payload, self._sign, registry=_signing).encode()

    def secret_name(self, of: str) -> str:
        """Return a stable name for `of` that only this end can compute: a digest of its own signature.

        An Ed25519 signature is deterministic (RFC 8032, section 5.1.6). The signature is never sent.
        """
        return hashlib.sha256(self.sign("name", of.encode())).hexdigest()[:NAME_DIGITS]

    def open(self, sealed: bytes) -> bytes:
        """Return the plaintext of a JWE that is sealed to this end. Raises `SealError`."""
        try:
            return jwe.decrypt_compact(sealed, self._seal, registry=_sealing).plaintext or b""
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise SealError(f"this message is sealed for another key ({type(error).__name__})") from error


class SigningKey:
    """A single Ed25519 key pair that only signs."""

    def __init__(self, public: bytes, seed: bytes) -> None:
        self.public = urlsafe_b64encode(public).decode()
        """Base64url of the 32-byte public key."""
        self._key = OKPKey.import_key(
            {"kty": "OKP", "crv": SIGNING, "x": self.public, "d": urlsafe_b64encode(seed).decode()}
        )

    def sign(self, kind: str, payload: bytes) -> bytes:
        """Return a compact JWS that is valid only as `kind`."""
        header = {"alg": SIGNING, "kid": self._key.thumbprint(), "typ": type_of(kind)}
        return jws.serialize_compact(header, payload, self._key, registry=_signing).encode()

    @staticmethod
    def verify(public: str, token: bytes, kind: str) -> bytes:
        """Return the payload that the private half of `public` signed as `kind`. Raises `WireError`."""
        try:
            key = OKPKey.import_key({"kty": "OKP", "crv": SIGNING, "x": public})
            checked = jws.deserialize_compact(token, key, algorithms=[SIGNING], registry=_signing)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise WireError(f"{kind}: is not signed by whom it should be ({type(error).__name__})") from error
        if checked.protected.get("typ") != type_of(kind):
            raise WireError(f"{kind}: is signed as another kind")
        return checked.payload


def type_of(kind: str) -> str:
    """Return the `typ` of a signature (RFC 7515, section 4.1.9). It stops a message from passing as another kind."""
    return f"gated.1.{kind}"


def is_sealed_set(data: bytes) -> bool:
    """Return whether a file of private keys is sealed."""
    return data.startswith(b"eyJ") and data.count(b".") == 4


def seal_at_rest(plain: bytes, key: bytes, content_type: str = "octet-stream") -> bytes:
    """Return a compact JWE under a 32-byte key that both sides have.

    `what` is its media type, without `application/`.
    """
    header = {"alg": AT_REST[0], "enc": AT_REST[1], "cty": content_type}
    return jwe.encrypt_compact(header, plain, OctKey.import_key(key), registry=_at_rest).encode()


def unseal_at_rest(data: bytes, key: bytes) -> bytes:
    """Return the plaintext of `seal_at_rest`. Raises `WireError` for another key or invalid data."""
    try:
        return jwe.decrypt_compact(data, OctKey.import_key(key), registry=_at_rest).plaintext or b""
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise WireError("the seal does not open: the key differs, or the data was changed") from error


def _unsealed(data: bytes, keys: Sequence[bytes]) -> bytes:
    for key in keys:
        with suppress(WireError):
            return unseal_at_rest(data, key)
    raise WireError("it is sealed with another key")


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


def _keys(text: bytes | str, *, is_private: bool) -> tuple[OKPKey, OKPKey]:
    try:
        found = {key["crv"]: key for key in msgspec.json.decode(text, type=_Set).keys}
        if any(("d" in key) != is_private for key in found.values()):
            raise WireError("private keys where public keys are expected, or the reverse")
        return _key(found["Ed25519"]), _key(found["X25519"])
    except (JoseError, KeyError, ValueError, TypeError, *UNDECODABLE) as error:
        raise WireError(f"not a set of an Ed25519 key and an X25519 key ({type(error).__name__})") from error


def _key(found: dict[str, Any]) -> OKPKey:
    """Return a key from the members that define it; other members of the JWK are ignored.

    Only the canonical spelling is valid, because the key's name is a digest of that spelling. A private key must belong
    to the public key beside it.
    """
    key = OKPKey.import_key({name: found[name] for name in ("kty", "crv", "x", "d") if name in found})
    if found["kty"] != "OKP" or found["x"] != urlsafe_b64encode(key.public_key.public_bytes_raw()).decode():
        raise WireError("the key's private and public parts do not match")
    return key


def _dump(*keys: OKPKey, is_private: bool) -> bytes:
    uses = ("sig", "enc")
    listed = [key.as_dict(private=is_private) | {"use": use} for key, use in zip(keys, uses, strict=True)]
    return msgspec.json.encode({"keys": listed})
