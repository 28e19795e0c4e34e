"""Sends commands to gates and handles their replies. `Exchange` uses it.

An attended command is offered while its operator waits, given when the gate asks, and cancelled when the operator stops
waiting. An unattended command is sent at once. `orders` stores commands on disk. Apart from that, pure: methods return
the messages to publish.
"""

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from gated.journal.entry import stamp
from gated.office.command_store import OTHER_S, StoredCommand, age_s
from gated.office.face_sharing import FaceRequests
from gated.office.face_store import FaceRequest
from gated.office.gate_session import GateSession
from gated.office.statuses import SKIPPED
from gated.office.store import Store
from gated.protocol.envelope import Outgoing
from gated.protocol.limits import COMMAND_WINDOW
from gated.protocol.messages import LIVE, WAITS, AcceptHeld, Ask, Offer, Progress, Reply, Share, Status, StillWanted

GONE = "its operator at the office waits no more"
UNKNOWN = "the office does not know that it gave this order (its data may be an old backup); order it anew"
FORGOTTEN = "the gate has done so much since that it cannot say whether it did this; look before you order it anew"
GIVEN = ("sent", "begun", "going")
"""States in which a gate may report that it has used the command's number."""
OFFICE = "office"
"""Operator name of commands that the office itself creates."""
AGAIN_S = 5.0
"""Unattended: seconds without an answer until a command is sent again."""
OFFER_S = 1.0
"""Attended: seconds between offers of a command until it is settled."""
CHALLENGED_S = 30.0
"""Age limit in seconds for a command that the gate may answer with a challenge."""


