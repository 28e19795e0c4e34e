"""Faces on their way from one gate to another, and the signatures by which gates trust each other's keys.

The office passes a face on and cannot open it.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from gated.protocol.limits import MAX_TEMPLATES
from gated.protocol.wire_types import Hash, Message, Short, Token, Vouched


class SealedFace(msgspec.Struct, frozen=True):
    """The templates of a person, made at one gate and sealed there to another gate."""

    id: Short
    """Another face of the same person has another id."""
    embedder_sha256: Hash
    count: Annotated[int, Meta(ge=1, le=MAX_TEMPLATES)]
    sealed: Token
    """JWE of `FaceTemplates` to the receiving gate's key."""


class FaceTemplates(msgspec.Struct, frozen=True):
    """The content of `SealedFace.sealed`. No other message contains a template.

    It names the subject, so it cannot be moved to another person.
    """

    subject: Short
    embedder_sha256: Hash
    vectors: Annotated[list[bytes], Meta(min_length=1, max_length=MAX_TEMPLATES)]
    """Templates as little-endian float32 of unit length; base64 in JSON."""


class SharedFace(Message, frozen=True, kw_only=True):
    """A face for another gate; only that gate can open it. Sent if the office asks and the person has consented."""

    subject: Short
    to: Short
    face: SealedFace


class Vouching(Message, frozen=True, kw_only=True):
    """Reports that somebody at this gate accepted another gate's keys. The office adds it to that gate's record."""

    to: Short
    vouched: Vouched


class Vouch(msgspec.Struct, frozen=True):
    """What a gate signs about another gate: the thumbprints of its two keys (RFC 7638)."""

    site: Short
    by: Short
    gate: Short
    sign: Hash
    seal: Hash
