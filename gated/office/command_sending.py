"""Sends commands to gates and handles their replies. `Exchange` uses it.

The office offers an attended command while its operator waits, and confirms it when the gate asks. It cancels the
command when the operator stops waiting. An unattended command is sent at once. `CommandStore` stores commands on disk.
Apart from that, pure: methods return the messages to publish.
"""

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from gated.journal.entry import stamp
from gated.office.command_store import OTHER_S
from gated.office.face_sharing import FaceRequests
from gated.office.face_store import FaceRequest
from gated.office.gate_session import GateSession
from gated.office.statuses import SKIPPED
from gated.office.store import Store
from gated.office.stored_command import StoredCommand, age_s
from gated.protocol.command_messages import (
    WAITS,
    AcceptQuarantined,
    Confirmation,
    ConfirmationRequest,
    Offer,
    Progress,
    Reply,
    Share,
)
from gated.protocol.envelope import Outgoing
from gated.protocol.limits import COMMAND_WINDOW
from gated.protocol.status_messages import LIVE, Status

NOT_WANTED = "its operator at the office does not wait any more"
UNKNOWN_COMMAND = "the office does not know this command (its data may be an old backup); send it again"
FORGOTTEN = (
    "the gate has carried out many commands since then and has no report of this one; check the result "
    "before you send it again"
)
MAY_BE_SPENT = ("sent", "begun", "going")
"""States of a command that a gate may report as used."""
OFFICE = "office"
"""Operator name of commands that the office itself creates."""
RESEND_S = 5.0
"""Unattended: seconds without an answer until a command is sent again."""
OFFER_S = 1.0
"""Attended: seconds between offers of a command until it has a result."""
CHALLENGED_S = 30.0
"""Age limit in seconds for a command that the gate may answer with a challenge."""


