"""Stores the commands for gates and their results. `stored_command` explains the states."""

import logging
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from gated.errors import OfficeError, SealError
from gated.journal.entry import stamp
from gated.office.database_file import OfficeFile
from gated.office.gate_store import GateStore
from gated.office.stored_command import TWO_STEPS, CommandContent, State, StoredCommand, age_s, check_content
from gated.protocol.command_messages import Action, Command, ReplyFinding, Share
from gated.protocol.confirmation import CONFIRM_VALID_S
from gated.protocol.jose import Identity
from gated.storage.valid_rows import is_moment, is_text, sound
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

OTHER_S = 300.0
"""Seconds for which a gate accepts an unattended command as fresh."""
REPLY_S = 5.0
"""Extra seconds for the reply, before an unattended command counts as unanswered."""
GO_S = CONFIRM_VALID_S + 2.0
"""Seconds after the final answer in which the gate may still begin and its reply may be on its way."""


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
        command_id: str = "",
        is_confirmed: bool = True,
    ) -> str:
        """Store a command for a gate and return its id.

        Raises `OfficeError` for an unknown gate, and for a command that no gate would accept. `command_id`: the id, if
        a process waits for it already. `is_confirmed`: false if the operator will be asked.
        """
        self._gates.get(gate)
        content = CommandContent(operator, reason, action)
        check_content(gate, content)
        sealed = self._identity.party.seal(msgspec.json.encode(content))
        command_id = command_id or new_id()
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO orders (id, gate, command, number, at, state, sealed, challenge, why, findings,"
                " is_confirmed) VALUES (?, ?, ?, 0, ?, 'new', ?, '', '', CAST('[]' AS BLOB), ?)",
                (command_id, gate, command_id, stamp(at), sealed, is_confirmed),
            )
        return command_id

    def get(self, command_id: str) -> StoredCommand:
        """Return one command. Raises `OfficeError`."""
        for stored in self._select("id = ?", command_id):
            return stored
        raise OfficeError(
            f"this office has no command {command_id!r}; `gated office events` lists what gates carried out"
        )

    def by_message(self, message_id: str) -> StoredCommand | None:
        """Return the command with this id of its newest message; None if there is none."""
        return next(iter(self._select("command = ?", message_id)), None)

    def open(self) -> list[StoredCommand]:
        """Return the commands that may still have a result, oldest first."""
        return self._select("state IN ('new', 'sent', 'begun', 'asked', 'going', 'stopping')")

    def unreported_cancellations(self) -> list[StoredCommand]:
        """Return the cancelled commands whose gates have not been told."""
        return self._select("state = 'cancelled' AND NOT is_told")

    def mark_reported(self, stored: StoredCommand) -> None:
        """Record that the gate of a cancelled command was told."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET is_told = 1 WHERE id = ?", (stored.id,))

    # -- unattended commands ------------------------------------------------------------------------------------------

    def send(self, site: str, stored: StoredCommand, wall: datetime, challenge: str = "") -> Command:
        """Number a command and return the message to publish now.

        A message with a challenge replaces the previous message.
        """
        message_id = new_id() if challenge else stored.message_id
        with self._file.writing() as connection:
            number = self._gates.advance_command_number(stored.gate)
            row = (message_id, number, stamp(wall), challenge, stored.id)
            sent = "UPDATE orders SET command = ?, number = ?, at = ?, challenge = ?, state = 'sent' WHERE id = ?"
            connection.execute(sent, row)
        return self.message(site, self.get(stored.id))

    def message(self, site: str, stored: StoredCommand) -> Command:
        """Return the message as it was sent, to publish again. The gate acts on it only once."""
        return Command(
            site=site,
            gate=stored.gate,
            id=stored.message_id,
            number=stored.number,
            at=stored.at,
            challenge=stored.challenge,
            is_live=stored.is_attended,
            operator=stored.content.operator,
            reason=stored.content.reason,
            action=stored.content.action,
        )

    # -- attended commands ---------------------------------------------------------------------------------------------

    def mark_offered(self, stored: StoredCommand) -> None:
        """Record that the command was offered to its gate."""
        self._move(stored.id, "sent", "new")

    def answer_begin(self, site: str, stored: StoredCommand, nonce: str, now: float, wall: datetime) -> Command | None:
        """Return the message for a gate that asked with `nonce`; None if it is no longer wanted. `now`: monotonic."""
        is_last = not isinstance(stored.content.action, TWO_STEPS)
        with self._file.writing() as connection:
            if self.get(stored.id).state not in ("new", "sent", "going" if is_last else "begun"):
                return None
            number = stored.number or self._gates.advance_command_number(stored.gate)
            row = (number, stamp(wall), nonce, "going" if is_last else "begun", now if is_last else 0.0, stored.id)
            connection.execute(
                "UPDATE orders SET number = ?, at = ?, challenge = ?, state = ?, go_at = ? WHERE id = ?", row
            )
        return self.message(site, self.get(stored.id))

    def answer_commit(self, stored: StoredCommand, progress: str, now: float) -> bool:
        """Record a gate's question before it acts, and return whether the gate may act.

        The permission is on disk first.
        """
        self._move(stored.id, "asked", "begun")
        self.store_progress(stored.id, progress)
        with self._file.writing() as connection:
            went = "UPDATE orders SET state = 'going', go_at = ? WHERE id = ? AND is_confirmed"
            may = "AND state IN ('asked', 'going')"
            return connection.execute(f"{went} {may}", (now, stored.id)).rowcount == 1

    def confirm(self, command_id: str) -> None:
        """Record that the operator confirmed the command."""
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET is_confirmed = 1 WHERE id = ?", (command_id,))

    def store_progress(self, command_id: str, progress: str) -> None:
        """Store the gate's progress report."""
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE orders SET says = ? WHERE id = ? AND says != ?", (progress, command_id, progress)
            )

    def renew_id(self, stored: StoredCommand) -> StoredCommand:
        """Give the command a new message id and no number, because the gate has used its number for another command.

        Later messages about the former id match no command.
        """
        with self._file.writing() as connection:
            again = "UPDATE orders SET state = 'new', number = 0, command = ? WHERE id = ?"
            connection.execute(again, (new_id(), stored.id))
        return self.get(stored.id)

    def withdraw(self, command_id: str, why: str) -> StoredCommand:
        """Withdraw a command because its operator stopped waiting.

        On return it is on disk: `cancelled`, or `stopping` if late.
        """
        with self._file.writing() as connection:
            void = "UPDATE orders SET state = 'cancelled', why = ? WHERE id = ?"
            connection.execute(f"{void} AND state IN ('new', 'sent', 'begun', 'asked')", (why, command_id))
            connection.execute("UPDATE orders SET state = 'stopping' WHERE id = ? AND state = 'going'", (command_id,))
        return self.get(command_id)

    def conclude(self, command_id: str, now: float) -> StoredCommand:
        """Mark a late-withdrawn command without a reply as `unknown`, after `GO_S`. `now`: monotonic."""
        stored = self.get(command_id)
        if stored.state == "stopping" and not 0 <= now - stored.go_at <= GO_S:
            with self._file.writing() as connection:
                lost = "UPDATE orders SET state = 'unknown' WHERE id = ? AND state = 'stopping'"
                connection.execute(lost, (command_id,))
        return self.get(command_id)

    # -- results ------------------------------------------------------------------------------------------------------

    def apply_journal_outcome(self, message_id: str, outcome: str, why: str) -> None:
        """Finish a command by the gate's journal, if its reply was lost."""
        stored = self.by_message(message_id)
        if stored is None or stored.state in ("done", "refused", "failed"):
            return
        if outcome == "done" or stored.state in ("unknown", "stopping", "going", "unanswered"):
            self.finish(stored, outcome, why)

    def finish(self, stored: StoredCommand, state: str, why: str = "", findings: Sequence[ReplyFinding] = ()) -> None:
        """Store the result of a command. Deletes a `Share` command instead: there are thousands of them."""
        with self._file.writing() as connection:
            if isinstance(stored.content.action, Share):
                connection.execute("DELETE FROM orders WHERE id = ?", (stored.id,))
                return
            row = (state, why, msgspec.json.encode(findings), stored.id)
            connection.execute("UPDATE orders SET state = ?, why = ?, findings = ? WHERE id = ?", row)

    def expire(self, wall: datetime, now: float, waits: Callable[[str], bool]) -> None:
        """Withdraw commands for which nobody waits, and finish commands too old for any gate. `now`: monotonic."""
        for stored in self.open():
            if stored.is_attended:
                if stored.state != "stopping" and not waits(stored.id):
                    self.withdraw(stored.id, "the program that waited for it has ended, or did not respond for 2 s")
                self.conclude(stored.id, now)
                continue
            limit_s = OTHER_S + (REPLY_S if stored.state == "sent" else 0.0)
            if not -limit_s <= age_s(stored, wall) <= limit_s:
                why = (
                    "the gate did not answer"
                    if stored.state == "sent"
                    else "no `gated office serve` was serving this gate"
                )
                self.finish(stored, "unanswered", why)

    def _move(self, command_id: str, state: State, before: State) -> None:
        with self._file.writing() as connection:
            connection.execute("UPDATE orders SET state = ? WHERE id = ? AND state = ?", (state, command_id, before))

    def _select(self, clause: str, *values: str) -> list[StoredCommand]:
        with self._file.reading() as connection:
            ask = f"SELECT * FROM orders WHERE ({clause}) AND {sound(connection, 'orders')} ORDER BY rowid"  # noqa: S608
            rows = connection.execute(ask, values).fetchall()
        return [stored for row in rows if (stored := self._readable(row)) is not None]

    def _readable(self, row: sqlite3.Row) -> StoredCommand | None:
        """Return a command; None if its row is damaged, so it does not block the others."""
        try:
            stored = _stored(row, self._identity)
        except (SealError, *UNDECODABLE) as error:
            log.error("a stored command is damaged and was skipped: %s", error)
            return None
        return stored if is_moment(stored.at) and is_text(stored.id) else None


def _stored(row: sqlite3.Row, identity: Identity) -> StoredCommand:
    return StoredCommand(
        row["id"],
        row["gate"],
        row["command"],
        row["number"],
        row["at"],
        row["state"],
        msgspec.json.decode(identity.open(row["sealed"]), type=CommandContent),
        row["challenge"],
        row["why"],
        msgspec.json.decode(row["findings"], type=list[ReplyFinding]),
        bool(row["is_confirmed"]),
        row["says"],
        row["go_at"],
    )
