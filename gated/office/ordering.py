"""What the office orders: offered while somebody waits, given when the gate asks, called off when nobody waits.

`orders` keeps them on disk. Pure otherwise: what is to be published is given back.
"""

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from gated.journal.entry import stamp
from gated.office.faces import Wanted
from gated.office.line import Line
from gated.office.orders import OTHER_S, Placed, age_s
from gated.office.sharing import Sharing
from gated.office.statuses import SKIPPED
from gated.office.store import Store
from gated.sync.commands import WINDOW
from gated.sync.messages import LIVE, WAITS, AcceptHeld, Ask, Offer, Progress, Reply, Share, Status, StillWanted
from gated.sync.wire import Outgoing

GONE = "its operator at the office waits no more"
UNKNOWN = "the office does not know that it gave this order (its data may be an old backup); order it anew"
FORGOTTEN = "the gate has done so much since that it cannot say whether it did this; look before you order it anew"
GIVEN = ("sent", "begun", "going")
"""How far an order is of which a gate may say that its number was spent."""
OFFICE = "office"
"""Who orders what nobody ordered."""
AGAIN_S = 5.0
"""A command that was not answered for so long is said again."""
OFFER_S = 1.0
"""An order for which somebody waits is offered so often until it is settled."""
CHALLENGED_S = 30.0
"""So long after a command its gate may still ask for it anew."""


class Ordering:
    """The conversation about orders, with every gate."""

    def __init__(self, store: Store, waits: Callable[[str], bool], sharing: Sharing) -> None:
        """`waits` says whether the operator who placed an order waits for it at this moment."""
        self._store, self._waits, self._sharing = store, waits, sharing
        self._offered: dict[str, float] = {}

    def hear_progress(self, line: Line, said: Progress) -> None:
        """A gate says what it does about an order."""
        line.withholding.answered(said.order)
        placed = self._store.orders.of(said.order)
        if placed is not None and placed.gate == line.gate and placed.is_open:
            self._store.orders.tell(placed.id, said.says)

    def probe(self, line: Line, status: Status, now: float) -> Iterator[Outgoing]:
        """Offer once more what a gate has said nothing about, so that it asks, and hears that nobody waits."""
        order = line.withholding.to_probe(now)
        if order is not None and LIVE in status.can:
            yield line.command(Offer(site=line.peer.site, gate=line.gate, order=order))

    def repeat(self, line: Line, wall: datetime) -> Iterator[Outgoing]:
        """Say again each command that a gate has not answered."""
        for placed in self._store.orders.open():
            if placed.gate == line.gate and not placed.is_attended and _is_to_be_repeated(placed, wall):
                yield line.command(self._store.orders.command(line.peer.site, placed))

    def hear_reply(self, line: Line, reply: Reply, wall: datetime) -> Iterator[Outgoing]:
        """An order or a command was carried out, refused, or is to be said otherwise."""
        line.withholding.answered(reply.command)
        orders = self._store.orders
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
                wanted = Wanted(line.gate, placed.order.action.subject, placed.order.action.to)
                if reply.outcome == "done":
                    self._sharing.lost(wanted)
                elif any(finding.level == WAITS for finding in reply.findings):
                    self._sharing.refused(wanted)
        elif placed.challenge or not reply.challenge:
            orders.settle(placed, "failed", "its clock is not trusted, and the way to it too slow to do without")
        elif placed.is_open and age_s(placed, wall) <= CHALLENGED_S:
            yield line.command(orders.send(line.peer.site, placed, wall, reply.challenge))

    def hear_ask(self, line: Line, ask: Ask, now: float, wall: datetime) -> Iterator[Outgoing]:
        """A gate asks whether an order is still wanted: it is while its operator waits, and that is on disk first."""
        orders = self._store.orders
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

    def _hear_spent(self, line: Line, placed: Placed, wall: datetime) -> Iterator[Outgoing]:
        """The gate did not do it, because it has seen that number before: the order becomes another command.

        Where this office has counted far beyond that number, the gate may have done it and forgotten it since.
        """
        orders, roll = self._store.orders, self._store.roll
        if placed.state not in GIVEN:
            return
        is_forgotten = roll.last_number(line.gate) >= placed.number + WINDOW
        if is_forgotten and placed.state == "going":
            orders.settle(placed, "unknown", FORGOTTEN)
            return
        if not is_forgotten:
            roll.number(line.gate, SKIPPED)
        placed = orders.anew(placed)
        if not placed.is_attended and age_s(placed, wall) <= OTHER_S:
            yield line.command(orders.send(line.peer.site, placed, wall))

    def _settle(self, line: Line, placed: Placed, reply: Reply, wall: datetime) -> None:
        """The answer to an order for which somebody waits, or waited."""
        orders = self._store.orders
        if placed.state == "cancelled" and reply.outcome != "done":
            return
        if reply.outcome != "challenge":
            if placed.state == "cancelled":
                self._store.alarms.sound(line.gate, "done_late", f"order {placed.id}", stamp(wall))
            orders.settle(placed, reply.outcome, reply.why, reply.findings)
            if reply.outcome == "done" and isinstance(placed.order.action, AcceptHeld):
                line.accepted_at = wall

    def due(self, lines: dict[str, Line], now: float, wall: datetime) -> Iterator[Outgoing]:
        """What is to be said to the gates of these `lines`: orders, and that nobody waits for them any more."""
        orders = self._store.orders
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

    def _offer(self, line: Line, placed: Placed, now: float) -> Iterator[Outgoing]:
        """Say that somebody waits with an order, until the gate has it; it may have missed what was said before."""
        if placed.state in ("asked", "stopping") or now < self._offered.get(placed.id, -math.inf) + OFFER_S:
            return
        self._offered[placed.id] = now
        self._store.orders.offered(placed)
        line.withholding.offered(placed.command, now)
        yield line.command(Offer(site=line.peer.site, gate=line.gate, order=placed.command))

    def _call_off(self, lines: dict[str, Line]) -> Iterator[Outgoing]:
        """Tell a gate that nobody waits any more, so that it need not find out."""
        for placed in self._store.orders.untold():
            line = lines.get(placed.gate)
            if line is None:
                continue
            self._store.orders.told(placed)
            if placed.number:
                yield line.command(StillWanted(site=line.peer.site, gate=line.gate, order=placed.command, why=GONE))


def _answer(line: Line, ask: Ask, *, is_wanted: bool, why: str = "") -> StillWanted:
    return StillWanted(
        site=line.peer.site, gate=line.gate, order=ask.order, nonce=ask.nonce, is_wanted=is_wanted, why=why
    )


def _is_to_be_repeated(placed: Placed, wall: datetime) -> bool:
    """A challenge is good for 5 s."""
    if placed.state != "sent" or placed.challenge:
        return False
    return AGAIN_S <= age_s(placed, wall) < OTHER_S
