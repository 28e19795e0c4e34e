"""Certificate renewal: gates ask and the office answers, the office renews its own, and an end is announced in time."""

import asyncio
import socket
import ssl
import subprocess
import time
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID

from gated.office.alarm_meanings import MEANINGS
from gated.office.authority import SERVER_LIFETIME, Authority
from gated.office.certificates import end_of_pem, read_csr
from gated.office.exchange import Exchange
from gated.office.mosquitto import OFFICE, Place, tls_context
from gated.office.office_creation import create_office
from gated.office.registrar import Registrar
from gated.office.renewals import Renewals, ends_of, keep_renewed, used_days
from gated.office.store import Store
from gated.protocol.envelope import Peer
from gated.protocol.jose import Identity
from gated.protocol.key_messages import CertificateRequest, IssuedCertificate
from gated.protocol.status_messages import Status
from gated.protocol.topics import Topics
from gated.simulator.network import find_mosquitto, free_port

SITE = "market-south"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def csr(gate, key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gate)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


class Site:
    """An office with its keys and paired gates."""

    def __init__(self, folder):
        self.folder = folder
        self.place = Place("localhost", free_port(), free_port())
        create_office(folder, SITE, self.place, NOW)
        self.store = Store.open(folder)
        self.renewals = Renewals(folder, self.store)
        self.keys, self.identities = {}, {}

    def pair(self, gate, wall=NOW):
        key = self.keys[gate] = ec.generate_private_key(ec.SECP256R1())
        me = self.identities[gate] = Identity.make()
        taken = used_days(self.store, gate)
        issued = Authority.load(self.folder).admit(read_csr(csr(gate, key), gate), gate, wall, taken)
        self.store.add_gate(gate, me.party.dump(), issued.serial)
        self.store.gate_table.certify(gate, issued.serial, issued.pem.decode())
        return end_of_pem(issued.pem.decode())

    def asks(self, gate, wall, key=None, name=None):
        said = CertificateRequest(site=SITE, gate=gate, csr=csr(name or gate, key or self.keys[gate]))
        return self.renewals.answer(gate, said, wall)

    def alarms(self):
        return [(a.gate, a.kind, a.detail) for a in self.store.alarms.all()]


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "office")
    yield site
    site.store.close()


def test_a_gate_gets_a_certificate_for_its_own_key_and_name(site):
    ends = site.pair("gate-2")
    given = site.asks("gate-2", ends - 80 * DAY)
    certificate = x509.load_pem_x509_certificate(given.certificate.encode())
    assert certificate.public_key() == site.keys["gate-2"].public_key()
    assert certificate.subject.rfc4514_string() == "CN=gate-2"
    assert certificate.not_valid_after_utc > ends + 400 * DAY
    assert site.store.gate("gate-2").certificate == given.certificate


def test_a_repeated_request_gets_the_earlier_certificate(site):
    ends = site.pair("gate-2")
    first = site.asks("gate-2", ends - 80 * DAY)
    serial = site.store.gate("gate-2").serial
    assert site.asks("gate-2", ends - 79 * DAY).certificate == first.certificate
    assert site.asks("gate-2", ends - 10 * DAY).certificate == first.certificate
    assert site.store.gate("gate-2").serial == serial


def test_no_certificate_is_issued_for_another_key_or_gate(site):
    ends = site.pair("gate-2")
    thief = ec.generate_private_key(ec.SECP256R1())
    assert site.asks("gate-2", ends - DAY, key=thief) is None
    assert site.alarms() == [("gate-2", "certificate_refused", "")]
    assert site.asks("gate-2", ends - DAY, name="gate-3") is None
    assert site.asks("gate-2", ends - DAY, name="OFFICE") is None


def test_an_older_gate_gets_its_first_certificate_for_the_key_it_sends(site):
    site.pair("gate-2")
    site.store.gate_table.certify("gate-2", "0a", "")
    given = site.asks("gate-2", NOW)
    assert given is not None
    assert site.asks("gate-2", NOW, key=ec.generate_private_key(ec.SECP256R1())) is None


