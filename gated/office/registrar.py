"""Pairs invited gates: checks their codes and requests, and issues their certificates."""

import logging
from datetime import datetime
from pathlib import Path

import msgspec

from gated.errors import GatedError, PairingError, WireError
from gated.journal.entry import stamp
from gated.office.authority import Authority
from gated.office.certificates import key_of_csr, read_csr
from gated.office.crl import write_crl
from gated.office.invitations import VALID_S, Invitations
from gated.office.mosquitto import Place, write_acl
from gated.office.renewals import Renewals, used_days
from gated.office.statuses import REKEYED
from gated.office.store import Store
from gated.protocol.jose import Party
from gated.protocol.key_messages import CertificateRequest
from gated.protocol.message_kinds import kind_of
from gated.protocol.pairing_code import (
    Admission,
    Application,
    CodeQuestion,
    PairingCode,
    PairingRefusal,
    StillGood,
    digest_of,
)
from gated.protocol.recovery_key import Following, HandedOver, HandoverQuestion
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)


class Registrar:
    """Pairs invited gates. Answers the requests of `pairing_app`."""

    def __init__(self, folder: Path, store: Store) -> None:
        """Open the office's folder. Raises `OfficeError` and `StateError`."""
        self.folder, self._store = folder, store
        self.place = Place.load(folder)
        Authority.load(folder)
        self.invitations = Invitations(folder)

    @property
    def authority(self) -> Authority:
        """Return the current authority; another process may have renewed it. Raises `OfficeError`."""
        return Authority.load(self.folder)

    def close(self) -> None:
        """Close the files."""
        self.invitations.close()

    def invite(self, gate: str, wall: datetime, valid_s: float = VALID_S) -> PairingCode:
        """Create a code for a gate, valid for `valid_s` seconds. The caller shows it once and does not store it."""
        code = PairingCode.make(self.place.host, self.place.pairing_port, gate, self.authority.fingerprint)
        self.invitations.invite(gate, code.digest, wall.timestamp(), valid_s)
        return code

    def knows(self, question: Application | CodeQuestion) -> bool:
        """Return whether a request has the gate's code. Raises `StateError`."""
        return self.invitations.knows(question.gate, digest_of(question.gate, bytes.fromhex(question.secret)))

    def judge(self, question: CodeQuestion, wall: datetime) -> StillGood | PairingRefusal:
        """Return whether a code would be accepted. The request has no keys, so a used code is always refused."""
        code = digest_of(question.gate, bytes.fromhex(question.secret))
        verdict = self.invitations.judge_try(question.gate, code, "", wall.timestamp())
        if verdict != "good":
            return PairingRefusal(why=verdict)
        return StillGood() if question.site == self._store.site else PairingRefusal(why="site")

    def answer(self, application: Application, wall: datetime) -> Admission | PairingRefusal:
        """Pair a gate, or refuse with the reason. An application uses up its code only if everything else is right."""
        try:
            keys = Party.parse(application.keys)
        except WireError as error:
            return _reject_request(application, error)
        code = digest_of(application.gate, bytes.fromhex(application.secret))
        person = (application.gate, code, f"{keys.kid} {keys.seal_kid}", wall.timestamp())
        verdict = self.invitations.judge_try(*person)
        if verdict != "good":
            return PairingRefusal(why=verdict)
        if application.site != self._store.site:
            return PairingRefusal(why="site")
        try:
            csr, authority = read_csr(application.csr, application.gate), self.authority
        except PairingError as error:
            return _reject_request(application, error)
        issued_to = [keys.kid, keys.seal_kid, key_of_csr(csr)]
        if self._store.gate_table.any_retired(issued_to):
            return PairingRefusal(why="retired")
        verdict = self.invitations.use(*person)
        if verdict != "good":
            return PairingRefusal(why=verdict)
        issued = authority.admit(csr, application.gate, wall, used_days(self._store, application.gate))
        if self._store.gate_table.keys_of(application.gate) != keys.dump().decode():
            self._store.gate_table.revoke(application.gate)  # a replacement with new keys; the former box is locked out
        self._store.add_gate(application.gate, keys.dump(), issued.serial)
        self._store.gate_table.certify(application.gate, issued.serial, issued.pem.decode())
        write_crl(self.folder, self._store.gate_table)
        write_acl(self.folder, self._store.site, (gate.gate for gate in self._store.gates()))
        log.info("paired %s; the serial number of its certificate is %s", application.gate, issued.serial)
        own_keys = self._store.identity.party.dump().decode()
        known = self._store.handovers
        return Admission(
            url=self.place.url, certificate=issued.pem.decode(), keys=own_keys, recovery=known.key, number=known.number
        )

    def hand_over(self, question: HandoverQuestion, wall: datetime) -> HandedOver | None:
        """Return the hand-overs that a gate missed, with its certificate.

        Returns None if the gate did not sign the request, missed nothing, or gets no certificate.
        """
        text = self._store.gate_table.keys_of(question.gate)
        if text is None:
            return None
        try:
            signed = msgspec.json.decode(
                Party.parse(text).verify(question.renew.encode(), kind_of(CertificateRequest)), type=Following
            )
        except (WireError, *UNDECODABLE):
            return None
        if (signed.site, signed.gate) != (self._store.site, question.gate):
            return None
        if signed.number is not None and signed.number > self._store.handovers.number:
            self._store.alarms.open(question.gate, REKEYED, "", stamp(wall))
        statements = self._store.handovers.after(question.number)
        if not statements:
            return None
        given = Renewals(self.folder, self._store).answer(question.gate, signed, wall)
        return None if given is None else HandedOver(statements=statements, certificate=given.certificate)


def _reject_request(application: Application, error: GatedError) -> PairingRefusal:
    log.warning("refused to pair %s: %s", application.gate, error)
    return PairingRefusal(why="request")
