"""Writes Mosquitto's settings and access rules for one office, and makes it reload them.

Any MQTT broker works; Mosquitto needs only one settings file. The broker is not trusted: all messages are signed and
sealed. The access rules only stop one gate from disturbing another.
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

from gated import wording
from gated.atomic_files import atomic_write
from gated.errors import OfficeError
from gated.office.authority import CA
from gated.protocol.limits import MAX_PACKET_BYTES
from gated.protocol.topics import Topics
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

OFFICE = "OFFICE"
"""Common name of the office's client certificate. A gate name has no capitals, so no gate can use it."""
MOST_SHARES = 64
"""Limit for the processes of one office. Each process has its own client name at the broker."""
LOCAL = ("localhost", "127.0.0.1")
"""Host names under which the office itself reaches its broker."""

CONF_FILE = "mosquitto.conf"
CONF = """\
# Written by `gated office init`; `mosquitto -c THIS FILE` serves it.
listener {port}{bind}
{user}
pid_file {folder}/mosquitto.pid
log_dest stderr
log_type error
log_type warning

# TLS 1.2 or newer, and a certificate on both sides; its common name identifies the client.
tls_version tlsv1.2
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl
# Revoked certificates. The list never expires; SIGHUP makes the broker read it again.
{crl}
# The client id is that name too, whatever the client sends. Otherwise each client could disconnect every other.
{own_ids}

# The broker stores nothing. The office and the gates have everything on disk, and send lost messages again.
persistence false
max_packet_size {packet}
max_queued_messages 10000
max_queued_bytes 100000000
set_tcp_nodelay true
"""

OWN_IDS = "use_username_as_clientid true"
CRL = "crl.pem"

OTHER_BROKER = (
    "this office uses another broker, so gated cannot check whether it binds each client id to its certificate. "
    "Without that, only the secret digits of the ids stop one gate from disconnecting another; see Brokers in "
    "gated/office/SCALING.md"
)

LISTENS_S = 5.0
"""Limit in seconds for a broker to install its SIGHUP handler after it wrote its pid file."""


