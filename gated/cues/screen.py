"""The gate screen: a web server with one page for a kiosk browser. Changes reach the page as server-sent events.

The page shows a pictogram, a word and a sentence, and never a person's name. The server listens on this machine only.
It accepts only local host names: a foreign page could point another host name to this address. The page may load
nothing from other servers.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from importlib.resources import files
from math import inf

import msgspec
import uvicorn
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gated.cues.cue import Colour, Language, Situation
from gated.cues.fingerprint import FingerprintPanel, ScreenNotes, fingerprint_panel, waiting_note
from gated.cues.plan import NOTES, PLAN
from gated.cues.screen_connections import Caller
from gated.cues.words import EVERYTHING, Fitted, cue_phone, cue_pictogram, cue_sentence, cue_word
from gated.errors import StateError
from gated.people.preferences import FirstCue

log = logging.getLogger(__name__)

SCREEN_ADDRESS = "127.0.0.1"
ALIVE_S = 1.0
"""The interval of updates without a change. After 3 s of silence the page shows that the gate is out of order."""
KEEP_ALIVE_S = 5
"""How long an idle connection is kept after a response."""
RETRY_MS = 500
"""How long the browser waits before it reconnects a broken stream."""
MOST_NOTES = 4
"""The most notes that are shown as text. The page shows the number of further notes."""
INSTALL_FONTS = "apt-get install fonts-noto-cjk"
"""The command that installs Chinese letters for the browser."""
PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
ALONE = ScreenNotes()
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Page(msgspec.Struct, frozen=True):
    """The content of the page. `words`, `sentences` and `notes` are (language, text), in the site's order."""

    situation: Situation
    pictogram: str
    colour: Colour
    languages: list[Language]
    """The languages of the words and sentences that are shown."""
    words: list[tuple[Language, str]]
    sentences: list[tuple[Language, str]]
    first: FirstCue | None = None
    notes: list[tuple[Language, str]] = []
    phone: str = ""
    """The telephone number to call now. Empty if there is no number, or if no person needs to call."""
    left_s: float | None = None
    """The remaining time of the release, or None without a countdown."""
    release_s: float | None = None
    """The whole time of the release."""
    keys: FingerprintPanel | None = None
    """A fingerprint. It takes the place of the words."""


def screen_page(
    situation: Situation,
    languages: tuple[Language, ...],
    first: FirstCue | None = None,
    lost: Sequence[str] = (),
    fitted: Fitted = EVERYTHING,
    *,
    beside: ScreenNotes = ALONE,
) -> Page:
    """Return the page of a situation. `lost` are the lost parts; some of them add a note.

    The words and sentences always include English. A browser without Chinese letters shows English alone.
    """
    cue, shown = PLAN[situation], languages if "en" in languages else (*languages, "en")
    noted = list({NOTES[part]["en"]: NOTES[part] for part in NOTES if part in lost}.values())
    noted += [note for note in [waiting_note(beside)] if note is not None]
    notes: list[tuple[Language, str]] = [(of, _line(noted, of)) for of in shown if noted]
    words: list[tuple[Language, str]] = [(of, cue_word(cue, of, fitted)) for of in shown]
    sentences: list[tuple[Language, str]] = [(of, cue_sentence(cue, of, fitted)) for of in shown]
    picture, number = cue_pictogram(cue, fitted), cue_phone(cue, fitted)
    is_idle = situation is Situation.IDLE
    keys = fingerprint_panel(beside.compared, shown) if beside.compared is not None and is_idle else None
    return Page(
        situation, picture, cue.colour, list(languages), words, sentences, first, notes, number, keys=keys
    )  # fmt: skip


def _line(noted: Sequence[Mapping[Language, str]], language: Language) -> str:
    """Return the first notes and the number of further notes. A small panel has no room for more."""
    more = [f"+{len(noted) - MOST_NOTES}"] if len(noted) > MOST_NOTES else []
    return " · ".join([*(note[language] for note in noted[:MOST_NOTES]), *more])