def test_gates_paired_in_one_afternoon_expire_on_different_days(site):
    days = [site.pair(f"gate-{number}").date() for number in range(12)]
    assert len(set(days)) == 12


def test_only_the_gates_own_signature_renews_its_certificate(site):
    ends = site.pair("gate-2")
    site.pair("gate-3")
    side = Exchange(site.store, renewals=site.renewals)
    side.due(0.0, NOW)
    topics, office = Topics(SITE, "gate-2"), site.store.identity
    said = CertificateRequest(site=SITE, gate="gate-2", csr=csr("gate-2", site.keys["gate-2"]))
    other = Peer(site.identities["gate-3"], office.party, SITE, "gate-2")
    assert side.handle_message(topics.request, other.write(said), 1.0, ends - DAY) == []
    own = Peer(site.identities["gate-2"], office.party, SITE, "gate-2")
    (out,) = side.handle_message(topics.request, own.write(said), 2.0, ends - DAY)
    assert out.topic == topics.ack
    assert isinstance(own.read(out.payload, IssuedCertificate), IssuedCertificate)


# -- warnings ----------------------------------------------------------------------------------------------------------


def test_the_office_warns_60_30_and_7_days_before_and_each_warning_replaces_the_last(site):
    ends = site.pair("gate-2")
    told = []
    for days in (61, 60, 45, 30, 7, 1, -1):
        site.renewals.watch(site.store.gates(), ends - days * DAY)
        told.append([detail for _, _, detail in site.alarms()])
    assert told == [[], ["ends within 60 days"], ["ends within 60 days"], ["ends within 30 days"],
                    ["ends within 7 days"], ["ends within 7 days"], ["has ended"]]  # fmt: skip
    assert {kind for _, kind, _ in site.alarms()} <= MEANINGS.keys()


def test_an_alarm_ends_when_the_gate_uses_the_new_certificate(site):
    ends = site.pair("gate-2")
    site.renewals.watch(site.store.gates(), ends - 10 * DAY)
    assert site.alarms()
    status = Status(site=SITE, gate="gate-2", version="1", certificate_ends=(ends + 600 * DAY).isoformat())
    site.store.gate_table.record_status("gate-2", status, is_changed=True, is_fresh=True, at="")
    assert ends_of(site.store.gate("gate-2")) == ends + 600 * DAY
    site.renewals.watch(site.store.gates(), ends - 9 * DAY)
    assert site.alarms() == []


def test_a_handled_alarm_does_not_return_at_the_same_stage(site):
    ends = site.pair("gate-2")
    site.renewals.watch(site.store.gates(), ends - 50 * DAY)
    site.store.alarms.mark_handled(site.store.alarms.all()[0].id, "now")
    site.renewals.watch(site.store.gates(), ends - 49 * DAY)
    assert site.alarms() == []


# -- the office's own certificates -------------------------------------------------------------------------------------


def end_of(site, name):
    return end_of_pem((site.folder / f"{name}.pem").read_text())


def test_the_office_renews_its_own_for_the_same_keys_and_names(site):
    keys = {name: (site.folder / f"{name}.key").read_bytes() for name in ("server", "office", "ca")}
    assert site.renewals.renew_own(NOW) is False
    late = end_of(site, "server") - 80 * DAY
    before = x509.load_pem_x509_certificate((site.folder / "server.pem").read_bytes())
    assert site.renewals.renew_own(late) is True
    after = x509.load_pem_x509_certificate((site.folder / "server.pem").read_bytes())
    for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage):
        assert after.extensions.get_extension_for_class(kind) == before.extensions.get_extension_for_class(kind)
    assert after.public_key() == before.public_key()
    assert end_of(site, "server") > late + 300 * DAY
    assert end_of(site, "office") > late + 300 * DAY
    assert keys == {name: (site.folder / f"{name}.key").read_bytes() for name in keys}


