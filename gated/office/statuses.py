"""Processes a gate's status for `Exchange`.

Records when the gate was last heard. Detects copied keys, held-back data, and an office restored from an old backup.
"""

from datetime import datetime, timedelta

from gated.journal.entry import parse_time, stamp
from gated.office.disclosure import may_receive_people, version_and_digest
from gated.office.gate_session import GateSession
from gated.office.gate_store import PairedGate
from gated.office.store import Store
from gated.protocol.event_messages import Ack
from gated.protocol.lag import DATA_KINDS
from gated.protocol.status_messages import QUARANTINE, SEALED, Heartbeat, RecordMark, Status

CLOCK_TOLERANCE = timedelta(minutes=1)
"""Tolerance for a gate's clock set back."""
SKIPPED = 10_000
"""Command numbers skipped by an office restored from a backup. The gate may have used these numbers, and a gate accepts
each number only once.
"""
DIFFERS_S = 20.0
"""Seconds within which a snapshot should have corrected different records."""
RENUMBER_AGAIN_S = 3600.0
"""Seconds between renumberings for different records. A gate that never agrees cannot force one after another."""
UNDERSTANDS = [SEALED]
WITHHELD = "records_withheld"
REKEYED = "rekeyed_since"
"""Kind of alarm: a gate follows newer keys than this office has. The gate may never come back."""
MAX_AHEAD = 1_000_000
"""Limit for renumbering. No backup is this many changes old: the gate is broken, or its keys are stolen."""


def handle_status(
    store: Store, session: GateSession, status: Status, now: float, wall: datetime
) -> tuple[Heartbeat | None, Ack | None]:
    """Store a status.

    Return the heartbeat for this status. Also return an ack if the gate overestimates the office's rows.
    """
    gate, at = store.gate(session.gate), stamp(wall)
    is_fresh = status.heard > gate.echoed or status.heard == gate.heartbeat
    if _is_cloned(gate, status):
        store.alarms.open(session.gate, "cloned", "", at)
    is_changed = is_fresh or _is_newer(gate, status)
    number = store.gate_table.record_status(session.gate, status, is_changed=is_changed, is_fresh=is_fresh, at=at)
    session.is_online, session.has_status = status.state == "online", True
    ack = _check_journal_head(store, session, status, is_fresh, at)
    if session.is_online and not is_fresh:
        session.deliveries.note_stale_status(status.challenge, now)
    if is_fresh:
        if status.records is not None:
            store.gate_table.record_version(session.gate, min(status.records.version, store.book.version(session.gate)))
        _compare(store, session, status, now)
        if status.records is not None and not status.records.quarantined and store.held.counts(session.gate):
            store.held.remove(session.gate)
            store.alarms.end(session.gate, "record_quarantined", at)
        session.seen_at, session.is_sealing = now, SEALED in status.can
        session.marked_at = now if status.journal is not None else session.marked_at
        _end(store, session, "silent", at)
        store.alarms.end(session.gate, REKEYED, at)  # opened by the registrar
    if not session.is_online:
        return None, ack
    is_behind = _outrank(store, session, status, now, at) or ack is not None
    if is_behind and not session.is_restored:
        store.gate_table.advance_command_number(session.gate, SKIPPED)
        session.is_restored = True
    version, digest = version_and_digest(store, session.gate, status)
    keys = store.book.digest_keys(session.gate)
    heartbeat = Heartbeat(
        site=store.site,
        gate=session.gate,
        challenge=status.challenge,
        number=number,
        at=at,
        version=version,
        digest=digest,
        verifiers="" if keys is None else keys.fingerprint,
        understands=UNDERSTANDS,
        withheld=session.deliveries.overdue(now),
    )
    return heartbeat, ack


def _check_journal_head(store: Store, session: GateSession, status: Status, is_fresh: bool, at: str) -> Ack | None:
    if status.journal is None:
        return None
    if is_fresh:
        _end(store, session, "unmarked", at)
    change = store.journals.check_head(session.gate, status.journal, is_fresh=is_fresh and status.state == "online")
    for kind, detail in change.alarms:
        store.alarms.open(session.gate, kind, detail, at)
    return change.ack


