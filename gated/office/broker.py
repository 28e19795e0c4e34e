"""Mosquitto for one office: its settings, who may write and read what, and word to it when that has changed.

Any MQTT broker serves; this is the one that needs nothing but one file. It is not trusted: what goes through it is
signed and sealed, and the rules here only keep one gate from disturbing another.
"""

import logging
import os
import pwd
import signal
import ssl
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec

from gated.errors import OfficeError
from gated.office.certificates import CA
from gated.runtime.files import write_whole
from gated.sync.topics import Topics

log = logging.getLogger(__name__)

OFFICE = "OFFICE"
"""By this the broker knows the office; a gate's name has no capitals, so that none can have it."""
MAX_PACKET_BYTES = 110_000
"""Of a whole MQTT packet; a payload has at most 100 KiB."""

CONF = """\
# Written by `gated office init`; `mosquitto -c THIS FILE` serves it.
listener {port}{bind}
{user}
pid_file {folder}/mosquitto.pid
log_dest stderr
log_type error
log_type warning

# TLS 1.2 or newer, and a certificate on both sides; its common name is who somebody is.
tls_version tlsv1.2
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl

# Nothing is kept here: what counts is what the office and the gates have on disk, and they say again what is lost.
persistence false
max_packet_size {packet}
max_queued_messages 10000
max_queued_bytes 100000000
set_tcp_nodelay true
"""

HEARS_S = 5.0
"""So long a broker may take from its pid file to its handler for SIGHUP."""


class Place(msgspec.Struct, frozen=True):
    """Where gates reach an office: the broker at `port`, the pairing at `pairing_port`. The file `place.json`."""

    host: str
    port: int
    pairing_port: int

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it. Raises `OfficeError`."""
        try:
            return msgspec.json.decode((folder / "place.json").read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise OfficeError(f"{folder}: is no office ({error}); `gated office init` makes one") from error

    def save(self, folder: Path) -> None:
        """Write it. Raises `OSError`."""
        write_whole(folder / "place.json", msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @property
    def url(self) -> str:
        """Of the broker, for a gate's settings."""
        return f"mqtts://{self.host}:{self.port}"


def tls_context(folder: Path) -> ssl.SSLContext:
    """How the office itself reaches the broker, at `localhost`. Raises `OfficeError`."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(folder / CA))
        context.load_cert_chain(folder / "office.pem", folder / "office.key")
    except OSError as error:
        advice = "`gated office init` makes an office, a backup brings one back"
        raise OfficeError(f"{folder}: the office's certificate cannot be read ({error}); {advice}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def write_broker(folder: Path, place: Place) -> None:
    """`mosquitto.conf` in the office's folder. Raises `OSError`."""
    bind = " 127.0.0.1" if place.host == "localhost" else ""  # nobody else is to reach it then
    text = CONF.format(folder=folder.resolve(), port=place.port, bind=bind, user=_user(), packet=MAX_PACKET_BYTES)
    write_whole(folder / "mosquitto.conf", text.encode())


def write_acl(folder: Path, site: str, gates: Iterable[str]) -> None:
    """`acl`: each gate writes its own `up` and reads its own `down`, the office the reverse. Raises `OSError`.

    A Mosquitto that runs with the office's settings takes it over at once.
    """
    write_whole(folder / "acl", acl(site, gates).encode())
    _reload(folder)


def acl(site: str, gates: Iterable[str]) -> str:
    """The rules for those gates; one that is not among them may do nothing."""
    lines = [f"user {OFFICE}", f"topic read gated/1/{site}/+/up/#", f"topic write gated/1/{site}/+/down/#"]
    for gate in sorted(gates):
        topics = Topics(site, gate)
        lines += ["", f"user {gate}"]
        lines += [f"topic write {topic}" for topic in topics.up] + [f"topic read {topic}" for topic in topics.down]
    return "\n".join(lines) + "\n"


def _reload(folder: Path) -> None:
    """SIGHUP for the process that the pid file names, if that is a Mosquitto still."""
    try:
        number = int((folder / "mosquitto.pid").read_text())
        if Path(f"/proc/{number}/comm").read_text().strip() == "mosquitto":
            _wait_until_it_hears(number)
            os.kill(number, signal.SIGHUP)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return  # none runs, or it has ended
    except OSError as error:
        why = error.strerror or error
        log.warning("mosquitto does not hear that a gate has joined (%s); send it SIGHUP", why)


def _wait_until_it_hears(number: int) -> None:
    """One that is still beginning would be ended by the signal: its mask of those that it catches (proc(5)) tells.

    Raises `TimeoutError`.
    """
    give_up_at = time.monotonic() + HEARS_S
    while True:
        rows = dict(line.split(":\t", 1) for line in Path(f"/proc/{number}/status").read_text().splitlines())
        if int(rows["SigCgt"], 16) >> (signal.SIGHUP - 1) & 1:
            return
        if time.monotonic() > give_up_at:
            raise TimeoutError("it never began to")
        time.sleep(0.01)


def _user() -> str:
    """Started as root, Mosquitto would become somebody who may not read the keys."""
    try:
        return f"user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return "# user: nobody has a name here, and Mosquitto stays who starts it"
