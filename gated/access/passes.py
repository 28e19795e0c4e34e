"""Visitor passes: the office signs them. The gate verifies them offline and counts their uses.

The text of a pass is `G1.`, then base32 of a MessagePack array and its Ed25519 signature (RFC 8032) by the site key.
Base32 (RFC 4648, section 6) uses only letters of the alphanumeric mode of QR codes. A pass for names of usual length
gives a code of version 6 or 7 (ISO/IEC 18004). A phone shows such a code large enough for the camera. The content of a
pass is compared and counted only. The gate never looks it up, displays it or follows it.
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

from gated.access.permissions import Refusal
from gated.bounded import MOST_KEYS, read_given
from gated.errors import ConfigError, StateError
from gated.events import MAIN
from gated.face.vision_messages import MAX_PASS, PASS_PREFIX
from gated.storage import database, migrations, sql
from gated.storage.files import sync_folder
from gated.storage.sqlite_errors import SQL_ERRORS
from gated.storage.valid_rows import copy_of, in_words, left_out, sound, with_copies, without_copies
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

PassKey = Ed25519PublicKey

LABEL = b"gated visitor pass 1\0"
"""The prefix that is signed with the body, so that no other signature by this key is a valid pass."""
SIGNATURE_BYTES, KEY_BYTES = 64, 32
KEY_PREFIX = "GK1-"
ALIKE = str.maketrans("018", "OIB")
"""Maps digits that base32 (RFC 4648) lacks to the letters that they resemble."""
MAX_USES = 1000
LATEST = 2**40
"""An upper limit for the times in a pass, in seconds since 1970."""
KEPT = timedelta(days=30)
"""How long after its end a used pass keeps a row in the ledger."""

Seconds = Annotated[int, Meta(ge=0, lt=LATEST, description="seconds since 1970")]


class VisitorPass(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The signed content of a pass: one door, `uses` uses, valid from `not_before` until before `not_after`."""

    id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    site: str
    gate: str
    door: str
    not_before: Seconds
    not_after: Seconds
    uses: Annotated[int, Meta(ge=1, le=MAX_USES)] = 1

    @property
    def credential(self) -> str:
        """Return the id of the pass in the journal: 32 hex digits."""
        return self.id.hex()


_decoder = msgspec.msgpack.Decoder(VisitorPass)


def read_pass(
    text: str, key: PassKey, site: str, gate: str, door: str, *, at: datetime | None
) -> VisitorPass | Refusal:
    """Return the pass if it is valid at this door now, else the reason for the refusal. Does not count uses (see
    `PassLedger`).

    `at` is the time of day, or None while it is not trusted.
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
    """Return the signed content, whether it is valid now or not. Returns None if the text has no valid signature or
    content.

    The signature is verified before the content is decoded. The work before that depends on the length of the text
    only.
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
    """Return the text of a new pass. Raises `ConfigError` if the key is invalid or no gate would accept such a pass."""
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
    """Create the private key of the site. Never overwrites a file. Raises `ConfigError`."""
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
    """Return the public key of a private site key as text that people can read out and type. It contains no secret.

    The text is `GK1-` and base32 of the 32 key bytes and a two-byte check (CRC-16/CCITT), in groups of five letters.
    Raises `ConfigError`.
    """
    raw = _private_key(private_key_pem).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    letters = base64.b32encode(raw + _check(raw)).decode().rstrip("=")
    return KEY_PREFIX + "-".join(letters[start : start + 5] for start in range(0, len(letters), 5))


