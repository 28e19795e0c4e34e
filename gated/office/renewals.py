"""Renews certificates: a gate's on request, the office's own by itself.

Opens alarms for certificates that end soon.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from gated.errors import BusyError, OfficeError, PairingError, StateError
from gated.journal.entry import stamp
from gated.office.authority import CA, Authority
from gated.office.certificates import begin_of_pem, end_of_pem, is_for_same_key, read_csr
from gated.office.gate_store import PairedGate
from gated.office.mosquitto import MOST_SHARES, OFFICE, name_of, reload_broker
from gated.office.store import Store
from gated.protocol.certificate_lifetime import AUTHORITY_BEFORE, is_due, stage
from gated.protocol.key_messages import CertificateRequest, IssuedCertificate

log = logging.getLogger(__name__)

BROKER = {"server": "broker"}
"""The certificate of the broker and of pairing, by its file name."""
CHECK_S = 3600.0
"""Interval in seconds between checks of the office's own certificates."""
ENDS_SOON = "certificate_ends"


class Renewals:
    """The certificate renewals of one office. `wall` is timezone-aware."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._stages: dict[str, str] = {}

    def answer(self, gate: str, request: CertificateRequest, wall: datetime) -> IssuedCertificate | None:
        """Return a certificate for the gate's signed request, with the gate's key and name; None for an invalid
        request.

        A repeated request gets the same certificate, so replaying one gains nothing.
        """
        known = self._store.gate(gate).certificate
        try:
            csr = read_csr(request.csr, gate)
        except PairingError as error:
            log.warning("%s gets no new certificate: %s", gate, error)
            return None
        if known and not is_for_same_key(known, csr):
            self._store.alarms.open(gate, "certificate_refused", "", stamp(wall))
            return None
        try:
            authority = Authority.load(self._folder)
        except OfficeError as error:
            log.error("%s gets no new certificate: %s", gate, error)
            return None
        if not known or not authority.is_issuer_of(known) or is_due(end_of_pem(known), wall):
            begins = begin_of_pem(known) if known else None
            issued = authority.admit(csr, gate, wall, used_days(self._store, gate), begins)
            known = issued.pem.decode()
            self._store.gate_table.certify(gate, issued.serial, known)
            log.info("%s has a new certificate: %s", gate, issued.serial)
        return IssuedCertificate(site=request.site, gate=gate, certificate=known, authority=authority.pem.decode())

    def watch(self, gates: Sequence[PairedGate], wall: datetime) -> None:
        """Open an alarm for a certificate of a gate 60, 30 and 7 days before its end, until it is renewed."""
        for gate in gates:
            ends = ends_of(gate)
            near = stage(ends, wall) if ends is not None else None
            self._update_alarm(gate.gate, _warning(near), wall)

    def renew_own(self, wall: datetime) -> bool:
        """Renew the office's due certificates; return whether any was due.

        Raises `OfficeError` and `OSError`.
        """
        authority, is_new = Authority.load(self._folder), False
        if is_due(authority.ends, wall, AUTHORITY_BEFORE):
            authority, is_new = authority.renewed(wall), True
            authority.save(self._folder)
            log.info("renewed the certificate of the office's authority; each gate gets it with its next certificate")
        for name, of in self._own().items():
            if is_due(self._end(name), wall):
                authority.renew(self._folder, name, wall)
                log.info("renewed the certificate of the %s", of)
                is_new = True
        if is_new:
            reload_broker(self._folder)
        return is_new

    def watch_own(self, wall: datetime) -> None:
        """Open an alarm for the office's own certificates that end soon. Raises `OfficeError`."""
        ends = {
            "authority": Authority.load(self._folder).ends,
            **{of: self._end(name) for name, of in self._own().items()},
        }
        near = {of: warning for of, end in ends.items() if (warning := _warning(stage(end, wall)))}
        self._update_alarm(OFFICE, "; ".join(f"{of} {warning}" for of, warning in near.items()), wall)

    def _own(self) -> dict[str, str]:
        """Return the office's own certificates by file: the broker's, and one for each office process at the broker."""
        names = [name_of(number).lower() for number in range(MOST_SHARES)]
        others = [name for name in names[1:] if (self._folder / f"{name}.pem").exists()]
        return BROKER | {name: name for name in (names[0], *others)}

    def _end(self, name: str) -> datetime:
        file = self._folder / f"{name}.pem"
        try:
            return end_of_pem(file.read_text("ascii"))
        except (OSError, ValueError) as error:
            raise OfficeError(f"{file}: is not a certificate ({error}); restore it from a backup") from error

    def _update_alarm(self, gate: str, warning: str, wall: datetime) -> None:
        """Open one alarm for each warning stage, and close the alarm of the previous stage."""
        if self._stages.get(gate) == warning:
            return
        with self._store.file.writing():
            if not warning or gate in self._stages:
                self._store.alarms.end(gate, ENDS_SOON, stamp(wall))
            if warning:
                self._store.alarms.open(gate, ENDS_SOON, warning, stamp(wall))
        self._stages[gate] = warning


async def keep_renewed(renewals: Renewals, folder: Path, contexts: dict[str, ssl.SSLContext], is_first: bool) -> None:
    """Check every hour, until cancelled. The first of several processes renews; all load the new certificates.

    `contexts`: TLS contexts by certificate file; the new certificate applies to their next connections. Errors are
    logged and tried again: gates still connect to an office with an old certificate.
    """
    while True:
        try:
            if is_first:
                await asyncio.to_thread(renewals.renew_own, datetime.now(UTC))
                renewals.watch_own(datetime.now(UTC))
            for name, context in contexts.items():
                context.load_verify_locations(folder / CA)
                context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        except (OfficeError, StateError, BusyError, OSError) as error:
            log.error("the office's own certificates cannot be renewed: %s", error)
        await asyncio.sleep(CHECK_S)


def ends_of(gate: PairedGate) -> datetime | None:
    """Return the end of a gate's certificate: as the gate reports, else as issued; None if unknown."""
    request = gate.status.certificate_ends if gate.status is not None else ""
    try:
        at = datetime.fromisoformat(request)
    except ValueError:
        return end_of_pem(gate.certificate) if gate.certificate else None
    return at if at.tzinfo is not None else None


def used_days(store: Store, gate: str) -> set[date]:
    """Return the end dates of other gates' certificates (UTC)."""
    ends = [ends_of(each) for each in store.gates() if each.gate != gate]
    return {end.astimezone(UTC).date() for end in ends if end is not None}


def _warning(near: int | None) -> str:
    return "" if near is None else f"ends within {near} days" if near else "has ended"
