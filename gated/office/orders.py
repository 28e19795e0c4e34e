"""What gates were ordered to do, and what came of it.

An order lives only while its operator's process waits for it. It is offered to its gate; the gate asks for it with a
fresh nonce, and gets the command, numbered and signed then. What takes long is asked for once more before it is done.
An order that is given up before the gate has the last word from here is void, and that is on disk before anybody is
told so. One that is given up later may have happened: it is `unknown` until the gate's answer or its journal says what
came of it.

| state | it means |
|---|---|
| new | written down; nobody has sent anything |
| sent | offered to the gate (or sent, where nobody waits) |
| begun | the gate has it, and will ask once more before it does what cannot be undone |
| asked | the gate has asked |
| going | the last word was given: the gate does it, or has done it |
| stopping | the same, and its operator has given up waiting |
| done, refused, failed | the gate's answer |
| cancelled | given up in time: the gate will not do it |
| unknown | given up too late, and the gate has not said what came of it |
| unanswered | nobody waited for it, and no answer came while it was fresh |
"""

import logging
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from gated import wording
from gated.errors import OfficeError, SealError
from gated.journal.entry import stamp
from gated.office.file import OfficeFile
from gated.office.gates import Gates
from gated.office.pages import ENVELOPE_BYTES
from gated.soundness import is_moment, is_text, sound
from gated.sync.confirm import GOOD_S
from gated.sync.jose import Identity
from gated.sync.messages import MAX_PLAIN_BYTES, UNATTENDED, Action, Command, Enrol, Finding, Share, SwitchModels
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

OTHER_S = 300.0
"""So long a gate counts a command as fresh for which nobody waits."""
ANSWER_S = 5.0
"""So much longer an answer may take before such an order counts as unanswered."""
GO_S = GOOD_S + 2.0
"""So long after the last word from here a gate may still begin, and its answer may be on its way."""
TWO_STEPS = (Enrol, SwitchModels)
"""What takes long: asked for once more before it is done."""

State = Literal[
    "new", "sent", "begun", "asked", "going", "stopping", "done", "refused", "failed", "cancelled", "unknown",
    "unanswered",
]  # fmt: skip
OPEN = ("new", "sent", "begun", "asked", "going", "stopping")


class Order(msgspec.Struct, frozen=True):
    """What somebody at the office wants a gate to do."""

    operator: str
    reason: str
    action: Action


@dataclass(frozen=True, slots=True)
class Placed:
    """An order and what came of it."""

    id: str
    gate: str
    command: str
    number: int
    at: str
    """When it was placed, or sent; UTC, ISO 8601."""
    state: State
    order: Order
    challenge: str
    why: str
    findings: list[Finding]
    is_confirmed: bool = True
    """Whether the operator has said yes, where they are asked."""
    says: str = ""
    """What the gate says that it is doing."""
    go_at: float = 0.0
    """When the last word was given: monotonic seconds of this machine."""

    @property
    def is_open(self) -> bool:
        """Whether anything may still come of it."""
        return self.state in OPEN

    @property
    def is_attended(self) -> bool:
        """Whether it lives only while somebody waits for it."""
        return not isinstance(self.order.action, UNATTENDED)


def new_id() -> str:
    """The id of an order: random, 32 hex digits."""
    return secrets.token_hex(16)


