"""A retired gate loses its access within seconds, at a real Mosquitto with TLS. No other gate loses its connection."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography import x509

from gated.errors import OfficeError, PairingError
from gated.office import retiring
from gated.office.authority import Authority
from gated.office.crl import NO_END, crl, write_crl
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.office.registrar import Registrar
from gated.office.renewals import Renewals
from gated.office.retiring import retire
from gated.office.schema import MIGRATIONS
from gated.office.store import Store
from gated.protocol.certificate import request_for
from gated.protocol.command_messages import SwitchLockdown
from gated.protocol.jose import Identity
from gated.protocol.key_messages import CertificateRequest
from gated.protocol.pairing_code import Admission, PairingRefusal
from gated.protocol.record_messages import Delta, RecordRequest
from gated.protocol.sealed_files import Lock
from gated.protocol.status_messages import Heartbeat
from gated.protocol.wire_records import GateRecord, Tombstone
from gated.simulator.network import find_mosquitto, free_port, join
from gated.storage import database
from gated.sync.pairing import PairingDraft

SITE = "market-south"
NOW = datetime.now(UTC)
PATIENCE_S = 30.0
WITHIN_S = 10.0


class Site:
    """An office with paired gates, and Mosquitto with the shipped settings."""

    def __init__(self, folder, *gates, wall=NOW):
        self.root, self.folder, self.broker = folder, folder / "office", None
        self.place = Place("localhost", free_port(), free_port())
        create_office(self.folder, SITE, self.place, wall)
        for gate in gates:
            self.pair(gate)

    def pair(self, gate):
        return join(self.folder, self.root / gate, gate)

    def open(self):
        return closing(Store.open(self.folder))

    def start(self):
        program = find_mosquitto()
        assert program, "mosquitto is not installed: these tests need the real broker (apt install mosquitto)"
        self.broker = subprocess.Popen([program, "-c", str(self.folder / "mosquitto.conf")], stderr=subprocess.PIPE)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.place.port), 1):
                return
            assert self.broker.poll() is None, self.broker.stderr.read()
            time.sleep(0.02)

    def close(self):
        if self.broker is not None:
            self.broker.kill()
            self.broker.communicate()

    def dial(self, gate, folder=None):
        """Open an MQTT session with the gate's own files."""
        folder = folder or self.root / gate / "pairing"
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(folder / "gate.pem", folder / "gate.key")
        line = socket.create_connection(("127.0.0.1", self.place.port), PATIENCE_S)
        safe = context.wrap_socket(line, server_hostname="localhost")
        name = b"any"
        safe.sendall(bytes([0x10, 12 + len(name)]) + b"\x00\x04MQTT\x04\x02\x00\x00\x00" + bytes([len(name)]) + name)
        said = safe.recv(4)
        if said[:1] != b"\x20" or said[3] != 0:
            raise ConnectionError(said)
        return safe

    def is_taken(self, gate, folder=None):
        try:
            self.dial(gate, folder).close()
        except OSError:
            return False
        return True

    def retire(self, gate, wall=NOW):
        with self.open() as store:
            return retire(self.folder, store, gate, wall)


def is_alive(session):
    """Return whether the broker answers a ping."""
    try:
        session.settimeout(PATIENCE_S)
        session.sendall(b"\xc0\x00")
        return session.recv(2) == b"\xd0\x00"
    except OSError:
        return False


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path, "gate-1", "gate-2")
    yield site
    site.close()


def test_a_stolen_gate_is_disconnected_and_refused_within_ten_seconds(site):
    site.start()
    thief, neighbour = site.dial("gate-2"), site.dial("gate-1")
    began = time.monotonic()
    assert site.retire("gate-2").broker == "ended"
    assert not is_alive(thief)
    assert not site.is_taken("gate-2")
    assert time.monotonic() - began < WITHIN_S
    assert is_alive(neighbour), "another gate's session goes on through the broker's reload"
    assert site.is_taken("gate-1")


def test_a_gate_that_reconnects_during_its_retirement_is_refused_too(site):
    site.start()
    stop, sessions = threading.Event(), []

    def thief():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                sessions.append(site.dial("gate-2"))
            time.sleep(0.02)

    thread = threading.Thread(target=thief)
    thread.start()
    try:
        assert site.retire("gate-2").broker == "ended"
    finally:
        stop.set()
        thread.join()
    assert sessions
    assert not any(is_alive(session) for session in sessions)
    assert not site.is_taken("gate-2")