def _compare(store: Store, session: GateSession, status: Status, now: float) -> None:
    """Compare the data that a fresh status reports with the office's data."""
    deliveries, records = session.deliveries, status.records
    deliveries.note_fresh_status(now)
    deliveries.reported = [kind for kind in status.withheld if kind in DATA_KINDS]
    if status.journal is not None:
        deliveries.note_journal(status.journal, store.journals.last_row(session.gate, status.journal.id), now)
    if records is not None:
        if may_receive_people(store, session.gate):
            deliveries.note_published(store.book.version(session.gate), now)
        deliveries.note_applied(records.version)
        owed = store.book.removals_without_receipt(session.gate, store.gate(session.gate).since, records.version, 1)
        is_unlisted = bool(records.quarantined and QUARANTINE in status.can and not store.held.counts(session.gate))
        deliveries.note_owed(now, receipts=bool(owed), lists=is_unlisted)


def update_withheld_alarms(store: Store, session: GateSession, now: float, at: str) -> None:
    """Open an alarm for each kind of missing data, reported by either end. Close it when the data arrives."""
    if session.withheld_alarms is None:
        session.withheld_alarms = store.alarms.details(session.gate, WITHHELD)
    missing = {*session.deliveries.overdue(now), *session.deliveries.reported}
    for kind in missing - session.withheld_alarms:
        store.alarms.open(session.gate, WITHHELD, kind, at)
    over = (session.withheld_alarms - missing) & {*session.deliveries.delivered()}
    for kind in over:
        store.alarms.end(session.gate, WITHHELD, at, kind)
    session.withheld_alarms = (session.withheld_alarms | missing) - over


def _end(store: Store, session: GateSession, kind: str, at: str) -> None:
    if session.open_alarms.get(kind) is not False:
        store.alarms.end(session.gate, kind, at)
        session.open_alarms[kind] = False


def _outrank(store: Store, session: GateSession, status: Status, now: float, at: str) -> bool:
    """Renumber all records if a gate has records that this office never issued: an old backup was restored here.

    Such a gate reports a number higher than any here. If this office's counter has since passed that version, the
    digests stay different even after sending the records again.
    """
    if status.records is None:
        return False
    version = store.book.version(session.gate)
    newest = max(status.records.version, status.records.newest)
    if newest <= version and not _has_others(store, session, status.records, version, now):
        return False
    is_sane = newest <= version + MAX_AHEAD
    if is_sane:
        store.book.renumber_all(newest)
        session.differs_since, session.renumbered_at = None, now
    kind, detail = "rolled_back" if is_sane else "leap_refused", f"number {newest}, here {version}"
    store.alarms.open(session.gate, kind, detail, at)
    return is_sane


def _has_others(store: Store, session: GateSession, mark: RecordMark, version: int, now: float) -> bool:
    """Return whether a gate has had different records at our version for `DIFFERS_S`, although they were sent again."""
    if mark.version != version or mark.digest == store.book.digest(session.gate, mark.digest):
        session.differs_since = None
        return False
    if session.differs_since is None:
        session.differs_since = now
    return now >= max(session.differs_since + DIFFERS_S, session.renumbered_at + RENUMBER_AGAIN_S)


def _is_newer(gate: PairedGate, status: Status) -> bool:
    """Return whether a status is not older than the stored one, as far as known.

    A broker may replay an old one at any time.
    """
    if gate.status is None or status.state == "offline":
        return True
    before, at = parse_time(gate.status.at), parse_time(status.at)
    return before is None or at is None or at >= before


def _is_cloned(gate: PairedGate, status: Status) -> bool:
    """Return whether a status has an earlier time than the last one, with an equal or newer heartbeat.

    In that case two devices have the gate's keys, or somebody replays messages.
    """
    if gate.status is None or "offline" in (status.state, gate.status.state) or not 0 < gate.echoed <= status.heard:
        return False
    before, at = parse_time(gate.status.at), parse_time(status.at)
    return before is not None and at is not None and at < before - CLOCK_TOLERANCE
