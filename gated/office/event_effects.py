"""Applies journal events and lists from gates to the office's database: alarms, calls, enrolments, held-back people.

`Exchange` uses it. A body that cannot be decoded changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gated.errors import OfficeError
from gated.events import (
    CallAnswered,
    CallEnded,
    CallPressed,
    Commanded,
    ConsentHeld,
    ConsentsAccepted,
    CredentialDenied,
    GateAccepted,
    GateHeld,
    PersonEnrolled,
    PersonRemoved,
    RecordAccepted,
    RecordQuarantined,
    WeakPin,
)
from gated.journal.entry import stamp
from gated.office.alarm_meanings import WEAK
from gated.office.gate_consents import apply_given_consents
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.protocol.event_messages import WireEvent
from gated.protocol.face_messages import SharedFace, Vouch, Vouching
from gated.protocol.jose import Party
from gated.protocol.limits import MAX_VOUCHES
from gated.protocol.record_messages import QuarantineList, RemovalReceipt
from gated.protocol.vouching import is_vouch
from gated.protocol.wire_records import GateRecord
from gated.storage.valid_rows import is_moment
from gated.wording import UNDECODABLE

CALLED, MISSED = "call_pressed", "call_missed"
CALL_UPDATE_S = 120.0
"""Limit in seconds for the age of a call on arrival. A delayed journal must not make old calls ring."""
MISSED_S = 24 * 3600.0
"""Limit in seconds for the age of an unanswered call that still opens an alarm."""
ALARMING = frozenset(
    {
        *("duress", "door_forced_open", "tampered", "fire_release"),
        *("presentation_attack", "pins_guessed", "cards_guessed"),
    }
)

_CALLS = frozenset({"call_pressed", "call_answered", "call_ended"})
_UNHEARD = frozenset({"unanswered", "unreachable"})
_call_decoder = msgspec.json.Decoder(CallPressed | CallAnswered | CallEnded)
HELD = "record_quarantined"

ACCEPTING = frozenset({"gate_accepted", "consents_accepted"})
"""Events that mean: a person at a gate accepted the office's data about other gates' keys, or about consents."""
GATE_HELD, CONSENT_HELD = "gate_held", "consent_held"

_Fact = (
    PersonEnrolled
    | PersonRemoved
    | RecordQuarantined
    | RecordAccepted
    | Commanded
    | GateHeld
    | GateAccepted
    | ConsentHeld
    | ConsentsAccepted
)
_decoder = msgspec.json.Decoder(_Fact)
_weak_decoder = msgspec.json.Decoder(CredentialDenied | WeakPin)
FACT_KINDS = ACCEPTING | {
    "person_enrolled", "person_removed", "record_quarantined", "record_accepted", "commanded", GATE_HELD, CONSENT_HELD
}  # fmt: skip


_CHANGE_HELD = frozenset({"record_quarantined", "record_accepted", "person_removed"})
WITH_EFFECT = _CALLS | ALARMING | FACT_KINDS | {WEAK, "way_denied"}
"""All kinds of events that change something at the office."""


def apply_events(store: Store, gate: str, events: Sequence[WireEvent], wall: datetime) -> None:
    """Apply journal events: open alarms, record enrolments and follow calls. `wall`: now, timezone-aware."""
    for event in [event for event in events if event.kind in WITH_EFFECT]:
        if event.kind in _CALLS:
            _follow_call(store, gate, event, wall)
        if event.kind in ALARMING and '"is_over":true' not in event.body:
            store.alarms.open(gate, event.kind, f"row {event.seq}", event.at)
        if event.kind == WEAK or (event.kind == "way_denied" and f'"{WEAK}"' in event.body):
            _open_weak_pin_alarm(store, gate, event)
        if event.kind in FACT_KINDS:
            _apply_fact(store, gate, event)
    if not _CHANGE_HELD.isdisjoint([event.kind for event in events]):
        update_held_alarm(store, gate, events[-1].at)


def _open_weak_pin_alarm(store: Store, gate: str, event: WireEvent) -> None:
    """Raise the weak-PIN alarm. PINs are not readable, so weakness shows only when a person types the PIN."""
    try:
        fact = _weak_decoder.decode(event.body)
    except UNDECODABLE:
        return
    if fact.subject is not None and (isinstance(fact, WeakPin) or fact.reason == WEAK):
        store.alarms.open(gate, WEAK, fact.subject, event.at)


def store_held_list(store: Store, held_list: QuarantineList, at: str) -> None:
    """Store a gate's list of held-back people. Ignores a list made before the gate's newest status."""
    if held_list.heard < store.gate(held_list.gate).echoed:
        return
    store.held.store_list(held_list.gate, held_list.records, is_first=held_list.part == 0)
    if held_list.part == held_list.parts - 1:
        update_held_alarm(store, held_list.gate, at)


def update_held_alarm(store: Store, gate: str, at: str) -> None:
    """Keep one alarm for all people that a gate holds back. It shows their number and ends at zero."""
    counts = store.held.counts(gate)
    if not counts:
        store.alarms.end(gate, HELD, at)
        return
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    store.alarms.open_or_update(gate, HELD, f"{sum(counts.values())} held back ({why})", at)


def apply_receipt(store: Store, gate: str, receipt: RemovalReceipt) -> None:
    """Store a gate's receipt for a removed person.

    If an old backup has brought that person back, remove the person again.
    """
    store.receipts.store(gate, receipt)
    was = store.book.get(f"person/{receipt.subject}")
    if isinstance(was, OfficePerson) and receipt.n <= store.book.floor:
        store.book.remove(f"person/{receipt.subject}")


def store_shared_face(store: Store, shared: SharedFace, at: str) -> None:
    """Store a face that one gate sealed for another; open an alarm if it is too long."""
    try:
        store.faces.store_face(shared.subject, shared.to, shared.face)
    except OfficeError as error:
        store.alarms.open(shared.gate, "face_refused", f"for {shared.to}: {error}", at)


def apply_vouching(store: Store, vouching: Vouching) -> None:
    """Publish one gate's signature over another gate's keys, if it is valid and new."""
    record, keys = store.book.get(f"gate/{vouching.to}"), store.gate_table.keys()
    if not isinstance(record, GateRecord) or vouching.vouched in record.vouched or vouching.gate not in keys:
        return
    party, by = Party.parse(record.keys), Party.parse(keys[vouching.gate])
    if is_vouch(vouching.vouched, Vouch(store.site, vouching.gate, vouching.to, party.kid, party.seal_kid), by):
        newest = [*record.vouched, vouching.vouched][-MAX_VOUCHES:]
        store.book.put(msgspec.structs.replace(record, vouched=newest))


def _follow_call(store: Store, gate: str, event: WireEvent, wall: datetime) -> None:
    """Follow a call.

    Its alarm ends when the call is answered or over. An unanswered call opens an alarm that stays.
    """
    try:
        fact = _call_decoder.decode(event.body)
    except UNDECODABLE:
        return
    at = stamp(wall)
    if isinstance(fact, CallPressed):
        if _is_within(event, wall, CALL_UPDATE_S) or _has_no_time(store, gate):
            store.alarms.open(gate, CALLED, fact.door, at)
        return
    store.alarms.end(gate, CALLED, at, fact.door)
    if isinstance(fact, CallEnded) and fact.outcome in _UNHEARD and _is_within(event, wall, MISSED_S):
        store.alarms.open(gate, MISSED, fact.door, at)


def end_lost_calls(store: Store, wall: datetime) -> None:
    """Turn each call without news for `CALL_UPDATE_S` into a missed call; the connection was lost."""
    for alarm in store.alarms.all():
        if (
            alarm.kind == CALLED
            and is_moment(alarm.at)
            and (wall - datetime.fromisoformat(alarm.at)).total_seconds() > CALL_UPDATE_S
        ):
            store.alarms.end(alarm.gate, CALLED, stamp(wall), alarm.detail)
            store.alarms.open(alarm.gate, MISSED, alarm.detail, stamp(wall))


def _is_within(event: WireEvent, wall: datetime, limit_s: float) -> bool:
    """Return whether the event happened within `limit_s` seconds of now, by the gate's clock."""
    try:
        return abs((wall - datetime.fromisoformat(event.at)).total_seconds()) <= limit_s
    except (ValueError, TypeError, OverflowError):
        return False


