"""Judge commands from the office: addressed to this gate, fresh, and never seen before, across restarts and power cuts.

A number is used when the gate sees it. This is on disk before the gate acts. So a power cut never causes a second
execution. A command that had not begun must be sent again. An operator's command is offered first. The gate requests
the command with a fresh nonce. It carries out only a command with that nonce, within 5 s. The office signs it only
while its operator waits. So a command without a waiting operator is void, even if a broker delays messages.
"""

import logging
import math
import secrets
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from gated.events import Commanded
from gated.protocol.command_messages import UNATTENDED, Command, ConfirmationRequest, Offer, Reply, ReplyFinding
from gated.protocol.confirmation import CONFIRM_VALID_S
from gated.protocol.limits import COMMAND_WINDOW
from gated.storage import sql
from gated.storage.rescue import aside, open_repaired
from gated.storage.sqlite_errors import SQL_ERRORS
from gated.storage.valid_rows import in_words, left_out, sound
from gated.sync import command_log
from gated.sync.command_log import MOST_AHEAD
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

FRESH_S = 300.0
"""Largest difference, in seconds, between the clock and the time of a command that no operator waits for."""
CHALLENGE_S = CONFIRM_VALID_S
"""Validity of a challenge, in seconds."""
UPDATE_OFFICE = "this office does not say whether its operator still waits; update the office, then order again"
"""Refusal of a command that is not live although its action needs an operator."""
UNWRITABLE = "the gate's disk cannot be written; nothing was done"
"""Refusal while the ledger cannot be written."""
MOST_CHALLENGES = 8
"""Most challenges that are valid at a time."""
LONGEST_WHY = 200
"""Longest reason in a reply, in characters."""
MOST_FINDINGS = 100
"""Most findings in a reply: all together must fit into one message."""

STOPPED = "the gate stopped during this command; check whether it was done before you send it again"
"""Reply to a command that a stop interrupted. It may have been carried out: the stop came before the answer."""

LATE = f"it came later than {CONFIRM_VALID_S:.0f} s after the gate had asked for it; nothing was done, order it anew"
"""Refusal of a live command whose challenge is not valid any more."""


class CommandOutcome(Struct, frozen=True):
    """The result of a command."""

    outcome: Literal["done", "refused", "failed"]
    why: str = ""
    findings: tuple[ReplyFinding, ...] = ()


