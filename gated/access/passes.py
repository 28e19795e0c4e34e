"""Visitor passes: the site's office signs them, the gate checks them without asking anybody, and counts their uses.

A pass is text for a QR code: `G1.` and, in base32, a MessagePack array followed by its Ed25519 signature (RFC 8032) by
the site's key. Base32 (RFC 4648, section 6) because its letters are those of a QR code's alphanumeric mode: a pass for
names of usual length is version 6 or 7 (ISO/IEC 18004), which a phone's screen shows large enough for the camera.
What a pass says is data: it is compared and counted, and never looked up, shown or followed.
"""

import base64
import binascii
import logging
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from msgspec import Meta

from gated import database
from gated.access.rights import Refusal
from gated.bounded import MOST_KEYS, read_given
from gated.errors import ConfigError, StateError
from gated.events import MAIN
from gated.face.messages import MAX_PASS, PASS_PREFIX
from gated.runtime.files import sync_folder
from gated.soundness import copy_of, in_words, left_out, sound, with_copies, without_copies
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

PassKey = Ed25519PublicKey

LABEL = b"gated visitor pass 1\0"
"""Signed before the body, so that nothing else that this key signs is a pass."""
SIGNATURE_BYTES, KEY_BYTES = 64, 32
KEY_PREFIX = "GK1-"
ALIKE = str.maketrans("018", "OIB")
"""Digits that RFC 4648's base 32 has not, read as the letters that they look like."""
MAX_USES = 1000
LATEST = 2**40
"""Beyond every time that a pass may have."""
KEPT = timedelta(days=30)
"""So long after its end a used pass is remembered by itself."""

Seconds = Annotated[int, Meta(ge=0, lt=LATEST, description="seconds since 1970")]


class VisitorPass(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the office signed: one door, from `not_before` until before `not_after`, so many times."""

    id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    site: str
    gate: str
    door: str
    not_before: Seconds
    not_after: Seconds
    uses: Annotated[int, Meta(ge=1, le=MAX_USES)] = 1

    @property
    def credential(self) -> str:
        """Its id in the journal: 32 hex digits."""
        return self.id.hex()


_decoder = msgspec.msgpack.Decoder(VisitorPass)


def read_pass(
    text: str, key: PassKey, site: str, gate: str, door: str, *, at: datetime | None
) -> VisitorPass | Refusal:
    """The pass that a text is, where it is good at this door now. `at`: the time of day, None where it is not trusted.

    Uses are not counted here: see `PassLedger`.
    """
    visitor_pass = open_pass(text, key)
    if visitor_pass is None:
        return Refusal.FORGED
    if (visitor_pass.site, visitor_pass.gate, visitor_pass.door) != (site, gate, door):
        return Refusal.DOOR
    if at is None:
        return Refusal.CLOCK
    if not at.timestamp() >= visitor_pass.not_before:
        return Refusal.NOT_YET
    return visitor_pass if at.timestamp() < visitor_pass.not_after else Refusal.EXPIRED


def open_pass(text: str, key: PassKey) -> VisitorPass | None:
    """What the site signed, good or not; None for anything else.

    The signature is checked before anything in the text is looked at; the work until then depends on its length alone.
    """
    signed = _bytes_of(text)
    if signed is None:
        return None
    body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    try:
        key.verify(signature, LABEL + body)
        return _decoder.decode(body)
    except (InvalidSignature, *UNDECODABLE):
        return None


def issue_pass(
    private_key_pem: bytes,
    site: str,
    gate: str,
    not_before: datetime,
    not_after: datetime,
    *,
    door: str = MAIN,
    uses: int = 1,
) -> str:
    """The text of a new pass. Raises `ConfigError` where the key is none, or no gate would take such a pass."""
    key = _private_key(private_key_pem)
    starts, ends = int(not_before.timestamp()), int(not_after.timestamp())
    made = VisitorPass(secrets.token_bytes(16), site, gate, door, starts, ends, uses)
    body = msgspec.msgpack.encode(made)
    text = _text_of(body + key.sign(LABEL + body))
    problems = []
    if not made.not_before < made.not_after:
        problems.append("it would end before it begins; let `until` be later than `from`")
    if not 1 <= uses <= MAX_USES:
        problems.append(f"{uses} uses are none or too many; give 1 to {MAX_USES}")
    if len(text) > MAX_PASS:
        problems.append(f"site and gate have names too long for a code of {MAX_PASS} characters; shorten them")
    if problems:
        raise ConfigError("the pass", problems)
    return text


def make_key(path: Path) -> None:
    """Make the site's private key; one that is there is never written over. Raises `ConfigError`."""
    form = PrivateFormat.PKCS8
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except FileExistsError:
        raise ConfigError("the site's key", [f"{path} is there already, and passes may be signed with it"]) from None
    except OSError as error:
        raise ConfigError("the site's key", [f"{path} cannot be written ({error.strerror})"]) from error


def key_text(private_key_pem: bytes) -> str:
    """The public key of the site's private one, as it is read out and typed at a gate: nothing in it is secret.

    `GK1-` and base 32 of its 32 bytes and a check of two (CRC-16/CCITT), in groups of five. Raises `ConfigError`.
    """
    raw = _private_key(private_key_pem).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    letters = base64.b32encode(raw + _check(raw)).decode().rstrip("=")
    return KEY_PREFIX + "-".join(letters[start : start + 5] for start in range(0, len(letters), 5))


def key_file(text: str) -> bytes:
    """The public key of such a text as a file for [readers] pass_key (PEM). Raises `ConfigError`."""
    letters = re.sub(r"[\s-]", "", text).upper().removeprefix(KEY_PREFIX.rstrip("-"))
    letters = letters.translate(ALIKE)
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    is_whole = base64.b32encode(raw).decode().rstrip("=") == letters  # the last letter has three bits that say nothing
    if not is_whole or len(raw) != KEY_BYTES + 2 or raw[KEY_BYTES:] != _check(raw[:KEY_BYTES]):
        problem = "a letter or more is wrong, or missing; compare it with what `gated office pass key` shows"
        raise ConfigError("the site's public key", [problem])
    return Ed25519PublicKey.from_public_bytes(raw[:KEY_BYTES]).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )


