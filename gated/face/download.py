"""Downloads one file by HTTPS to `FILE.part`, and resumes an interrupted download. The caller gives it its final name.

Only https, also after a redirect, and only servers with a certificate that this machine trusts. No cookies, no
credentials.
"""

import hashlib
import http.client
import re
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from gated import bounded
from gated.bounded import CHUNK_BYTES, TooSlowError
from gated.errors import ModelError
from gated.face.model_entry import MOST_BYTES

TRIES = 4
"""Requests for one file when the connection drops. Each resumes after the last byte."""
SILENCE_S = 30.0
"""Longest time without a byte from the server."""
REDIRECTS = 5

Progress = Callable[[str, int, int | None], None]
"""`progress(file, bytes so far, bytes in all or None)`."""


class CutError(Exception):
    """The connection dropped, or the server was silent. The rest can be requested again."""


class Download:
    """One download. `size_bytes`: the expected size, None if unknown. More bytes are refused."""

    def __init__(
        self, url: str, part: Path, size_bytes: int | None, progress: Progress, silence_s: float = SILENCE_S
    ) -> None:
        self._url, self._part, self._size_bytes, self._silence_s = url, part, size_bytes, silence_s
        self._progress = progress
        self._most_bytes = MOST_BYTES if size_bytes is None else size_bytes
        self._whole_s = bounded.whole_s(self._most_bytes)

    def fetch(self) -> str:
        """Complete the `.part` file and return its SHA-256.

        Raises `ModelError` when the file cannot be downloaded (the part stays for the next time), and `OSError` where
        it cannot be written.
        """
        context = bounded.ending(ssl.create_default_context(), self._whole_s, self._silence_s)
        for _ in range(TRIES):
            before = _size(self._part)
            try:
                return self._go_on(before, context)
            except CutError as error:
                cut = error
            if _size(self._part) <= before:
                break
        have = _size(self._part)
        raise ModelError(f"{self._url}: {cut}; {have} bytes are here, run the command again to resume")

    def _go_on(self, have: int, context: ssl.SSLContext) -> str:
        """Make one request, for the missing bytes."""
        if have > self._most_bytes:
            self._part.unlink()
            have = 0
        answer = self._request(have, context)
        if answer is None:
            return bounded.sha256(self._part, self._most_bytes)
        with answer:
            return self._store(answer, have)

    def _request(self, have: int, context: ssl.SSLContext) -> Any:
        """Return the server's response. None if the server has no more bytes than the part."""
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _HttpsOnly())
        headers = {"User-Agent": "gated", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        request = urllib.request.Request(secure(self._url), headers=headers)  # noqa: S310 - `secure` has checked it
        try:
            return opener.open(request, timeout=self._silence_s)
        except HTTPError as error:
            if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise ModelError(f"{self._url}: the server answered {error.code} {error.reason}; {_ELSEWHERE}") from error
        except (http.client.HTTPException, OSError) as error:
            raise self._given_up(error) from error

    def _store(self, answer: Any, have: int) -> str:
        """Append the response to the part, or replace the part if the server sends the file from its start."""
        if not _goes_on(answer, have):
            have = 0
        length = answer.headers.get("Content-Length", "")
        total = have + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else self._size_bytes
        self._limit(total or 0)
        digest = hashlib.sha256()
        if not have:
            self._part.unlink(missing_ok=True)  # a file of this name may be a link
        with self._part.open("r+b") if have else bounded.create(self._part) as file:
            for chunk in bounded.chunks(file, have):
                digest.update(chunk)
            for chunk in self._arriving(answer):
                have += len(chunk)
                self._limit(have)
                digest.update(chunk)
                file.write(chunk)
                self._progress(self._part.stem, have, total)
        if total is not None and have < total:
            raise CutError(f"the connection dropped, {total - have} bytes are missing")
        return digest.hexdigest()

    def _limit(self, much: int) -> None:
        """Delete the part if it is too large. Raises `ModelError` then."""
        if much > self._most_bytes:
            self._part.unlink(missing_ok=True)
            raise ModelError(f"{self._url}: has {much} bytes or more, at most {self._most_bytes} are allowed; {_WRONG}")

    def _arriving(self, answer: Any) -> Iterator[bytes]:
        """Yield the bytes as they arrive. Uses `read1`, because `read` would wait for a whole chunk."""
        try:
            while chunk := bytes(answer.read1(CHUNK_BYTES)):
                yield chunk
        except (http.client.HTTPException, OSError) as error:
            raise self._given_up(error) from error

    def _given_up(self, error: Exception) -> Exception:
        """What to raise: after the whole time there is no further try."""
        slow = getattr(error, "reason", error)
        if isinstance(slow, TooSlowError):
            return ModelError(f"{self._url}: {slow.strerror}; {_ELSEWHERE}")
        return CutError(_plain(error))


_ELSEWHERE = "download the file on another machine, and copy it with --from"
_WRONG = "the file at this address has changed: use a newer release of gated, or copy the file with --from"


def _plain(error: Exception) -> str:
    """Return what went wrong on the connection, in words."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({reason.verify_message}); set the clock, or name the trusted "
            "authority in SSL_CERT_FILE"
        )
    return f"the connection failed ({reason or type(reason).__name__})"


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but only to https."""

    max_redirections = REDIRECTS

    def redirect_request(self, *request: Any) -> Any:
        """Return the next request, and read no body of this response, which may have no end.

        The address is the last argument. Raises `ModelError` when it is not https.
        """
        request[1].close()
        secure(request[-1])
        return super().redirect_request(*request)


def secure(url: str) -> str:
    """Return the address. Raises `ModelError` when it is not https, or contains a user name or password."""
    if not re.match(r"https://[^/?#@\s]+([/?#]|\Z)", url):
        raise ModelError(f"{url}: refused; only https without user name and password is allowed; {_ELSEWHERE}")
    return url


def _goes_on(answer: Any, have: int) -> bool:
    """Return whether the response starts at byte `have`."""
    begins = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    return bool(have) and answer.status == http.client.PARTIAL_CONTENT and begins


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
