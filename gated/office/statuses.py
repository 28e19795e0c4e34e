"""Processes a gate's status for `Exchange`.

Records when the gate was last heard. Detects copied keys, held-back data, and an office restored from an old backup.
"""

from datetime import datetime, timedelta

from gated.journal.entry import stamp, time_of
from gated.office.disclosure import may_be_told, where
from gated.office.gate_session import GateSession
from gated.office.gate_store import PairedGate
from gated.office.store import Store
from gated.protocol.lag import WHATS
from gated.protocol.messages import HELD, SEALED, Ack, RecordMark, Status, Word

BACK = timedelta(minutes=1)
"""Tolerance for a gate's clock set back."""
SKIPPED = 10_000
"""Command numbers skipped by an office restored from a backup. It may have used them, and a gate accepts each only
once.
"""
DIFFERS_S = 20.0
"""Seconds within which a snapshot should have corrected different records."""
LEAP_AGAIN_S = 3600.0
"""Seconds between leaps caused by different records, so a gate that never agrees cannot force one after another."""
UNDERSTANDS = [SEALED]
WITHHELD = "records_withheld"
REKEYED = "rekeyed_since"
"""Kind of alarm: a gate follows newer keys than this office has. The gate may never come back."""
MAX_LEAP = 1_000_000
"""Limit for a leap. No backup is this many changes old, so a gate that claims so is broken or its keys are stolen."""


def hear_status(
    store: Store, line: GateSession, status: Status, now: float, wall: datetime
) -> tuple[Word | None, Ack | None]:
    """Store a status. Return the heartbeat that answers it, and an ack if the gate overestimates the office's rows."""
    gate, at = store.gate(line.gate), stamp(wall)
    is_fresh = status.heard > gate.heard or status.heard == gate.beat
    if _is_cloned(gate, status):
        store.alarms.sound(line.gate, "cloned", "", at)
    is_news = is_fresh or _is_newer(gate, status)
    beat = store.gate_table.record_status(line.gate, status, is_news=is_news, is_fresh=is_fresh, at=at)
    line.is_online, line.is_heard = status.state == "online", True
    ack = _hear_mark(store, line, status, is_fresh, at)
    if line.is_online and not is_fresh:
        line.withholding.stale(status.challenge, now)
    if is_fresh:
        if status.records is not None:
            store.gate_table.record_version(line.gate, min(status.records.version, store.book.version(line.gate)))
        _compare(store, line, status, now)
        if status.records is not None and not status.records.quarantined and store.held.counts(line.gate):
            store.held.drop(line.gate)
            store.alarms.end(line.gate, "record_quarantined", at)
        line.seen_at, line.is_sealing = now, SEALED in status.can
        line.marked_at = now if status.journal is not None else line.marked_at
        _end(store, line, "silent", at)
        store.alarms.end(line.gate, REKEYED, at)  # raised by the pairing server
    if not line.is_online:
        return None, ack
    is_behind = _catch_up(store, line, status, now, at) or ack is not None
    if is_behind and not line.is_restored:
        store.gate_table.advance_command_number(line.gate, SKIPPED)
        line.is_restored = True
    version, digest = where(store, line.gate, status)
    keys = store.book.digest_keys(line.gate)
    word = Word(
        site=store.site,
        gate=line.gate,
        challenge=status.challenge,
        beat=beat,
        at=at,
        version=version,
        digest=digest,
        verifiers="" if keys is None else keys.fingerprint,
        understands=UNDERSTANDS,
        withheld=line.withholding.known(now),
    )
    return word, ack


def _hear_mark(store: Store, line: GateSession, status: Status, is_fresh: bool, at: str) -> Ack | None:
    if status.journal is None:
        return None
    if is_fresh:
        _end(store, line, "unmarked", at)
    taken = store.journals.mark(line.gate, status.journal, is_fresh=is_fresh and status.state == "online")
    for kind, detail in taken.alarms:
        store.alarms.sound(line.gate, kind, detail, at)
    return taken.ack


def _compare(store: Store, line: GateSession, status: Status, now: float) -> None:
    """Compare the data that a fresh status reports with the office's data."""
    mine, records = line.withholding, status.records
    mine.fresh(now)
    mine.told = [what for what in status.withheld if what in WHATS]
    if status.journal is not None:
        mine.rows(status.journal, store.journals.held(line.gate, status.journal.id), now)
    if records is not None:
        if may_be_told(store, line.gate):
            mine.given(store.book.version(line.gate), now)
        mine.has(records.version)
        owed = store.book.removals_without_receipt(line.gate, store.gate(line.gate).since, records.version, 1)
        is_unlisted = bool(records.quarantined and HELD in status.can and not store.held.counts(line.gate))
        mine.owes(now, receipts=bool(owed), lists=is_unlisted)


def watch_withheld(store: Store, line: GateSession, now: float, at: str) -> None:
    """Raise an alarm for each kind of data that either end reports missing; end it when the data arrives."""
    if line.withheld is None:
        line.withheld = store.alarms.details(line.gate, WITHHELD)
    missing = {*line.withholding.known(now), *line.withholding.told}
    for what in missing - line.withheld:
        store.alarms.sound(line.gate, WITHHELD, what, at)
    over = (line.withheld - missing) & {*line.withholding.there()}
    for what in over:
        store.alarms.end(line.gate, WITHHELD, at, what)
    line.withheld = (line.withheld | missing) - over


def _end(store: Store, line: GateSession, kind: str, at: str) -> None:
    if line.alarmed.get(kind) is not False:
        store.alarms.end(line.gate, kind, at)
        line.alarmed[kind] = False


def _catch_up(store: Store, line: GateSession, status: Status, now: float, at: str) -> bool:
    """Renumber all records if a gate has records that this office never issued: a backup was restored here.

    The gate shows a number higher than any here. Or, if this office has since counted further, it has other records at
    the same version, which stay different after they were sent.
    """
    if status.records is None:
        return False
    version = store.book.version(line.gate)
    newest = max(status.records.version, status.records.newest)
    if newest <= version and not _has_others(store, line, status.records, version, now):
        return False
    is_sane = newest <= version + MAX_LEAP
    if is_sane:
        store.book.renumber_all(newest)
        line.differs_since, line.leapt_at = None, now
    kind, detail = "rolled_back" if is_sane else "leap_refused", f"number {newest}, here {version}"
    store.alarms.sound(line.gate, kind, detail, at)
    return is_sane


def _has_others(store: Store, line: GateSession, mark: RecordMark, version: int, now: float) -> bool:
    """Return whether a gate has had other records at our version for so long that sending them does not help."""
    if mark.version != version or mark.digest == store.book.digest(line.gate):
        line.differs_since = None
        return False
    if line.differs_since is None:
        line.differs_since = now
    return now >= max(line.differs_since + DIFFERS_S, line.leapt_at + LEAP_AGAIN_S)


def _is_newer(gate: PairedGate, status: Status) -> bool:
    """Return whether a status is not older than the stored one, as far as known.

    A broker may replay an old one at any time.
    """
    if gate.status is None or status.state == "offline":
        return True
    before, at = time_of(gate.status.at), time_of(status.at)
    return before is None or at is None or at >= before


def _is_cloned(gate: PairedGate, status: Status) -> bool:
    """Return whether a status has an earlier time than the last one, with an equal or newer heartbeat.

    Then two devices have the gate's keys, or somebody replays messages.
    """
    if gate.status is None or "offline" in (status.state, gate.status.state) or not 0 < gate.heard <= status.heard:
        return False
    before, at = time_of(gate.status.at), time_of(status.at)
    return before is not None and at is not None and at < before - BACK