def _check(raw: bytes) -> bytes:
    return binascii.crc_hqx(raw, 0xFFFF).to_bytes(2, "big")


def _private_key(pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError("the site's key", [f"cannot be read ({error}); give a private Ed25519 key as PEM"]) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("the site's key", ["is of another kind; give a private Ed25519 key as PEM"])
    return key


def pass_key(path: Path) -> PassKey:
    """The site's public key, from its file. Raises `ConfigError` when that is none."""
    try:
        key = load_pem_public_key(read_given(path, MOST_KEYS))
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror}); put the site's public key there"
        raise ConfigError("readers.pass_key", [problem]) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError("readers.pass_key", [f"{path} is no public key as PEM ({error})"]) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("readers.pass_key", [f"{path} holds a key of another kind; it must be Ed25519"])
    return key


def _bytes_of(text: str) -> bytes | None:
    """Body and signature, where a text is spelt as `_text_of` does, and in no other way."""
    if not (len(text) <= MAX_PASS and text.startswith(PASS_PREFIX) and text.isascii()):
        return None
    letters = text[len(PASS_PREFIX) :]
    try:
        signed = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except binascii.Error:
        return None
    return signed if _text_of(signed) == text else None


def _text_of(signed: bytes) -> str:
    return PASS_PREFIX + base64.b32encode(signed).decode().rstrip("=")


MIGRATIONS = (
    """
    CREATE TABLE spent (pass BLOB PRIMARY KEY, uses INTEGER NOT NULL, not_after INTEGER NOT NULL) STRICT;
    CREATE TABLE horizon (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;
    INSERT INTO horizon VALUES (1, 0)
    """,
    f"""
    {with_copies("spent", "", {"pass": "blob", "uses": "integer", "not_after": "integer"})}
    {with_copies("horizon", "", {"one": "integer", "at": "integer"})}
    {database.BACK}
    {without_copies("spent")}
    {without_copies("horizon")}
    """,
)


NOBODYS = "(typeof(pass) != 'blob' OR length(pass) != 16) AND (typeof(copy) != 'text' OR instr(copy, char(31)) != 33)"
"""A damaged use of which nobody can tell the pass."""


