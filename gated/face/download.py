"""Fetches one file by HTTPS into `FILE.part`, and goes on where it was cut: nothing here gives a file its final name.

Only https, also after a redirect, and only servers whose certificate this machine trusts; no cookies, no credentials.
"""

import hashlib
import http.client
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError

from gated.errors import ModelError

TRIES = 4
"""So often a file is asked for, when the line is cut; each time it goes on where it was."""
SILENCE_S = 30.0
"""A server may be silent for so long."""
MOST_S = 3600.0
"""A file may take so long, however slowly it trickles."""
MOST_BYTES = 256 << 20
"""Of a file whose size the manifest does not say."""
REDIRECTS = 5
CHUNK_BYTES = 1 << 16

Progress = Callable[[str, int, int | None], None]
"""`progress(file, bytes so far, bytes in all or None)`."""


class CutError(Exception):
    """The line was cut, or the server was silent: the rest can be asked for."""


class Download:
    """One file on its way. `size_bytes`: what it should have, None where that is not known; more is refused."""

    def __init__(
        self, url: str, part: Path, size_bytes: int | None, progress: Progress, silence_s: float = SILENCE_S
    ) -> None:
        self._url, self._part, self._size_bytes, self._silence_s = url, part, size_bytes, silence_s
        self._progress, self._deadline = progress, time.monotonic() + MOST_S
        self._most_bytes = MOST_BYTES if size_bytes is None else size_bytes

    def fetch(self) -> str:
        """Have all of it in the `.part`, and give the SHA-256 of that. Raises `ModelError` where it cannot be had, with
        what came left for the next time, and `OSError` where it cannot be written.
        """
        for _ in range(TRIES):
            before = _size(self._part)
            try:
                return self._go_on(before)
            except CutError as error:
                cut = error
            if _size(self._part) <= before:
                break
        have = _size(self._part)
        raise ModelError(f"{self._url}: {cut}; {have} bytes of the file are here, ask again and it goes on from there")

    def _go_on(self, have: int) -> str:
        """One request, for what is missing."""
        if have > self._most_bytes:
            self._part.unlink()
            have = 0
        answer = self._ask(have)
        if answer is None:
            return sha256_of(self._part)
        with answer:
            return self._take(answer, have)

    def _ask(self, have: int) -> Any:
        """The server's answer; None where it has no more than we have."""
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context()), _HttpsOnly()
        )
        headers = {"User-Agent": "gated", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        request = urllib.request.Request(secure(self._url), headers=headers)  # noqa: S310 - `secure` has looked
        try:
            return opener.open(request, timeout=self._silence_s)
        except HTTPError as error:
            if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise ModelError(f"{self._url}: the server says {error.code} {error.reason}; {_ELSEWHERE}") from error
        except (http.client.HTTPException, OSError) as error:
            raise CutError(_plain(error)) from error

    def _take(self, answer: Any, have: int) -> str:
        """Write what comes after what is there, or from the start where the server gives all of it again."""
        if not _goes_on(answer, have):
            have = 0
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isascii() and length.isdigit() else self._size_bytes
        self._limit(total or 0)
        digest = hashlib.sha256()
        with self._part.open("r+b" if have else "w+b") as file:
            for chunk in chunks(file):
                digest.update(chunk)
            for chunk in self._arriving(answer):
                have += len(chunk)
                self._limit(have)
                digest.update(chunk)
                file.write(chunk)
                self._progress(self._part.stem, have, total)
        if total is not None and have < total:
            raise CutError(f"the line was cut, {total - have} bytes are missing")
        return digest.hexdigest()

    def _limit(self, much: int) -> None:
        """Throw away what is more than it may be. Raises `ModelError`."""
        if much > self._most_bytes:
            self._part.unlink(missing_ok=True)
            raise ModelError(
                f"{self._url}: has {much} bytes or more, and at most {self._most_bytes} may come; {_WRONG}"
            )

    def _arriving(self, answer: Any) -> Iterator[bytes]:
        """The bytes as they come: `read1`, because `read` would wait for a whole chunk of a trickle."""
        while chunk := self._read(answer):
            if time.monotonic() > self._deadline:
                raise ModelError(f"{self._url}: trickles, {MOST_S:.0f} s were not enough; {_ELSEWHERE}")
            yield chunk

    @staticmethod
    def _read(answer: Any) -> bytes:
        try:
            return bytes(answer.read1(CHUNK_BYTES))
        except (http.client.HTTPException, OSError) as error:
            raise CutError(_plain(error)) from error


_ELSEWHERE = "fetch the file elsewhere, and bring it with --from"
_WRONG = "the address has another file now: use a newer release of gated, or bring the file with --from"


def _plain(error: Exception) -> str:
    """What went wrong on the line, in words."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the server does not prove who it is ({reason.verify_message}); set the clock, or name the authority to "
            "trust in SSL_CERT_FILE"
        )
    return f"the line was cut ({reason or type(reason).__name__})"


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address, but to no other way of speaking."""

    max_redirections = REDIRECTS

    def redirect_request(self, *request: Any) -> Any:
        """The next request; its address comes last. Raises `ModelError` where it would leave https."""
        secure(request[-1])
        return super().redirect_request(*request)


def secure(url: str) -> str:
    """The address itself. Raises `ModelError` where it is not https, or has somebody's name and password in it."""
    if not re.match(r"https://[^/?#@\s]+([/?#]|\Z)", url):
        raise ModelError(f"{url}: is refused, because files come by https alone and without a password; {_ELSEWHERE}")
    return url


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of a file, piece by piece."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def sha256_of(path: Path) -> str:
    """The digest of a file, in hex. Raises `OSError`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in chunks(file):
            digest.update(chunk)
    return digest.hexdigest()


def _goes_on(answer: Any, have: int) -> bool:
    """Whether the answer begins where we are, and not at the start."""
    begins = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return bool(have) and answer.status == http.client.PARTIAL_CONTENT and begins


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