class CommandDesk:
    """Judges commands, with a ledger on disk. Used from one thread at a time."""

    def __init__(self, state: Path, site: str, gate: str) -> None:
        """Open the ledger in the state folder. Raises `StateError`.

        In a damaged ledger, the readable rows stay. From then on only a command with one of our challenges counts,
        because the ledger does not know every command that was seen.
        """
        self._site, self._gate = site, gate
        path = state / "commands.db"
        self._ledger = open_repaired(path, command_log.MIGRATIONS, command_log.careful).connection
        damaged = left_out(self._ledger, ("commands",))
        if text := in_words("commands.db", damaged, "what they were about is done no more; order it anew"):
            log.error("%s", text)
        self._has_forgotten = bool(damaged) or bool(aside(path))  # must survive a restart
        self._challenges: dict[str, tuple[str, float]] = {}
        """The command and the time of issue for each challenge. An empty command means any."""

    def close(self) -> None:
        """Close the ledger. May be called twice."""
        self._ledger.close()

    def answer_offer(self, offer: Offer, now: float) -> ConfirmationRequest | Reply | None:
        """Return the question for an offered command, or its stored reply if it was seen before.

        Returns None if the ledger cannot be read or the stored reply is missing.
        """
        try:
            query = f"SELECT reply FROM commands WHERE {command_log.has_id(self._ledger)}"  # noqa: S608 - no outside text
            row = self._ledger.execute(query, {"id": offer.command}).fetchone()
        except SQL_ERRORS as error:
            log.error("cannot ask for a command, because the ledger cannot be read: %s", error)
            return None
        if row is not None:
            return _kept(row[0], offer.command)
        return ConfirmationRequest(
            site=self._site, gate=self._gate, command=offer.command, nonce=self._challenge(now, offer.command)
        )

    def interrupted(self) -> list[Reply]:
        """Return and store replies to commands that the gate began before its last stop and did not answer.

        Call it before any command is heard. The number is on disk, so no command runs twice; without a reply the office
        would wait for ever.
        """
        with sql.transaction(self._ledger):
            begun = self._ledger.execute("SELECT * FROM commands WHERE reply IS NULL ORDER BY number").fetchall()
            replies = [(self._stopped(id_), row["number"]) for row in begun for id_ in command_log.ids(row)]
            write = "UPDATE commands SET reply = ? WHERE number = ?"
            self._ledger.executemany(write, [(msgspec.json.encode(reply), number) for reply, number in replies])
        return [reply for reply, _ in replies]

    def _stopped(self, command: str) -> Reply:
        return Reply(site=self._site, gate=self._gate, command=command, outcome="failed", why=STOPPED)

    def judge(self, command: Command, now: float, wall: datetime | None) -> Command | Reply | None:
        """Return the command itself if it is to be carried out, else the reply; None if no reply is due.

        A command is returned only once, after its number is on disk. A repetition gets the stored reply. `now` is
        monotonic seconds; `wall` (aware) is None while the clock is not trusted.
        """
        if (command.site, command.gate) != (self._site, self._gate):
            return None
        try:
            return self._judge(command, now, wall)
        except SQL_ERRORS as error:
            log.error("a command was not carried out, because it could not be stored: %s", error)
            return self._reply(command, CommandOutcome("refused", UNWRITABLE))

    def is_fresh(self, command: Command, now: float, wall: datetime | None) -> bool:
        """Return whether a command is addressed to this gate and fresh. Does not use the ledger."""
        is_for_us = (command.site, command.gate) == (self._site, self._gate)
        return is_for_us and self._doubt(command, now, wall) is None

    def store_outcome(self, command: Command, outcome: CommandOutcome) -> Reply:
        """Return the reply to a command that was carried out, and store it."""
        reply = self._reply(command, outcome)
        try:
            self._answer(reply)
        except SQL_ERRORS as error:  # still reply: the command was carried out
            log.error("the reply to a command could not be stored: %s", error)
        return reply

    def _judge(self, command: Command, now: float, wall: datetime | None) -> Command | Reply | None:
        with sql.transaction(self._ledger):
            known = self._known(command)
            if known:
                return self._again(command, known)
            highest = command_log.highest(self._ledger)
            if command.number <= highest - COMMAND_WINDOW:
                return self._spent(command)
            if command.number > highest + MOST_AHEAD:
                why = f"its number is more than {MOST_AHEAD} ahead of the last; pair the gate again if it is right"
                return self._reply(command, CommandOutcome("refused", why))
            self._spend(command, max(highest, command.number))
        answer = self._doubt(command, now, wall)
        if answer is not None:
            self._answer(answer)
        return answer or command

    def _known(self, command: Command) -> list[sqlite3.Row]:
        """Return the rows that may have the command's id or number."""
        is_id, is_number = command_log.has_id(self._ledger), command_log.has_number(self._ledger)
        columns = f"SELECT reply, {is_id} AS is_id, {is_number} AS is_number FROM commands"  # noqa: S608 - no outside text
        query = f"{columns} WHERE {is_id} OR {is_number}"
        return self._ledger.execute(query, {"id": command.id, "number": command.number}).fetchall()

    def _again(self, command: Command, known: list[sqlite3.Row]) -> Reply | None:
        """Return the stored reply of the same command, or the outcome `spent` if another command had its number.

        Returns None if the reply is missing, or if the same id came with another number.
        """
        for reply, is_id, is_number in known:
            if is_id:
                return _kept(reply, command.id) if is_number else None
        return self._spent(command)

    def _spent(self, command: Command) -> Reply:
        why = "its number was used before; the office must count on from a higher one"
        return Reply(site=self._site, gate=self._gate, command=command.id, outcome="spent", why=why)

    def _spend(self, command: Command, highest: int) -> None:
        self._ledger.execute("INSERT INTO commands (number, id) VALUES (?, ?)", (command.number, command.id))
        old = f"number <= ? AND {sound(self._ledger, 'commands')}"  # the age of a damaged row is unknown
        self._ledger.execute(f"DELETE FROM commands WHERE {old}", (highest - COMMAND_WINDOW,))  # noqa: S608 - no outside text

    def _doubt(self, command: Command, now: float, wall: datetime | None) -> Reply | None:
        """Return the reply that refuses the command or asks for a challenge; None if the command is fresh."""
        command_id, given_at = self._challenges.pop(command.challenge, ("", -math.inf))
        is_answer = command_id in ("", command.id) and 0 <= now - given_at <= CHALLENGE_S
        if command.is_live:
            return None if is_answer and command_id else self._reply(command, CommandOutcome("refused", LATE))
        if not isinstance(command.action, UNATTENDED):
            return self._reply(command, CommandOutcome("refused", UPDATE_OFFICE))
        if is_answer and not command_id:
            return None
        if wall is None or self._has_forgotten:
            return Reply(
                site=self._site,
                gate=self._gate,
                command=command.id,
                outcome="challenge",
                why="the gate does not know the age of this command; send it again with this challenge",
                challenge=self._challenge(now),
            )
        age_s = _age_s(command.at, wall)
        if age_s is not None and abs(age_s) <= FRESH_S:
            return None
        return self._reply(command, CommandOutcome("refused", _stale(age_s)))

    def _challenge(self, now: float, command_id: str = "") -> str:
        """Return a fresh challenge. Drop the oldest challenges above `MOST_CHALLENGES`."""
        fresh = secrets.token_hex(16)
        self._challenges[fresh] = command_id, now
        while len(self._challenges) > MOST_CHALLENGES:
            del self._challenges[next(iter(self._challenges))]
        return fresh

    def _reply(self, command: Command, outcome: CommandOutcome) -> Reply:
        return Reply(
            site=self._site,
            gate=self._gate,
            command=command.id,
            outcome=outcome.outcome,
            why=outcome.why[:LONGEST_WHY],
            findings=list(outcome.findings[:MOST_FINDINGS]),
        )

    def _answer(self, reply: Reply) -> None:
        stored = msgspec.json.encode(reply)
        self._ledger.execute("UPDATE commands SET reply = ? WHERE id = ?", (stored, reply.command))


