"""Retires a gate that is stolen, sold or broken: nobody accepts its messages or seals anything to it.

One database transaction removes the gate. Then a signal to the broker ends the gate's connection. After an
interruption, the same command or the next start of the office completes the retirement.
"""

import secrets
import socket
import ssl
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from gated.errors import OfficeError
from gated.journal.entry import stamp
from gated.office.authority import CA, Authority
from gated.office.crl import write_crl
from gated.office.invitations import Invitations
from gated.office.mosquitto import LOCAL, Place, write_acl
from gated.office.store import Store

Broker = Literal["ended", "absent", "unheeded"]
"""Result at the broker. "ended": the gate's connection is ended and its certificate refused. "absent": no broker of
this office runs. "unheeded": the broker does not apply the revocation list.
"""

HEEDS_S = 8.0
"""Limit in seconds for the broker to apply a new revocation list."""
CONNECT_S = 3.0
"""Limit in seconds for the broker to accept a connection."""
RETRY_S = 0.1
"""Seconds between attempts."""
PROBE = "PROBE"
"""Common name of the revoked test certificate. Gate names have no capitals, so no gate has it."""
CONNACK = 0x20


@dataclass(frozen=True, slots=True)
class Retired:
    """The result of retiring a gate."""

    gate: str
    is_new: bool
    """Whether the gate belonged to the site until now."""
    broker: Broker


def retire(folder: Path, store: Store, gate: str, wall: datetime) -> Retired:
    """Retire a gate, or complete the retirement of one. `wall`: now, timezone-aware.

    Raises `OfficeError` for an unknown gate.
    """
    is_new = store.gate_table.keys_of(gate) is not None
    if not is_new and gate not in store.gate_table.retired():
        raise OfficeError(f"this office has no gate {gate!r}; `gated office gates` lists its gates")
    probe = f"{secrets.randbits(120):x}"
    with store.file.writing():
        if is_new:
            store.retire_gate(gate, stamp(wall))
        store.gate_table.issue("", probe)
        store.gate_table.revoke("")
    invitations = Invitations(folder)
    try:
        invitations.cancel(gate)
    finally:
        invitations.close()
    try:
        write_crl(folder, store.gate_table)
        write_acl(folder, store.site, (each.gate for each in store.gates()))
    except OSError as error:
        raise OfficeError(
            f"{folder}: cannot be written ({error.strerror}); free the disk, then retire {gate} again"
        ) from error
    return Retired(gate, is_new, _put_out(folder, gate, probe, wall))


def _put_out(folder: Path, gate: str, probe: str, wall: datetime) -> Broker:
    """Wait until the broker refuses a revoked certificate, then take over the gate's connection and end it."""
    authority, give_up_at = Authority.load(folder), time.monotonic() + HEEDS_S
    with tempfile.TemporaryDirectory(dir=folder, prefix=".retiring-") as name:
        place = Path(name)
        authority.write_passing(place, "probe", PROBE, wall, int(probe, 16))
        authority.write_passing(place, "gate", gate, wall)
        try:
            while _is_accepted(folder, place / "probe"):
                if time.monotonic() > give_up_at:
                    return "unheeded"
                time.sleep(RETRY_S)
            return "ended" if _is_accepted(folder, place / "gate", gate) else "unheeded"
        except ConnectionRefusedError:
            return "absent"


def _is_accepted(folder: Path, files: Path, client: str = PROBE) -> bool:
    """Return whether the broker accepts a client with these files.

    Raises `ConnectionRefusedError` if no broker runs.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(folder / CA))
    context.load_cert_chain(files.with_suffix(".pem"), files.with_suffix(".key"))
    try:
        with (
            socket.create_connection((LOCAL[1], Place.load(folder).port), CONNECT_S) as connection,
            context.wrap_socket(connection, server_hostname=LOCAL[0]) as safe,
        ):
            safe.sendall(_connect(client))
            answer = safe.recv(4)
            return len(answer) == len(b"head") and answer[0] == CONNACK and answer[3] == 0
    except ConnectionRefusedError:
        raise
    except OSError:
        return False


def _connect(client: str) -> bytes:
    """Return an MQTT 3.1.1 CONNECT packet with a clean session (section 3.1)."""
    name = client.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x0a" + len(name).to_bytes(2, "big") + name
    return bytes([0x10, len(body)]) + body
