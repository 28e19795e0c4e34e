"""The code by which a gate and its office find each other once, and what they say to each other then, over HTTPS.

A code can be read out, typed, or drawn as a QR code: `HOST:PORT/GATE/` and 45 letters and digits in groups of five.
They hold the fingerprint of the office's authority, so that nobody can stand between, a secret that is good once, and
a check that finds a slip of the finger before anybody is asked.
"""

import re
import secrets
import ssl
from binascii import crc_hqx
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from gated.errors import PairingError
from gated.names import signs
from gated.sync.messages import Seq, Short

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without the letters that look like others (Crockford); those are read as what they look like."""
ALIKE = str.maketrans("OIL", "011")
QUOTES = "\"'`\u2018\u2019\u201c\u201d\u300c\u300d<>"
SECRET_BYTES = 10
FINGERPRINT_BYTES = 16
"""128 bits of a SHA-256: nobody makes a second authority that has them."""
CHECK_BYTES = 2
"""CRC-16/CCITT over all that comes before: one wrong letter, or several within three, is always found."""
SYMBOLS = 45
"""Base 32 holds 5 bits a symbol: 45 of them the 28 bytes."""
GROUP = 5
MAX_BYTES = 20_000
"""Of anything that is said while pairing."""

HOST = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]"
"""A name, or an address; one of IPv6 in brackets."""
NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
"""Of a site and of a gate, as in the settings."""
_SHAPE = re.compile(rf"({HOST}):([0-9]{{1,5}})/({NAME})/([0-9a-z-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class PairingCode:
    """Where the office is, for which gate, the first 16 bytes of its authority's SHA-256, and a secret of 10 bytes."""

    host: str
    port: int
    gate: str
    fingerprint: bytes
    secret: bytes

    @classmethod
    def make(cls, host: str, port: int, gate: str, fingerprint: bytes) -> Self:
        """One with a new secret."""
        return cls(host, port, gate, fingerprint, secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What somebody typed or pasted: spaces, kinds of hyphens, the size and width of letters, signs that cannot be
        seen and quotes around it do not matter. Raises `PairingError`.
        """
        shape = _SHAPE.fullmatch("".join(signs(text).split()).strip(QUOTES))
        symbols = shape[4].replace("-", "").upper().translate(ALIKE) if shape else ""
        if shape is None or len(symbols) != SYMBOLS or not set(symbols) <= set(LETTERS):
            raise PairingError(
                f"this is no pairing code: it is HOST:PORT/GATE/ and {SYMBOLS} letters and digits, "
                "as `gated office invite` shows it"
            )
        number = sum(LETTERS.index(symbol) << 5 * place for place, symbol in enumerate(reversed(symbols)))
        raw = number.to_bytes(SYMBOLS * 5 // 8 + 1, "big")[-(FINGERPRINT_BYTES + SECRET_BYTES + CHECK_BYTES) :]
        fingerprint, secret = raw[:FINGERPRINT_BYTES], raw[FINGERPRINT_BYTES:-CHECK_BYTES]
        code = cls(shape[1], int(shape[2]), shape[3], fingerprint, secret)
        if code.text() != f"{shape[1]}:{int(shape[2])}/{shape[3]}/{_grouped(symbols)}" or not 0 < code.port < 2**16:
            raise PairingError("one letter or more of this code is wrong: compare it with what the office shows")
        return code

    def text(self) -> str:
        """The code as it is shown."""
        where = f"{self.host}:{self.port}/{self.gate}/"
        raw = self.fingerprint + self.secret
        check = crc_hqx(where.encode() + raw, 0xFFFF).to_bytes(CHECK_BYTES, "big")
        number = int.from_bytes(raw + check, "big")
        return where + _grouped("".join(LETTERS[number >> 5 * place & 31] for place in reversed(range(SYMBOLS))))

    @property
    def digest(self) -> str:
        """What may be kept of the secret, in hex; it is long enough that nobody can try them all."""
        return digest_of(self.gate, self.secret)


def digest_of(gate: str, secret: bytes) -> str:
    """SHA-256, in hex, of what was agreed for a gate."""
    return sha256(f"gated pairing {gate} ".encode() + secret).hexdigest()


def fingerprint_of(der: bytes) -> bytes:
    """The first 16 bytes of the SHA-256 of a certificate in DER."""
    return sha256(der).digest()[:FINGERPRINT_BYTES]


def der_of(pem: str) -> bytes:
    """The bytes that a certificate in PEM stands for. Raises `PairingError`.

    Trust is given to these bytes alone, never to the text: it may hold a second certificate.
    """
    try:
        return ssl.PEM_cert_to_DER_cert(pem)
    except ValueError as error:
        raise PairingError("what should be a certificate is none; ask the office for a new code") from error


def _grouped(symbols: str) -> str:
    return "-".join(symbols[start : start + GROUP] for start in range(0, len(symbols), GROUP))


Pem = Annotated[str, Meta(max_length=4096)]


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """The gate asks to be let in. Nothing in it but the secret is secret."""

    v: Literal[1] = 1
    site: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    gate: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    secret: Annotated[str, Meta(pattern=r"^[0-9a-f]{20}\Z")]
    csr: Pem
    """A request for a certificate whose common name is the gate (PKCS 10, PEM)."""
    keys: Pem
    """The gate's public keys, to check what it signs and to seal to it (a JWK set)."""


class CodeQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """The gate asks whether its code would still be taken, which spends nothing. A wrong one counts as a wrong try."""

    v: Literal[1] = 1
    site: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    gate: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    secret: Annotated[str, Meta(pattern=r"^[0-9a-f]{20}\Z")]


class StillGood(msgspec.Struct, frozen=True, kw_only=True, tag="good"):
    """It would."""

    v: Literal[1] = 1


class Admission(msgspec.Struct, frozen=True, kw_only=True, tag="admitted"):
    """What a gate needs for its side of the link."""

    v: Literal[1] = 1
    url: Annotated[str, Meta(max_length=300, pattern=r"^mqtts://[^/\s]+\Z")]
    """Of the broker."""
    certificate: Pem
    keys: Pem
    """The office's public keys (a JWK set)."""
    recovery: Annotated[str, Meta(max_length=64)] = ""
    """The public half of the site's recovery key; empty where the office has none."""
    number: Seq = 0
    """Of the newest hand-over there was."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Why not, by the name of one of `REFUSALS`."""

    v: Literal[1] = 1
    why: Short


REFUSALS = {
    "wrong": "the office did not give this code; compare it with what `gated office invite` shows",
    "locked": "this gate's code was tried wrongly too often and is dead; ask the office for a new one",
    "old": "this code is too old; ask the office for a new one",
    "spent": "this code was used already; if that was not this gate, tell the office; ask it for a new one",
    "retired": "this gate was retired at the office, and its keys are good for nothing; make new ones: move the folder "
    "`pairing` of its state folder away, then use the same code again",
    "site": "this office is another site's; mend [site] id in the settings, then use the same code again",
    "request": "the office does not understand what this gate asks; install the same version of gated at both ends",
    "trouble": "the office cannot write it down; see its log, then use the same code again",
    "busy": "wrong codes come to the office too often; compare this one with what `gated office invite` shows, and "
    "try again in a minute",
}


def said(refusal: Refusal) -> str:
    """A refusal in words, also of a newer office."""
    return REFUSALS.get(refusal.why, "the office refuses, and a newer gated knows why; ask the office")
