"""The office's authority. Real TLS accepts its certificates only for the right name and the right purpose."""

import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from gated.errors import OfficeError, PairingError
from gated.office.authority import Authority
from gated.office.certificates import private_pem, read_csr
from gated.protocol.pairing_code import der_of, fingerprint_of

NOW = datetime.now(UTC)
GATE = "gate-2"


def named(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def request(common=GATE, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    csr = x509.CertificateSigningRequestBuilder().subject_name(named(common)).sign(key, algorithm)
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def admit(authority, folder, wall=NOW):
    """Issue a certificate to a gate, and store it with its key in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    issued = authority.admit(read_csr(request(key=key), GATE), GATE, wall)
    (folder / "gate.pem").write_bytes(issued.pem)
    (folder / "gate.key").write_bytes(private_pem(key))
    return issued


@pytest.fixture
def authority(tmp_path):
    authority = Authority.make("market-south", NOW)
    authority.save(tmp_path)
    authority.write_server(tmp_path, "office.lan", "localhost", "127.0.0.1", wall=NOW)
    admit(authority, tmp_path)
    return authority


def shake_hands(folder, client="gate", host="office.lan", server="server", ca=None):
    """Run one TLS handshake with certificates on both sides. Return the client's name as the server sees it."""
    ours, theirs = socket.socketpair()
    listening = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    listening.verify_mode = ssl.CERT_REQUIRED
    listening.verify_flags |= ssl.VERIFY_X509_STRICT
    listening.load_cert_chain(folder / f"{server}.pem", folder / f"{server}.key")
    names = []

    def serve():
        try:
            with listening.wrap_socket(theirs, server_side=True) as channel:
                names.append(dict(pair[0] for pair in channel.getpeercert()["subject"])["commonName"])
                channel.send(b"!")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        context = ssl.create_default_context(cafile=(ca or folder) / "ca.pem")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
        with context.wrap_socket(ours, server_hostname=host) as channel:
            channel.recv(1)
    finally:
        ours.close()
        thread.join(20)
    return names[0] if names else None


@pytest.mark.parametrize("host", ["office.lan", "localhost", "127.0.0.1"])
def test_broker_and_gate_authenticate_each_other(authority, tmp_path, host):
    assert shake_hands(tmp_path, host=host) == GATE


@pytest.mark.parametrize("host", ["elsewhere", "127.0.0.2"])
def test_a_certificate_for_another_host_is_refused(authority, tmp_path, host):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, host=host)


def test_a_certificate_of_another_authority_is_refused(authority, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    Authority.make("market-south", NOW).save(other)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, ca=other)


def test_a_gate_cannot_act_as_the_broker(authority, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake_hands(tmp_path, host=GATE, server="gate")


def test_the_brokers_certificate_is_not_a_client_certificate(authority, tmp_path):
    try:
        name = shake_hands(tmp_path, client="server")
    except (ssl.SSLError, ConnectionError):
        name = None
    assert name is None


def test_a_gates_certificate_is_valid_for_two_years_and_with_a_slow_clock(authority, tmp_path):
    issued = admit(authority, tmp_path)
    certificate = x509.load_pem_x509_certificate(issued.pem)
    assert certificate.not_valid_before_utc == (NOW - timedelta(hours=1)).replace(microsecond=0)
    ends = NOW + timedelta(days=730)  # up to 90 days shorter, so that gates' certificates end on different days
    assert ends - timedelta(days=90) < certificate.not_valid_after_utc <= ends
    assert f"{certificate.serial_number:x}" == issued.serial
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pem))


def test_only_the_key_of_a_request_is_certified(authority):
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(named(GATE))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("office.lan")]), critical=False)
    csr = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    issued = x509.load_pem_x509_certificate(authority.admit(read_csr(csr, GATE), GATE, NOW).pem)
    assert issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    with pytest.raises(x509.ExtensionNotFound):
        issued.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_request_for_another_name_is_refused():
    with pytest.raises(PairingError, match="for another name"):
        read_csr(request("gate-3"), GATE)
    with pytest.raises(PairingError, match="for another name"):
        read_csr(request("OFFICE"), GATE)


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()])
def test_a_key_of_another_kind_is_refused(key):
    with pytest.raises(PairingError, match="P-256"):
        read_csr(request(key=key), GATE)


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_garbage_is_refused_as_a_request(text):
    with pytest.raises(PairingError, match="no valid certificate request"):
        read_csr(text, GATE)


def test_an_altered_request_is_refused():
    lines = request().splitlines()
    lines[-2] = lines[-2][:6] + ("A" if lines[-2][6] != "A" else "B") + lines[-2][7:]
    with pytest.raises(PairingError):
        read_csr("\n".join(lines), GATE)


def test_the_authority_is_loaded_from_its_folder_and_is_private(authority, tmp_path):
    again = Authority.load(tmp_path)
    assert (again.pem, again.fingerprint) == (authority.pem, authority.fingerprint)
    assert authority.fingerprint == fingerprint_of(der_of(authority.pem.decode()))
    keys = [tmp_path / name for name in ("ca.key", "server.key", "ca.pem", "server.pem")]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_a_missing_or_mixed_authority_is_reported(authority, tmp_path):
    with pytest.raises(OfficeError, match="gated office init"):
        Authority.load(tmp_path / "nowhere")
    other = tmp_path / "other"
    other.mkdir()
    Authority.make("market-south", NOW).save(other)
    (tmp_path / "ca.key").write_bytes((other / "ca.key").read_bytes())
    with pytest.raises(OfficeError, match="do not belong together"):
        Authority.load(tmp_path)


def test_an_address_is_certified_as_an_address(authority, tmp_path):
    authority.write_server(tmp_path, "[fd00::7]", wall=NOW)
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("fd00::7")]
