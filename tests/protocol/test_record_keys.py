"""Tests of the records' definition, which both ends share."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.protocol.record_keys import digest_of, key_of, removes_access
from gated.protocol.wire_records import GateRecord, HouseholdRecord, PersonRecord, RoleRecord, ScheduleRecord, Tombstone
from gated.storage.valid_rows import MOST_INTEGER

SUBJECT = "0123456789abcdef"
PERSON = PersonRecord(n=1, subject=SUBJECT, name="Ann", household="2-401", added_at="2026-03-01T09:30:00+00:00")
HELD = st.dictionaries(st.text(max_size=8), st.integers(1, MOST_INTEGER), max_size=8)


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (PERSON, f"person/{SUBJECT}"),
        (HouseholdRecord(n=1, household="2-401", rights=[]), "household/2-401"),
        (RoleRecord(n=1, role="staff", rights=[]), "role/staff"),
        (ScheduleRecord(n=1, name="work", days=["mon"], start="08:00", end="18:00"), "schedule/work"),
        (GateRecord(n=1, gate="north", keys="{}"), "gate/north"),
        (Tombstone(n=1, key="role/staff"), "role/staff"),
    ],
)
def test_every_record_has_the_key_of_its_subject(record, key):
    assert key_of(record) == key


def test_the_digest_covers_sorted_lines():
    assert digest_of([("role/b", 2), ("person/a", 10)]) == sha256(b"person/a 10\nrole/b 2\n").hexdigest()
    assert digest_of([]) == sha256(b"").hexdigest()


@given(HELD, st.randoms())
def test_the_digest_does_not_depend_on_the_order(held, dice):
    rows = list(held.items())
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert digest_of(shuffled) == digest_of(rows)


@given(HELD, HELD)
def test_different_records_have_a_different_digest(one, other):
    assert (digest_of(one.items()) == digest_of(other.items())) == (one == other)


def test_removed_and_suspended_people_never_wait():
    assert removes_access(Tombstone(n=1, key=f"person/{SUBJECT}"))
    assert removes_access(
        PersonRecord(**{f: getattr(PERSON, f) for f in PERSON.__struct_fields__} | {"status": "suspended"})
    )
    assert not removes_access(PERSON)


@pytest.mark.parametrize("key", ["schedule/work", "gate/north"])
def test_removing_schedules_and_gates_reduces_access(key):
    assert removes_access(Tombstone(n=1, key=key))


@pytest.mark.parametrize("key", ["household/2-401", "role/staff"])
def test_a_removed_household_or_role_waits_because_it_could_widen_access(key):
    assert not removes_access(Tombstone(n=1, key=key))
    assert not removes_access(HouseholdRecord(n=1, household="2-401", rights=[]))