class PassLedger:
    """passes.db: how often each pass was used here. Only what the site signed ever gets in, so nobody can fill it."""

    def __init__(self, state: Path) -> None:
        """Open it, or begin it. Raises `StateError`."""
        self._connection = database.connect(state / "passes.db", MIGRATIONS)
        with self._changing() as ledger:
            _mend(ledger)

    def spend(self, visitor_pass: VisitorPass, at: datetime) -> bool:
        """Count one use, on disk before this returns; False where none was left.

        A pass that ended no later than one that was forgotten already is refused: a clock set back brings none to life.
        Raises `StateError` when the disk fails; then nothing was counted, and nothing may open.
        """
        with self._changing() as ledger:
            self._forget((at.astimezone(UTC) - KEPT).timestamp())
            row = ledger.execute(f"SELECT at FROM horizon WHERE {sound(ledger, 'horizon')}").fetchone()  # noqa: S608
            if row is None:
                raise StateError("passes.db: is damaged; no pass opens until the gate is started again")
            if visitor_pass.not_after <= row[0] or self._is_damaged(visitor_pass):
                return False
            counted = ledger.execute(
                "INSERT INTO spent (pass, uses, not_after) VALUES (?, 1, ?)"
                " ON CONFLICT (pass) DO UPDATE SET uses = uses + 1 WHERE uses < ?",
                (visitor_pass.id, visitor_pass.not_after, visitor_pass.uses),
            )
            return counted.rowcount == 1

    def _is_damaged(self, visitor_pass: VisitorPass) -> bool:
        """Whether a damaged row may count uses of this pass: nobody knows how many."""
        theirs = f"(pass = ?1 OR substr(copy, 1, length(?2)) = ?2) AND NOT ({sound(self._connection, 'spent')})"
        begins = copy_of(visitor_pass.credential.upper(), "")
        query = f"SELECT 1 FROM spent WHERE {theirs}"  # noqa: S608 - our own
        return self._connection.execute(query, (visitor_pass.id, begins)).fetchone() is not None

    def give_back(self, visitor_pass: VisitorPass) -> None:
        """A use that was counted came to nothing, because the door could not be asked; on disk when this returns.

        A pass that was forgotten meanwhile stays so. Raises `StateError` when the disk fails; then the use is lost.
        """
        with self._changing() as ledger:
            theirs = f"pass = ? AND uses > 0 AND {sound(ledger, 'spent')}"
            ledger.execute(f"UPDATE spent SET uses = uses - 1 WHERE {theirs}", (visitor_pass.id,))  # noqa: S608

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on disk in the end. Raises `StateError`."""
        try:
            with database.transaction(self._connection) as ledger:
                yield ledger
        except database.FAILS as error:
            advice = "check that the disk is not full; until then no pass opens"
            raise StateError(f"passes.db: cannot be written ({error}); {advice}") from error

    def _forget(self, before: float) -> None:
        """Drop passes that ended so long ago, and note how far we have forgotten."""
        old = f"not_after < ? AND {sound(self._connection, 'spent')}"  # a damaged use is kept, so that none comes back
        last = f"SELECT coalesce(max(not_after), 0) FROM spent WHERE {old}"  # noqa: S608 - our own
        further = f"UPDATE horizon SET at = max(at, ({last})) WHERE {sound(self._connection, 'horizon')}"  # noqa: S608
        self._connection.execute(further, (before,))
        self._connection.execute(f"DELETE FROM spent WHERE {old}", (before,))  # noqa: S608


def _mend(ledger: sqlite3.Connection) -> None:
    """Make a ledger with damaged rows one in which no pass has more uses than before.

    A damaged use stays, so that its pass opens no more. Where nobody knows any more whose it is, or how far was
    forgotten, passes open no more that end no later than any other that was used here.
    """
    counts = left_out(ledger, ("spent", "horizon"))
    if told := in_words("passes.db", counts, "passes that they may be about open no more; give out new ones"):
        log.error("%s", told)
    nobodys = ledger.execute(f"DELETE FROM spent WHERE {NOBODYS} AND NOT ({sound(ledger, 'spent')})").rowcount  # noqa: S608
    if nobodys or "horizon" in counts or ledger.execute("SELECT 1 FROM horizon").fetchone() is None:
        at = None if nobodys else _horizon(ledger)
        ledger.execute("DELETE FROM horizon")
        last = f"SELECT coalesce(?, max(not_after), 0) FROM spent WHERE {sound(ledger, 'spent')}"  # noqa: S608
        ledger.execute(f"INSERT INTO horizon (one, at) SELECT 1, ({last})", (at,))


def _horizon(ledger: sqlite3.Connection) -> int | None:
    """How far was forgotten, of the two times that a damaged row has: the later one that can be true. None: neither.

    Every pass that is remembered ends later than those that were forgotten.
    """
    row = ledger.execute("SELECT at, copy FROM horizon").fetchone()
    first = ledger.execute(f"SELECT min(not_after) FROM spent WHERE {sound(ledger, 'spent')}").fetchone()[0]  # noqa: S608
    most = LATEST if first is None else first
    said = [] if row is None else [str(row["at"]), str(row["copy"]).removeprefix(copy_of("1", ""))]
    times = [int(each) for each in said if each.isdecimal() and len(each) <= len(str(LATEST))]
    return max((each for each in times if each < most), default=None)