class Screen:
    """The server of the page, in the brain's event loop."""

    def __init__(self, port: int, languages: tuple[Language, ...], fitted: Fitted = EVERYTHING) -> None:
        """Prepare the server; `run` starts it. `fitted`: the fitted parts, which the texts may name."""
        self._port, self._languages, self._fitted = port, languages, fitted
        self._page, self._ends_at = screen_page(Situation.IDLE, languages, fitted=fitted), -inf
        self._watchers: set[asyncio.Event] = set()
        self._is_ended = self._has_warned = False

    def show(
        self,
        situation: Situation,
        first: FirstCue | None = None,
        lost: Sequence[str] = (),
        release: tuple[float, float] | None = None,
        *,
        beside: ScreenNotes = ALONE,
    ) -> None:
        """Show a situation on every open page. `release`: the seconds that remain, and the seconds in all."""
        page = screen_page(situation, self._languages, first, lost, self._fitted, beside=beside)
        if release is not None:
            self._ends_at = time.monotonic() + release[0]
            page = replace(page, release_s=release[1])
        self._page = page
        self._wake()

    async def run(self, works: Callable[[], None] = lambda: None) -> None:
        """Serve until cancelled; call `works` once the port is open. Raises `StateError` when the port is taken."""
        try:
            listener = socket.create_server((SCREEN_ADDRESS, self._port))
        except OSError as error:
            advice = "stop the program that uses it, or choose another cues.screen_port"
            raise StateError(f"no gate screen on port {self._port} ({error.strerror}); {advice}") from error
        with listener:
            works()
            await self._serve(listener)

    async def _serve(self, listener: socket.socket) -> None:
        server = _ScreenServer(
            uvicorn.Config(
                self._app(), lifespan="off", log_config=None, access_log=False, server_header=False,
                proxy_headers=False, http=Caller, timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self._is_ended = False
        try:
            await server.serve([listener])
        finally:
            self._is_ended = True
            self._wake()
            if server.started:
                await server.shutdown([listener])

    def _app(self) -> ASGIApp:
        routes = [Route(path, self._file) for path in PAGE_FILES] + [Route("/updates", self._updates)]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[SCREEN_ADDRESS, "localhost"], www_redirect=False)
        return _with_headers(Starlette(routes=routes, middleware=[hosts]))

    async def _file(self, request: Request) -> Response:
        name, media_type = PAGE_FILES[request.url.path]
        return Response(files("gated.cues").joinpath("page", name).read_bytes(), media_type=media_type)

    async def _updates(self, request: Request) -> Response:
        if request.query_params.get("letters") == "none" and not self._has_warned:
            self._has_warned = True
            log.warning("the gate screen's browser has no Chinese letters and shows English; run: %s", INSTALL_FONTS)
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        """Yield the page as an event, at every change and at least every `ALIVE_S`."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            yield b"retry: %d\n\n" % RETRY_MS
            while not self._is_ended:
                changed.clear()
                yield b"data: " + msgspec.json.encode(self._now()) + b"\n\n"
                with suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_S):
                        await changed.wait()
        finally:
            self._watchers.discard(changed)

    def _now(self) -> Page:
        """Return the page with the remaining time of the release."""
        if self._page.release_s is None:
            return self._page
        return replace(self._page, left_s=round(max(0.0, self._ends_at - time.monotonic()), 2))

    def _wake(self) -> None:
        for changed in self._watchers:
            changed.set()


class _ScreenServer(uvicorn.Server):
    """A server that does not handle signals. The brain handles them."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Capture no signal."""
        return nullcontext()


def _with_headers(app: ASGIApp) -> ASGIApp:
    """Add the security headers to every response, including refusals."""
    more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with the security headers added."""

        async def send_with_headers(message: Message) -> None:
            """Send one ASGI message. Adds the headers to the start of a response."""
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        await app(scope, receive, send_with_headers)

    return answer
