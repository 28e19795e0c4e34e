"""Decides what a gate may receive about people.

Nothing readable is sent. So a gate that cannot compare digests gets nothing but removals and suspensions.
"""

import secrets
from datetime import datetime, timedelta

from gated.journal.entry import stamp
from gated.office.gate_session import GateSession
from gated.office.store import Store
from gated.protocol.command_messages import Command, Diagnose
from gated.protocol.record_keys import digest_of
from gated.protocol.record_messages import RecordRequest
from gated.protocol.status_messages import VERIFIERS, Status

OUTDATED = "gate_outdated"
UPDATE = "this gate has an old version of gated: update it; until then the office sends removals and suspensions only"
ACCEPTED_FOR = timedelta(minutes=10)
"""Time after accepting held-back people in which a gate may ask once more for everybody."""


def may_receive_people(store: Store, gate: str) -> bool:
    """Return whether a gate has sent its keys for card and PIN digests, and is not too old for digests."""
    return store.book.digest_keys(gate) is not None and not store.gate(gate).is_outdated


def version_and_digest(store: Store, gate: str, status: Status) -> tuple[int, str]:
    """Return the version and digest for the heartbeat.

    A gate that is too old for digests gets its own digest back. Otherwise it would request the same records again and
    again.
    """
    if VERIFIERS in status.can:
        known = "" if status.records is None else status.records.digest
        return store.book.version(gate), store.book.digest(gate, known)
    return (status.records.version, status.records.digest) if status.records is not None else (0, digest_of(()))


def report_outdated(store: Store, session: GateSession, status: Status, wall: datetime) -> Command | None:
    """Open or end the alarm for a gate that is too old.

    When the alarm opens, return a command that reports it to the gate. The gate refuses the
    command, because nobody waits for it, and records it with the reason in its journal.
    """
    if status.state != "online":
        return None
    if VERIFIERS in status.can:
        if session.open_alarms.get(OUTDATED) is not False:
            store.alarms.end(session.gate, OUTDATED, stamp(wall))
            session.open_alarms[OUTDATED] = False
        return None
    if session.open_alarms.get(OUTDATED):
        return None
    store.alarms.open(session.gate, OUTDATED, "", stamp(wall))
    session.open_alarms[OUTDATED] = True
    return Command(
        site=store.site,
        gate=session.gate,
        id=secrets.token_hex(16),
        number=store.gate_table.advance_command_number(session.gate),
        at=stamp(wall),
        operator="office",
        reason=UPDATE,
        action=Diagnose(),
    )


def asks_again_for_known(store: Store, gate: str, request: RecordRequest, lag: int) -> bool:
    """Return whether a gate requests records that it had already reported.

    Then its database is damaged, or its keys were copied. `lag`: a gate that misses more records than this gets all of
    them, and continues from there.
    """
    holds = store.gate(gate).holds
    if not holds or (request.after >= holds and not request.is_snapshot):
        return False
    return not (request.is_snapshot and request.snapshot > holds and len(store.book.after(gate, holds)) > lag)


def is_expected(session: GateSession, wall: datetime) -> bool:
    """Return whether this office's own command made the gate ask."""
    return session.accepted_at is not None and timedelta() <= wall - session.accepted_at <= ACCEPTED_FOR
