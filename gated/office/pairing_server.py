"""The office's end of pairing: an invited gate sends its public keys and gets a certificate and the office's keys.

HTTPS with the office's own certificate, four paths. `GET /ca.pem` returns the authority; a gate trusts it only if it
matches the fingerprint in the pairing code. `POST /pair` takes an `Application` and returns `Admission` or `Refusal`.
`POST /code` takes a `CodeQuestion` and returns `StillGood` or `Refusal`, for a dry run. It uses up no code, but counts
a wrong one. `POST /handover` takes a `HandoverQuestion` and returns `HandedOver`, for a gate whose office has new keys
(see `sync.recovery`).
"""

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gated.errors import BusyError, GatedError, OfficeError, PairingError, StateError, WireError
from gated.journal.entry import stamp
from gated.office.authority import Authority, key_of_csr, read_csr
from gated.office.crl import write_crl
from gated.office.invitations import VALID_S, Invitations
from gated.office.mosquitto import Place, write_acl
from gated.office.renewals import Renewals, days_taken
from gated.office.statuses import REKEYED
from gated.office.store import Store
from gated.protocol.jose import Party
from gated.protocol.key_messages import CertificateRequest
from gated.protocol.message_kinds import kind_of
from gated.protocol.pairing_code import (
    MAX_BYTES,
    Admission,
    Application,
    CodeQuestion,
    PairingCode,
    Refusal,
    StillGood,
    digest_of,
)
from gated.protocol.recovery_key import Following, HandedOver, HandoverQuestion
from gated.runtime.connection_limits import Listener, place_of
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

MOST_TRIES = 10
MOST_TRIES_OF_ALL = 60
TRIES_S = 60.0
"""Rate limit for wrong codes: `MOST_TRIES` per place and `MOST_TRIES_OF_ALL` in total, within `TRIES_S` seconds.

A right code, and a hand-over request with the gate's own signature, are never limited.
"""
MOST_CONNECTIONS, MOST_OF_ONE = 200, 40
"""Limits for simultaneous connections: in total, and from one place. Many gates behind one router pair together."""
BODY_S = 10.0
"""Limit in seconds for a request body to arrive."""
Answer = Admission | StillGood | Refusal
Coded = TypeVar("Coded", Application, CodeQuestion)
Asked = TypeVar("Asked", Application, CodeQuestion, HandoverQuestion)
STATUS = {
    "wrong": 403,
    "old": 403,
    "spent": 403,
    "site": 409,
    "retired": 409,
    "request": 400,
    "busy": 429,
    "trouble": 503,
}


