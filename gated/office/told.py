"""What a gate may be told of people: nothing readable, so nothing at all of them before it can compare digests."""

import secrets
from datetime import datetime, timedelta

from gated.journal.entry import stamp
from gated.office.line import Line
from gated.office.store import Store
from gated.sync.messages import VERIFIERS, Command, Diagnose, Request, Status
from gated.sync.records import digest_of

OUTDATED = "gate_outdated"
UPDATE = "this gate is too old for its office: update gated here; until then it hears only who may come in no more"
ACCEPTED = timedelta(minutes=10)
"""So long after it took people for no poison a gate may ask for everybody once more."""


def may_be_told(store: Store, gate: str) -> bool:
    """Whether it has told its keys for cards and PINs, and is not too old to take digests."""
    return store.book.verifiers(gate) is not None and not store.gate(gate).is_outdated


def where(store: Store, gate: str, status: Status) -> tuple[int, str]:
    """Version and digest of the records as the word says them; to a gate that is too old its own, so that it does not
    ask again and again for what it cannot get.
    """
    if VERIFIERS in status.can:
        return store.book.version(gate), store.book.digest(gate)
    return (status.records.version, status.records.digest) if status.records is not None else (0, digest_of(()))


def tell_outdated(store: Store, line: Line, status: Status, wall: datetime) -> Command | None:
    """Raise or end the alarm that a gate is too old. When it begins, the gate is told so as well.

    By a command that no gate carries out, because nobody waits for it: it writes down what it refused, with the reason.
    """
    if status.state != "online":
        return None
    if VERIFIERS in status.can:
        if line.alarmed.get(OUTDATED) is not False:
            store.alarms.end(line.gate, OUTDATED, stamp(wall))
            line.alarmed[OUTDATED] = False
        return None
    if line.alarmed.get(OUTDATED):
        return None
    store.alarms.sound(line.gate, OUTDATED, "", stamp(wall))
    line.alarmed[OUTDATED] = True
    return Command(
        site=store.site,
        gate=line.gate,
        id=secrets.token_hex(16),
        number=store.roll.number(line.gate),
        at=stamp(wall),
        operator="office",
        reason=UPDATE,
        action=Diagnose(),
    )


def asks_anew(store: Store, gate: str, request: Request, lag: int) -> bool:
    """Whether a gate asks for what it has said that it holds: with a damaged database, or with a copy of its keys.

    `lag`: a gate that misses more than so many records gets all of them, and goes on with that.
    """
    holds = store.gate(gate).holds
    if not holds or (request.after >= holds and not request.is_snapshot):
        return False
    return not (request.is_snapshot and request.snapshot > holds and len(store.book.after(gate, holds)) > lag)


def is_accepted(line: Line, wall: datetime) -> bool:
    """Whether it was this office that made it ask."""
    return line.accepted_at is not None and timedelta() <= wall - line.accepted_at <= ACCEPTED