class Place(msgspec.Struct, frozen=True):
    """Addresses of an office: the broker at `port`, pairing at `pairing_port`. Stored as `place.json`."""

    host: str
    port: int
    pairing_port: int
    former: tuple[str, ...] = ()
    """Former host names. Some gates may still connect to them."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return every name in the broker's certificate. The office itself uses the last two."""
        return tuple(dict.fromkeys((self.host, *self.former, *LOCAL)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `place.json`. Raises `OfficeError`."""
        try:
            return msgspec.json.decode((folder / "place.json").read_bytes(), type=cls)
        except (OSError, *UNDECODABLE) as error:
            raise OfficeError(
                f"{folder}: has no office: {wording.cause(error, cls)}; `gated office init` creates one"
            ) from error

    def save(self, folder: Path) -> None:
        """Write `place.json`. Raises `OSError`."""
        atomic_write(folder / "place.json", msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @property
    def url(self) -> str:
        """Return the broker's URL for a gate's settings."""
        return f"mqtts://{self.host}:{self.port}"


def name_of(number: int) -> str:
    """Return the broker's name for one process of the office; `number` counts from 0."""
    return OFFICE if number == 0 else f"{OFFICE}-{number + 1}"


def tls_context(folder: Path, number: int = 0) -> ssl.SSLContext:
    """Return the TLS context with which one office process connects to the broker at `localhost`.

    Raises `OfficeError`.
    """
    name = name_of(number).lower()
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(folder / CA))
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    except OSError as error:
        advice = "restore the folder from a backup, or create a new office by `gated office init`"
        raise OfficeError(f"{folder}: the office's certificate cannot be read ({error}); {advice}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def write_broker(folder: Path, place: Place) -> None:
    """Write `mosquitto.conf` in the office's folder. Raises `OSError`."""
    bind = " 127.0.0.1" if place.host == "localhost" else ""  # an office at localhost listens to this machine only
    given = {"port": place.port, "bind": bind, "user": _user(), "packet": MAX_PACKET_BYTES, "own_ids": OWN_IDS}
    text = CONF.format(folder=folder.resolve(), crl=_crl_line(folder), **given)
    atomic_write(folder / CONF_FILE, text.encode())


def update_broker_settings(folder: Path, site: str, gates: Iterable[str]) -> None:
    """Update the broker settings and access rules written by an older version. Raises `OSError`.

    Old settings let one gate end the connections of other gates. Lines added by hand are kept.
    """
    if not (folder / CONF_FILE).exists():
        log.warning("%s", OTHER_BROKER)
        return
    gates = list(gates)
    rules = folder / "acl"
    if not rules.exists() or rules.read_bytes() != acl(site, gates).encode():
        write_acl(folder, site, gates)
    conf = (folder / CONF_FILE).read_text("utf-8", "surrogateescape")  # a comment added by hand may have any encoding
    present = [text.split() for text in conf.splitlines()]
    missing = [text for text in (OWN_IDS, _crl_line(folder)) if text.split() not in present]
    is_otherwise = any(fields[:1] == [OWN_IDS.split(maxsplit=1)[0]] and fields != OWN_IDS.split() for fields in present)
    if not missing and not is_otherwise:
        return
    at = "use_identity_as_username true\n"
    if at not in conf or is_otherwise:  # of two such lines, the last one counts for the broker
        lines = " and ".join(map(repr, missing or [OWN_IDS]))
        log.warning("%s: one gate can disconnect another, or connect after it was retired; add %s", CONF_FILE, lines)
        return
    repaired = conf.replace(at, at + "".join(f"{text}\n" for text in missing))
    atomic_write(folder / CONF_FILE, repaired.encode("utf-8", "surrogateescape"))
    log.warning("restart the broker (`sudo systemctl restart gated-office-broker`): its new settings stop one gate "
                "from disconnecting another, and keep retired gates out")  # fmt: skip


def _crl_line(folder: Path) -> str:
    return f"crlfile {folder.resolve()}/{CRL}"


def write_acl(folder: Path, site: str, gates: Iterable[str]) -> None:
    """Write the broker's access rules, `acl`. Raises `OSError`.

    Each gate writes its own `up` topics and reads its own `down` topics; the office does the reverse. A running
    Mosquitto with the office's settings reloads the file at once.
    """
    atomic_write(folder / "acl", acl(site, gates).encode())
    reload_broker(folder)


def acl(site: str, gates: Iterable[str]) -> str:
    """Return the access rules for these gates. Any other gate may do nothing."""
    office = f"topic read gated/1/{site}/+/up/#\ntopic write gated/1/{site}/+/down/#\n"
    blocks = [f"user {name_of(number)}\n{office}" for number in range(MOST_SHARES)]
    for gate in sorted(gates):
        topics = Topics(site, gate)
        lines = [f"user {gate}", *(f"topic write {topic}" for topic in topics.up)]
        blocks.append("\n".join([*lines, *(f"topic read {topic}" for topic in topics.down), ""]))
    return "\n".join(blocks)


def reload_broker(folder: Path) -> None:
    """Send SIGHUP to the process in the pid file if it is a Mosquitto.

    It then reads access rules and certificates again.
    """
    try:
        number = int((folder / "mosquitto.pid").read_text())
        if Path(f"/proc/{number}/comm").read_text().strip() == "mosquitto":
            _wait_until_listening(number)
            os.kill(number, signal.SIGHUP)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return  # no broker runs, or it has ended
    except OSError as error:
        why = error.strerror or error
        log.warning("mosquitto did not reload its access rules and certificates (%s); send it SIGHUP", why)


def _wait_until_listening(number: int) -> None:
    """Wait until the process catches SIGHUP, by its `SigCgt` mask (proc(5)). Before that, SIGHUP would end it.

    Raises `TimeoutError`.
    """
    give_up_at = time.monotonic() + LISTENS_S
    while True:
        rows = dict(text.split(":\t", 1) for text in Path(f"/proc/{number}/status").read_text().splitlines())
        if int(rows["SigCgt"], 16) >> (signal.SIGHUP - 1) & 1:
            return
        if time.monotonic() > give_up_at:
            raise TimeoutError("it does not catch SIGHUP")
        time.sleep(0.01)


def _user() -> str:
    """Return the `user` line. Without it, a Mosquitto started as root changes to a user that cannot read the keys."""
    try:
        return f"user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return "# user: this account has no name, so Mosquitto keeps the account that starts it"