class Registrar:
    """Pairs invited gates. Answers the requests of `pairing_app`."""

    def __init__(self, folder: Path, store: Store) -> None:
        """Open the office's folder. Raises `OfficeError` and `StateError`."""
        self.folder, self._store = folder, store
        self.place = Place.load(folder)
        Authority.load(folder)
        self.invitations = Invitations(folder)

    @property
    def authority(self) -> Authority:
        """Return the current authority; another process may have renewed it. Raises `OfficeError`."""
        return Authority.load(self.folder)

    def close(self) -> None:
        """Close the files."""
        self.invitations.close()

    def invite(self, gate: str, wall: datetime, valid_s: float = VALID_S) -> PairingCode:
        """Create a code for a gate, valid for `valid_s` seconds. It is shown once and not stored."""
        code = PairingCode.make(self.place.host, self.place.pairing_port, gate, self.authority.fingerprint)
        self.invitations.invite(gate, code.digest, wall.timestamp(), valid_s)
        return code

    def knows(self, question: Application | CodeQuestion) -> bool:
        """Return whether a request has the gate's code. Raises `StateError`."""
        return self.invitations.knows(question.gate, digest_of(question.gate, bytes.fromhex(question.secret)))

    def judge(self, question: CodeQuestion, wall: datetime) -> StillGood | Refusal:
        """Return whether a code would be accepted. The request has no keys, so a used code is always refused."""
        code = digest_of(question.gate, bytes.fromhex(question.secret))
        verdict = self.invitations.look(question.gate, code, "", wall.timestamp())
        if verdict != "good":
            return Refusal(why=verdict)
        return StillGood() if question.site == self._store.site else Refusal(why="site")

    def answer(self, application: Application, wall: datetime) -> Admission | Refusal:
        """Pair a gate, or refuse with the reason. An application uses up its code only if everything else is right."""
        try:
            keys = Party.parse(application.keys)
        except WireError as error:
            return _not_understood(application, error)
        code = digest_of(application.gate, bytes.fromhex(application.secret))
        who = (application.gate, code, f"{keys.kid} {keys.seal_kid}", wall.timestamp())
        verdict = self.invitations.look(*who)
        if verdict != "good":
            return Refusal(why=verdict)
        if application.site != self._store.site:
            return Refusal(why="site")
        try:
            csr, authority = read_csr(application.csr, application.gate), self.authority
        except PairingError as error:
            return _not_understood(application, error)
        issued_to = [keys.kid, keys.seal_kid, key_of_csr(csr)]
        if self._store.gate_table.any_retired(issued_to):
            return Refusal(why="retired")
        verdict = self.invitations.use(*who)
        if verdict != "good":
            return Refusal(why=verdict)
        issued = authority.admit(csr, application.gate, wall, days_taken(self._store, application.gate))
        if self._store.gate_table.keys_of(application.gate) != keys.dump().decode():
            self._store.gate_table.revoke(application.gate)  # a replacement with new keys; the former box is locked out
        self._store.add_gate(application.gate, keys.dump(), issued.serial)
        self._store.gate_table.certify(application.gate, issued.serial, issued.pem.decode())
        write_crl(self.folder, self._store.gate_table)
        write_acl(self.folder, self._store.site, (gate.gate for gate in self._store.gates()))
        log.info("paired %s; the serial number of its certificate is %s", application.gate, issued.serial)
        ours = self._store.identity.party.dump().decode()
        known = self._store.handovers
        return Admission(
            url=self.place.url, certificate=issued.pem.decode(), keys=ours, recovery=known.key, number=known.number
        )

    def hand_over(self, question: HandoverQuestion, wall: datetime) -> HandedOver | None:
        """Return the hand-overs that a gate missed, with its certificate.

        Returns None if the gate did not sign the request, missed nothing, or gets no certificate.
        """
        text = self._store.gate_table.keys_of(question.gate)
        if text is None:
            return None
        try:
            said = msgspec.json.decode(
                Party.parse(text).verify(question.renew.encode(), kind_of(CertificateRequest)), type=Following
            )
        except (WireError, *UNDECODABLE):
            return None
        if (said.site, said.gate) != (self._store.site, question.gate):
            return None
        if said.number is not None and said.number > self._store.handovers.number:
            self._store.alarms.open(question.gate, REKEYED, "", stamp(wall))
        statements = self._store.handovers.after(question.number)
        if not statements:
            return None
        given = Renewals(self.folder, self._store).answer(question.gate, said, wall)
        return None if given is None else HandedOver(statements=statements, certificate=given.certificate)


def _not_understood(application: Application, error: GatedError) -> Refusal:
    log.warning("refused to pair %s: %s", application.gate, error)
    return Refusal(why="request")


class Tries:
    """Rate limit for failed tries, per place and in total. Pure."""

    def __init__(self) -> None:
        self._failed: deque[tuple[float, str]] = deque()

    def may(self, address: str, now: float) -> bool:
        """Return whether this address may try again."""
        while self._failed and now - self._failed[0][0] >= TRIES_S:
            self._failed.popleft()
        place = place_of(address)
        failed = sum(one == place for _, one in self._failed)
        return failed < MOST_TRIES and len(self._failed) < MOST_TRIES_OF_ALL

    def failed(self, address: str, now: float) -> None:
        """Count a refused try of this address."""
        self._failed.append((now, place_of(address)))


