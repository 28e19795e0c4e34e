"""A power cut between any two statements of a batch leaves the gate with the state before or after the batch.

The test copies the disk before each statement and starts a gate from every copy. `tests/journal` shows that a commit in
the write-ahead log is stored wholly or not at all. These tests show the rest: two databases that commit one after the
other never disagree after a start.
"""

import shutil

import pytest

from gated.protocol.wire_records import RoleRecord, ScheduleRecord, Tombstone, WireAccessRule, WireCard


class Camera:
    """Copies the state folder before every statement on each database."""

    def __init__(self, gate, folder):
        self.gate, self.folder, self.copies = gate, folder, []

    def __enter__(self):
        for connection in self.connections:
            connection.set_trace_callback(self.look)
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.set_trace_callback(None)
        self.look("")

    @property
    def connections(self):
        replica = self.gate.replica
        return (*replica._holdings.register._stores.connections, replica._staging._connection)

    def look(self, statement):
        if not statement.startswith(("SELECT", "PRAGMA")):
            self.copies.append(self.folder / str(len(self.copies)))
            shutil.copytree(self.gate.state, self.copies[-1], ignore=shutil.ignore_patterns("*-shm"))


def everything(gate):
    """Return all stored data as one comparable value."""
    register, holdings = gate.replica._holdings.register, gate.replica._holdings
    people = {
        person.subject: (person.name, person.status, person.role, holdings.get(f"person/{person.subject}").n)
        for person in register.people()
    }
    faces = sorted((row.subject, row.vector.tobytes()) for row in register.opened(gate.embedder).rows)
    with gate.store() as store:
        ways = sorted((c.kind, c.subject, c.label) for c in store.all())
        rights = {subject: holder.rules for subject, holder in store.holders().items()}
        hours = store.schedules()
    mark = gate.replica.mark
    return (mark.version, mark.digest, people, faces, ways, rights, hours)


def is_whole(gate):
    """Return whether every key and template has an owner, every template opens, and no erasure is pending."""
    register = gate.replica._holdings.register
    opened = register.opened(gate.embedder)
    debts = [c.execute("SELECT count(*) FROM erasures").fetchone()[0] for c in register._stores.connections]
    waiting = [held for held in gate.replica._holdings.quarantined() if held.pending is not None]
    is_nobodys = register._templates.keys().keys() - register._people.faces()
    return (
        not is_nobodys
        and opened.unreadable == 0
        and register._templates.count() == len(opened.rows) + len(waiting)
        and debts == [0, 0]
    )


def before(kit, office):
    """Store three people: one will go, one will get another face, card and paper, and one will lose the face."""
    office.put(
        RoleRecord(n=0, role="staff", rights=[WireAccessRule("main", "work")]),
        kit.person(1, name="Unmistakable", face=kit.face(1, pictures=2), cards=[WireCard("c1", "55501")]),
        kit.person(2, face=kit.face(2), cards=[WireCard("c2", "55502")]),
        kit.person(3, face=kit.face(3)),
    )


def after(kit, office):
    office.remove(1)
    office.put(
        kit.person(
            2, face=kit.face(2, like=22), cards=[WireCard("c2", "55501")], consents=kit.consents(9, "recognise")
        ),
        kit.person(3, consents=[]),
        kit.person(4, face=kit.face(4), status="suspended"),
        ScheduleRecord(n=0, name="work", days=["mon"], start="08:00", end="18:00"),
        Tombstone(n=0, key="role/staff"),
    )


@pytest.mark.parametrize("kind", ["delta", "snapshot"])
def test_a_power_cut_between_two_statements_leaves_a_whole_batch_or_nothing(
    follow, office, kit, careless, tmp_path, kind
):
    followed = follow()
    before(kit, office)
    followed.hear(office.delta())
    was = everything(followed)
    after(kit, office)
    messages = [office.delta(4)] if kind == "delta" else office.snapshot()
    with Camera(followed, tmp_path / "copies") as camera:
        followed.hear(*messages)
    now = everything(followed)
    assert now[:2] == (office.version, office.digest) != was[:2]
    seen = []
    for copy in camera.copies:
        gate = kit.Followed(copy)
        seen.append(everything(gate))
        assert seen[-1] in (was, now)
        assert is_whole(gate)
        gate.replica.close()
    turn = seen.index(now)
    assert seen == [was] * turn + [now] * (len(seen) - turn), "and never back"
    assert 5 < turn < len(seen) - 1, "there was something to see on both sides"


def test_after_any_power_cut_the_rest_arrives_and_removed_people_leave_nothing(follow, office, kit, careless, tmp_path):
    followed = follow()
    before(kit, office)
    followed.hear(office.delta())
    after(kit, office)
    with Camera(followed, tmp_path / "copies") as camera:
        followed.hear(office.delta(4))
    for copy in camera.copies[::4]:
        gate = kit.Followed(copy)
        (receipt,) = gate.hear(office.delta(4))
        assert (receipt.subject, receipt.templates) == (kit.subject(1), 2)
        assert everything(gate) == everything(followed)
        assert gate.traces(b"Unmistakable") == []
        gate.replica.close()
