"""While the disk takes no writes, a removed or suspended person is shut out.

The gate acknowledges nothing, and no command counts.
"""

from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest

from gated.config import SyncSettings
from gated.events import PersonSuspended
from gated.journal.journal import Journal
from gated.protocol.command_messages import Command, ReleaseDoor, Reply, Suspend
from gated.protocol.envelope import Peer
from gated.protocol.record_messages import RecordRequest, RemovalReceipt
from gated.protocol.topics import Topics
from gated.sync.command_desk import UNWRITABLE, CommandDesk
from gated.sync.command_handling import SUSPENDED_IN_MEMORY
from gated.sync.denied_subjects import DeniedSubjects
from gated.sync.isolation import DISK_REST_S
from gated.sync.replica import Replica
from gated.sync.session import GateSide

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


class Gate:
    """The link's parts on a disk, as `following` builds them.

    `DeniedSubjects` reports the people who are shut out, as it does to the entrance.
    """

    def __init__(self, kit, state):
        self.kit, self.state, self.now = kit, state, 0.0
        self.told, self.facts = [], []
        self.revoked = DeniedSubjects(self.told.append)
        self.office = Peer(kit.office, kit.me.party, kit.site, kit.gate)
        self.topics = Topics(kit.site, kit.gate)
        self.open()

    def open(self):
        peer = Peer(self.kit.me, self.kit.office.party, self.kit.site, self.kit.gate)
        self.replica = Replica(
            self.state, peer, self.kit.embedder, self.kit.dimension, 0.7, 1000, self.facts.append, lambda: None,
            self.revoked,
        )  # fmt: skip
        self.side = GateSide(
            peer, self.topics, SyncSettings(url="mqtts://office"), replica=self.replica, report=self.facts.append,
            open_journal=lambda: Journal.open(self.state, self.kit.site, self.kit.gate),
            desk=CommandDesk(self.state, self.kit.site, self.kit.gate), now=self.now,
        )  # fmt: skip

    def handle_message(self, message, topic="record"):
        """Give the gate an office message; return the result and the gate's answers, as the office reads them."""
        self.now += DISK_REST_S
        heard = self.side.handle_message(getattr(self.topics, topic), self.office.write(message), self.now, NOON)
        return heard, [self.office.read(out.payload, Reply, RemovalReceipt, RecordRequest) for out in heard.outgoing]

    def order(self, action, number, at=NOON):
        return self.handle_message(
            Command(site=self.kit.site, gate=self.kit.gate, id=f"{number:032x}", number=number, at=at.isoformat(),
                    operator="li", reason="a test", action=action),
            "command",
        )  # fmt: skip

    @property
    def shut_out(self):
        return self.told[-1] if self.told else frozenset()


@pytest.fixture
def gate(kit, office, disk):
    """A gate with three people of the office, whose disk takes no writes since the last start."""
    gate = Gate(kit, disk.folder)
    gate.handle_message(_delta(office, office.put(*(kit.person(number) for number in (1, 2, 3)))))
    assert gate.replica.mark.version == 3
    gate.side.close()
    disk.freeze()
    gate.open()
    yield gate
    gate.side.close()


def _delta(office, records):
    return office.delta(records[0].n - 1)


def test_without_a_disk_the_gate_still_reports_its_progress(gate, office):
    """If the gate reported version 0, the office would send all records again as long as the disk is broken."""
    assert (gate.replica.mark.version, gate.replica.mark.digest) == (3, office.digest)


def test_without_a_disk_removals_count_at_once_and_are_acknowledged_once_stored(gate, kit, office, disk):
    gone = office.remove(1)
    suspended = office.put(kit.person(2, status="suspended"))
    changed = office.put(kit.person(3, name="Another"))
    for records in (gone, suspended, changed):
        _, said = gate.handle_message(_delta(office, records))
        assert not any(isinstance(each, RemovalReceipt) for each in said)
    assert gate.shut_out == {kit.subject(1), kit.subject(2)}
    assert gate.replica.mark.version == 3
    gate.side.close()
    disk.thaw()
    gate.open()
    assert gate.shut_out == {kit.subject(1), kit.subject(2)}, "a link that begins anew forgets nobody"
    _, said = gate.handle_message(office.delta(3))
    assert [each.subject for each in said if isinstance(each, RemovalReceipt)] == [kit.subject(1)]
    assert gate.shut_out == frozenset(), "it is on disk, and the entrance reads it there"
    assert gate.replica.mark.version == 6
    assert PersonSuspended(kit.subject(2)) in gate.facts


def test_a_replayed_old_record_locks_nobody_out(gate, kit, office):
    """Ann was suspended once and is active again.

    A broker that kept the old record must not be able to shut her out.
    """
    old = kit.person(1, status="suspended")
    gate.replica.deny_unstored(SimpleNamespace(records=[msgspec.structs.replace(old, n=1)]))
    assert gate.shut_out == frozenset()


def test_without_a_disk_a_command_is_refused_with_a_reason(gate):
    heard, (reply,) = gate.order(ReleaseDoor("main"), 1)
    assert heard.command is None
    assert (reply.outcome, reply.why) == ("refused", UNWRITABLE)
    assert [fact.outcome for fact in gate.facts if hasattr(fact, "operator")] == ["refused"]


def test_without_a_disk_a_suspend_command_counts_in_memory_unacknowledged(gate, kit, office):
    (record,) = office.put(kit.person(1, status="suspended"))
    heard, (reply,) = gate.order(Suspend(kit.subject(1), record.n), 1)
    assert heard.command is None
    assert (reply.outcome, reply.why) == ("refused", SUSPENDED_IN_MEMORY)
    assert gate.shut_out == {kit.subject(1)}


def test_an_old_suspend_command_has_no_effect(gate, kit):
    _, (reply,) = gate.order(Suspend(kit.subject(1), 9), 1, at=NOON.replace(hour=10))
    assert (reply.outcome, reply.why) == ("refused", UNWRITABLE)
    assert gate.shut_out == frozenset()
