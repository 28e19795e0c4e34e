"""Decide which faces leave this gate, and seal them for the receiving gate.

A face leaves only if somebody accepted, at this gate, both the receiving gate's keys and the subject's consent. The
office cannot override that. `replica` uses this module.
"""

from collections.abc import Callable, Sequence

from gated.errors import EnrolmentError, UnacceptedError, WireError
from gated.events import ConsentHeld, Event, FaceShared, GateAccepted, GateHeld
from gated.gallery.holdings import Holdings
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import PERSON, Change, GateKeys
from gated.people.acceptances import THIS_GATE, Neighbour
from gated.people.given_consents import TRANSFER
from gated.people.store import RECOGNISE
from gated.protocol.envelope import Peer
from gated.protocol.face_messages import SharedFace, Vouching
from gated.protocol.jose import Party
from gated.protocol.vouching import fingerprint, newly_trusted, parsed, vouch
from gated.protocol.wire_types import Message
from gated.sync.sealed_faces import seal_face
from gated.types import SubjectId

ACCEPT_GATE = "compare fingerprints, then `gated gates accept"
ACCEPT_CONSENTS = "`gated people consents accept` at this gate"


class FaceDepartures:
    """Shares faces with other gates and vouches for accepted gates.

    Every method may raise `StateError` and `BusyError`.
    """

    def __init__(self, holdings: Holdings, peer: Peer, embedder_sha256: str, report: Callable[[Event], None]) -> None:
        self._holdings, self._peer, self._embedder, self._report = holdings, peer, embedder_sha256, report
        self._sent = set[str]()
        self._seen: tuple[int, ...] | None = None

    def share(self, subject: str, to: str) -> SharedFace:
        """Return a subject's templates, sealed to the gate `to`, and report `FaceShared`.

        Raises `EnrolmentError` in three cases. The subject is unknown, or the consent `transfer` is not on record here.
        The keys of gate `to` are unknown or invalid. No template of this embedder exists. Raises `UnacceptedError`
        until somebody at this gate has accepted the gate's keys and the consent.
        """
        person = self._holdings.person(SubjectId(subject))
        gate = next((each for each in self._holdings.neighbours() if each.gate == to), None)
        if person is None or TRANSFER not in {consent.purpose for consent in person.consents}:
            raise EnrolmentError(f"{subject}: has not agreed here to send the face to other gates; nothing is sent")
        if gate is None:
            raise EnrolmentError(f"{to}: is no gate whose keys are known here; nothing is sent")
        opened = self._holdings.register.face_of(person.subject)
        templates = [(name, vector) for name, embedder, vector in opened if embedder == self._embedder]
        if not templates:
            raise EnrolmentError(f"{subject}: has no face here for this model set; enrol this person again")
        try:
            party = Party.parse(gate.keys)
        except WireError as error:
            raise EnrolmentError(f"{to}: its keys are invalid ({error}); pair it with the office again") from error
        self._refuse_unaccepted(person.subject, gate)
        face = seal_face(party, subject, self._embedder, templates)
        self._report(FaceShared(subject, to))
        return SharedFace(site=self._peer.site, gate=self._peer.gate, subject=subject, to=to, face=face)

    def restart(self) -> None:
        """Start a new connection: send every signature again, because messages on the old connection may be lost."""
        self._sent.clear()
        self._seen = None

    def due(self) -> list[Message]:
        """Return this gate's signatures of the gates accepted here, for the other gates; each once per connection."""
        changes = self._holdings.changes()
        if changes == self._seen:
            return []
        self._seen = changes
        unsent = [each for each in self._vouchings() if each.vouched not in self._sent]
        self._sent |= {each.vouched for each in unsent}
        return list(unsent)

    def _vouchings(self) -> list[Vouching]:
        site, me, vouchings = self._peer.site, self._peer.gate, list[Vouching]()
        for each in self._holdings.neighbours():
            party = parsed(each.keys) if each.is_trusted and each.by == THIS_GATE else None
            if party is not None:
                token = vouch(self._peer.me, site, me, each.gate, party)
                vouchings.append(Vouching(site=site, gate=me, to=each.gate, vouched=token))
        return vouchings

    def _refuse_unaccepted(self, subject: SubjectId, gate: Neighbour) -> None:
        """Raise `UnacceptedError` if nobody here has accepted the gate's keys or the subject's consent."""
        if not gate.is_trusted:
            reason = "are not the accepted keys, or are old" if gate.accepted else "were accepted by nobody"
            raise UnacceptedError(f"{gate.gate}: its keys {reason} here; {ACCEPT_GATE} {gate.gate}` at this gate")
        if TRANSFER not in self._holdings.agreed(subject):
            raise UnacceptedError(f"{subject}: only the office reports this consent; {ACCEPT_CONSENTS}")

    def update_trust(self) -> None:
        """Trust each gate whose keys a trusted gate has signed, and report `GateAccepted`."""
        site, me = self._peer.site, self._peer.gate
        gates = self._holdings.neighbours()
        if all(each.is_trusted or each.gate == me for each in gates):
            return
        for each, by in newly_trusted(site, me, gates, self._holdings.revoked_gate_keys()):
            if self._holdings.trust(each.gate, each.keys, by):
                self._report(GateAccepted(each.gate, fingerprint(site, each.gate, each.keys), by))

    def report_pending(self, changes: Sequence[Change]) -> None:
        """Report which gates and consents of a batch wait for acceptance at this gate before a face leaves."""
        gates = {change.content.gate for change in changes if isinstance(change.content, GateKeys)}
        if gates:
            self.update_trust()
            for each in self._holdings.neighbours():
                if each.gate in gates and not each.is_trusted and each.gate != self._peer.gate:
                    self._report(GateHeld(each.gate, fingerprint(self._peer.site, each.gate, each.keys)))
        widened = {change.holding.key.removeprefix(PERSON) for change in changes if _widens(change)}
        for subject in self._holdings.disputed(widened) if widened else ():
            self._report(ConsentHeld(subject))


def _widens(change: Change) -> bool:
    """Return whether a person record contains a consent beyond recognition."""
    person = change.content.person if isinstance(change.content, PersonData) else None
    return person is not None and any(consent.purpose != RECOGNISE for consent in person.consents)
