"""The office's end of pairing: an invited gate brings its public keys, and goes with a certificate and the office's.

HTTPS with the office's own certificate, two paths: `GET /ca.pem` gives the authority to whoever asks, who believes it
only if the fingerprint in the code says so; `POST /pair` takes an `Application` and answers `Admission` or `Refusal`.
"""

import asyncio
import logging
import socket
from collections import deque
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gated.errors import BusyError, GatedError, OfficeError, PairingError, StateError, WireError
from gated.office.broker import Place, write_acl
from gated.office.certificates import Authority, read_csr
from gated.office.invitations import Invitations
from gated.office.store import Store
from gated.sync.code import MAX_BYTES, Admission, Application, PairingCode, Refusal, digest_of
from gated.sync.jose import Party

log = logging.getLogger(__name__)

MOST_TRIES = 10
MOST_TRIES_OF_ALL = 60
TRIES_S = 60.0
"""So many from one address, and from all of them together, within so long."""
MOST_CONNECTIONS = 50
STATUS = {
    "wrong": 403,
    "locked": 403,
    "old": 403,
    "spent": 403,
    "site": 409,
    "request": 400,
    "busy": 429,
    "trouble": 503,
}


class Registrar:
    """Lets in who was invited."""

    def __init__(self, folder: Path, store: Store) -> None:
        """Raises `OfficeError` and `StateError`."""
        self.folder, self._store = folder, store
        self.place, self.authority = Place.load(folder), Authority.load(folder)
        self.invitations = Invitations(folder)

    def close(self) -> None:
        """Give the files back."""
        self.invitations.close()

    def invite(self, gate: str, wall: datetime) -> PairingCode:
        """A new code for a gate, which is to be shown once and kept nowhere."""
        code = PairingCode.make(self.place.host, self.place.pairing_port, gate, self.authority.fingerprint)
        self.invitations.invite(gate, code.digest, wall.timestamp())
        return code

    def answer(self, application: Application, wall: datetime) -> Admission | Refusal:
        """Let a gate in, or say why not. A code is only spent on an application that is right in every other way."""
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
            csr = read_csr(application.csr, application.gate)
        except PairingError as error:
            return _not_understood(application, error)
        verdict = self.invitations.use(*who)
        if verdict != "good":
            return Refusal(why=verdict)
        issued = self.authority.admit(csr, application.gate, wall)
        self._store.add_gate(application.gate, keys.dump(), issued.serial)
        write_acl(self.folder, self._store.site, (gate.gate for gate in self._store.gates()))
        log.info("%s is paired; its certificate is %s", application.gate, issued.serial)
        ours = self._store.identity.party.dump().decode()
        return Admission(url=self.place.url, certificate=issued.pem.decode(), keys=ours)


def _not_understood(application: Application, error: GatedError) -> Refusal:
    log.warning("the pairing of %s: %s", application.gate, error)
    return Refusal(why="request")


class Tries:
    """How often somebody may try: so often a minute, an address, and all of them together. Pure."""

    def __init__(self) -> None:
        self._made: deque[tuple[float, str]] = deque()

    def may(self, address: str, now: float) -> bool:
        """Whether that address may try once more, which counts as a try if so."""
        while self._made and now - self._made[0][0] >= TRIES_S:
            self._made.popleft()
        made = sum(one == address for _, one in self._made)
        if made >= MOST_TRIES or len(self._made) >= MOST_TRIES_OF_ALL:
            return False
        self._made.append((now, address))
        return True


async def serve_pairing(registrar: Registrar) -> None:
    """Serve until cancelled, at every address of this machine. Raises `OfficeError` when the port is taken."""
    with _listen(registrar.place.pairing_port) as ours:
        config = uvicorn.Config(
            pairing_app(registrar), lifespan="off", log_config=None, access_log=False, server_header=False,
            limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=5, timeout_graceful_shutdown=1,
            ssl_certfile=str(registrar.folder / "server.pem"), ssl_keyfile=str(registrar.folder / "server.key"),
        )  # fmt: skip
        server = _Server(config)
        try:
            await server.serve([ours])
        finally:
            if server.started:
                await server.shutdown([ours])


def pairing_app(registrar: Registrar) -> Starlette:
    """The two paths."""
    tries = Tries()

    async def authority(_: Request) -> Response:
        return Response(registrar.authority.pem, media_type="application/x-pem-file")

    async def pair(request: Request) -> Response:
        address = request.client.host if request.client else ""
        if not tries.may(address, asyncio.get_running_loop().time()):
            return _response(Refusal(why="busy"))
        try:
            application = msgspec.json.decode(await _body(request), type=Application)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, PairingError, ClientDisconnect):
            return _response(Refusal(why="request"))
        try:
            return _response(registrar.answer(application, datetime.now(UTC)))
        except (BusyError, StateError, OSError) as error:
            log.error("%s cannot be paired: %s", application.gate, error)
            return _response(Refusal(why="trouble"))

    return Starlette(routes=[Route("/ca.pem", authority), Route("/pair", pair, methods=["POST"])])


async def _body(request: Request) -> bytes:
    """What was sent. Raises `PairingError` as soon as it is too much."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise PairingError(f"more than {MAX_BYTES} bytes are no application")
    return body


def _response(answer: Admission | Refusal) -> Response:
    status = STATUS[answer.why] if isinstance(answer, Refusal) else 200
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def _listen(port: int) -> socket.socket:
    """IPv6 and IPv4 alike, where there are both."""
    try:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        return socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        advice = "end what holds it, or choose another --pairing-port"
        raise OfficeError(f"nobody can pair: port {port} is not free ({error.strerror}); {advice}") from error


class _Server(uvicorn.Server):
    """A server that leaves the signals to the office."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Capture none."""
        return nullcontext()
