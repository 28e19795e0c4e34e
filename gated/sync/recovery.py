"""The recovery key of a site: with it, and nothing else, an office's keys and authority are replaced by others.

Ed25519. The office makes it once and keeps its public half alone; the private one is on paper or a stick. It signs a
`Handover`, which names the successor's keys and has a number that only rises: an old one changes nothing.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from gated.errors import OfficeError, WireError
from gated.sync.code import ALIKE, GROUP, LETTERS, NAME, Pem
from gated.sync.jose import Lone
from gated.sync.messages import Key, Seq, Short, Time
from gated.wording import UNDECODABLE

SEED_BYTES, CHECK_BYTES = 32, 2
SYMBOLS = 55
"""Base 32 holds 5 bits a symbol: 55 of them the 34 bytes of the key and its check (CRC-16/CCITT)."""
KIND = "handover"
MOST = 100
"""So many hand-overs there may be between what a gate knows and now."""
MAX_BYTES = 400_000

PAPER = """\
The recovery key of the office of {site}        {site} 社区的恢复密钥

{code}

Whoever has this key can take over every gate of the site. Keep it where nobody goes, and never on the office's machine.
It is used when that machine, or a copy of its keys, was stolen: `gated office rekey --recovery FILE`.
持有此密钥的人可以接管本站的所有门。请妥善保管，不要放在社区的电脑上。只有电脑或其密钥被盗时才使用它。
"""


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """Who the office is from now on: a JWS of the recovery key, `typ` `gated.1.handover`."""

    v: Literal[1] = 1
    site: Short
    number: Annotated[int, Meta(ge=1, le=2**53)]
    """Rises; one that is not above what a gate knows changes nothing. The office takes the time (Unix seconds), so that
    an old backup that is brought back does not count from a lower number."""
    keys: Pem
    """The new office's public keys (a JWK set)."""
    authority: Pem
    """The new authority's certificate (PEM)."""
    recovery: Key
    """The recovery key for the next time; the same one, or another."""
    at: Time


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate knows of it."""

    key: Key
    number: Seq = 0
    """Of the newest hand-over that was followed."""
    where: Annotated[str, Meta(max_length=300)] = ""
    """HOST:PORT of the pairing, where hand-overs are asked for."""


class HandoverQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A gate asks for what it has missed. `renew`: a signed `Renew`, as on the link, with its keys as proof."""

    v: Literal[1] = 1
    gate: Annotated[str, Meta(pattern=rf"^{NAME}\Z")]
    number: Seq = 0
    renew: Annotated[str, Meta(max_length=8_000)]


class HandedOver(msgspec.Struct, frozen=True, kw_only=True, tag="handed"):
    """The hand-overs after that number, in their order, and a certificate for the gate by the newest authority."""

    v: Literal[1] = 1
    statements: Annotated[list[Annotated[str, Meta(max_length=16_000)]], Meta(max_length=MOST)]
    certificate: Pem


class RecoveryKey:
    """The private half. It is shown once, and kept nowhere."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        self._lone = Lone(public, seed)
        self.public: str = self._lone.public
        """As gates know it: base64url of 32 bytes."""

    @classmethod
    def make(cls) -> "RecoveryKey":
        """A new one."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "RecoveryKey":
        """From the paper or the file: the line that is one. Raises `OfficeError`."""
        for line in text.splitlines():
            symbols = "".join(line.upper().translate(ALIKE).replace("-", "").split())
            if len(symbols) == SYMBOLS and set(symbols) <= set(LETTERS):
                return cls._of(symbols)
        raise OfficeError("this is no recovery key: it is a line of 55 letters and digits in groups of five")

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
        """The key as it is written down."""
        raw = self._seed + crc_hqx(self._seed, 0xFFFF).to_bytes(CHECK_BYTES, "big")
        number = int.from_bytes(raw, "big")
        symbols = "".join(LETTERS[number >> 5 * place & 31] for place in reversed(range(SYMBOLS)))
        return "-".join(symbols[start : start + GROUP] for start in range(0, SYMBOLS, GROUP))

    def sign(self, handover: Handover) -> str:
        """The hand-over as gates take it."""
        return self._lone.sign(KIND, msgspec.json.encode(handover)).decode()


def followed(known: Known, site: str, statements: Sequence[str]) -> tuple[Known, Handover] | None:
    """What a gate knows after these hand-overs, and the newest of them; None where there is no news.

    Each that counts is signed by the recovery key that the one before named. What another key has signed is for gates
    that know that one. Raises `WireError` where nothing else is there.
    """
    newest, refused = None, None
    for token in statements:
        try:
            plain = Lone.verify(known.key, token.encode(), KIND)
        except WireError as error:
            refused = refused or error
            continue
        try:
            said = msgspec.json.decode(plain, type=Handover)
        except UNDECODABLE as error:
            raise WireError(f"a hand-over that is not what was agreed ({type(error).__name__})") from error
        if said.site != site:
            raise WireError("a hand-over of another site")
        if said.number > known.number:
            newest = said
            known = Known(key=said.recovery, number=said.number, where=known.where)
    if newest is None and refused is not None:
        raise refused
    return None if newest is None else (known, newest)
