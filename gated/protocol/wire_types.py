"""The field types that the messages share, and `Message`, the root of all messages.

A message is JSON with a version `v`. New fields may be added at any time; a reader ignores unknown fields.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gated.protocol.limits import DIGEST_BYTES, KEY_BYTES
from gated.storage.valid_rows import MOST_INTEGER

Seq = Annotated[int, Meta(ge=0, le=MOST_INTEGER)]
"""A number of a record, an event or a command. A database treats a larger number as damage, so none may arrive."""
Hash = Annotated[str, Meta(max_length=64)]
"""64 hex digits. Any other text up to that length is valid too: an altered row must still arrive."""
Short = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=200)]
Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z", description="a public key of Ed25519, base64url")]
Time = Annotated[str, Meta(max_length=40)]
"""ISO 8601 with a zone."""
Subject = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z", description="16 hex digits")]
CommandId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", description="32 hex digits")]
Token = Annotated[str, Meta(max_length=60_000)]
"""A compact JWE, or public keys as a JWK set."""
Vouched = Annotated[str, Meta(max_length=1_000)]
"""A compact JWS of `Vouch`, of the kind "vouch"."""
VerifierKey = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES, description="32 bytes, base64")]
Sha256Bytes = Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES, description="32 bytes, base64")]
Pem = Annotated[str, Meta(max_length=4_000)]
"""A certificate, or a request for one. With Ed25519 or P-256 it has below 1,100 characters, with RSA 4096 below 3,000.
"""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all messages. Names the site and the gate of the conversation."""

    v: Literal[1] = 1
    site: Short
    gate: Short
