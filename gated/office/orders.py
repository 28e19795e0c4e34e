"""What gates were ordered to do, and what came of it.

An order becomes a command when it is sent: numbered, dated and signed then. A gate counts a release for 5 s and
anything else for 300 s; what was not answered by then is void, so that no gate opens or restarts hours later.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from gated.errors import OfficeError
from gated.journal.entry import stamp
from gated.office.file import OfficeFile
from gated.office.gates import Gates
from gated.office.pages import ENVELOPE_BYTES
from gated.sync.jose import Identity
from gated.sync.messages import MAX_PLAIN_BYTES, Action, Command, Finding, Release, Share

RELEASE_S, OTHER_S = 5.0, 300.0
"""So long a gate counts a command as fresh."""
ANSWER_S = 5.0
"""So much longer an answer may take before an order counts as unanswered."""


class Order(msgspec.Struct, frozen=True):
    """What somebody at the office wants a gate to do."""

    operator: str
    reason: str
    action: Action


@dataclass(frozen=True, slots=True)
class Placed:
    """An order and what came of it: "new", "sent", "done", "refused", "failed" or "unanswered"."""

    id: str
    gate: str
    command: str
    number: int
    at: str
    """When it was placed, or sent; UTC, ISO 8601."""
    state: str
    order: Order
    challenge: str
    why: str
    findings: list[Finding]

    @property
    def is_open(self) -> bool:
        """Whether anything may still come of it."""
        return self.state in ("new", "sent")

    @property
    def good_s(self) -> float:
        """So long the gate would still do it."""
        return RELEASE_S if isinstance(self.order.action, Release) else OTHER_S


class Orders:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, identity: Identity) -> None:
        self._file, self._identity, self._gates = file, identity, Gates(file)

    def place(self, gate: str, action: Action, operator: str, reason: str, at: datetime) -> str:
        """Have a gate do something; gives its id. Raises `OfficeError` for no gate, and for what none would do."""
        self._gates.get(gate)
        _check(
            Command(site="", gate=gate, id="0" * 32, number=0, at="", operator=operator, reason=reason, action=action)
        )
        sealed = self._identity.party.seal(msgspec.json.encode(Order(operator, reason, action)))
        order = secrets.token_hex(16)
        with self._file.writing() as connection:
            row = (order, gate, order, stamp(at), sealed)
            connection.execute("INSERT INTO orders VALUES (?, ?, ?, 0, ?, 'new', ?, '', '', CAST('[]' AS BLOB))", row)
        return order

    def get(self, order: str) -> Placed:
        """One of them. Raises `OfficeError`."""
        for placed in self._where("id = ?", order):
            return placed
        raise OfficeError(f"there is no order {order!r} here")

    def of(self, command: str) -> Placed | None:
        """The order that this command is (the newest word of)."""
        return next(iter(self._where("command = ?", command)), None)

    def open(self) -> list[Placed]:
        """Those that something may still come of, oldest first."""
        return self._where("state IN ('new', 'sent')")

    def send(self, site: str, placed: Placed, wall: datetime, challenge: str = "") -> Command:
        """The command for an order, to be published now; one with a challenge replaces the one before it."""
        command = secrets.token_hex(16) if challenge else placed.command
        with self._file.writing() as connection:
            number = self._gates.number(placed.gate)
            row = (command, number, stamp(wall), challenge, placed.id)
            sent = "UPDATE orders SET command = ?, number = ?, at = ?, challenge = ?, state = 'sent' WHERE id = ?"
            connection.execute(sent, row)
        return self.command(site, self.get(placed.id))

    def command(self, site: str, placed: Placed) -> Command:
        """The command as it was sent, to be published once more: the gate acts on it once."""
        return Command(
            site=site,
            gate=placed.gate,
            id=placed.command,
            number=placed.number,
            at=placed.at,
            challenge=placed.challenge,
            operator=placed.order.operator,
            reason=placed.order.reason,
            action=placed.order.action,
        )

    def settle(self, placed: Placed, state: str, why: str = "", findings: Sequence[Finding] = ()) -> None:
        """Something came of it. Faces that gates seal to each other are asked for by the thousand, and not kept."""
        with self._file.writing() as connection:
            if isinstance(placed.order.action, Share):
                connection.execute("DELETE FROM orders WHERE id = ?", (placed.id,))
                return
            row = (state, why, msgspec.json.encode(findings), placed.id)
            connection.execute("UPDATE orders SET state = ?, why = ?, findings = ? WHERE id = ?", row)

    def expire(self, wall: datetime) -> None:
        """Give up what no gate would do any more."""
        for placed in self.open():
            limit_s = placed.good_s + (ANSWER_S if placed.state == "sent" else 0.0)
            if not -limit_s <= age_s(placed, wall) <= limit_s:
                why = "the gate did not answer" if placed.state == "sent" else "no office was serving, or not that gate"
                self.settle(placed, "unanswered", why)

    def _where(self, which: str, *values: str) -> list[Placed]:
        with self._file.reading() as connection:
            ask = f"SELECT * FROM orders WHERE {which} ORDER BY rowid"  # noqa: S608 - a part of ours
            return [self._placed(row) for row in connection.execute(ask, values).fetchall()]

    def _placed(self, row: sqlite3.Row) -> Placed:
        return Placed(
            row["id"],
            row["gate"],
            row["command"],
            row["number"],
            row["at"],
            row["state"],
            msgspec.json.decode(self._identity.open(row["sealed"]), type=Order),
            row["challenge"],
            row["why"],
            msgspec.json.decode(row["findings"], type=list[Finding]),
        )


def _check(command: Command) -> None:
    try:
        length = len(encoded := msgspec.json.encode(command))
        msgspec.json.decode(encoded, type=Command)
    except msgspec.ValidationError as error:
        raise OfficeError(f"this cannot be ordered: {error}") from error
    if length > MAX_PLAIN_BYTES - ENVELOPE_BYTES:
        raise OfficeError(f"this cannot be ordered: {length} bytes are too long for one message; say less")


def age_s(placed: Placed, wall: datetime) -> float:
    """How long ago an order was placed, or sent."""
    return (wall - datetime.fromisoformat(placed.at)) / timedelta(seconds=1)
