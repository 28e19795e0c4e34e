"""Stores the commands for gates and their results.

`CommandContent` is a command's content, `StoredCommand` its stored state. The `Command` message carries it to the gate.

An attended command lives only while its operator's process waits for it. It is offered to its gate. The gate asks for
it with a fresh nonce, and gets the message, numbered and signed at that moment. A long command needs a second question
before the gate acts.

A command withdrawn before the office's final answer is void. That is on disk before anybody learns it. A command
withdrawn later may have been done. It is `unknown` until the gate's reply or its journal gives the result.

| state | meaning |
|---|---|
| new | stored; nothing was sent |
| sent | offered to the gate; an unattended command was sent |
| begun | the gate has it, and asks again before it does anything that cannot be undone |
| asked | the gate has asked |
| going | the office gave its final answer: the gate does it, or has done it |
| stopping | as `going`, but the operator has stopped waiting |
| done, refused, failed | the gate's reply |
| cancelled | withdrawn in time: the gate will not do it |
| unknown | withdrawn too late, and the gate has not reported the result |
| unanswered | unattended, and no reply came while it was fresh |
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
from gated.office.database_file import OfficeFile
from gated.office.gate_store import GateStore
from gated.office.record_pages import ENVELOPE_BYTES
from gated.protocol.confirmation import GOOD_S
from gated.protocol.jose import Identity
from gated.protocol.messages import MAX_PLAIN_BYTES, UNATTENDED, Action, Command, Enrol, Finding, Share, SwitchModels
from gated.storage.valid_rows import is_moment, is_text, sound
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

OTHER_S = 300.0
"""Seconds for which a gate accepts an unattended command as fresh."""
ANSWER_S = 5.0
"""Extra seconds for the reply, before an unattended command counts as unanswered."""
GO_S = GOOD_S + 2.0
"""Seconds after the final answer in which the gate may still begin and its reply may be on its way."""
TWO_STEPS = (Enrol, SwitchModels)
"""Actions that take long. The gate asks again before it acts."""

State = Literal[
    "new", "sent", "begun", "asked", "going", "stopping", "done", "refused", "failed", "cancelled", "unknown",
    "unanswered",
]  # fmt: skip
OPEN = ("new", "sent", "begun", "asked", "going", "stopping")
"""States in which a result may still come."""


class CommandContent(msgspec.Struct, frozen=True):
    """The content of a command: an operator's instruction to a gate, with the reason."""

    operator: str
    reason: str
    action: Action


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A stored command and its result."""

    id: str
    gate: str
    command: str
    number: int
    at: str
    """Time at which it was placed, or sent if later; UTC, ISO 8601."""
    state: State
    order: CommandContent
    challenge: str
    why: str
    findings: list[Finding]
    is_confirmed: bool = True
    """Whether the operator has confirmed it; true if no confirmation is needed."""
    says: str = ""
    """The gate's newest progress report."""
    go_at: float = 0.0
    """Time of the final answer, in monotonic seconds of this machine."""

    @property
    def is_open(self) -> bool:
        """Return whether a result may still come."""
        return self.state in OPEN

    @property
    def is_attended(self) -> bool:
        """Return whether it lives only while its operator waits."""
        return not isinstance(self.order.action, UNATTENDED)


def new_id() -> str:
    """Return a new command id: random, 32 hex digits."""
    return secrets.token_hex(16)


