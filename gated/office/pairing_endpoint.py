"""The office's end of pairing: an invited gate sends its public keys and gets a certificate and the office's keys.

HTTPS with the office's own certificate, four paths. `GET /ca.pem` returns the authority; a gate trusts it only if it
matches the fingerprint in the pairing code. `POST /pair` takes an `Application` and returns `Admission` or
`PairingRefusal`. `POST /code` takes a `CodeQuestion` and returns `StillGood` or `PairingRefusal`, for a dry run. It
uses up no code, but counts a wrong one. `POST /handover` takes a `HandoverQuestion` and returns `HandedOver`, for a
gate whose office has new keys (see `sync.handover`).
"""

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gated.errors import BusyError, OfficeError, StateError
from gated.office.connection_limits import Listener, place_of
from gated.office.registrar import Registrar
from gated.protocol.pairing_code import (
    MAX_PAIRING_BYTES,
    Admission,
    Application,
    CodeQuestion,
    PairingRefusal,
    StillGood,
)
from gated.protocol.recovery_key import HandoverQuestion
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
Answer = Admission | StillGood | PairingRefusal
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


class FailedTries:
    """Rate limit for failed tries, per place and in total. Pure."""

    def __init__(self) -> None:
        self._failed: deque[tuple[float, str]] = deque()

    def may_try(self, address: str, now: float) -> bool:
        """Return whether this address may try again."""
        while self._failed and now - self._failed[0][0] >= TRIES_S:
            self._failed.popleft()
        place = place_of(address)
        failed = sum(failed_place == place for _, failed_place in self._failed)
        return failed < MOST_TRIES and len(self._failed) < MOST_TRIES_OF_ALL

    def count_failure(self, address: str, now: float) -> None:
        """Count a refused try of this address."""
        self._failed.append((now, place_of(address)))


async def serve_pairing(registrar: Registrar, on_context: Callable[[ssl.SSLContext], None] = lambda _: None) -> None:
    """Serve until cancelled, at every address of this machine. Raises `OfficeError` if the port is in use.

    Calls `on_context` with the server's TLS context, so its certificate can be renewed.
    """
    with _listen(registrar.place.pairing_port) as listener:
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
            await server.serve([listener])
        finally:
            if server.started:
                await server.shutdown([listener])


def pairing_app(registrar: Registrar) -> Starlette:
    """Return the application with the four paths."""
    tries = FailedTries()

    async def authority(_: Request) -> Response:
        """Return the certificate of the authority. Every client may read it."""
        try:
            return Response(registrar.authority.pem, media_type="application/x-pem-file")
        except OfficeError as error:
            log.error("no gate can be paired: %s", error)
            return _response(PairingRefusal(why="trouble"))

    async def pair(request: Request) -> Response:
        """Answer an application for a certificate."""
        return await answer_coded(request, Application, registrar.answer)

    async def code(request: Request) -> Response:
        """Answer the question whether a code is valid, without using it."""
        return await answer_coded(request, CodeQuestion, registrar.judge)

    async def handover(request: Request) -> Response:
        """Answer the request of a gate for the hand-over to new office keys."""
        address, now = request.client.host if request.client else "", asyncio.get_running_loop().time
        question = _read(await _body(request), HandoverQuestion)
        try:
            given = None if question is None else registrar.hand_over(question, datetime.now(UTC))
        except (BusyError, StateError, OfficeError, OSError) as error:
            log.error("cannot answer a request for a hand-over: %s", error)
            return _response(PairingRefusal(why="trouble"))
        if given is not None:
            return Response(msgspec.json.encode(given), media_type="application/json")
        if not tries.may_try(address, now()):
            return _response(PairingRefusal(why="busy"))
        tries.count_failure(address, now())
        return _response(PairingRefusal(why="request"))

    async def answer_coded(
        request: Request, kind: type[Coded], answer: Callable[[Coded, datetime], Answer]
    ) -> Response:
        """Answer a request that has a code. Limits the tries of each address."""
        address, now = request.client.host if request.client else "", asyncio.get_running_loop().time
        question = _read(await _body(request), kind)
        try:
            if question is not None and registrar.knows(question):
                return _response(answer(question, datetime.now(UTC)))
            if not tries.may_try(address, now()):
                return _response(PairingRefusal(why="busy"))
            tries.count_failure(address, now())
            return _response(PairingRefusal(why="request") if question is None else answer(question, datetime.now(UTC)))
        except (BusyError, StateError, OfficeError, OSError) as error:
            log.error("%s cannot be paired: %s", "a gate" if question is None else question.gate, error)
            return _response(PairingRefusal(why="trouble"))

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
                if len(body) > MAX_PAIRING_BYTES:
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
    status = STATUS[answer.why] if isinstance(answer, PairingRefusal) else 200
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
