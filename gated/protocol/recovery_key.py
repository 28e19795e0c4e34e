"""The recovery key of a site (Ed25519): the only key that can replace an office's keys and authority.

The office makes it once and keeps only the public half. The private half is on paper or on a USB stick. It signs a
`Handover`, which names the successor's keys. The number of a hand-over only rises: an old one has no effect.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from gated.errors import OfficeError, WireError
from gated.protocol.jose import SigningKey
from gated.protocol.key_messages import CertificateRequest
from gated.protocol.pairing_code import ALIKE, GROUP, LETTERS, NAME, Pem
from gated.protocol.wire_types import Key, Seq, Short, Time
from gated.wording import UNDECODABLE

SEED_BYTES, CHECK_BYTES = 32, 2
"""Length of the private key and of its check value, in bytes."""
KEY_SYMBOLS = 55
"""Base 32 holds 5 bits a symbol: 55 symbols hold the 34 bytes of the key and its check (CRC-16/CCITT)."""
KIND = "handover"
"""Kind of the signature: `typ` is `gated.1.handover`."""
MOST_HANDOVERS = 100
"""Most hand-overs in one answer."""
MAX_HANDOVER_BYTES = 400_000
"""Largest answer with hand-overs, in bytes."""

PAPER = """\
The recovery key of the office of {site}        {site} 社区的恢复密钥

{code}

Whoever has this key can take over every gate of the site. Keep it where nobody goes, and never on the office's machine.
It is used when that machine, or a copy of its keys, was stolen: `gated office rekey --recovery FILE`.
持有此密钥的人可以接管本小区所有的门。请妥善保管，不要放在社区的电脑上。只有电脑或其密钥被盗时才使用它。
"""
"""The text that is printed with a recovery key."""


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """The office's successor: the payload of a JWS by the recovery key, `typ` `gated.1.handover`."""

    v: Literal[1] = 1
    site: Short
    number: Annotated[int, Meta(ge=1, le=2**53)]
    """Number of the hand-over. A hand-over with a number not above the gate's number has no effect. The office takes
    the time in Unix seconds, so that a restored old backup does not count from a lower number.
    """
    keys: Pem
    """The new office's public keys (a JWK set)."""
    authority: Pem
    """The new authority's certificate (PEM)."""
    recovery: Key
    """The recovery key for the next time; the same one, or another."""
    at: Time


class KnownRecoveryKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate knows about the recovery key."""

    key: Key
    number: Seq = 0
    """Number of the newest hand-over that the gate followed."""
    place: Annotated[str, Meta(max_length=300)] = msgspec.field(name="where", default="")
    """HOST:PORT of the pairing service, where the gate asks for hand-overs."""


class Following(CertificateRequest, frozen=True, kw_only=True):
    """A gate's request for a certificate from a new office: a `renew` that also signs the gate's number.

    Anybody between a gate and its office can record a request. The office believes only a signed number: a recorded
    request can repeat what the gate once said, and nothing else.
    """

    number: Seq | None = None
    """Number of the newest hand-over that the gate follows. None from an older gate."""


class HandoverQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A gate's request for the hand-overs after `number`.

    `renew` is a signed `CertificateRequest`, as on the link. It proves the gate's keys.
    """

    v: Literal[1] = 1
    gate: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    number: Seq = 0
    renew: Annotated[str, Meta(max_length=8_000)]


class HandedOver(msgspec.Struct, frozen=True, kw_only=True, tag="handed"):
    """The hand-overs after the requested number, in order, and a certificate for the gate by the newest authority."""

    v: Literal[1] = 1
    statements: Annotated[list[Annotated[str, Meta(max_length=16_000)]], Meta(max_length=MOST_HANDOVERS)]
    certificate: Pem


class RecoveryKey:
    """The private half of a recovery key. The caller shows the key once. Nothing stores it."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        self._lone = SigningKey(public, seed)
        self.public: str = self._lone.public
        """The public half as gates know it: base64url of 32 bytes."""

    @classmethod
    def make(cls) -> "RecoveryKey":
        """Generate a new recovery key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "RecoveryKey":
        """Read the key from the text of the paper or the file. Raises `OfficeError` if no line is a valid key."""
        for line in text.splitlines():
            symbols = "".join(line.upper().translate(ALIKE).replace("-", "").split())
            if len(symbols) == KEY_SYMBOLS and set(symbols) <= set(LETTERS):
                return cls._of(symbols)
        raise OfficeError("this is no recovery key: a key is a line of 55 letters and digits in groups of five")

    @classmethod
    def _of(cls, symbols: str) -> "RecoveryKey":
        number = sum(LETTERS.index(symbol) << 5 * place for place, symbol in enumerate(reversed(symbols)))
        if number >> 8 * (SEED_BYTES + CHECK_BYTES):
            raise OfficeError("one letter or more of this recovery key is wrong: compare it with the paper")
        raw = number.to_bytes(SEED_BYTES + CHECK_BYTES, "big")
        key = cls(raw[:SEED_BYTES])
        if crc_hqx(raw[:SEED_BYTES], 0xFFFF).to_bytes(CHECK_BYTES, "big") != raw[SEED_BYTES:]:
            raise OfficeError("one letter or more of this recovery key is wrong: compare it with the paper")
        return key

    def text(self) -> str:
        """Return the key in the written form: 55 symbols in groups of five."""
        raw = self._seed + crc_hqx(self._seed, 0xFFFF).to_bytes(CHECK_BYTES, "big")
        number = int.from_bytes(raw, "big")
        symbols = "".join(LETTERS[number >> 5 * place & 31] for place in reversed(range(KEY_SYMBOLS)))
        return "-".join(symbols[start : start + GROUP] for start in range(0, KEY_SYMBOLS, GROUP))

    def sign(self, handover: Handover) -> str:
        """Return the signed hand-over (JWS) for the gates."""
        return self._lone.sign(KIND, msgspec.json.encode(handover)).decode()


def followed(known: KnownRecoveryKey, site: str, statements: Sequence[str]) -> tuple[KnownRecoveryKey, Handover] | None:
    """Return what a gate knows after these hand-overs, and the newest one; None if there is no news.

    Each hand-over must be signed by the recovery key that the previous one named. It skips other statements: they are
    for gates that know another key. Raises `WireError` if no known key signed a statement, or if a signed statement is
    invalid.
    """
    newest, refused = None, None
    for token in statements:
        try:
            plain = SigningKey.verify(known.key, token.encode(), KIND)
        except WireError as error:
            refused = refused or error
            continue
        try:
            handover = msgspec.json.decode(plain, type=Handover)
        except UNDECODABLE as error:
            raise WireError(f"the content of the hand-over is invalid ({type(error).__name__})") from error
        if handover.site != site:
            raise WireError("the hand-over is for another site")
        if handover.number > known.number:
            newest = handover
            known = KnownRecoveryKey(key=handover.recovery, number=handover.number, place=known.place)
    if newest is None and refused is not None:
        raise refused
    return None if newest is None else (known, newest)
