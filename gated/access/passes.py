"""Visitor passes: the office signs them. The gate verifies them offline. `pass_ledger` counts their uses.

The text of a pass is `G1.`, then base32 of a MessagePack array and its Ed25519 signature (RFC 8032) by the site key.
Base32 (RFC 4648, section 6) uses only letters of the alphanumeric mode of QR codes. A pass for names of usual length
gives a code of version 6 or 7 (ISO/IEC 18004). A phone shows such a code large enough for the camera. The content of a
pass is compared and counted only. The gate never resolves, displays or follows this text.
"""

import base64
import binascii
import secrets
from datetime import datetime
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from msgspec import Meta

from gated.access.access_rules import Refusal
from gated.access.pass_keys import PassKey, read_private_key
from gated.errors import ConfigError
from gated.events import MAIN
from gated.face.vision_messages import MAX_PASS, PASS_PREFIX
from gated.wording import UNDECODABLE

SIGNING_LABEL = b"gated visitor pass 1\0"
"""The prefix of every signed body: no other signature with this key can be a valid pass."""
SIGNATURE_BYTES = 64
MAX_USES = 1000
LATEST_S = 2**40
"""An upper limit for the times in a pass, in seconds since 1970."""

UnixSeconds = Annotated[int, Meta(ge=0, lt=LATEST_S, description="seconds since 1970")]


class VisitorPass(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The signed content of a pass: one door, `uses` uses, valid from `not_before` until before `not_after`."""

    id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    site: str
    gate: str
    door: str
    not_before: UnixSeconds
    not_after: UnixSeconds
    uses: Annotated[int, Meta(ge=1, le=MAX_USES)] = 1

    @property
    def credential(self) -> str:
        """Return the id of the pass in the journal: 32 hex digits."""
        return self.id.hex()


_decoder = msgspec.msgpack.Decoder(VisitorPass)


def read_pass(
    text: str, key: PassKey, site: str, gate: str, door: str, *, at: datetime | None
) -> VisitorPass | Refusal:
    """Return the pass if it is valid at this door now, else the reason for the refusal. Does not count uses (see
    `pass_ledger`).

    `at` is the time of day, or None while it is not trusted.
    """
    visitor_pass = open_pass(text, key)
    if visitor_pass is None:
        return Refusal.FORGED
    if (visitor_pass.site, visitor_pass.gate, visitor_pass.door) != (site, gate, door):
        return Refusal.DOOR
    if at is None:
        return Refusal.CLOCK
    if not at.timestamp() >= visitor_pass.not_before:
        return Refusal.NOT_YET
    return visitor_pass if at.timestamp() < visitor_pass.not_after else Refusal.EXPIRED


def open_pass(text: str, key: PassKey) -> VisitorPass | None:
    """Return the signed content, whether it is valid now or not. Returns None if the text has no valid signature or
    content.

    The signature is verified before the content is decoded. The work before that depends on the length of the text
    only.
    """
    signed = _bytes_of(text)
    if signed is None:
        return None
    body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    try:
        key.verify(signature, SIGNING_LABEL + body)
        return _decoder.decode(body)
    except (InvalidSignature, *UNDECODABLE):
        return None


def issue_pass(
    private_key_pem: bytes,
    site: str,
    gate: str,
    not_before: datetime,
    not_after: datetime,
    *,
    door: str = MAIN,
    uses: int = 1,
) -> str:
    """Return the text of a new pass.

    Raises `ConfigError` if the key is invalid, or if every gate would refuse the pass.
    """
    key = read_private_key(private_key_pem)
    starts, ends = int(not_before.timestamp()), int(not_after.timestamp())
    made = VisitorPass(secrets.token_bytes(16), site, gate, door, starts, ends, uses)
    body = msgspec.msgpack.encode(made)
    text = _text_of(body + key.sign(SIGNING_LABEL + body))
    problems = []
    if not made.not_before < made.not_after:
        problems.append("it would end before it begins; choose `until` later than `from`")
    if not 1 <= uses <= MAX_USES:
        problems.append(f"{uses} is not a valid number of uses; write 1 to {MAX_USES}")
    if len(text) > MAX_PASS:
        problems.append(f"site and gate have names too long for a code of {MAX_PASS} characters; shorten them")
    if problems:
        raise ConfigError("the pass", problems)
    return text


def _bytes_of(text: str) -> bytes | None:
    """Return body and signature. Returns None unless the text is spelled exactly as `_text_of` spells it."""
    if not (len(text) <= MAX_PASS and text.startswith(PASS_PREFIX) and text.isascii()):
        return None
    letters = text[len(PASS_PREFIX) :]
    try:
        signed = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except binascii.Error:
        return None
    return signed if _text_of(signed) == text else None


def _text_of(signed: bytes) -> str:
    return PASS_PREFIX + base64.b32encode(signed).decode().rstrip("=")