def test_the_authority_is_renewed_years_early_and_its_certificates_stay_valid(site):
    ends = end_of(site, "ca")
    old = Authority.load(site.folder)
    asked = read_csr(csr("gate-2", ec.generate_private_key(ec.SECP256R1())), "gate-2")
    given = old.admit(asked, "gate-2", ends - 500 * DAY)
    assert end_of_pem(given.pem.decode()) == ends, "nothing outlives who signed it"
    assert site.renewals.renew_own(ends - 1000 * DAY) is True
    new = x509.load_pem_x509_certificate((site.folder / "ca.pem").read_bytes())
    assert new.not_valid_after_utc > ends + 5000 * DAY
    x509.load_pem_x509_certificate(given.pem).verify_directly_issued_by(new)
    site.renewals.watch_own(ends - 10 * DAY)
    assert "authority" not in str(site.alarms())


def test_expiring_certificates_of_the_office_raise_one_alarm_that_names_them(site):
    site.renewals.watch_own(end_of(site, "server") - 20 * DAY)
    assert site.alarms() == [(OFFICE, "certificate_ends", "broker ends within 30 days; office ends within 30 days")]


@pytest.mark.slow
def test_a_running_mosquitto_uses_the_renewed_certificate(site):
    broker = subprocess.Popen([find_mosquitto(), "-c", str(site.folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        first = shown(site)
        site.renewals.renew_own(end_of(site, "server") - 80 * DAY)
        end = time.monotonic() + 20
        while shown(site) == first:
            assert time.monotonic() < end, "the broker shows the old one still"
            time.sleep(0.1)
    finally:
        broker.terminate()
        broker.wait()


def shown(site):
    """Return the serial number of the certificate the broker presents."""
    context = ssl.create_default_context(cafile=site.folder / "ca.pem")
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + 20
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", site.place.port)) as plain,
                context.wrap_socket(plain) as secure,
            ):
                return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True)).serial_number
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)


# -- the hourly task of `serve` ----------------------------------------------------------------------------------------


