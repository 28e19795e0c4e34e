"""A gate renews its own certificate over the link, accepts only its own authority, and warns if no renewal comes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gated.config import SyncSettings
from gated.errors import StateError, WireError
from gated.office.authority import Authority
from gated.office.certificates import read_csr
from gated.protocol.certificate import load_key, request_for
from gated.protocol.key_messages import IssuedCertificate
from gated.sync.pairing import PairingDraft
from gated.sync.renewal import Certificates

SITE, GATE = "market-south", "gate-2"
NOW = datetime.now(UTC)
DAY_S = 24 * 3600.0


class GateWithCertificate:
    """A gate whose certificate ends in `days_left` days."""

    def __init__(self, folder: Path, days_left: float = 1000.0) -> None:
        self.authority, self.warned = Authority.make(SITE, NOW), []
        PairingDraft(folder, is_plain=True)
        (folder / "pairing.new").rename(folder / "pairing")
        self.folder = folder / "pairing"
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        wall = NOW - timedelta(days=730 - days_left)
        csr = read_csr(request_for(load_key((self.folder / "gate.key").read_bytes(), None), GATE), GATE)
        self.give(self.authority.admit(csr, GATE, wall, _all_but_the_last(wall)).pem)
        names = {"ca": "ca.pem", "cert": "gate.pem", "key": "gate.key"}
        settings = SyncSettings(**{key: str(self.folder / name) for key, name in names.items()})
        self.certificates = Certificates(settings, SITE, GATE, self.warned.append)

    def give(self, pem: bytes) -> None:
        (self.folder / "gate.pem").write_bytes(pem)
        (self.folder / "gate.pem").chmod(0o600)

    def renewed(
        self, wall: datetime = NOW, authority: Authority | None = None, gate: str = GATE, begins: datetime = NOW
    ) -> str:
        csr = read_csr(request_for(load_key((self.folder / "gate.key").read_bytes(), None), gate), gate)
        return (authority or self.authority).admit(csr, gate, wall, (), begins).pem.decode()

    def hear(self, pem: str, authority: str = "") -> None:
        self.certificates.store(IssuedCertificate(site=SITE, gate=GATE, certificate=pem, authority=authority), NOW)


def _all_but_the_last(wall: datetime) -> set:
    return {(wall + timedelta(days=730 - day)).date() for day in range(1, 90)}


def test_a_gate_asks_90_days_before_the_end_and_once_a_day(tmp_path):
    certificates = GateWithCertificate(tmp_path, days_left=89.0).certificates
    assert certificates.due_requests(0.0, NOW - timedelta(days=2)) == []
    (asked,) = certificates.due_requests(1.0, NOW)
    assert read_csr(asked.csr, GATE)
    assert "PRIVATE" not in asked.csr
    assert certificates.due_requests(DAY_S, NOW) == []
    assert len(certificates.due_requests(DAY_S + 1.0, NOW)) == 1


def test_a_certificate_of_the_office_is_stored_and_not_requested_again(tmp_path):
    gate = GateWithCertificate(tmp_path, days_left=40.0)
    key = (gate.folder / "gate.key").read_bytes()
    gate.certificates.check(NOW)
    assert "gate's certificate ends on" in gate.warned[-1]
    new = gate.renewed()
    gate.hear(new)
    assert (gate.folder / "gate.pem").read_text() == new
    assert (gate.folder / "gate.key").read_bytes() == key
    assert (gate.folder / "gate.pem").stat().st_mode & 0o777 == 0o600
    assert gate.warned[-1] is None
    assert gate.certificates.due_requests(10 * DAY_S, NOW) == []


def test_a_certificate_that_is_not_this_gates_changes_nothing(tmp_path):
    gate = GateWithCertificate(tmp_path, days_left=40.0)
    before = (gate.folder / "gate.pem").read_bytes()
    other = GateWithCertificate(tmp_path / "other")
    for wrong in (
        gate.renewed(authority=Authority.make(SITE, NOW)),
        gate.renewed(gate="gate-3"),
        other.renewed(authority=gate.authority),
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ):
        with pytest.raises(WireError, match="is invalid"):
            gate.hear(wrong)
    assert (gate.folder / "gate.pem").read_bytes() == before


def test_an_older_certificate_that_is_repeated_is_passed_over(tmp_path):
    gate = GateWithCertificate(tmp_path, days_left=700.0)
    before = (gate.folder / "gate.pem").read_bytes()
    gate.hear(gate.renewed(NOW - timedelta(days=300)))
    assert (gate.folder / "gate.pem").read_bytes() == before


def test_a_renewed_authority_is_taken_and_another_one_never(tmp_path):
    gate = GateWithCertificate(tmp_path, days_left=40.0)
    for other in (Authority.make(SITE, NOW + timedelta(days=9)), Authority.make("another-site", NOW)):
        with pytest.raises(WireError, match="it names another authority"):
            gate.hear(gate.renewed(), other.pem.decode())
    younger = gate.authority.renewed(NOW + timedelta(days=100))
    gate.hear(gate.renewed(authority=younger), younger.pem.decode())
    assert (gate.folder / "ca.pem").read_bytes() == younger.pem
    gate.hear(gate.renewed(NOW + timedelta(days=200)), gate.authority.pem.decode())
    assert (gate.folder / "ca.pem").read_bytes() == younger.pem


def test_each_stage_of_every_certificate_is_reported_once(tmp_path):
    gate = GateWithCertificate(tmp_path, days_left=100.0)
    for days in (0, 39, 41, 69, 71, 92, 94, 101, 102):
        gate.certificates.check(NOW + timedelta(days=days))
    assert [said.split(", ")[0] for said in gate.warned] == [gate.warned[0].split(", ")[0]] * 3 + [
        f"the gate's certificate ended on {NOW + timedelta(days=100):%Y-%m-%d}"
    ]
    gate.certificates.note_connection(NOW + timedelta(days=110), NOW)
    gate.certificates.check(NOW + timedelta(days=102))
    assert "the broker's certificate ends on" in gate.warned[-1]


def test_files_that_cannot_be_written_or_read_are_reported(tmp_path):
    gate = GateWithCertificate(tmp_path, days_left=40.0)
    new = gate.renewed()
    (gate.folder / "gate.pem.keep").write_bytes((gate.folder / "gate.key").read_bytes())
    (gate.folder / "gate.key").write_text("no key")
    with pytest.raises(StateError, match="pair the gate again"):
        gate.certificates.due_requests(0.0, NOW)
    with pytest.raises(StateError, match="pair the gate again"):
        gate.hear(new)


def test_the_link_is_dialled_anew_for_a_new_certificate_and_daily_while_the_brokers_is_due(tmp_path):
    """A connection shows only the certificate of its own handshake.

    Without a new connection, the gate would warn of a certificate that the broker has renewed.
    """
    gate = GateWithCertificate(tmp_path, days_left=80.0)
    certificates = gate.certificates
    certificates.note_connection(NOW + timedelta(days=1000), NOW)
    assert not certificates.is_stale
    gate.hear(gate.renewed())
    assert certificates.is_stale
    certificates.note_connection(None, NOW)
    certificates.note_connection(NOW + timedelta(days=91), NOW)
    certificates.check(NOW + timedelta(days=0.9))
    assert not certificates.is_stale
    certificates.check(NOW + timedelta(days=1.1))
    assert certificates.is_stale
    certificates.note_connection(NOW + timedelta(days=3000), NOW + timedelta(days=1.1))
    certificates.check(NOW + timedelta(days=50))
    assert not certificates.is_stale
    assert gate.warned == []


def test_a_certificate_that_is_not_good_yet_is_not_taken(tmp_path):
    gate = GateWithCertificate(tmp_path, days_left=40.0)
    before = (gate.folder / "gate.pem").read_bytes()
    later = NOW + timedelta(days=2)
    with pytest.raises(WireError, match="not valid yet; check the clocks"):
        gate.hear(gate.renewed(later, begins=later))
    assert (gate.folder / "gate.pem").read_bytes() == before