class CommandSender:
    """The exchange of commands with every gate."""

    def __init__(self, store: Store, waits: Callable[[str], bool], face_requests: FaceRequests) -> None:
        """Take the store. `waits` returns whether the operator of a command waits for it at this moment."""
        self._store, self._waits, self._face_requests = store, waits, face_requests
        self._offered: dict[str, float] = {}

    def handle_progress(self, session: GateSession, progress: Progress) -> None:
        """Store a gate's report of its progress with a command."""
        session.deliveries.note_answered(progress.command)
        stored = self._store.commands.by_message(progress.command)
        if stored is not None and stored.gate == session.gate and stored.is_open:
            self._store.commands.store_progress(stored.id, progress.says)

    def probe(self, session: GateSession, status: Status, now: float) -> Iterator[Outgoing]:
        """Offer an unanswered command again. The gate then asks and learns that nobody waits."""
        message_id = session.deliveries.next_probe(now)
        if message_id is not None and LIVE in status.can:
            yield session.command(Offer(site=session.peer.site, gate=session.gate, command=message_id))

    def repeat(self, session: GateSession, wall: datetime) -> Iterator[Outgoing]:
        """Send each unanswered, unattended command again."""
        for stored in self._store.commands.open():
            if stored.gate == session.gate and not stored.is_attended and _is_to_be_repeated(stored, wall):
                yield session.command(self._store.commands.message(session.peer.site, stored))

    def handle_reply(self, session: GateSession, reply: Reply, wall: datetime) -> Iterator[Outgoing]:
        """Process a gate's reply: a command was done or refused, or must be sent in another form."""
        session.deliveries.note_answered(reply.command)
        commands = self._store.commands
        stored = commands.by_message(reply.command)
        if stored is None or stored.gate != session.gate or stored.state in ("done", "refused", "failed"):
            return
        if reply.outcome == "spent":
            yield from self._handle_spent(session, stored, wall)
        elif stored.is_attended:
            self._store_reply(session, stored, reply, wall)
        elif reply.outcome != "challenge":
            commands.finish(stored, reply.outcome, reply.why, reply.findings)
            if isinstance(stored.content.action, Share):
                face = FaceRequest(session.gate, stored.content.action.subject, stored.content.action.to)
                if reply.outcome == "done":
                    self._face_requests.retry(face)
                elif any(finding.level == WAITS for finding in reply.findings):
                    self._face_requests.postpone(face)
        elif stored.challenge or not reply.challenge:
            commands.finish(
                stored,
                "failed",
                "the gate does not trust its clock, and the connection is too slow to check the time otherwise",
            )
        elif stored.is_open and age_s(stored, wall) <= CHALLENGED_S:
            yield session.command(commands.send(session.peer.site, stored, wall, reply.challenge))

    def handle_ask(
        self, session: GateSession, ask: ConfirmationRequest, now: float, wall: datetime
    ) -> Iterator[Outgoing]:
        """Answer a gate's question about a command: yes while its operator waits, otherwise no.

        The answer is on disk first.
        """
        commands = self._store.commands
        session.deliveries.note_answered(ask.command)
        stored = commands.by_message(ask.command)
        if stored is not None and stored.is_open and not self._waits(stored.id):
            stored = commands.withdraw(stored.id, NOT_WANTED)
        if stored is None or stored.gate != session.gate or stored.state == "stopping" or not stored.is_open:
            yield session.command(_answer(session, ask, is_wanted=False, why=NOT_WANTED))
        elif ask.step == "begin":
            command = commands.answer_begin(session.peer.site, stored, ask.nonce, now, wall)
            if command is not None:
                yield session.command(command)
        elif stored.state in ("new", "sent"):
            yield session.command(_answer(session, ask, is_wanted=False, why=UNKNOWN_COMMAND))
        elif commands.answer_commit(stored, ask.says, now):
            yield session.command(_answer(session, ask, is_wanted=True))

    def _handle_spent(self, session: GateSession, stored: StoredCommand, wall: datetime) -> Iterator[Outgoing]:
        """Send a refused command under another number, because the gate has seen its number before.

        If the office's counter is far beyond that number, the gate may have carried out the command and forgotten it.
        The result of a command in state `going` is then unknown.
        """
        commands, gates = self._store.commands, self._store.gate_table
        if stored.state not in MAY_BE_SPENT:
            return
        is_forgotten = gates.command_number(session.gate) >= stored.number + COMMAND_WINDOW
        if is_forgotten and stored.state == "going":
            commands.finish(stored, "unknown", FORGOTTEN)
            return
        if not is_forgotten:
            gates.advance_command_number(session.gate, SKIPPED)
        stored = commands.renew_id(stored)
        if not stored.is_attended and age_s(stored, wall) <= OTHER_S:
            yield session.command(commands.send(session.peer.site, stored, wall))

    def _store_reply(self, session: GateSession, stored: StoredCommand, reply: Reply, wall: datetime) -> None:
        """Store the reply to an attended command."""
        commands = self._store.commands
        if stored.state == "cancelled" and reply.outcome != "done":
            return
        if reply.outcome != "challenge":
            if stored.state == "cancelled":
                self._store.alarms.open(session.gate, "done_late", f"command {stored.id}", stamp(wall))
            commands.finish(stored, reply.outcome, reply.why, reply.findings)
            if reply.outcome == "done" and isinstance(stored.content.action, AcceptQuarantined):
                session.accepted_at = wall

    def due(self, sessions: dict[str, GateSession], now: float, wall: datetime) -> Iterator[Outgoing]:
        """Return the messages due to these gates: commands, and cancellations of commands for which nobody waits."""
        commands = self._store.commands
        commands.expire(wall, now, self._waits)
        for face in self._face_requests.due([gate for gate, session in sessions.items() if session.is_online], now):
            commands.place(face.gate, Share(face.subject, face.to), OFFICE, "", wall)
        open_commands = [stored for stored in commands.open() if stored.gate in sessions]
        for stored in open_commands:
            if stored.is_attended:
                yield from self._offer(sessions[stored.gate], stored, now)
            elif stored.state == "new":
                session = sessions[stored.gate]
                session.deliveries.note_offered(stored.message_id, now)
                yield session.command(commands.send(session.peer.site, stored, wall))
        self._offered = {each.id: self._offered[each.id] for each in open_commands if each.id in self._offered}
        yield from self._send_cancellations(sessions)

    def _offer(self, session: GateSession, stored: StoredCommand, now: float) -> Iterator[Outgoing]:
        """Offer an attended command, repeatedly until the gate has it; it may have missed an earlier offer."""
        if stored.state in ("asked", "stopping") or now < self._offered.get(stored.id, -math.inf) + OFFER_S:
            return
        self._offered[stored.id] = now
        self._store.commands.mark_offered(stored)
        session.deliveries.note_offered(stored.message_id, now)
        yield session.command(Offer(site=session.peer.site, gate=session.gate, command=stored.message_id))

    def _send_cancellations(self, sessions: dict[str, GateSession]) -> Iterator[Outgoing]:
        """Tell each gate at once about cancelled commands."""
        for stored in self._store.commands.unreported_cancellations():
            session = sessions.get(stored.gate)
            if session is None:
                continue
            self._store.commands.mark_reported(stored)
            if stored.number:
                yield session.command(
                    Confirmation(site=session.peer.site, gate=session.gate, command=stored.message_id, why=NOT_WANTED)
                )


def _answer(session: GateSession, ask: ConfirmationRequest, *, is_wanted: bool, why: str = "") -> Confirmation:
    return Confirmation(
        site=session.peer.site, gate=session.gate, command=ask.command, nonce=ask.nonce, is_wanted=is_wanted, why=why
    )


def _is_to_be_repeated(stored: StoredCommand, wall: datetime) -> bool:
    """Return whether to send a command again.

    A command with a challenge is not repeated: a challenge is valid for 5 s.
    """
    if stored.state != "sent" or stored.challenge:
        return False
    return RESEND_S <= age_s(stored, wall) < OTHER_S