def test_gates_retired_in_sequence_stay_refused_without_a_broker_restart(site):
    site.pair("gate-3")
    site.start()
    assert site.retire("gate-1").broker == "ended"
    assert site.retire("gate-3").broker == "ended"
    assert [site.is_taken(gate) for gate in ("gate-1", "gate-2", "gate-3")] == [False, True, False]
    for _ in range(3):
        os.kill(site.broker.pid, signal.SIGHUP)
    assert [site.is_taken(gate) for gate in ("gate-1", "gate-2", "gate-3")] == [False, True, False]
    site.close()
    site.start()
    assert [site.is_taken(gate) for gate in ("gate-1", "gate-2", "gate-3")] == [False, True, False]


def test_the_revocation_list_of_an_old_office_has_no_end_that_could_block_gates(tmp_path):
    """One office is nineteen years old. The clock of the other is an hour ahead of its broker's clock."""
    old, ahead = NOW - timedelta(days=19 * 365), NOW + timedelta(minutes=59)
    for name, wall in (("old", old), ("ahead", ahead)):
        (tmp_path / name).mkdir()
        site = Site(tmp_path / name, "gate-1", wall=wall)
        Authority.load(site.folder).write_server(site.folder, "localhost", wall=NOW)
        try:
            join(site.folder, site.root / "gate-2", "gate-2")
            site.start()
            assert site.retire("gate-1", max(wall, NOW)).broker == "ended"
            assert site.is_taken("gate-2")
        finally:
            site.close()


def test_the_revocation_list_never_expires_and_its_number_always_rises(site):
    authority, revoked = Authority.load(site.folder), []
    before = None
    for number in range(1, 50):
        revoked.append(f"{number:x}")
        there = x509.load_pem_x509_crl(crl(authority, revoked))
        assert there.next_update_utc == NO_END
        assert before is None or there.last_update_utc > before
        assert there.last_update_utc < NOW
        assert [f"{each.serial_number:x}" for each in there] == revoked
        before = there.last_update_utc


def test_a_renewed_authority_revokes_the_same_certificates(site):
    site.retire("gate-2")
    Authority.load(site.folder).renewed(NOW + timedelta(days=1)).save(site.folder)
    with site.open() as store:
        write_crl(site.folder, store.gate_table)
    site.start()
    assert not site.is_taken("gate-2")
    assert site.is_taken("gate-1")


def test_every_certificate_ever_issued_to_the_gate_is_refused(site):
    """The certificate before the newest stays valid for years, and may remain on the gate's SD card."""
    kept = site.root / "kept"
    shutil.copytree(site.root / "gate-2" / "pairing", kept)
    site.pair("gate-2")
    site.start()
    assert site.is_taken("gate-2", kept)
    site.retire("gate-2")
    assert not site.is_taken("gate-2", kept)
    assert not site.is_taken("gate-2")


def test_a_renewal_during_the_retirement_gives_no_certificate(site, monkeypatch):
    """Another process retires the gate during the renewal. A certificate signed then would never be revoked."""
    admit = Authority.admit

    def retired_meanwhile(*values, **more):
        with monkeypatch.context() as patch:
            patch.setattr(Authority, "admit", admit)
            site.retire("gate-2")
        return admit(*values, **more)

    key = Lock.of(site.root / "gate-2").key(site.root / "gate-2" / "pairing" / "gate.key")
    said = CertificateRequest(site=SITE, gate="gate-2", csr=request_for(key, "gate-2"))
    with site.open() as store:
        monkeypatch.setattr(Authority, "admit", retired_meanwhile)
        with pytest.raises(OfficeError, match="no gate"):
            Renewals(site.folder, store).answer("gate-2", said, NOW + timedelta(days=700))
        with store.file.reading() as connection:
            left = connection.execute("SELECT count(*) FROM issued WHERE NOT is_revoked AND gate = 'gate-2'").fetchone()
    assert left[0] == 0


def test_the_name_can_be_paired_again_and_the_old_certificate_stays_refused(site):
    site.start()
    site.retire("gate-2")
    new = site.root / "another box"
    join(site.folder, new, "gate-2")
    assert site.is_taken("gate-2", new / "pairing")
    assert not site.is_taken("gate-2")
    session = site.dial("gate-2", new / "pairing")
    assert site.retire("gate-2").is_new, "it can be stolen as well"
    assert not is_alive(session)


def test_the_old_keys_are_refused_under_every_name_without_using_the_code(site):
    draft = PairingDraft(site.root / "gate-2")
    site.retire("gate-2")
    with site.open() as store, closing(Registrar(site.folder, store)) as registrar:
        for name in ("gate-2", "gate-9"):
            code = registrar.invite(name, NOW)
            asked = draft.application(code, SITE)
            assert registrar.answer(asked, NOW) == PairingRefusal(why="retired")
            others = PairingDraft(site.root / f"fresh-{name}")
            half = msgspec.structs.replace(others.application(code, SITE), csr=asked.csr)
            assert registrar.answer(half, NOW) == PairingRefusal(why="retired"), "the key of its certificate"
            half = msgspec.structs.replace(asked, csr=others.application(code, SITE).csr)
            assert registrar.answer(half, NOW) == PairingRefusal(why="retired"), "the keys of its messages"
            assert isinstance(registrar.answer(others.application(code, SITE), NOW), Admission)
    with pytest.raises(PairingError, match="retired"):
        join(site.folder, site.root / "gate-2", "gate-2")


