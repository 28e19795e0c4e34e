"""Reach the broker: its address, the TLS context that proves both ends, and the version of MQTT."""

import socket
import ssl
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from gated.config import SyncSettings
from gated.errors import ConfigError, PairingError
from gated.protocol.mqtt import Version
from gated.protocol.sealed_files import UNLOCKED, Lock

PORT = 8883
"""Default port of MQTT over TLS (IANA: secure-mqtt)."""
REACH_S = 10.0
"""Time limit for each step of `reach`, in seconds."""
FIRST_RETRY_S = 1.0
"""Wait after the first failure, in seconds. It doubles with every further failure (see `runtime.tasks.Backoff`)."""
STEADY_S = 10.0
"""After a connection that lasted longer than this, in seconds, the wait begins at `FIRST_RETRY_S` again."""


def address(url: str) -> tuple[str, int]:
    """Return host and port of `mqtts://HOST[:PORT]`. Raises `ConfigError`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORT
    except ValueError as error:
        raise ConfigError("sync.url", [f"{url!r} is not an address ({error}); write mqtts://HOST[:PORT]"]) from error
    if parts.scheme != "mqtts" or not host:
        raise ConfigError("sync.url", [f"{url!r} is not such an address; write mqtts://HOST[:PORT]"])
    return host, port


def reach(settings: SyncSettings, url: str, lock: Lock = UNLOCKED) -> None:
    """Check that the office of these settings answers at that address, by a TLS handshake with both certificates.

    Raises `PairingError` if no server answers, or a server with another certificate. Raises `ConfigError` for invalid
    settings.
    """
    host, port = address(url)
    context = tls_context(settings, lock)
    try:
        with (
            socket.create_connection((host, port), REACH_S) as line,
            context.wrap_socket(line, server_hostname=host) as safe,
        ):
            safe.settimeout(REACH_S)
    except ssl.SSLCertVerificationError as error:
        advice = f"at the office, run `gated office host {host}`"
        raise PairingError(
            f"the server at {host}:{port} is not certified as this office there ({error.verify_message}); {advice}"
        ) from error
    except OSError as error:
        advice = "check the name and the open ports of the office; nothing was changed"
        raise PairingError(
            f"the office does not answer at {host}:{port} ({error.strerror or error}); {advice}"
        ) from error


def tls_context(settings: SyncSettings, lock: Lock = UNLOCKED) -> ssl.SSLContext:
    """Return a TLS context with the gate's certificate, whose key `lock` opens.

    It allows TLS 1.2 or newer and trusts only this authority. It checks the server's name. Raises `ConfigError`, and
    `StateError` if the key is sealed and does not open.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.ca)
    except OSError as error:
        raise ConfigError("sync.ca", [f"{settings.ca}: no certificate can be read from it ({error})"]) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.cert, settings.key, lock.password(Path(settings.key)))
    except OSError as error:
        files = f"{settings.cert} and {settings.key}"
        raise ConfigError("sync.cert, sync.key", [f"{files}: are not a certificate and its key ({error})"]) from error
    return context


class Dialect:
    """The MQTT version in use: 5 if the broker accepts it, else 3.1.1.

    The first version that works is used from then on.
    """

    def __init__(self, protocol: Literal["auto", "3.1.1", "5"]) -> None:
        self._is_open = protocol == "auto"
        self.version: Version = "3.1.1" if protocol == "3.1.1" else "5"

    def worked(self) -> None:
        """Take note that the broker accepted the connection."""
        self._is_open = False

    def failed(self) -> bool:
        """Switch the version after the broker refused the connection.

        Return True if the caller should try the other version at once.
        """
        if self._is_open:
            self.version = "3.1.1" if self.version == "5" else "5"
        return self._is_open and self.version == "3.1.1"
