"""What a status changes: when a gate was last heard, whether it is who it was, whether this office is an old one."""

from datetime import datetime, timedelta

from gated.journal.entry import stamp
from gated.office.gates import Gate
from gated.office.line import Line
from gated.office.store import Store
from gated.sync.messages import Ack, RecordMark, Status, Word

BACK = timedelta(minutes=1)
"""A gate's clock may be set back by so much."""
SKIPPED = 10_000
"""So many numbers of commands an old office leaves out: it may have used them, and a gate counts each once."""
DIFFERS_S = 20.0
"""A snapshot has come by then."""
LEAP_AGAIN_S = 3600.0
"""A gate that is never content has everybody's records sent anew no more often than this."""
MAX_LEAP = 1_000_000
"""A backup that is so many changes old was never made; a gate that says so has lost its mind, or its keys."""


def hear_status(store: Store, line: Line, status: Status, now: float, wall: datetime) -> tuple[Word | None, Ack | None]:
    """Remember it; the word that answers it, and an ack where the gate believes that more is here than is."""
    gate, at = store.gate(line.gate), stamp(wall)
    is_fresh = status.heard > gate.heard or status.heard == gate.beat
    if _is_cloned(gate, status):
        store.alarms.sound(line.gate, "cloned", "", at)
    is_news = is_fresh or _is_newer(gate, status)
    beat = store.roll.hear(line.gate, status, is_news=is_news, is_fresh=is_fresh, at=at)
    line.is_online = status.state == "online"
    ack = _hear_mark(store, line, status, is_fresh, at)
    if is_fresh:
        line.seen_at = now
        line.marked_at = now if status.journal is not None else line.marked_at
        _end(store, line, "silent", at)
    if not line.is_online:
        return None, ack
    is_behind = _catch_up(store, line, status, now, at) or ack is not None
    if is_behind and not line.is_restored:
        store.roll.number(line.gate, SKIPPED)
        line.is_restored = True
    word = Word(
        site=store.site,
        gate=line.gate,
        challenge=status.challenge,
        beat=beat,
        at=at,
        version=store.book.version(line.gate),
        digest=store.book.digest(line.gate),
    )
    return word, ack


def _hear_mark(store: Store, line: Line, status: Status, is_fresh: bool, at: str) -> Ack | None:
    if status.journal is None:
        return None
    if is_fresh:
        _end(store, line, "unmarked", at)
    taken = store.journals.mark(line.gate, status.journal, is_fresh=is_fresh and status.state == "online")
    for kind, detail in taken.alarms:
        store.alarms.sound(line.gate, kind, detail, at)
    return taken.ack


def _end(store: Store, line: Line, kind: str, at: str) -> None:
    if line.alarmed.get(kind) is not False:
        store.alarms.end(line.gate, kind, at)
        line.alarmed[kind] = False


def _catch_up(store: Store, line: Line, status: Status, now: float, at: str) -> bool:
    """A gate with records that this office never gave out: a backup was brought back. What is here is numbered anew.

    It shows in a higher number than any here, or, where this office has counted on since, in other records under the
    same one that stay so though they were sent.
    """
    if status.records is None:
        return False
    version = store.book.version(line.gate)
    newest = max(status.records.version, status.records.newest)
    if newest <= version and not _has_others(store, line, status.records, version, now):
        return False
    is_sane = newest <= version + MAX_LEAP
    if is_sane:
        store.book.leap(newest)
        line.differs_since, line.leapt_at = None, now
    kind, detail = "rolled_back" if is_sane else "leap_refused", f"number {newest}, here {version}"
    store.alarms.sound(line.gate, kind, detail, at)
    return is_sane


def _has_others(store: Store, line: Line, mark: RecordMark, version: int, now: float) -> bool:
    """Whether a gate has had other records at our version for so long that sending them does not help."""
    if mark.version != version or mark.digest == store.book.digest(line.gate):
        line.differs_since = None
        return False
    if line.differs_since is None:
        line.differs_since = now
    return now >= max(line.differs_since + DIFFERS_S, line.leapt_at + LEAP_AGAIN_S)


def _is_newer(gate: Gate, status: Status) -> bool:
    """Whether it says how the gate is now, as far as can be told; a broker may repeat an old one at any time."""
    if gate.status is None or status.state == "offline":
        return True
    before, at = _time(gate.status.at), _time(status.at)
    return before is None or at is None or at >= before


def _is_cloned(gate: Gate, status: Status) -> bool:
    """An older time with a newer (or the same) word of ours: two have heard it, or somebody repeats."""
    if gate.status is None or "offline" in (status.state, gate.status.state) or not 0 < gate.heard <= status.heard:
        return False
    before, at = _time(gate.status.at), _time(status.at)
    return before is not None and at is not None and at < before - BACK


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
