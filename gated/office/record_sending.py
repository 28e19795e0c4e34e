"""Sends records to gates: changes at once, everything else when a gate requests it. `Exchange` uses it."""

from collections.abc import Iterator
from datetime import datetime

from gated.journal.entry import stamp
from gated.office.disclosure import asks_again_for_known, is_expected, may_receive_people
from gated.office.gate_session import GateSession
from gated.office.record_pages import deltas, parts, urgent
from gated.office.snapshots import Snapshots
from gated.office.store import Store
from gated.protocol.envelope import Outgoing
from gated.protocol.record_keys import digest_of, key_of
from gated.protocol.record_messages import Delta, RecordRequest
from gated.protocol.status_messages import Status
from gated.protocol.wire_records import Tombstone

LAG = 2_000
"""A gate that misses more records than this gets a snapshot of all of them."""
REMINDERS = 20
"""Limit for removals without receipt that are repeated after each of a gate's statuses."""


class RecordSender:
    """The records on their way to every gate. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, store: Store) -> None:
        self._store, self._snapshots = store, Snapshots()

    def push(self, session: GateSession, version: int, *, is_listening: bool, now: float) -> Iterator[Outgoing]:
        """Send the records changed since the last call, up to `version`. A gate that misses them requests them later.

        `is_listening`: false for a gate that was offline for a while: it will request all records itself.
        """
        sent, session.sent_version = session.sent_version, version
        may_receive = may_receive_people(self._store, session.gate)
        if session.has_status and may_receive:
            session.deliveries.note_published(version, now)
        if not is_listening:
            return
        if not may_receive:
            yield from self._send_removals(session, sent)
            return
        missing = self._store.book.after(session.gate, sent)
        messages = deltas(session.peer.site, session.gate, sent, version, missing)
        if len(messages) > 1:  # removals must not wait behind other records
            messages = urgent(session.peer.site, session.gate, missing) + (messages if len(missing) <= LAG else [])
        yield from map(session.record, messages)

    def answer_request(
        self, session: GateSession, request: RecordRequest, now: float, wall: datetime
    ) -> Iterator[Outgoing]:
        """Send the requested records, or parts of a snapshot.

        Stores the request of a gate that may not receive people yet, and sends it only removals and suspensions.
        """
        book, gate = self._store.book, session.gate
        if not may_receive_people(self._store, gate):
            session.pending_request = request
            yield from self._send_removals(session, request.after)
            return
        version = session.sent_version = book.version(gate)
        self._check_request(session, request, wall)
        if request.after and not request.is_snapshot:
            missing = book.after(gate, request.after)
            if len(missing) <= LAG:
                upto = max(request.after, version)
                yield from map(session.record, deltas(session.peer.site, gate, request.after, upto, missing))
                return

        def build() -> list[bytes]:
            """Return the signed parts of a snapshot of the current records."""
            records = [record for record in book.after(gate, 0) if not isinstance(record, Tombstone)]
            digest = digest_of((key_of(record), record.n) for record in records)
            snapshot = parts(session.peer.site, gate, version, digest, records)
            return [session.peer.write(part) for part in snapshot]

        for payload in self._snapshots.parts(gate, request, now, version, build):
            yield Outgoing(session.topics.record, payload)

    def repeat_removals(self, session: GateSession, status: Status) -> Iterator[Outgoing]:
        """Send removals again for which the gate owes a receipt."""
        if status.records is None:
            return
        gate, since = session.gate, self._store.gate(session.gate).since
        book = self._store.book
        for removal in book.removals_without_receipt(gate, since, status.records.version, REMINDERS):
            yield session.record(
                Delta(site=session.peer.site, gate=gate, after=removal.n - 1, upto=removal.n, records=[removal])
            )

    def drop_old_snapshots(self, now: float) -> None:
        """Free the snapshots that no gate requests any more."""
        self._snapshots.forget(now)

    def _check_request(self, session: GateSession, request: RecordRequest, wall: datetime) -> None:
        """Open an alarm for a gate that requests records it had already reported, without a known cause."""
        gate = session.gate
        is_continued = request.is_snapshot and self._snapshots.has(gate, request.snapshot)
        if is_continued or not asks_again_for_known(self._store, gate, request, LAG) or is_expected(session, wall):
            return
        self._store.alarms.open(gate, "asked_for_all", "", stamp(wall))

    def _send_removals(self, session: GateSession, after: int) -> Iterator[Outgoing]:
        """Send only removals and suspensions."""
        missing = self._store.book.after(session.gate, after)
        yield from map(session.record, urgent(session.peer.site, session.gate, missing))