def commanded(command: Command, outcome: CommandOutcome | Reply) -> Commanded:
    """Return the journal event about a command, whether it was carried out or not."""
    action = str(command.action.__struct_config__.tag)
    why = outcome.why[:LONGEST_WHY]
    return Commanded(action, command.id, command.operator, command.reason, outcome.outcome, why)


def _age_s(at: str, wall: datetime) -> float | None:
    """Return the age of a command in seconds; None if its time is invalid."""
    try:
        return (wall - datetime.fromisoformat(at)).total_seconds()
    except (ValueError, TypeError, OverflowError):  # not a time, or a time without a zone
        return None


def _stale(age_s: float | None) -> str:
    if age_s is None:
        return "its time cannot be read; write ISO 8601 with a zone"
    if age_s < 0:
        return f"too new: its time is {-age_s:.0f} s ahead, at most {FRESH_S:.0f} s count; check the office's clock"
    return f"too old: {age_s:.0f} s, at most {FRESH_S:.0f} s count; order it anew"


def _kept(reply: bytes | None, command: str) -> Reply | None:
    """Return a stored reply; None if it is missing or damaged. A damaged reply never causes a second execution."""
    try:
        kept = msgspec.json.decode(reply, type=Reply) if isinstance(reply, bytes) else None
    except UNDECODABLE:
        kept = None
    if kept is not None and kept.command == command:
        return kept
    if reply is not None:
        log.error("a stored reply is damaged and is not sent again")
    return None
