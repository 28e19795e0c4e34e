"""The gate's end of certificate renewal: request in time, verify the answer, and warn before an end.

The private key is made once, at pairing, and never changes. A new certificate is for the same key, so that renewal
replaces one file atomically. The next connection uses it.
"""

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from gated.atomic_files import atomic_rewrite
from gated.config import SyncSettings
from gated.errors import PairingError, StateError, WireError
from gated.protocol.certificate import check_authority, check_own, end_of, request_for
from gated.protocol.certificate_lifetime import ASK_EVERY_S, end_text, is_due, stage
from gated.protocol.key_messages import CertificateRequest, IssuedCertificate
from gated.protocol.sealed_files import UNLOCKED, Lock

log = logging.getLogger(__name__)

MEET_EVERY = timedelta(days=1)
"""Interval of a new connection while the broker's certificate is due. A connection only shows the certificate of its
handshake.
"""


class Certificates:
    """The certificates of one gate's link. Used from one thread; `now` is monotonic seconds, `wall` aware."""

    def __init__(
        self,
        settings: SyncSettings,
        site: str,
        gate: str,
        on_warning: Callable[[str | None], None] = lambda _: None,
        lock: Lock = UNLOCKED,
    ) -> None:
        """Take `on_warning` and `lock`, which opens the private key.

        `on_warning` receives a text at each change of the set of ending certificates, and None when no certificate ends
        soon.
        """
        self._lock = lock
        self._settings, self._site, self._gate, self._on_warning = settings, site, gate, on_warning
        self._asked_at = -math.inf
        self._stages: dict[str, int] = {}
        self._broker_ends: datetime | None = None
        self._met_at: datetime | None = None
        self.is_stale = False
        """Whether the link must be dialled again: the gate has a new certificate, or the broker may have one."""
        self.ends: dict[str, datetime] = {}
        """When each certificate ends, as of the last `look`. Leaves out certificates that cannot be read."""
        self.read()

    def note_connection(self, broker_ends: datetime | None, wall: datetime) -> None:
        """Take note of a try to connect, or of a handshake with the end of the broker's certificate (`broker_ends`)."""
        self._broker_ends = broker_ends or self._broker_ends
        self._met_at, self.is_stale = wall, False
        self.check(wall)

    def read(self) -> None:
        """Read the certificate files."""
        files = {"gate": self._settings.cert, "authority": self._settings.ca}
        found = {name: end_of(Path(file)) for name, file in files.items()} | {"broker": self._broker_ends}
        self.ends = {name: end for name, end in found.items() if end is not None}

    def due_requests(self, now: float, wall: datetime) -> list[CertificateRequest]:
        """Return a renewal request if it is due: at most one a day until the answer.

        Raises `StateError` if the private key cannot be read.
        """
        ends = self.ends.get("gate")
        if ends is None or not is_due(ends, wall) or now < self._asked_at + ASK_EVERY_S:
            return []
        self._asked_at = now
        return [CertificateRequest(site=self._site, gate=self._gate, csr=request_for(self._key, self._gate))]

    def store(self, issued: IssuedCertificate, wall: datetime) -> None:
        """Store the certificate from the office if it is valid for this gate and ends later than the stored one.

        Raises `WireError` for an invalid certificate, and `StateError` if it cannot be written.
        """
        ca, cert = Path(self._settings.ca), Path(self._settings.cert)
        try:
            authority = check_authority(issued.authority, ca) if issued.authority else ca.read_bytes()
            ends = check_own(issued.certificate, authority, self._key.public_key(), self._gate, wall)
            self.read()
            before = self.ends.get("gate")
            if before is not None and ends <= before:
                return
            if issued.authority:
                atomic_rewrite(ca, authority)
            atomic_rewrite(cert, issued.certificate.encode())
        except PairingError as error:
            raise WireError(f"the certificate from the office is invalid: {error}") from error
        except OSError as error:
            advice = "make it writable for the gate's user"
            raise StateError(f"{cert}: cannot be written ({error.strerror}); {advice}") from error
        log.info("the gate's certificate was renewed: it %s", end_text(ends, wall))
        self.is_stale = True
        self.check(wall)

    @property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return self._lock.key(Path(self._settings.key))

    def check(self, wall: datetime) -> None:
        """Check which certificates end soon, and warn at each change of the result."""
        self.read()
        if self._broker_ends is not None and self._met_at is not None and is_due(self._broker_ends, wall):
            self.is_stale = self.is_stale or wall - self._met_at >= MEET_EVERY
        ends = self.ends
        stages = {name: near for name, end in ends.items() if (near := stage(end, wall)) is not None}
        if stages == self._stages:
            return
        is_changed = bool(stages.items() - self._stages.items())  # otherwise only an earlier warning ended
        self._stages = stages
        issued = "; ".join(f"the {name}'s certificate {end_text(ends[name], wall)}" for name in stages)
        if is_changed:
            log.warning("%s, and was not renewed by itself: see `gated doctor`", issued)
        self._on_warning(issued or None)