class CommandStore:
    """The table of commands. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, identity: Identity) -> None:
        self._file, self._identity, self._gates = file, identity, GateStore(file)

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
        """Store a command for a gate and return its id.

        Raises `OfficeError` for an unknown gate, and for a command that no gate would accept. `order`: the id, if a
        process waits for it already. `is_confirmed`: false if the operator will be asked.
        """
        self._gates.get(gate)
        check(gate, CommandContent(operator, reason, action))
        sealed = self._identity.party.seal(msgspec.json.encode(CommandContent(operator, reason, action)))
        order = order or new_id()
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO orders (id, gate, command, number, at, state, sealed, challenge, why, findings,"
                " is_confirmed) VALUES (?, ?, ?, 0, ?, 'new', ?, '', '', CAST('[]' AS BLOB), ?)",
                (order, gate, order, stamp(at), sealed, is_confirmed),
            )
        return order

    def get(self, order: str) -> StoredCommand:
        """Return one command. Raises `OfficeError`."""
        for placed in self._where("id = ?", order):
            return placed
        raise OfficeError(f"there is no order {order!r} here")

    def of(self, command: str) -> StoredCommand | None:
        """Return the command whose newest message has this id; None if there is none."""
        return next(iter(self._where("command = ?", command)), None)

    def open(self) -> list[StoredCommand]:
        """Return the commands that may still have a result, oldest first."""
        return self._where("state IN ('new', 'sent', 'begun', 'asked', 'going', 'stopping')")

    def untold(self) -> list[StoredCommand]:
        """Return the cancelled commands whose gates have not been told."""
        return self._where("state = 'cancelled' AND NOT is_told")

    def told(self, placed: StoredCommand) -> None:
        """Record that the gate of a cancelled command was told."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET is_told = 1 WHERE id = ?", (placed.id,))

    # -- unattended commands ------------------------------------------------------------------------------------------

    def send(self, site: str, placed: StoredCommand, wall: datetime, challenge: str = "") -> Command:
        """Number a command and return the message to publish now.

        A message with a challenge replaces the one before.
        """
        command = secrets.token_hex(16) if challenge else placed.command
        with self._file.writing() as connection:
            number = self._gates.advance_command_number(placed.gate)
            row = (command, number, stamp(wall), challenge, placed.id)
            sent = "UPDATE orders SET command = ?, number = ?, at = ?, challenge = ?, state = 'sent' WHERE id = ?"
            connection.execute(sent, row)
        return self.command(site, self.get(placed.id))

    def command(self, site: str, placed: StoredCommand) -> Command:
        """Return the message as it was sent, to publish again. The gate acts on it only once."""
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

    # -- attended commands ---------------------------------------------------------------------------------------------

    def offered(self, placed: StoredCommand) -> None:
        """Record that the command was offered to its gate."""
        self._move(placed.id, "sent", "new")

    def give(self, site: str, placed: StoredCommand, nonce: str, now: float, wall: datetime) -> Command | None:
        """Return the message for a gate that asked with `nonce`; None if it is no longer wanted. `now`: monotonic."""
        is_last = not isinstance(placed.order.action, TWO_STEPS)
        with self._file.writing() as connection:
            if self.get(placed.id).state not in ("new", "sent", "going" if is_last else "begun"):
                return None
            number = placed.number or self._gates.advance_command_number(placed.gate)
            row = (number, stamp(wall), nonce, "going" if is_last else "begun", now if is_last else 0.0, placed.id)
            connection.execute(
                "UPDATE orders SET number = ?, at = ?, challenge = ?, state = ?, go_at = ? WHERE id = ?", row
            )
        return self.command(site, self.get(placed.id))

    def go(self, placed: StoredCommand, says: str, now: float) -> bool:
        """Record that a gate asks before it acts, and return whether it may. The permission is on disk first."""
        self._move(placed.id, "asked", "begun")
        self.tell(placed.id, says)
        with self._file.writing() as connection:
            went = "UPDATE orders SET state = 'going', go_at = ? WHERE id = ? AND is_confirmed"
            may = "AND state IN ('asked', 'going')"
            return connection.execute(f"{went} {may}", (now, placed.id)).rowcount == 1

    def confirm(self, order: str) -> None:
        """Record that the operator confirmed the command."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET is_confirmed = 1 WHERE id = ?", (order,))

    def tell(self, order: str, says: str) -> None:
        """Store the gate's progress report."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET says = ? WHERE id = ? AND says != ?", (says, order, says))

    def anew(self, placed: StoredCommand) -> StoredCommand:
        """Give the command a new message id and no number, because the gate has used its number for another command.

        Later messages about the former id match no command.
        """
        with self._file.writing() as connection:
            again = "UPDATE orders SET state = 'new', number = 0, command = ? WHERE id = ?"
            connection.execute(again, (new_id(), placed.id))
        return self.get(placed.id)

    def withdraw(self, order: str, why: str) -> StoredCommand:
        """Withdraw a command because its operator stopped waiting.

        On return it is on disk: `cancelled`, or `stopping` if late.
        """
        with self._file.writing() as connection:
            void = "UPDATE orders SET state = 'cancelled', why = ? WHERE id = ?"
            connection.execute(f"{void} AND state IN ('new', 'sent', 'begun', 'asked')", (why, order))
            connection.execute("UPDATE orders SET state = 'stopping' WHERE id = ? AND state = 'going'", (order,))
        return self.get(order)

    def conclude(self, order: str, now: float) -> StoredCommand:
        """Mark a late-withdrawn command without a reply as `unknown`, after `GO_S`. `now`: monotonic."""
        placed = self.get(order)
        if placed.state == "stopping" and not 0 <= now - placed.go_at <= GO_S:
            with self._file.writing() as connection:
                lost = "UPDATE orders SET state = 'unknown' WHERE id = ? AND state = 'stopping'"
                connection.execute(lost, (order,))
        return self.get(order)

    # -- results ------------------------------------------------------------------------------------------------------

    def noted(self, command: str, outcome: str, why: str) -> None:
        """Settle a command by the gate's journal, if its reply was lost."""
        placed = self.of(command)
        if placed is None or placed.state in ("done", "refused", "failed"):
            return
        if outcome == "done" or placed.state in ("unknown", "stopping", "going", "unanswered"):
            self.settle(placed, outcome, why)

    def settle(self, placed: StoredCommand, state: str, why: str = "", findings: Sequence[Finding] = ()) -> None:
        """Store the result of a command. Deletes a `Share` command instead: there are thousands of them."""
        with self._file.writing() as connection:
            if isinstance(placed.order.action, Share):
                connection.execute("DELETE FROM orders WHERE id = ?", (placed.id,))
                return
            row = (state, why, msgspec.json.encode(findings), placed.id)
            connection.execute("UPDATE orders SET state = ?, why = ?, findings = ? WHERE id = ?", row)

    def expire(self, wall: datetime, now: float, waits: Callable[[str], bool]) -> None:
        """Withdraw commands for which nobody waits, and settle commands too old for any gate. `now`: monotonic."""
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

    def _where(self, which: str, *values: str) -> list[StoredCommand]:
        with self._file.reading() as connection:
            ask = f"SELECT * FROM orders WHERE ({which}) AND {sound(connection, 'orders')} ORDER BY rowid"  # noqa: S608
            rows = connection.execute(ask, values).fetchall()
        return [placed for row in rows if (placed := self._readable(row)) is not None]

    def _readable(self, row: sqlite3.Row) -> StoredCommand | None:
        """Return a command; None if its row is damaged, so it does not block the others."""
        try:
            placed = self._placed(row)
        except (SealError, *UNDECODABLE) as error:
            log.error("an order is damaged, and is left out: %s", error)
            return None
        return placed if is_moment(placed.at) and is_text(placed.id) else None

    def _placed(self, row: sqlite3.Row) -> StoredCommand:
        return StoredCommand(
            row["id"],
            row["gate"],
            row["command"],
            row["number"],
            row["at"],
            row["state"],
            msgspec.json.decode(self._identity.open(row["sealed"]), type=CommandContent),
            row["challenge"],
            row["why"],
            msgspec.json.decode(row["findings"], type=list[Finding]),
            bool(row["is_confirmed"]),
            row["says"],
            row["go_at"],
        )


def check(gate: str, order: CommandContent) -> None:
    """Raise `OfficeError` for a command that no gate would accept."""
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


def age_s(placed: StoredCommand, wall: datetime) -> float:
    """Return the seconds since a command was placed or sent."""
    return (wall - datetime.fromisoformat(placed.at)) / timedelta(seconds=1)
