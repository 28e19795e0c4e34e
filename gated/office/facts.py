"""What rows of a journal mean for the office, the first time that they arrive."""

from collections.abc import Sequence

import msgspec

from gated.errors import OfficeError
from gated.events import PersonEnrolled, PersonRemoved
from gated.office.store import Store
from gated.sync.messages import PersonRecord, Receipt, Shared, WireEvent

ALARMING = frozenset({"duress", "door_forced_open", "tampered", "fire_release", "record_quarantined"})

_decoder = msgspec.json.Decoder(PersonEnrolled | PersonRemoved)


def note(store: Store, gate: str, events: Sequence[WireEvent]) -> None:
    """Raise an alarm for what is alarming, and follow whose face is where."""
    for event in events:
        if event.kind in ALARMING and '"is_over":true' not in event.body:
            store.alarms.sound(gate, event.kind, f"row {event.seq}", event.at)
        if event.kind in ("person_enrolled", "person_removed"):
            _follow(store, gate, event)


def note_receipt(store: Store, gate: str, receipt: Receipt) -> None:
    """Somebody is gone from a gate. One who came back here with an old backup goes again, as they had asked."""
    store.receipts.keep(gate, receipt)
    was = store.book.get(f"person/{receipt.subject}")
    if isinstance(was, PersonRecord) and receipt.n <= store.book.floor:
        store.book.remove(f"person/{receipt.subject}")


def note_shared(store: Store, shared: Shared, at: str) -> None:
    """A face for another gate."""
    try:
        store.faces.keep(shared.subject, shared.to, shared.face)
    except OfficeError as error:
        store.alarms.sound(shared.gate, "face_refused", f"for {shared.to}: {error}", at)


def _follow(store: Store, gate: str, event: WireEvent) -> None:
    try:
        fact = _decoder.decode(event.body)
    except (msgspec.MsgspecError, RecursionError):
        return  # its hash says whether it was altered; a newer gate may also say it otherwise
    if isinstance(fact, PersonEnrolled):
        store.faces.enrolled(fact.subject, gate, event.at)
    else:
        store.faces.forgotten(fact.subject, gate, event.at)
