"""End-to-end test on each broker, with real processes on both sides: two gates and their office must agree."""

import contextlib
import json
import re
import signal
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from gated.config import ModelSettings
from gated.events import CallPressed, PersonEnrolled
from gated.face.manifest import load_set
from gated.gallery.register import Register
from gated.journal.journal import Journal
from gated.office.office_person import OfficeCard
from gated.protocol.command_messages import ReleaseDoor, SwitchLockdown
from gated.types import SubjectId

sys.path.insert(0, str(Path(__file__).parent))
from town import SITE, Town

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def town(tmp_path, broker, gate_at, wait_for):
    with contextlib.ExitStack() as stack:
        yield Town(tmp_path, broker, gate_at, stack, wait_for)


def test_office_and_gates_agree_after_any_events(town, broker):
    """Covers: join, register, enrol, share, suspend, command, cut off, kill, and remove with a receipt."""
    town.start()
    (east, there), (west, here) = town.gates.items()
    town.add("a" * 16, "recognise", "transfer", cards=[OfficeCard(id="card-1", number="0006729715")])
    town.add("b" * 16, "recognise")
    for gate in (there, here):
        town.until(lambda gate=gate: set(town.known(gate)) == {"a" * 16, "b" * 16}, "both people at the gate")

    # A face taken at one gate reaches the other gate if its owner agreed to the transfer.
    model = load_set(ModelSettings(set="courtyard"))
    for number, subject in enumerate(("a" * 16, "b" * 16)):
        vector = np.random.default_rng(number).normal(size=model.dimension)
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        with closing(Register.open(there.state, SITE)) as register, register.changing():
            register.store_capture(
                register.person(SubjectId(subject)), model.embedder_sha256, [vector], datetime.now(UTC)
            )
        with closing(Journal.open(there.state, SITE, east)) as journal:
            journal.append(PersonEnrolled(subject, 1, "1", model.embedder_sha256), datetime.now(UTC))
    town.until(lambda: town.accept(there), "the other gate's keys, which somebody accepts")
    town.until(lambda: town.templates(here, "a" * 16) == 1, "the shared face at the other gate")
    assert town.templates(here, "b" * 16) == 0

    # Each command is carried out once and written to the journal.
    assert town.order(east, ReleaseDoor()) == "done"
    town.until(there.lock_is_on, "the lock is released")
    assert not here.lock_is_on()
    assert town.order(west, SwitchLockdown(on=True)) == "done"
    assert town.order(west, ReleaseDoor()) == "refused"
    assert town.order(west, SwitchLockdown(on=False)) == "done"

    # A gate's certificate with another client's guessed id disconnects no other client.
    ids = [f"gated-{SITE}-{who}" for who in (east, "OFFICE", "OFFICE-1")] + [east, "OFFICE", "gated-OFFICE"]
    logs = lambda: (town.folder / "office.log").read_text() + there.log()  # noqa: E731
    losses = lambda: len(re.findall("cannot connect to the (office|broker)", logs()))  # noqa: E731
    lost = losses()
    let_in = [broker.knock(broker.tls(west), client_id=each) for _ in range(5) for each in ids]
    assert let_in == [broker.accepted] * len(let_in)
    assert town.order(east, ReleaseDoor()) == "done"
    assert losses() == lost

    # The broker is killed and loses its stored data. Meanwhile both sides change.
    broker.kill()
    town.store.book.put(replace(town.store.book.person("b" * 16), status="suspended"))
    there.brain.send_signal(signal.SIGKILL)
    there.brain.wait()
    with closing(Journal.open(here.state, SITE, west)) as journal:
        journal.extend([(CallPressed(), datetime.now(UTC))] * 300)
    broker.start()
    there.brain = there.start("run")
    for gate in (there, here):
        town.until(lambda gate=gate: town.known(gate)["b" * 16] == "suspended", "the suspension at the gate")

    # A person is removed, and each gate confirms it.
    town.store.book.remove("person/" + "a" * 16)
    for gate in (there, here):
        town.until(lambda gate=gate: "a" * 16 not in town.known(gate), "the removal at the gate")
    unanswered = lambda: [g for g in town.gates if town.store.book.removals_without_receipt(g, 0, 2**62, 10)]  # noqa: E731
    town.until(lambda: not unanswered(), "a receipt from each gate")
    for name in town.gates:
        town.until(lambda name=name: town.in_step(name), "the same records and rows on both sides")
    kinds = {row.event.kind for row in town.store.journals.rows(gate=east, limit=1000)}
    assert {"commanded", "way_granted", "door_released", "person_removed", "face_shared"} <= kinds
    assert not [a for a in map(json.dumps, map(str, town.store.journals.rows(limit=10_000))) if "Wang" in a]
