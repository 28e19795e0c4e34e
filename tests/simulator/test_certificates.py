"""Certificates that real TLS accepts, for the right name alone."""

import socket
import ssl
import threading

import pytest

from gated.simulator.certificates import write_certificates


@pytest.fixture
def folder(tmp_path):
    write_certificates(tmp_path, "localhost", "front", "office")
    return tmp_path


def shake_hands(folder, client="front", host="localhost", ca=None):
    """One TLS handshake with certificates on both sides; gives the client's name as the server sees it."""
    ours, theirs = socket.socketpair()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    names = []

    def serve():
        try:
            with server.wrap_socket(theirs, server_side=True) as channel:
                subject = dict(pair[0] for pair in channel.getpeercert()["subject"])
                names.append(subject["commonName"])
                channel.send(b"!")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        context = ssl.create_default_context(cafile=(ca or folder) / "ca.pem")
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
        with context.wrap_socket(ours, server_hostname=host) as channel:
            channel.recv(1)
    finally:
        ours.close()
        thread.join(20)
    return names[0]


def test_both_sides_prove_who_they_are(folder):
    assert shake_hands(folder, "front") == "front"
    assert shake_hands(folder, "office") == "office"


def test_another_host_is_not_believed(folder):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder, host="elsewhere")


def test_another_authority_is_not_believed(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_certificates(other, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folder, ca=other)


def test_keys_are_for_their_owner_alone(folder):
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {0o600}