def key_file(text: str) -> bytes:
    """Return the public key of such a text as PEM, for the file of `readers.pass_key`. Raises `ConfigError`."""
    letters = re.sub(r"[\s-]", "", text).upper().removeprefix(KEY_PREFIX.rstrip("-"))
    letters = letters.translate(ALIKE)
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    is_whole = base64.b32encode(raw).decode().rstrip("=") == letters  # three bits of the last letter are unused
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
    """Read the public site key from its file. Raises `ConfigError` if the file holds no Ed25519 public key."""
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
    """Return body and signature. Returns None unless the text is spelled exactly as `_text_of` spells it."""
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
    {migrations.BACK}
    {without_copies("spent")}
    {without_copies("horizon")}
    """,
)


NOBODYS = "(typeof(pass) != 'blob' OR length(pass) != 16) AND (typeof(copy) != 'text' OR instr(copy, char(31)) != 33)"
"""The SQL condition for a damaged row whose pass cannot be determined."""


class PassLedger:
    """passes.db: how often each pass was used at this gate. Only signed passes are stored, so attackers
    cannot fill it.
    """

    def __init__(self, state: Path) -> None:
        """Open or create the ledger. Raises `StateError`."""
        self._connection = database.connect(state / "passes.db", MIGRATIONS)
        with self._changing() as ledger:
            _mend(ledger)

    def spend(self, visitor_pass: VisitorPass, at: datetime) -> bool:
        """Count one use. Return False if no use is left. The use is on disk when this returns True.

        Refuses a pass that ended no later than an already forgotten pass, so that a clock set back revives no pass.
        Raises `StateError` if the disk fails. Then no use was counted, and the door must stay closed.
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
        """Return whether a damaged row may belong to this pass. Its uses are then unknown."""
        theirs = f"(pass = ?1 OR substr(copy, 1, length(?2)) = ?2) AND NOT ({sound(self._connection, 'spent')})"
        begins = copy_of(visitor_pass.credential.upper(), "")
        query = f"SELECT 1 FROM spent WHERE {theirs}"  # noqa: S608 - our own
        return self._connection.execute(query, (visitor_pass.id, begins)).fetchone() is not None

    def give_back(self, visitor_pass: VisitorPass) -> None:
        """Return a counted use, because the door could not be released. It is on disk when this returns.

        Does nothing for a forgotten pass. Raises `StateError` if the disk fails. Then the use is lost.
        """
        with self._changing() as ledger:
            theirs = f"pass = ? AND uses > 0 AND {sound(ledger, 'spent')}"
            ledger.execute(f"UPDATE spent SET uses = uses - 1 WHERE {theirs}", (visitor_pass.id,))  # noqa: S608

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: all changes are on disk at its end, or none. Raises `StateError`."""
        try:
            with sql.transaction(self._connection) as ledger:
                yield ledger
        except SQL_ERRORS as error:
            advice = "check that the disk is not full; until then no pass opens"
            raise StateError(f"passes.db: cannot be written ({error}); {advice}") from error

    def _forget(self, before: float) -> None:
        """Delete passes that ended before `before` (seconds since 1970), and store the latest of their ends as the
        horizon.
        """
        old = f"not_after < ? AND {sound(self._connection, 'spent')}"  # a damaged row stays: its pass gains no use
        last = f"SELECT coalesce(max(not_after), 0) FROM spent WHERE {old}"  # noqa: S608 - our own
        further = f"UPDATE horizon SET at = max(at, ({last})) WHERE {sound(self._connection, 'horizon')}"  # noqa: S608
        self._connection.execute(further, (before,))
        self._connection.execute(f"DELETE FROM spent WHERE {old}", (before,))  # noqa: S608


def _mend(ledger: sqlite3.Connection) -> None:
    """Repair a ledger with damaged rows, so that no pass gains a use.

    A damaged row stays, so that its pass opens no door again. If the pass of a damaged row or the horizon is unknown,
    the horizon becomes the latest end of all undamaged rows. Then every pass that ends no later is refused.
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
    """Return the horizon from a damaged row: the later of its two stored values that is possible, or None.

    A horizon is possible if it is before the end of every remembered pass.
    """
    row = ledger.execute("SELECT at, copy FROM horizon").fetchone()
    first = ledger.execute(f"SELECT min(not_after) FROM spent WHERE {sound(ledger, 'spent')}").fetchone()[0]  # noqa: S608
    most = LATEST if first is None else first
    said = [] if row is None else [str(row["at"]), str(row["copy"]).removeprefix(copy_of("1", ""))]
    times = [int(each) for each in said if each.isdecimal() and len(each) <= len(str(LATEST))]
    return max((each for each in times if each < most), default=None)
