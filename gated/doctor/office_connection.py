"""Checks the connection to the office step by step: default route, name, broker, TLS. Sends no MQTT message.

So the running gate keeps its own connection to the broker.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from gated.config import Settings
from gated.doctor.board import ROOT
from gated.doctor.finding import Finding, amber, green, red
from gated.doctor.keys import PAIR, of_end
from gated.errors import ConfigError, StateError
from gated.protocol.broker import address, tls_context
from gated.protocol.sealed_files import Lock

NAME_S, CONNECT_S, REFUSAL_S = 5.0, 5.0, 0.5
"""Limits for the name lookup, the connection, and the broker's refusal, in seconds.

A broker that refuses our certificate says so right after a TLS 1.3 handshake. Otherwise it waits for our first message.
"""
UP = 0x1
"""RTF_UP: the route may be used (linux/route.h)."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """Result of a TLS handshake. `ends`: when the broker's certificate ends. `duration_s`: its duration in seconds."""

    version: str
    ends: datetime
    duration_s: float


def routes(root: Path = ROOT) -> set[str]:
    """Return the interfaces with a default route."""
    found = {fields[0] for fields in _rows(root / "proc/net/route")
             if len(fields) > 7 and fields[1] == fields[7] == "00000000" and int(fields[3], 16) & UP}  # fmt: skip
    return found | {fields[9] for fields in _rows(root / "proc/net/ipv6_route")
                    if len(fields) > 9 and fields[0] == "0" * 32 and fields[1] == "00"
                    and int(fields[8], 16) & UP and fields[9] != "lo"}  # fmt: skip


def network(settings: Settings, now: datetime, root: Path = ROOT) -> Iterator[Finding]:
    """Yield findings up to the first step that fails.

    The gate works without a network, so only a lasting fault is red.
    """
    interfaces = routes(root)
    if not interfaces:
        yield amber("network", "no default route", "plug in the cable, or check with `nmcli`")
    else:
        yield green("network", f"default route by {', '.join(sorted(interfaces))}")
    if not settings.sync.url:
        yield amber("office", "none is set: the gate works alone", "run `gated pair` with a code from the office")
        return
    host, port = address(settings.sync.url)
    ip_address = resolved(host, port)
    if ip_address is None:
        yield amber("broker", f"{host}: name not found within {NAME_S:g} s", "check the name server and sync.url")
        return
    yield from _broker(settings, host, port, ip_address, now)


def resolved(host: str, port: int) -> str | None:
    """Return an address of the host; None if none is found within `NAME_S`.

    A hanging resolver blocks only its thread.
    """
    found: list[str] = []

    def resolve() -> None:
        """Store the first address of the host. Stores nothing if the name has none."""
        with contextlib.suppress(OSError, UnicodeError):
            found.append(str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]))

    thread = threading.Thread(target=resolve, name="resolver", daemon=True)
    thread.start()
    thread.join(NAME_S)
    return found[0] if found else None


def _broker(settings: Settings, host: str, port: int, ip_address: str, now: datetime) -> Iterator[Finding]:
    try:
        done = handshake(settings, host, port)
    except (ConfigError, StateError) as error:
        yield red("broker", str(error), PAIR)
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or "TLS fails"
        yield red("broker", f"{host}:{port} and this gate do not trust each other: {why}",
                  f"check both clocks and certificates; then {PAIR}")  # fmt: skip
    except OSError as error:
        result = f"{host}:{port} ({ip_address}) does not answer: {error.strerror or error}"
        yield amber("broker", result, "check that it runs and that the firewall lets the gate connect")
    else:
        duration_ms = done.duration_s * 1e3
        text = f"{host}:{port} ({ip_address}) accepts this gate's certificate, {done.version}, {duration_ms:.0f} ms"
        yield green("broker", text, handshake_ms=round(duration_ms, 1))
        yield of_end("broker certificate", done.ends, now, "have whoever runs the broker renew it")


def handshake(settings: Settings, host: str, port: int) -> Handshake:
    """Connect and check that both sides accept each other.

    Raises `ConfigError`, `StateError` and `OSError`; `ssl.SSLError` if either side refuses the other.
    """
    context, began = tls_context(settings.sync, Lock.of(settings.state)), perf_counter()
    with (
        socket.create_connection((host, port), CONNECT_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        duration_s = perf_counter() - began
        secure.settimeout(REFUSAL_S)
        with contextlib.suppress(TimeoutError):
            if not secure.recv(1):
                raise ConnectionAbortedError("it hangs up on this gate")
        ends = ssl.cert_time_to_seconds(str((secure.getpeercert() or {})["notAfter"]))
        return Handshake(str(secure.version()), datetime.fromtimestamp(ends, UTC), duration_s)


def _rows(path: Path) -> list[list[str]]:
    """Return the rows of a table of the kernel; an empty list without such a table."""
    try:
        return [line.split() for line in path.read_text("ascii", errors="replace").splitlines()]
    except OSError:
        return []
