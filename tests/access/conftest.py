"""The site's office for the pass tests: a key pair, and passes for any door and period."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gated.access.passes import issue_pass, read_pass


class Office:
    site, gate = "courtyard-2", "front"
    now = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

    def __init__(self):
        self._key = Ed25519PrivateKey.generate()
        self.public = self._key.public_key()
        self.pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.public_pem = self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message):
        return self._key.sign(message)

    def issue(self, *, site=site, gate=gate, door="main", begins_h=-1.0, ends_h=1.0, uses=1):
        begins, ends = (self.now + timedelta(hours=hours) for hours in (begins_h, ends_h))
        return issue_pass(self.pem, site, gate, begins, ends, door=door, uses=uses)

    def read(self, text, door="main", at=now):
        return read_pass(text, self.public, self.site, self.gate, door, at=at)


@pytest.fixture(scope="session")
def office():
    return Office()
