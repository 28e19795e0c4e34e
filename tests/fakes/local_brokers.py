"""Brokers of the tests of the link: a real Mosquitto with an ACL, and a hostile fake broker."""

import asyncio
import contextlib
import signal
import socket
import ssl
import subprocess
import time

from gated.config import SyncSettings
from gated.office.mqtt_client import Client
from gated.simulator.network import find_mosquitto, free_port
from tests.fakes.link_keys import GATE, IDENTITY, OFFICE, PATIENCE_S, SITE, TOPICS, authority, issue

ACL = f"""
user {GATE}
topic write gated/1/{SITE}/{GATE}/up/#
topic read gated/1/{SITE}/{GATE}/down/#
user office
topic read gated/1/+/+/up/#
topic readwrite gated/1/+/+/down/#
topic readwrite gated/1/{SITE}/{GATE}/up/status
"""
DENYING = ACL.replace(f"topic write gated/1/{SITE}/{GATE}/up/#", f"topic write {TOPICS.status}")


def sync_settings(folder, port, **other):
    """Return the settings of a gate for the broker on `port`, with the certificates and keys in `folder`."""
    values = {"ca": f"{folder}/ca.pem", "cert": f"{folder}/{GATE}.pem", "key": f"{folder}/{GATE}.key"}
    values |= {"gate_keys": f"{folder}/gate.jwks", "office_keys": f"{folder}/office.jwks"}
    values |= {"url": f"mqtts://localhost:{port}", "backoff_max_s": 0.3, "ack_timeout_s": 0.5}
    return SyncSettings(**(values | other))


class LocalMosquitto:
    """One Mosquitto of our own on a free local port. It stores nothing on disk."""

    def __init__(self, folder):
        self.program = find_mosquitto()
        assert self.program, "mosquitto is not installed: these tests need the real broker (apt install mosquitto)"
        self.folder, self.process = folder, None
        self.port = free_port()
        self.ca = authority()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        self.certificate("server", "localhost")
        for name in (GATE, "office"):
            self.certificate(name)
        IDENTITY.save(folder / "gate.jwks")
        (folder / "office.jwks").write_bytes(OFFICE.party.dump())
        self._write_acl(ACL)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\npersistence false\nuser root\nallow_anonymous false\n"
            f"cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
            f"require_certificate true\nuse_identity_as_username true\nuse_username_as_clientid true\n"
            f"acl_file {folder}/acl\nset_tcp_nodelay true\n"
            f"log_dest file {folder}/log\nlog_type all\nmax_queued_messages 0\nmax_packet_size 110000\n"
        )

    def certificate(self, name, host=None, ca=None):
        issued = issue(ca or self.ca, host or f"{name}.invalid", name)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(self.folder / f"{name}.key")

    def deny_events(self):
        """Deny the gate the right to publish events, without telling it."""
        self._write_acl(DENYING)
        self.process.send_signal(signal.SIGHUP)

    def allow_events(self):
        self._write_acl(ACL)
        self.process.send_signal(signal.SIGHUP)

    def _write_acl(self, acl):
        (self.folder / "acl").write_text(acl)
        (self.folder / "acl").chmod(0o600)

    def start(self):
        self.process = subprocess.Popen([self.program, "-c", str(self.folder / "mosquitto.conf")])
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self.process.poll() is None, f"mosquitto ended: {(self.folder / 'log').read_text()}"
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def kill(self):
        """Kill the broker without a goodbye, as a power cut does; it keeps no data."""
        self.process.kill()
        self.process.wait()

    def client(self, name, **more):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return Client("localhost", self.port, tls_context=context, **more)

    def settings(self, **other):
        return sync_settings(self.folder, self.port, **({"status_s": 1.0} | other))


class FakeBroker:
    """A hostile broker. It speaks just enough MQTT over TLS, and then sends the bytes that the test chooses."""

    def __init__(self, folder, context):
        self.folder, self.context = folder, context
        self.connack = {4: b"\x20\x02\x00\x00", 5: b"\x20\x03\x00\x00\x00"}
        """The CONNACK for each protocol level; level 4 is MQTT 3.1.1."""
        self.levels, self.packets, self.writer = [], [], None
        self.is_confirming = True

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]

    async def send(self, data):
        """Send raw bytes. Return when the network has taken them, or when the other end is gone."""
        with contextlib.suppress(OSError):
            for start in range(0, len(data), 100_000):
                self.writer.write(data[start : start + 100_000])
                await self.writer.drain()

    def is_gone(self):
        """Return whether the other end has closed the connection."""
        return self.writer is not None and self.writer.is_closing()

    async def _serve(self, reader, writer):
        self.writer = writer
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                kind, body = await self._packet(reader)
                self.packets.append(kind)
                if kind >> 4 == 1:
                    self.levels.append(body[6])
                    answer = self.connack[body[6]]
                elif kind >> 4 == 3 and self.is_confirming:
                    start = 2 + int.from_bytes(body[:2])
                    answer = b"\x40\x02" + body[start : start + 2]
                elif kind >> 4 == 8:
                    five = self.levels[-1] == 5
                    answer = bytes([0x90, 2 + five + 3]) + body[:2] + b"\x00" * five + b"\x01" * 3
                else:
                    answer = b""
                if answer is None:
                    break
                await self.send(answer)
        writer.close()

    @staticmethod
    async def _packet(reader):
        kind, length, shift = (await reader.readexactly(1))[0], 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            if byte < 128:
                return kind, await reader.readexactly(length)
            shift += 7

    def client_context(self):
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))

    def settings(self, **other):
        return sync_settings(self.folder, self.port, **other)


def published(topic, payload, first=0x30):
    """Return a PUBLISH packet of QoS 0 (MQTT 3.1.1)."""
    body = len(topic).to_bytes(2) + topic.encode() + payload
    length, rest = bytearray(), len(body)
    while not length or rest:
        length.append(rest % 128 | (128 if rest > 127 else 0))
        rest //= 128
    return bytes([first]) + bytes(length) + body
