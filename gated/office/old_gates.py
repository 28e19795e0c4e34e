"""Finds gates that are too old for marks of faces, and for rules that need two credential kinds.

Such a gate ignores a mark, so the face alone still opens it. By such a rule it admits no person. `Exchange` keeps the
alarm `mark_ignored` for each gate that ignores a mark. The commands that set a mark or such a rule name these gates.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from gated.journal.entry import parse_time, stamp
from gated.names import is_same
from gated.office.gate_session import GateSession
from gated.office.gate_store import PairedGate
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.protocol.status_messages import TWO_KINDS, Status

IGNORED = "mark_ignored"
"""Kind of alarm: a gate ignores the marks of people."""


def too_old(gates: Iterable[PairedGate], among: Collection[str] = ()) -> list[PairedGate]:
    """Return the gates whose newest status shows that they know no marks. `among`: check these gates only.

    A gate that has never sent a status is left out: nothing is known about it.
    """
    return [
        gate
        for gate in gates
        if gate.status is not None
        and TWO_KINDS not in gate.status.can
        and (not among or any(is_same(gate.gate, each) for each in among))
    ]


def has_marks(store: Store, wall: datetime) -> bool:
    """Return whether a person has a mark that holds at this time."""
    ends = [person.mark.until for person in store.book.live(OfficePerson) if person.mark is not None]
    times = [None if end is None else parse_time(end) for end in ends]
    return any(time is None or time > wall for time in times)


def update_mark_alarm(store: Store, session: GateSession, status: Status, wall: datetime) -> None:
    """Open the alarm while a person has a mark and this gate is too old for it. End it otherwise."""
    if status.state != "online":
        return
    is_ignored = TWO_KINDS not in status.can and has_marks(store, wall)
    if session.open_alarms.get(IGNORED) is is_ignored:
        return
    if is_ignored:
        store.alarms.open(session.gate, IGNORED, "", stamp(wall))
    else:
        store.alarms.end(session.gate, IGNORED, stamp(wall))
    session.open_alarms[IGNORED] = is_ignored
