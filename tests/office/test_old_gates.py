"""Gates that are too old for marks of faces: the office names them and keeps an alarm."""

from datetime import timedelta

import pytest

from gated.office.old_gates import has_marks, too_old
from gated.protocol.jose import Identity
from gated.protocol.wire_records import WireMark
from gated.sync.status_reports import FUNCTIONS
from tests.office.conftest import CAN

IGNORED = ("gate-1", "mark_ignored")


def test_a_gate_of_this_version_is_not_too_old(court, gate):
    gate.status(can=FUNCTIONS)
    assert too_old(court.store.gates()) == []


def test_a_gate_that_was_never_heard_is_not_called_old(court):
    court.store.add_gate("gate-9", Identity.make().party.dump(), "0a0b")
    assert [each.status for each in court.store.gates()] == [None]
    assert too_old(court.store.gates()) == []


def test_an_offline_gate_stays_known_as_old(court, gate):
    """The last will of a gate names its functions, too."""
    gate.status(can=CAN)
    gate.status(can=CAN, state="offline", challenge="")
    assert [each.gate for each in too_old(court.store.gates())] == ["gate-1"]


def test_an_old_gate_has_an_alarm_while_a_person_has_a_mark(court, gate, person):
    gate.status(can=CAN)
    assert IGNORED not in court.alarms(), "nobody has a mark"
    court.store.book.put(person(2, mark=WireMark("alike")))
    gate.status(can=CAN)
    assert court.alarms().count(IGNORED) == 1
    gate.status(can=CAN)
    assert court.alarms().count(IGNORED) == 1
    court.store.book.put(person(2))
    gate.status(can=CAN)
    assert IGNORED not in court.alarms()


def test_an_update_of_the_gate_ends_the_alarm_and_a_way_back_opens_it_again(court, gate, person):
    court.store.book.put(person(2, mark=WireMark("child", "2099-02-01T00:00:00+08:00")))
    gate.status(can=CAN)
    assert IGNORED in court.alarms()
    court.restart()
    gate.status(can=FUNCTIONS)
    assert IGNORED not in court.alarms(), "also after a restart of the office"
    gate.status(can=CAN)
    assert IGNORED in court.alarms()


@pytest.mark.parametrize(
    ("until", "holds"),
    [(None, True), ("2026-11-24T00:00:00+08:00", True), ("2026-11-23T00:00:00+08:00", False), ("?", True)],
)
def test_a_mark_that_has_ended_needs_no_newer_gate(court, person, until, holds):
    court.store.book.put(person(2, mark=WireMark("child", until)))
    assert has_marks(court.store, court.wall) == holds
    assert not has_marks(court.store, court.wall + timedelta(days=40_000)) or until in (None, "?")