def _has_no_time(store: Store, gate: str) -> bool:
    """Return whether the gate does not trust its clock. In that case every call rings, because its age is unknown."""
    status = store.gate(gate).status
    return status is not None and "clock" in status.degraded


def _apply_fact(store: Store, gate: str, event: WireEvent) -> None:
    try:
        fact = _decoder.decode(event.body)
    except UNDECODABLE:
        return  # the hash chain detects changes; a newer gate may use another format
    match fact:
        case PersonEnrolled(subject=subject, purposes=purposes):
            store.faces.record_enrolment(subject, gate, event.at, purposes)
            apply_given_consents(store, gate, subject, purposes, event.at)
        case PersonRemoved(subject=subject):
            store.faces.delete_enrolment(subject, gate, event.at)
            store.held.remove(gate, subject)
        case RecordQuarantined(subject=subject, why=why):
            store.held.add(gate, subject, why)
        case RecordAccepted(subject=subject):
            store.held.remove(gate, subject)
        case GateHeld(gate=other):
            store.alarms.open(gate, GATE_HELD, other, event.at)
        case GateAccepted(gate=other):
            store.alarms.end(gate, GATE_HELD, event.at, other)
        case ConsentHeld():
            store.alarms.open(gate, CONSENT_HELD, "", event.at)
        case ConsentsAccepted(waiting=0):
            store.alarms.end(gate, CONSENT_HELD, event.at)
        case Commanded(command=command, outcome=outcome, why=why):
            store.commands.apply_journal_outcome(command, outcome, why)
