"""Keys and what is done with them: signed (JWS, Ed25519) so that a broker can forge nothing, sealed (JWE, X25519 and
AES-256-GCM) so that it can read nothing. The only home of joserfc.

Each end has two key pairs, one to sign and one to be sealed to (RFC 8037, RFC 9864); a key's name is its thumbprint
(RFC 7638). A private file is its owner's alone; the other end only ever sees `Party`.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode

from gated.errors import SealError, StateError, WireError

SIGNING = "Ed25519"
SEALING = ["ECDH-ES", "A256GCM"]

_signing = JWSRegistry(algorithms=[SIGNING])
_signing.max_payload_length = 128 * 1024
_sealing = JWERegistry(algorithms=SEALING)
_sealing.max_ciphertext_length = 128 * 1024


class Party:
    """The public keys of one end: it checks what that end signed, and seals what only that end may read."""

    def __init__(self, sign: OKPKey, seal: OKPKey) -> None:
        self._sign, self._seal = sign, seal
        self.kid: str = sign.thumbprint()
        """The name of the key that it signs with."""
        self.seal_kid: str = seal.thumbprint()

    @classmethod
    def parse(cls, text: bytes | str) -> "Party":
        """Two public keys as a JWK set. Raises `WireError`."""
        party = cls(*_keys(text, is_private=False))
        try:
            party.seal(b"")
        except ValueError as error:  # a point of small order (RFC 7748, section 6.1)
            raise WireError("nothing can be sealed to such a key") from error
        return party

    @classmethod
    def load(cls, path: Path) -> "Party":
        """Read them from a file. Raises `StateError`."""
        try:
            return cls.parse(path.read_bytes())
        except (OSError, WireError) as error:
            raise StateError(f"{path}: is no pair of public keys ({error}); pair the gate with its office") from error

    def dump(self) -> bytes:
        """The same as a JWK set (RFC 7517)."""
        return _dump(self._sign, self._seal, is_private=False)

    def verify(self, token: bytes, kind: str) -> bytes:
        """The payload of a compact JWS that this end signed as that `kind`. Raises `WireError`; it quotes nothing."""
        try:
            checked = jws.deserialize_compact(token, self._sign, algorithms=[SIGNING], registry=_signing)
            header = checked.protected
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise WireError(f"{kind}: is not signed by whom it should be ({type(error).__name__})") from error
        if header.get("alg") != SIGNING or header.get("typ") != type_of(kind) or header.get("kid") != self.kid:
            raise WireError(f"{kind}: is signed as something else, or with another key")
        return checked.payload

    def seal(self, plaintext: bytes) -> bytes:
        """A compact JWE that this end alone can open."""
        header = {"alg": SEALING[0], "enc": SEALING[1], "kid": self.seal_kid}
        return jwe.encrypt_compact(header, plaintext, self._seal, registry=_sealing).encode()


class Identity:
    """The private keys of this end."""

    def __init__(self, sign: OKPKey, seal: OKPKey) -> None:
        self._sign, self._seal = sign, seal
        self.party = Party(sign, seal)
        """What the other end may know."""

    @classmethod
    def make(cls) -> "Identity":
        """New ones."""
        return cls(OKPKey.generate_key("Ed25519"), OKPKey.generate_key("X25519"))

    @classmethod
    def load(cls, path: Path) -> "Identity":
        """Read them from a file that is its owner's alone. Raises `StateError`."""
        try:
            if path.stat().st_mode & 0o077:
                raise StateError(f"{path}: others may read this key; `chmod 600 {path}` if nobody has")
            return cls(*_keys(path.read_bytes(), is_private=True))
        except (OSError, WireError) as error:
            raise StateError(f"{path}: is no pair of private keys ({error}); pair the gate with its office") from error

    def save(self, path: Path) -> None:
        """Write them, on disk when it returns, to a file that does not exist yet. Raises `StateError`."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_dump(self._sign, self._seal, is_private=True))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StateError(f"{path}: the keys cannot be written ({error.strerror})") from error

    def sign(self, kind: str, payload: bytes) -> bytes:
        """A compact JWS, good as that `kind` and no other."""
        header = {"alg": SIGNING, "kid": self.party.kid, "typ": type_of(kind)}
        return jws.serialize_compact(header, payload, self._sign, registry=_signing).encode()

    def open(self, sealed: bytes) -> bytes:
        """What was sealed to this end. Raises `SealError`."""
        try:
            return jwe.decrypt_compact(sealed, self._seal, registry=_sealing).plaintext or b""
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise SealError(f"what is sealed to somebody else does not open here ({type(error).__name__})") from error


def type_of(kind: str) -> str:
    """The `typ` of a signature (RFC 7515 section 4.1.9), so that none can be passed off as another kind."""
    return f"gated.1.{kind}"


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


def _keys(text: bytes | str, *, is_private: bool) -> tuple[OKPKey, OKPKey]:
    try:
        found = {key["crv"]: key for key in msgspec.json.decode(text, type=_Set).keys}
        if any(("d" in key) != is_private for key in found.values()):
            raise WireError("these are private keys where public ones belong, or the reverse")
        return _key(found["Ed25519"]), _key(found["X25519"])
    except (JoseError, msgspec.MsgspecError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise WireError(f"no set of an Ed25519 and an X25519 key ({type(error).__name__})") from error


def _key(found: dict[str, Any]) -> OKPKey:
    """A key by what makes it one, whatever else a JWK says of it; only one spelling of it is good (its name is made of
    that), and a private one must be that of the public one beside it.
    """
    key = OKPKey.import_key({name: found[name] for name in ("kty", "crv", "x", "d") if name in found})
    if found["kty"] != "OKP" or found["x"] != urlsafe_b64encode(key.public_key.public_bytes_raw()).decode():
        raise WireError("a key that contradicts itself")
    return key


def _dump(*keys: OKPKey, is_private: bool) -> bytes:
    uses = ("sig", "enc")
    listed = [key.as_dict(private=is_private) | {"use": use} for key, use in zip(keys, uses, strict=True)]
    return msgspec.json.encode({"keys": listed})
