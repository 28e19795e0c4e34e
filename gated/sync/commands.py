"""Whether a command of the office counts: addressed, fresh, and never seen before, across restarts and power cuts.

A number that was seen is spent, whatever came of it, and that is on disk before anything is done: of what a power cut
interrupts nothing is done twice, and what was not begun must be ordered anew.
"""

import logging
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from gated import database
from gated.events import Commanded
from gated.sync.messages import Command, Finding, Release, Reply

log = logging.getLogger(__name__)

WINDOW = 64
"""So far below the highest number one that was not seen yet still counts; messages may overtake each other."""
MOST_AHEAD = 1_000_000
"""A number that is further ahead would spend all those between."""
RELEASE_S, OTHERS_S = 5.0, 300.0
"""A command that is older, or as much younger, is not carried out."""
CHALLENGE_S = 5.0
MOST_CHALLENGES = 8
LONGEST_WHY = 200
MOST_FINDINGS = 100
"""All of them together must fit into one message."""

MIGRATIONS = (
    """
    CREATE TABLE commands (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        reply BLOB
    ) STRICT
    """,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    outcome: Literal["done", "refused", "failed"]
    why: str = ""
    findings: tuple[Finding, ...] = ()


class CommandDesk:
    """Judges commands, with a ledger on disk. Used from one thread at a time."""

    def __init__(self, state: Path, site: str, gate: str) -> None:
        """Open the ledger in the state folder. Raises `StateError`."""
        self._site, self._gate = site, gate
        self._ledger = database.connect(state / "commands.db", MIGRATIONS)
        self._challenges: dict[str, float] = {}

    def close(self) -> None:
        """Give the ledger back. May be called twice."""
        self._ledger.close()

    def hear(self, command: Command, now: float, wall: datetime | None) -> Command | Reply | None:
        """The command itself when it is to be carried out, once, and that is on disk; else the answer, or None where
        there is none to give. A repetition gets the answer that was given before.

        `now` is monotonic; `wall` (aware) is None while the clock is not trusted.
        """
        if (command.site, command.gate) != (self._site, self._gate):
            return None
        try:
            return self._hear(command, now, wall)
        except sqlite3.Error as error:
            log.error("a command could not be written down, and so was not carried out: %s", error)
            return self._reply(command, Outcome("failed", "the gate's disk cannot be written; nothing was done"))

    def settle(self, command: Command, outcome: Outcome) -> Reply:
        """The answer to a command that was carried out."""
        reply = self._reply(command, outcome)
        try:
            self._answer(reply)
        except sqlite3.Error as error:  # it was done, and the office shall know; only a repetition gets no answer
            log.error("the answer to a command could not be written down: %s", error)
        return reply

    def _hear(self, command: Command, now: float, wall: datetime | None) -> Command | Reply | None:
        with database.transaction(self._ledger):
            known = self._ledger.execute(
                "SELECT number, id, reply FROM commands WHERE number = ? OR id = ?", (command.number, command.id)
            ).fetchall()
            if known:
                return self._again(command, known)
            highest = int(self._ledger.execute("SELECT coalesce(max(number), 0) FROM commands").fetchone()[0])
            if command.number <= highest - WINDOW:
                return self._spent(command)
            if command.number > highest + MOST_AHEAD:
                why = f"its number is more than {MOST_AHEAD} ahead of the last; pair the gate anew if it is right"
                return self._reply(command, Outcome("refused", why))
            self._spend(command, max(highest, command.number))
        answer = self._doubt(command, now, wall)
        if answer is not None:
            self._answer(answer)
        return answer or command

    def _again(self, command: Command, known: list[tuple[int, str, bytes | None]]) -> Reply | None:
        """The answer that the very same command got, if it has one by now; that another had its number."""
        for number, id_, reply in known:
            if id_ == command.id:
                return msgspec.json.decode(reply, type=Reply) if reply and number == command.number else None
        return self._spent(command)

    def _spent(self, command: Command) -> Reply:
        why = "its number was used before; the office must count on from a higher one"
        return Reply(site=self._site, gate=self._gate, command=command.id, outcome="spent", why=why)

    def _spend(self, command: Command, highest: int) -> None:
        self._ledger.execute("INSERT INTO commands (number, id) VALUES (?, ?)", (command.number, command.id))
        self._ledger.execute("DELETE FROM commands WHERE number <= ?", (highest - WINDOW,))

    def _doubt(self, command: Command, now: float, wall: datetime | None) -> Reply | None:
        """Why it is not known to be fresh, or None."""
        given_at = self._challenges.pop(command.challenge, None)
        if given_at is not None and 0 <= now - given_at <= CHALLENGE_S:
            return None
        if wall is None:
            return Reply(
                site=self._site,
                gate=self._gate,
                command=command.id,
                outcome="challenge",
                why="the gate does not know the time; send it anew with this challenge",
                challenge=self._challenge(now),
            )
        limit_s = RELEASE_S if isinstance(command.action, Release) else OTHERS_S
        age_s = _age_s(command.at, wall)
        if age_s is not None and abs(age_s) <= limit_s:
            return None
        return self._reply(command, Outcome("refused", _stale(age_s, limit_s)))

    def _challenge(self, now: float) -> str:
        """A fresh one; the oldest of too many is good no longer."""
        fresh = secrets.token_hex(16)
        self._challenges[fresh] = now
        while len(self._challenges) > MOST_CHALLENGES:
            del self._challenges[next(iter(self._challenges))]
        return fresh

    def _reply(self, command: Command, outcome: Outcome) -> Reply:
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


def commanded(command: Command, outcome: Outcome | Reply) -> Commanded:
    """What is written down of a command, whether it was carried out or not."""
    action = str(command.action.__struct_config__.tag)
    why = outcome.why[:LONGEST_WHY]
    return Commanded(action, command.id, command.operator, command.reason, outcome.outcome, why)


def _age_s(at: str, wall: datetime) -> float | None:
    """How long ago a command was given; None where its time is none."""
    try:
        return (wall - datetime.fromisoformat(at)).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no time at all, or one without a zone
        return None


def _stale(age_s: float | None, limit_s: float) -> str:
    if age_s is None:
        return "its time cannot be read; write ISO 8601 with a zone"
    if age_s < 0:
        return f"too new: its time is {-age_s:.0f} s ahead, at most {limit_s:.0f} s count; check the office's clock"
    return f"too old: {age_s:.0f} s, at most {limit_s:.0f} s count; order it anew"
