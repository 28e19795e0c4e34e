"""The pairing code, and the messages of pairing between a gate and its office over HTTPS.

A code can be read out, typed or shown as a QR code: `HOST:PORT/GATE/` and 45 letters and digits in groups of five. They
hold the fingerprint of the office's authority, a secret for one use, and a check value. The fingerprint stops a man in
the middle. The check finds a typing error before any request.
"""

import re
import secrets
import ssl
from binascii import crc_hqx
from hashlib import sha256
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta, Struct

from gated.errors import PairingError
from gated.names import signs
from gated.protocol.wire_types import Seq, Short

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without letters that look like digits (Crockford). The left-out letters are read as the ones
they resemble.
"""
ALIKE = str.maketrans("OIL", "011")
QUOTES = "\"'`\u2018\u2019\u201c\u201d\u300c\u300d<>"
"""Characters around a pasted code that are ignored."""
SECRET_BYTES = 10
FINGERPRINT_BYTES = 16
"""128 bits of a SHA-256, in bytes: a second authority with the same bits cannot be made."""
CHECK_BYTES = 2
"""CRC-16/CCITT over everything before it, in bytes. It always finds one wrong letter, or several within three."""
CODE_SYMBOLS = 45
"""Base 32 holds 5 bits a symbol: 45 symbols hold the 28 bytes."""
GROUP = 5
MAX_PAIRING_BYTES = 20_000
"""Largest message of pairing, in bytes."""

HOST = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]"
"""Pattern of a host name or an address. An IPv6 address is in brackets."""
NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
"""Pattern of the id of a site or a gate, as in the settings."""
_SHAPE = re.compile(rf"({HOST}):([0-9]{{1,5}})/({NAME})/([0-9a-z-]+)", re.ASCII)


class PairingCode(Struct, frozen=True):
    """A pairing code: the office's address, the gate, 16 bytes of the authority's SHA-256, and a secret of 10 bytes."""

    host: str
    port: int
    gate: str
    fingerprint: bytes
    secret: bytes

    @classmethod
    def make(cls, host: str, port: int, gate: str, fingerprint: bytes) -> Self:
        """Return a code with a new secret."""
        return cls(host, port, gate, fingerprint, secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a typed or pasted code. Raises `PairingError`.

        Ignores spaces, kinds of hyphens, case, width of letters, invisible characters, and quotes around the code.
        """
        shape = _SHAPE.fullmatch("".join(signs(text).split()).strip(QUOTES))
        symbols = shape[4].replace("-", "").upper().translate(ALIKE) if shape else ""
        if shape is None or len(symbols) != CODE_SYMBOLS or not set(symbols) <= set(LETTERS):
            raise PairingError(
                f"this is no pairing code: a code is HOST:PORT/GATE/ and {CODE_SYMBOLS} letters and "
                "digits, as shown by `gated office invite`"
            )
        number = sum(LETTERS.index(symbol) << 5 * place for place, symbol in enumerate(reversed(symbols)))
        raw = number.to_bytes(CODE_SYMBOLS * 5 // 8 + 1, "big")[-(FINGERPRINT_BYTES + SECRET_BYTES + CHECK_BYTES) :]
        fingerprint, secret = raw[:FINGERPRINT_BYTES], raw[FINGERPRINT_BYTES:-CHECK_BYTES]
        code = cls(shape[1], int(shape[2]), shape[3], fingerprint, secret)
        if code.text() != f"{shape[1]}:{int(shape[2])}/{shape[3]}/{_grouped(symbols)}" or not 0 < code.port < 2**16:
            raise PairingError("one letter or more of this code is wrong: compare it with the office's screen")
        return code

    def text(self) -> str:
        """Return the code in its displayed form."""
        target = f"{self.host}:{self.port}/{self.gate}/"
        raw = self.fingerprint + self.secret
        check = crc_hqx(target.encode() + raw, 0xFFFF).to_bytes(CHECK_BYTES, "big")
        number = int.from_bytes(raw + check, "big")
        return target + _grouped("".join(LETTERS[number >> 5 * place & 31] for place in reversed(range(CODE_SYMBOLS))))

    @property
    def digest(self) -> str:
        """Return a digest of the secret, in hex, that may be stored. The secret is too long to be found by trial."""
        return digest_of(self.gate, self.secret)


def digest_of(gate: str, secret: bytes) -> str:
    """Return SHA-256, in hex, of a gate's pairing secret."""
    return sha256(f"gated pairing {gate} ".encode() + secret).hexdigest()


def fingerprint_of(der: bytes) -> bytes:
    """Return the first 16 bytes of the SHA-256 of a certificate in DER."""
    return sha256(der).digest()[:FINGERPRINT_BYTES]


def der_of(pem: str) -> bytes:
    """Return the DER bytes of a certificate in PEM. Raises `PairingError`.

    Callers trust only these bytes, never the text: the text may contain a second certificate.
    """
    try:
        return ssl.PEM_cert_to_DER_cert(pem)
    except ValueError as error:
        raise PairingError("the office's answer contains no certificate; ask the office for a new code") from error


def _grouped(symbols: str) -> str:
    return "-".join(symbols[start : start + GROUP] for start in range(0, len(symbols), GROUP))


Pem = Annotated[str, Meta(max_length=4096)]


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """A gate's request to be paired. Only its secret is confidential."""

    v: Literal[1] = 1
    site: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    gate: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    secret: Annotated[str, Meta(pattern=r"^[0-9a-f]{20}\Z")]
    csr: Pem
    """A certificate request with the gate's id as common name (PKCS 10, PEM)."""
    keys: Pem
    """The gate's public keys (a JWK set): they verify its signatures, and seal messages to it."""


class CodeQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A gate's question whether its code is still valid. It uses up nothing, but a wrong code counts as a wrong try."""

    v: Literal[1] = 1
    site: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    gate: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    secret: Annotated[str, Meta(pattern=r"^[0-9a-f]{20}\Z")]


class StillGood(msgspec.Struct, frozen=True, kw_only=True, tag="good"):
    """The answer that the code is still valid."""

    v: Literal[1] = 1


class Admission(msgspec.Struct, frozen=True, kw_only=True, tag="admitted"):
    """The office's answer with everything that a gate needs for its side of the link."""

    v: Literal[1] = 1
    url: Annotated[str, Meta(max_length=300, pattern=r"^mqtts://[^/\s]+\Z")]
    """URL of the broker."""
    certificate: Pem
    keys: Pem
    """The office's public keys (a JWK set)."""
    recovery: Annotated[str, Meta(max_length=64)] = ""
    """The public half of the site's recovery key; empty if the office has none."""
    number: Seq = 0
    """Number of the newest hand-over."""


class PairingRefusal(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The office's refusal. `why` is a key of `REFUSALS`."""

    v: Literal[1] = 1
    why: Short


REFUSALS = {
    "wrong": "the office did not give this code; compare it with what `gated office invite` shows",
    "locked": "this gate's code was tried wrongly too often and is dead; ask the office for a new one",
    "old": "this code is too old; ask the office for a new one",
    "spent": "this code was already used; ask the office for a new one, and report it there if this gate did not "
    "use the code",
    "retired": "the office has retired this gate and its keys; make new keys: move the folder `pairing` out of "
    "the state folder, then use the same code again",
    "site": "this office belongs to another site; correct [site] id in the settings, then use the same code again",
    "request": "the office does not understand what this gate asks; install the same version of gated at both ends",
    "trouble": "the office cannot write it down; see its log, then use the same code again",
    "busy": "the office received too many wrong codes; compare this code with the output of `gated office "
    "invite`, and try again in a minute",
}
"""The explanation for each reason of a refusal."""


def refusal_text(refusal: PairingRefusal) -> str:
    """Return a refusal in words, also for a reason that only a newer office knows."""
    return REFUSALS.get(refusal.why, "the office refuses, and a newer gated knows why; ask the office")
