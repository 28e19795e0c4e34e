"""The gate screen: one local page for a kiosk browser, told of every change over a stream of server-sent events.

It shows a pictogram, a word and a sentence, and knows no name. It answers on this machine alone, only to who calls it
by that name (a page elsewhere could have its own name point here), and its page may load nothing from anywhere else.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext, suppress
from importlib.resources import files

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gated.cues.cue import Colour, First, Language, Situation
from gated.cues.plan import NOTES, PLAN
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
ALIVE_S = 1.0
"""So often the page hears from us when nothing changes; after 3 s of silence it says that the gate is out of order."""
RETRY_MS = 500
"""So long the browser waits before it asks for a stream that broke again."""
MOST_CONNECTIONS = 16
FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Page(msgspec.Struct, frozen=True):
    """What the page shows. `words` and `sentences`: language and text, in the site's order."""

    situation: Situation
    pictogram: str
    colour: Colour
    words: list[tuple[Language, str]]
    sentences: list[tuple[Language, str]]
    first: First | None = None
    notes: list[tuple[Language, str]] = []


def page_of(
    situation: Situation, languages: tuple[Language, ...], first: First | None = None, lost: Sequence[str] = ()
) -> Page:
    """A situation's cue as the page shows it; `lost`: the parts that are lost now, of which some are noted."""
    cue = PLAN[situation]
    noted = {NOTES[part]["en"]: NOTES[part] for part in lost if part in NOTES}.values()
    notes = [(language, " · ".join(note[language] for note in noted)) for language in languages if noted]
    words, sentences = ([(language, of[language]) for language in languages] for of in (cue.words, cue.sentences))
    return Page(situation, cue.pictogram, cue.colour, words, sentences, first, notes)


class Screen:
    """The page's server, inside the brain's loop."""

    def __init__(self, port: int, languages: tuple[Language, ...]) -> None:
        self._port, self._languages = port, languages
        self._shown = msgspec.json.encode(page_of(Situation.IDLE, languages))
        self._watchers: set[asyncio.Event] = set()
        self._is_over = False

    def show(self, situation: Situation, first: First | None = None, lost: Sequence[str] = ()) -> None:
        """Tell every page that is open."""
        self._shown = msgspec.json.encode(page_of(situation, self._languages, first, lost))
        self._wake()

    async def run(self) -> None:
        """Serve; for ever. A port that is taken is warned of once, and tried again."""
        backoff, is_told = Backoff(first_s=0.5, most_s=30.0), False
        while True:
            try:
                with socket.create_server((ADDRESS, self._port)) as listener:
                    await self._serve(listener)
            except OSError as error:
                if not is_told:
                    log.warning("no gate screen on port %d (%s); choose another screen_port", self._port, error)
                is_told = True
            await asyncio.sleep(backoff.next_s())

    async def _serve(self, listener: socket.socket) -> None:
        server = _Server(
            uvicorn.Config(
                self._app(), lifespan="off", log_config=None, access_log=False, server_header=False,
                limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self._is_over = False
        try:
            await server.serve([listener])
        finally:
            self._is_over = True
            self._wake()
            if server.started:
                await server.shutdown([listener])

    def _app(self) -> ASGIApp:
        routes = [Route(path, self._file) for path in FILES] + [Route("/updates", self._updates)]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[ADDRESS, "localhost"], www_redirect=False)
        return _with_headers(Starlette(routes=routes, middleware=[hosts]))

    async def _file(self, request: Request) -> Response:
        name, media_type = FILES[request.url.path]
        return Response(files("gated.cues").joinpath("page", name).read_bytes(), media_type=media_type)

    async def _updates(self, request: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        """What is shown, at every change and at least once a second."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            yield b"retry: %d\n\n" % RETRY_MS
            while not self._is_over:
                changed.clear()
                yield b"data: " + self._shown + b"\n\n"
                with suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_S):
                        await changed.wait()
        finally:
            self._watchers.discard(changed)

    def _wake(self) -> None:
        for changed in self._watchers:
            changed.set()


class _Server(uvicorn.Server):
    """A server that leaves the signals to the brain."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Capture none."""
        return nullcontext()


def _with_headers(app: ASGIApp) -> ASGIApp:
    """Every answer, refusals too, says what the page may do."""
    more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        await app(scope, receive, send_with_headers)

    return answer