class CommandSender:
    """The exchange of commands with every gate."""

    def __init__(self, store: Store, waits: Callable[[str], bool], sharing: FaceRequests) -> None:
        """Take the store. `waits` returns whether the operator who placed a command waits for it at this moment."""
        self._store, self._waits, self._sharing = store, waits, sharing
        self._offered: dict[str, float] = {}

    def hear_progress(self, line: GateSession, said: Progress) -> None:
        """Store a gate's report of its progress with a command."""
        line.withholding.answered(said.order)
        placed = self._store.commands.of(said.order)
        if placed is not None and placed.gate == line.gate and placed.is_open:
            self._store.commands.tell(placed.id, said.says)

    def probe(self, line: GateSession, status: Status, now: float) -> Iterator[Outgoing]:
        """Offer an unanswered command again. The gate then asks and learns that nobody waits."""
        order = line.withholding.to_probe(now)
        if order is not None and LIVE in status.can:
            yield line.command(Offer(site=line.peer.site, gate=line.gate, order=order))

    def repeat(self, line: GateSession, wall: datetime) -> Iterator[Outgoing]:
        """Send each unanswered, unattended command again."""
        for placed in self._store.commands.open():
            if placed.gate == line.gate and not placed.is_attended and _is_to_be_repeated(placed, wall):
                yield line.command(self._store.commands.command(line.peer.site, placed))

    def hear_reply(self, line: GateSession, reply: Reply, wall: datetime) -> Iterator[Outgoing]:
        """Process a gate's reply: a command was done or refused, or must be sent in another form."""
        line.withholding.answered(reply.command)
        orders = self._store.commands
        placed = orders.of(reply.command)
        if placed is None or placed.gate != line.gate or placed.state in ("done", "refused", "failed"):
            return
        if reply.outcome == "spent":
            yield from self._hear_spent(line, placed, wall)
        elif placed.is_attended:
            self._settle(line, placed, reply, wall)
        elif reply.outcome != "challenge":
            orders.settle(placed, reply.outcome, reply.why, reply.findings)
            if isinstance(placed.order.action, Share):
                wanted = FaceRequest(line.gate, placed.order.action.subject, placed.order.action.to)
                if reply.outcome == "done":
                    self._sharing.lost(wanted)
                elif any(finding.level == WAITS for finding in reply.findings):
                    self._sharing.refused(wanted)
        elif placed.challenge or not reply.challenge:
            orders.settle(placed, "failed", "its clock is not trusted, and the way to it too slow to do without")
        elif placed.is_open and age_s(placed, wall) <= CHALLENGED_S:
            yield line.command(orders.send(line.peer.site, placed, wall, reply.challenge))

    def hear_ask(self, line: GateSession, ask: Ask, now: float, wall: datetime) -> Iterator[Outgoing]:
        """Answer a gate's question whether a command is still wanted: yes while its operator waits.

        The answer is on disk first.
        """
        orders = self._store.commands
        line.withholding.answered(ask.order)
        placed = orders.of(ask.order)
        if placed is not None and placed.is_open and not self._waits(placed.id):
            placed = orders.withdraw(placed.id, GONE)
        if placed is None or placed.gate != line.gate or placed.state == "stopping" or not placed.is_open:
            yield line.command(_answer(line, ask, is_wanted=False, why=GONE))
        elif ask.step == "begin":
            command = orders.give(line.peer.site, placed, ask.nonce, now, wall)
            if command is not None:
                yield line.command(command)
        elif placed.state in ("new", "sent"):
            yield line.command(_answer(line, ask, is_wanted=False, why=UNKNOWN))
        elif orders.go(placed, ask.says, now):
            yield line.command(_answer(line, ask, is_wanted=True))

    def _hear_spent(self, line: GateSession, placed: StoredCommand, wall: datetime) -> Iterator[Outgoing]:
        """Send a refused command under another number, because the gate has seen its number before.

        If this office has counted far past that number, the gate may have done the command and forgotten it. The result
        of a command in state `going` is then unknown.
        """
        orders, gates = self._store.commands, self._store.gate_table
        if placed.state not in GIVEN:
            return
        is_forgotten = gates.command_number(line.gate) >= placed.number + COMMAND_WINDOW
        if is_forgotten and placed.state == "going":
            orders.settle(placed, "unknown", FORGOTTEN)
            return
        if not is_forgotten:
            gates.advance_command_number(line.gate, SKIPPED)
        placed = orders.anew(placed)
        if not placed.is_attended and age_s(placed, wall) <= OTHER_S:
            yield line.command(orders.send(line.peer.site, placed, wall))

    def _settle(self, line: GateSession, placed: StoredCommand, reply: Reply, wall: datetime) -> None:
        """Store the reply to an attended command."""
        orders = self._store.commands
        if placed.state == "cancelled" and reply.outcome != "done":
            return
        if reply.outcome != "challenge":
            if placed.state == "cancelled":
                self._store.alarms.sound(line.gate, "done_late", f"order {placed.id}", stamp(wall))
            orders.settle(placed, reply.outcome, reply.why, reply.findings)
            if reply.outcome == "done" and isinstance(placed.order.action, AcceptHeld):
                line.accepted_at = wall

    def due(self, lines: dict[str, GateSession], now: float, wall: datetime) -> Iterator[Outgoing]:
        """Return the messages due to these gates: commands, and cancellations of commands for which nobody waits."""
        orders = self._store.commands
        orders.expire(wall, now, self._waits)
        for wanted in self._sharing.due([gate for gate, line in lines.items() if line.is_online], now):
            orders.place(wanted.gate, Share(wanted.subject, wanted.to), OFFICE, "", wall)
        placed_here = [placed for placed in orders.open() if placed.gate in lines]
        for placed in placed_here:
            if placed.is_attended:
                yield from self._offer(lines[placed.gate], placed, now)
            elif placed.state == "new":
                line = lines[placed.gate]
                line.withholding.offered(placed.command, now)
                yield line.command(orders.send(line.peer.site, placed, wall))
        self._offered = {each.id: self._offered[each.id] for each in placed_here if each.id in self._offered}
        yield from self._call_off(lines)

    def _offer(self, line: GateSession, placed: StoredCommand, now: float) -> Iterator[Outgoing]:
        """Offer an attended command, repeatedly until the gate has it; it may have missed an earlier offer."""
        if placed.state in ("asked", "stopping") or now < self._offered.get(placed.id, -math.inf) + OFFER_S:
            return
        self._offered[placed.id] = now
        self._store.commands.offered(placed)
        line.withholding.offered(placed.command, now)
        yield line.command(Offer(site=line.peer.site, gate=line.gate, order=placed.command))

    def _call_off(self, lines: dict[str, GateSession]) -> Iterator[Outgoing]:
        """Tell each gate at once about cancelled commands."""
        for placed in self._store.commands.untold():
            line = lines.get(placed.gate)
            if line is None:
                continue
            self._store.commands.told(placed)
            if placed.number:
                yield line.command(StillWanted(site=line.peer.site, gate=line.gate, order=placed.command, why=GONE))


def _answer(line: GateSession, ask: Ask, *, is_wanted: bool, why: str = "") -> StillWanted:
    return StillWanted(
        site=line.peer.site, gate=line.gate, order=ask.order, nonce=ask.nonce, is_wanted=is_wanted, why=why
    )


def _is_to_be_repeated(placed: StoredCommand, wall: datetime) -> bool:
    """Return whether to send a command again.

    A command with a challenge is not repeated: a challenge is valid for 5 s.
    """
    if placed.state != "sent" or placed.challenge:
        return False
    return AGAIN_S <= age_s(placed, wall) < OTHER_S