def handshake(server, client):
    """Run a handshake in memory. Return the serial numbers of the server's and the client's certificates."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = {
        "server": server.wrap_bio(to_server, to_client, server_side=True),
        "client": client.wrap_bio(to_client, to_server, server_hostname="localhost"),
    }
    for _ in range(4):
        for end in ends.values():
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    shown = {"server": ends["client"], "client": ends["server"]}
    return {
        side: x509.load_der_x509_certificate(seen.getpeercert(binary_form=True)).serial_number
        for side, seen in shown.items()
    }


@pytest.fixture
def live(site):
    """Return the TLS contexts of an office whose certificates end in 40 days, by the name of their file."""
    for name in ("server", "office"):
        Authority.load(site.folder).renew(site.folder, name, NOW - SERVER_LIFETIME + 40 * DAY)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=site.folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(site.folder / "server.pem", site.folder / "server.key")
    return {"server": server, "office": tls_context(site.folder)}


def shows_what_lies_there(site, live):
    def serial(name):
        return x509.load_pem_x509_certificate((site.folder / f"{name}.pem").read_bytes()).serial_number

    return handshake(live["server"], live["office"]) == {"server": serial("server"), "client": serial("office")}


async def until(claim):
    async with asyncio.timeout(20):
        while not claim():
            await asyncio.sleep(0.01)


@pytest.fixture
def hourly(monkeypatch):
    """Return a context manager that runs the hourly task with a period of 0.05 s."""
    monkeypatch.setattr("gated.office.renewals.CHECK_S", 0.05)

    @asynccontextmanager
    async def run(site, live, *, is_first=True):
        task = asyncio.create_task(keep_renewed(site.renewals, site.folder, live, is_first))
        yield task
        assert not task.done()
        task.cancel()

    return run


async def test_due_certificates_are_renewed_every_hour_and_used_by_open_contexts(site, live, hourly):
    first = handshake(live["server"], live["office"])
    async with hourly(site, live):
        await until(lambda: end_of(site, "server") > NOW + 3000 * DAY and end_of(site, "office") > NOW + 3000 * DAY)
        await until(lambda: shows_what_lies_there(site, live))
        second = handshake(live["server"], live["office"])
        assert all(second[side] != first[side] for side in first)
        Authority.load(site.folder).renew(site.folder, "server", NOW)  # as `office host` does
        await until(lambda: shows_what_lies_there(site, live))
    assert site.alarms() == []


async def test_only_the_first_office_process_renews(site, live, hourly):
    before = {name: (site.folder / name).read_bytes() for name in ("server.pem", "office.pem", "ca.pem")}
    async with hourly(site, live, is_first=False):
        await asyncio.sleep(0.3)
        assert before == {name: (site.folder / name).read_bytes() for name in before}
        site.renewals.renew_own(NOW)
        await until(lambda: shows_what_lies_there(site, live))


async def test_a_failed_renewal_is_reported_and_tried_again_an_hour_later(site, live, hourly, caplog):
    kept = (site.folder / "ca.key").read_bytes()
    (site.folder / "ca.key").unlink()
    async with hourly(site, live):
        await until(lambda: "the office's own certificates cannot be renewed" in caplog.text)
        (site.folder / "ca.key").write_bytes(kept)
        await until(lambda: end_of(site, "server") > NOW + 3000 * DAY)


# -- failures and attacks --------------------------------------------------------------------------------------------


def test_after_a_wrong_clock_the_office_locks_no_gate_out(site):
    ends = site.pair("gate-2")
    ahead = NOW + 30 * 365 * DAY
    given = site.asks("gate-2", ahead)
    assert site.renewals.renew_own(ahead) is True
    for pem in (given.certificate, *((site.folder / f"{name}.pem").read_text() for name in ("ca", "server", "office"))):
        certificate = x509.load_pem_x509_certificate(pem.encode())
        assert certificate.not_valid_before_utc < NOW
        assert certificate.not_valid_after_utc > NOW + 300 * DAY
    assert end_of_pem(given.certificate) > ends


def test_a_request_during_an_unreadable_authority_is_not_answered(site, caplog):
    ends = site.pair("gate-2")
    (site.folder / "ca.key").write_text("")
    assert site.asks("gate-2", ends - DAY) is None
    assert "gate-2 gets no new certificate" in caplog.text


@pytest.mark.parametrize("make", [
    lambda: ec.generate_private_key(ec.SECP384R1()),
    lambda: ec.generate_private_key(ec.SECP256K1()),
    lambda: rsa.generate_private_key(65537, 1024),
    dsa.generate_private_key,
], ids=["P-384", "secp256k1", "RSA", "DSA"])  # fmt: skip
def test_a_request_with_another_key_type_gets_no_certificate(site, make):
    ends = site.pair("gate-2")
    key = make(1024) if make is dsa.generate_private_key else make()
    assert site.asks("gate-2", ends - DAY, key=key) is None


HEAD, END = "-----BEGIN CERTIFICATE REQUEST-----\n", "-----END CERTIFICATE REQUEST-----"


@pytest.mark.parametrize("text", ["", "no request", HEAD + END, "请", "\0" * 100, f"{HEAD}AAAA\n{END}"])
def test_an_invalid_request_gets_no_certificate(site, text):
    ends = site.pair("gate-2")
    assert site.renewals.answer("gate-2", CertificateRequest(site=SITE, gate="gate-2", csr=text), ends - DAY) is None


def test_a_renewed_authority_is_used_by_codes_and_new_gates_without_a_restart(site):
    with closing(Registrar(site.folder, site.store)) as registrar:
        Authority.load(site.folder).renewed(NOW + DAY).save(site.folder)
        assert registrar.authority.pem == (site.folder / "ca.pem").read_bytes()
        assert registrar.invite("gate-9", NOW).fingerprint == Authority.load(site.folder).fingerprint