def test_other_gates_learn_of_the_retirement_and_nothing_stays_pending(site):
    with site.open() as store:
        store.alarms.open("gate-2", "silent", "", "2027-01-01T00:00:00Z")
        version = store.book.version("gate-1")
    site.retire("gate-2")
    with site.open() as store:
        (told,) = store.book.after("gate-1", version)
        assert isinstance(told, Tombstone)
        assert told.key == "gate/gate-2"
        assert [record.gate for record in store.book.live(GateRecord)] == ["gate-1"]
        assert store.alarms.all() == []
        assert "user gate-2\n" not in (site.folder / "acl").read_text()
        with pytest.raises(OfficeError, match="no gate"):
            store.gate("gate-2")


def test_retiring_twice_does_no_harm_and_an_unknown_gate_is_refused(site):
    assert site.retire("gate-2").is_new
    again = site.retire("gate-2")
    assert (again.is_new, again.broker) == (False, "absent")
    with site.open() as store:
        version = store.book.version("gate-1")
    site.retire("gate-2")
    with site.open() as store:
        assert store.book.version("gate-1") == version
    with pytest.raises(OfficeError, match="this office has no gate 'gate-7'"):
        site.retire("gate-7")


def test_a_broker_with_old_settings_is_reported_separately(site, monkeypatch):
    monkeypatch.setattr(retiring, "HEEDS_S", 1.0)
    conf = site.folder / "mosquitto.conf"
    lines = [line for line in conf.read_text().splitlines() if not line.startswith("crlfile")]
    conf.write_text("\n".join(lines) + "\n")
    site.start()
    assert site.retire("gate-2").broker == "unheeded"


@pytest.mark.parametrize("where", ["gated.office.retiring.write_crl", "gated.office.retiring.write_acl",
                                   "gated.office.retiring._put_out"])  # fmt: skip
def test_an_interrupted_retirement_is_completed_by_a_second_run(site, monkeypatch, where):
    site.start()

    def fails(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(where, fails)
        with pytest.raises((OfficeError, OSError)):
            site.retire("gate-2")
    assert site.retire("gate-2").broker == "ended"
    assert not site.is_taken("gate-2")


def test_a_running_office_ignores_a_retired_gate_and_serves_the_others(court, gate, other, person, only):
    court.store.book.put(person(1))
    court.due()
    order = court.order(SwitchLockdown(True), "gate-2")
    with closing(Store.open(court.folder)) as elsewhere:
        elsewhere.retire_gate("gate-2", "2027-01-01T00:00:00Z")
    assert other.status() == []
    assert other.send(RecordRequest, after=0) == []
    court.wait(1.0)
    court.gates.pop("gate-2")
    (told,) = only(Delta, court.due())
    assert [record.key for record in told.records] == ["gate/gate-2"]
    assert (told.gate, court.state(order)) == ("gate-1", "failed")
    assert court.side.topics == set(gate.topics.up)
    assert only(Heartbeat, gate.status())


def test_certificates_of_an_older_office_are_revoked_too(tmp_path):
    """The old database has no list of issued certificates. The migration lists the newest certificate of each gate."""
    before = next(n for n, step in enumerate(MIGRATIONS) if "CREATE TABLE issued" in step)
    with closing(Store.create(tmp_path / "office", SITE)) as store:
        identity = store.identity
    (tmp_path / "office" / "office.db").unlink()
    with closing(database.connect(tmp_path / "office" / "office.db", MIGRATIONS[:before])) as connection:
        row = (SITE, identity.party.seal(os.urandom(32)))
        columns = "one, site, secret, counter, floor, owes_erasure"
        connection.execute(f"INSERT INTO office ({columns}) VALUES (1, ?, ?, 0, 0, 0)", row)
        keys = Identity.make().party.dump().decode()
        connection.execute("INSERT INTO gates (gate, keys, serial, since) VALUES ('gate-1', ?, '0a0b', 1)", (keys,))
    with closing(Store.open(tmp_path / "office")) as store:
        assert (store.gate_table.revoked(), store.handovers.number, store.handovers.key) == ([], 0, "")
        store.retire_gate("gate-1", "2027-01-01T00:00:00Z")
        assert store.gate_table.revoked() == ["0a0b"]
