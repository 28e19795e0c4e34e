"""Keys and certificates of the link: a gate's new certificate, its verifier keys, and the site's recovery key."""

from typing import Annotated

from msgspec import Meta

from gated.protocol.wire_types import Key, Message, Pem, Seq, VerifierKey


class VerifierKeys(Message, frozen=True, kw_only=True):
    """The keys with which this gate compares cards and PINs. The office computes their digests with these keys.

    The gate derives them from its site key. They do not change while it is paired. The office uses the first keys that
    arrive.
    """

    card: VerifierKey
    pin: VerifierKey


class CertificateRequest(Message, frozen=True, kw_only=True):
    """Requests a new certificate: 90 days before the old one ends, then once a day until the gate has a new one."""

    csr: Pem
    """PKCS 10, in PEM, for the same key as before. Its subject is the gate."""


class IssuedCertificate(Message, frozen=True, kw_only=True):
    """A gate's new certificate. The next connection uses it."""

    certificate: Pem
    """X.509, in PEM."""
    authority: Pem = ""
    """The current certificate of the authority. A renewed one has the same name and key."""


class RecoveryNotice(Message, frozen=True, kw_only=True):
    """The public half of the site's recovery key. A gate that already knows a recovery key ignores it."""

    key: Key
    number: Seq = 0
    """Number of the newest hand-over."""
    port: Annotated[int, Meta(ge=1, le=65535)]
    """Port of the pairing, at the broker's host."""