class Orders:
    """Their rows. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, identity: Identity) -> None:
        self._file, self._identity, self._gates = file, identity, Gates(file)

    def place(
        self,
        gate: str,
        action: Action,
        operator: str,
        reason: str,
        at: datetime,
        *,
        order: str = "",
        is_confirmed: bool = True,
    ) -> str:
        """Have a gate do something; gives its id. Raises `OfficeError` for no gate, and for what none would do.

        `order`: the id, where somebody waits for it already. `is_confirmed`: false where the operator will be asked.
        """
        self._gates.get(gate)
        check(gate, Order(operator, reason, action))
        sealed = self._identity.party.seal(msgspec.json.encode(Order(operator, reason, action)))
        order = order or new_id()
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO orders (id, gate, command, number, at, state, sealed, challenge, why, findings,"
                " is_confirmed) VALUES (?, ?, ?, 0, ?, 'new', ?, '', '', CAST('[]' AS BLOB), ?)",
                (order, gate, order, stamp(at), sealed, is_confirmed),
            )
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
        return self._where("state IN ('new', 'sent', 'begun', 'asked', 'going', 'stopping')")

    def untold(self) -> list[Placed]:
        """Those that were given up, and whose gates were not told yet."""
        return self._where("state = 'cancelled' AND NOT is_told")

    def told(self, placed: Placed) -> None:
        """The gate of one that was given up has been told."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET is_told = 1 WHERE id = ?", (placed.id,))

    # -- nobody waits for it ------------------------------------------------------------------------------------------

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
            is_live=placed.is_attended,
            operator=placed.order.operator,
            reason=placed.order.reason,
            action=placed.order.action,
        )

    # -- somebody waits for it ----------------------------------------------------------------------------------------

    def offered(self, placed: Placed) -> None:
        """It is offered to its gate now."""
        self._move(placed.id, "sent", "new")

    def give(self, site: str, placed: Placed, nonce: str, now: float, wall: datetime) -> Command | None:
        """The command, for a gate that asked with `nonce`; None when it is wanted no more. `now`: monotonic."""
        is_last = not isinstance(placed.order.action, TWO_STEPS)
        with self._file.writing() as connection:
            if self.get(placed.id).state not in ("new", "sent", "going" if is_last else "begun"):
                return None
            number = placed.number or self._gates.number(placed.gate)
            row = (number, stamp(wall), nonce, "going" if is_last else "begun", now if is_last else 0.0, placed.id)
            connection.execute(
                "UPDATE orders SET number = ?, at = ?, challenge = ?, state = ?, go_at = ? WHERE id = ?", row
            )
        return self.command(site, self.get(placed.id))

    def go(self, placed: Placed, says: str, now: float) -> bool:
        """A gate asks before it does what cannot be undone; whether it may, which is written down first."""
        self._move(placed.id, "asked", "begun")
        self.tell(placed.id, says)
        with self._file.writing() as connection:
            went = "UPDATE orders SET state = 'going', go_at = ? WHERE id = ? AND is_confirmed"
            may = "AND state IN ('asked', 'going')"
            return connection.execute(f"{went} {may}", (now, placed.id)).rowcount == 1

    def confirm(self, order: str) -> None:
        """The operator was asked, and said yes."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET is_confirmed = 1 WHERE id = ?", (order,))

    def tell(self, order: str, says: str) -> None:
        """The gate says what it is doing."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET says = ? WHERE id = ? AND says != ?", (says, order, says))

    def anew(self, placed: Placed) -> Placed:
        """The gate has used its number for another command: it becomes another command, which has no number yet. What
        is said once more of the one before is about no order any more.
        """
        with self._file.writing() as connection:
            again = "UPDATE orders SET state = 'new', number = 0, command = ? WHERE id = ?"
            connection.execute(again, (new_id(), placed.id))
        return self.get(placed.id)

    def withdraw(self, order: str, why: str) -> Placed:
        """Its operator waits no more. On disk when it returns: `cancelled`, and it will not be done; or `stopping`."""
        with self._file.writing() as connection:
            void = "UPDATE orders SET state = 'cancelled', why = ? WHERE id = ?"
            connection.execute(f"{void} AND state IN ('new', 'sent', 'begun', 'asked')", (why, order))
            connection.execute("UPDATE orders SET state = 'stopping' WHERE id = ? AND state = 'going'", (order,))
        return self.get(order)

    def conclude(self, order: str, now: float) -> Placed:
        """Given up too late, and no answer came: it is unknown what came of it. `now`: monotonic."""
        placed = self.get(order)
        if placed.state == "stopping" and not 0 <= now - placed.go_at <= GO_S:
            with self._file.writing() as connection:
                lost = "UPDATE orders SET state = 'unknown' WHERE id = ? AND state = 'stopping'"
                connection.execute(lost, (order,))
        return self.get(order)

    # -- what came of it ----------------------------------------------------------------------------------------------

    def noted(self, command: str, outcome: str, why: str) -> None:
        """The gate's journal says what came of a command, though its answer was lost."""
        placed = self.of(command)
        if placed is None or placed.state in ("done", "refused", "failed"):
            return
        if outcome == "done" or placed.state in ("unknown", "stopping", "going", "unanswered"):
            self.settle(placed, outcome, why)

    def settle(self, placed: Placed, state: str, why: str = "", findings: Sequence[Finding] = ()) -> None:
        """Something came of it. Faces that gates seal to each other are asked for by the thousand, and not kept."""
        with self._file.writing() as connection:
            if isinstance(placed.order.action, Share):
                connection.execute("DELETE FROM orders WHERE id = ?", (placed.id,))
                return
            row = (state, why, msgspec.json.encode(findings), placed.id)
            connection.execute("UPDATE orders SET state = ?, why = ?, findings = ? WHERE id = ?", row)

    def expire(self, wall: datetime, now: float, waits: Callable[[str], bool]) -> None:
        """Give up what nobody waits for, and what no gate would do any more. `now`: monotonic."""
        for placed in self.open():
            if placed.is_attended:
                if placed.state != "stopping" and not waits(placed.id):
                    self.withdraw(placed.id, "the command that waited for it has ended, or stood still for 2 s")
                self.conclude(placed.id, now)
                continue
            limit_s = OTHER_S + (ANSWER_S if placed.state == "sent" else 0.0)
            if not -limit_s <= age_s(placed, wall) <= limit_s:
                why = "the gate did not answer" if placed.state == "sent" else "no office was serving, or not that gate"
                self.settle(placed, "unanswered", why)

    def _move(self, order: str, state: State, before: State) -> None:
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET state = ? WHERE id = ? AND state = ?", (state, order, before))

    def _where(self, which: str, *values: str) -> list[Placed]:
        with self._file.reading() as connection:
            ask = f"SELECT * FROM orders WHERE ({which}) AND {sound(connection, 'orders')} ORDER BY rowid"  # noqa: S608
            rows = connection.execute(ask, values).fetchall()
        return [placed for row in rows if (placed := self._readable(row)) is not None]

    def _readable(self, row: sqlite3.Row) -> Placed | None:
        """An order; None where its row is damaged, so that no other order waits for it."""
        try:
            placed = self._placed(row)
        except (SealError, *UNDECODABLE) as error:
            log.error("an order is damaged, and is left out: %s", error)
            return None
        return placed if is_moment(placed.at) and is_text(placed.id) else None

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
            bool(row["is_confirmed"]),
            row["says"],
            row["go_at"],
        )


def check(gate: str, order: Order) -> None:
    """Raise `OfficeError` for an order that no gate would take."""
    command = Command(
        site="", gate=gate, id="0" * 32, number=0, at="", operator=order.operator, reason=order.reason,
        action=order.action,
    )  # fmt: skip
    try:
        length = len(encoded := msgspec.json.encode(command))
        msgspec.json.decode(encoded, type=Command)
    except msgspec.ValidationError as error:
        raise OfficeError(f"this cannot be ordered: {wording.problem(error, Command)}") from error
    if length > MAX_PLAIN_BYTES - ENVELOPE_BYTES:
        raise OfficeError(f"this cannot be ordered: {length} bytes are too long for one message; say less")


def age_s(placed: Placed, wall: datetime) -> float:
    """How long ago an order was placed, or sent."""
    return (wall - datetime.fromisoformat(placed.at)) / timedelta(seconds=1)