async def serve_pairing(registrar: Registrar, on_context: Callable[[ssl.SSLContext], None] = lambda _: None) -> None:
    """Serve until cancelled, at every address of this machine. Raises `OfficeError` if the port is in use.

    Calls `on_context` with the server's TLS context, so its certificate can be renewed.
    """
    with _listen(registrar.place.pairing_port) as ours:
        config = uvicorn.Config(
            pairing_app(registrar), lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, timeout_keep_alive=5, timeout_graceful_shutdown=1,
            ssl_certfile=str(registrar.folder / "server.pem"), ssl_keyfile=str(registrar.folder / "server.key"),
        )  # fmt: skip
        config.load()
        if config.ssl is not None:
            on_context(config.ssl)
        server = _Server(config)
        try:
            await server.serve([ours])
        finally:
            if server.started:
                await server.shutdown([ours])


def pairing_app(registrar: Registrar) -> Starlette:
    """Return the application with the four paths."""
    tries = Tries()

    async def authority(_: Request) -> Response:
        try:
            return Response(registrar.authority.pem, media_type="application/x-pem-file")
        except OfficeError as error:
            log.error("no gate can be paired: %s", error)
            return _response(Refusal(why="trouble"))

    async def pair(request: Request) -> Response:
        return await asked(request, Application, registrar.answer)

    async def code(request: Request) -> Response:
        return await asked(request, CodeQuestion, registrar.judge)

    async def handover(request: Request) -> Response:
        address, now = request.client.host if request.client else "", asyncio.get_running_loop().time
        question = _read(await _body(request), HandoverQuestion)
        try:
            given = None if question is None else registrar.hand_over(question, datetime.now(UTC))
        except (BusyError, StateError, OfficeError, OSError) as error:
            log.error("cannot answer a request for a hand-over: %s", error)
            return _response(Refusal(why="trouble"))
        if given is not None:
            return Response(msgspec.json.encode(given), media_type="application/json")
        if not tries.may(address, now()):
            return _response(Refusal(why="busy"))
        tries.failed(address, now())
        return _response(Refusal(why="request"))

    async def asked(request: Request, kind: type[Coded], answer: Callable[[Coded, datetime], Answer]) -> Response:
        address, now = request.client.host if request.client else "", asyncio.get_running_loop().time
        question = _read(await _body(request), kind)
        try:
            if question is not None and registrar.knows(question):
                return _response(answer(question, datetime.now(UTC)))
            if not tries.may(address, now()):
                return _response(Refusal(why="busy"))
            tries.failed(address, now())
            return _response(Refusal(why="request") if question is None else answer(question, datetime.now(UTC)))
        except (BusyError, StateError, OfficeError, OSError) as error:
            log.error("%s cannot be paired: %s", "a gate" if question is None else question.gate, error)
            return _response(Refusal(why="trouble"))

    return Starlette(routes=[
        Route("/ca.pem", authority),
        Route("/pair", pair, methods=["POST"]),
        Route("/code", code, methods=["POST"]),
        Route("/handover", handover, methods=["POST"]),
    ])  # fmt: skip


async def _body(request: Request) -> bytes:
    """Return the request's body; empty if it is too long or too slow."""
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BYTES:
                    return b""
    except (TimeoutError, ClientDisconnect):
        return b""
    return body


def _read(body: bytes, kind: type[Asked]) -> Asked | None:
    """Decode a request; None if it is invalid."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNDECODABLE:
        return None


def _response(answer: Answer) -> Response:
    status = STATUS[answer.why] if isinstance(answer, Refusal) else 200
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def _listen(port: int) -> Listener:
    """Listen on IPv6 and IPv4, or on IPv4 only if there is no dual stack. Raises `OfficeError`."""
    try:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        plain = socket.create_server(("", port), family=family, dualstack_ipv6=both)
        return Listener(plain, MOST_CONNECTIONS, MOST_OF_ONE)
    except OSError as error:
        advice = "end the program that uses it, or choose another --pairing-port"
        raise OfficeError(f"no gate can pair: port {port} is not free ({error.strerror}); {advice}") from error


class _Server(uvicorn.Server):
    """A server that leaves signal handling to the office."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Capture no signals."""
        return nullcontext()
