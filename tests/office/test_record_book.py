"""Records: one counter numbers them, the highest number wins, and each gate receives only its own face templates."""

from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.errors import OfficeError
from gated.office.office_person import OfficeCard, OfficePerson
from gated.office.store import Store
from gated.protocol.face_messages import SealedFace
from gated.protocol.record_keys import digest_of, key_of
from gated.protocol.wire_records import HouseholdRecord, PersonRecord, RoleRecord, Tombstone

GATES = ("gate-1", "gate-2")


@pytest.fixture
def store(in_memory):
    with closing(in_memory()) as store:
        yield store


def face(number):
    return SealedFace(f"face-{number}", "ab" * 32, 1, "sealed")


people = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("put"), people, st.sampled_from([(), ("recognise",), ("recognise", "transfer")])),
    st.tuples(st.just("remove"), people, st.none()),
    st.tuples(st.just("face"), people, st.sampled_from(GATES)),
    st.tuples(st.just("enrolled"), people, st.sampled_from(GATES)),
    st.tuples(st.just("new keys"), people, st.sampled_from(GATES)),
    st.tuples(st.just("household"), people, st.none()),
    st.tuples(st.just("leap"), st.integers(0, 30), st.none()),
)


def change(store, person, what, number, more, at):
    """Make one change at the office."""
    subject = person(number).subject
    match what:
        case "put":
            store.book.put(person(number, purposes=more))
        case "remove":
            store.book.remove(f"person/{subject}")
        case "face":
            store.faces.store_face(subject, more, face(number))
        case "enrolled":
            store.faces.record_enrolment(subject, more, at)
        case "new keys":
            store.faces.delete_gate(more)
        case "household":
            store.book.put(HouseholdRecord(n=0, household=f"2-40{number}", rights=[]))
        case "leap":
            store.book.renumber_all(store.book.version("gate-1") + number)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(steps, st.booleans()), max_size=25))
def test_applying_all_deltas_gives_all_records(person, in_memory, history):
    """One gate asks at arbitrary moments, both at the end. Each time they hold the office's records and digest."""
    with closing(in_memory()) as store:
        held, version = {gate: {} for gate in GATES}, dict.fromkeys(GATES, 0)

        def follow(gate):
            for record in store.book.after(gate, version[gate]):
                assert record.n > version[gate]
                held[gate][key_of(record)] = record
            assert store.book.version(gate) >= version[gate]
            version[gate] = store.book.version(gate)
            there = ((key, record.n) for key, record in held[gate].items() if not isinstance(record, Tombstone))
            assert digest_of(there) == store.book.digest(gate)

        for moment, ((what, number, more), asks) in enumerate(history):
            with suppress(OfficeError):
                change(store, person, what, number, more, f"2026-10-01T08:00:{moment:02}+00:00")
            if asks:
                follow("gate-1")
        for gate in GATES:
            follow(gate)
            for record in held[gate].values():
                if isinstance(record, PersonRecord) and record.face is not None:
                    assert {"recognise", "transfer"} <= {consent.purpose for consent in record.consents}


def test_a_face_record_changes_one_gate_only(store, person):
    store.book.put(person(1))
    before = {gate: (store.book.version(gate), store.book.digest(gate)) for gate in GATES}
    assert store.faces.store_face(person(1).subject, "gate-1", face(1))
    assert store.book.version("gate-1") > before["gate-1"][0]
    assert (store.book.version("gate-2"), store.book.digest("gate-2")) == before["gate-2"]
    [record] = store.book.after("gate-1", before["gate-1"][0])
    assert (record.face, record.n) == (face(1), store.book.version("gate-1"))


def test_no_record_number_is_used_twice(store, person):
    numbers = [store.book.put(person(number % 3)) for number in range(9)]
    numbers.append(store.book.remove(f"person/{person(1).subject}"))
    assert numbers == sorted(set(numbers))


def test_a_removed_person_does_not_return(store, person):
    store.book.put(person(1))
    store.book.remove(f"person/{person(1).subject}")
    for again in range(2):
        with pytest.raises(OfficeError, match="under another id"):
            store.book.put(person(1))
        if not again:
            store.book.renumber_all(100)
    with pytest.raises(OfficeError):
        store.book.remove(f"person/{person(1).subject}")


def test_a_deleted_role_may_be_set_again(store):
    store.book.put(RoleRecord(n=0, role="staff", rights=[]))
    gone = store.book.remove("role/staff")
    assert store.book.put(RoleRecord(n=0, role="staff", rights=[])) > gone
    assert len(store.book.live(RoleRecord)) == 1


def test_a_record_that_every_gate_would_refuse_is_refused_with_its_field(store, person):
    for wrong, what in (
        ({"name": "x" * 201}, "name"),
        ({"cards": [OfficeCard(str(n), "1234") for n in range(21)]}, "cards"),
    ):
        with pytest.raises(OfficeError, match=what):
            store.book.put(person(1, **wrong))
    assert store.book.get(f"person/{person(1).subject}") is None


def test_a_record_that_would_leave_no_room_for_a_face_is_refused(store, person):
    cards = [OfficeCard(str(n), "1234", "名" * 200) for n in range(20)]
    store.book.put(person(1, cards=cards))
    with pytest.raises(OfficeError, match="give fewer cards"):
        long = [OfficeCard("名" * 64, "名" * 64, "名" * 200) for _ in range(20)]
        store.book.put(person(1, cards=long, name="名" * 200))


def test_after_a_jump_no_record_keeps_its_old_number(store, person):
    for number in range(5):
        store.book.put(person(number))
    store.faces.store_face(person(2).subject, "gate-1", face(2))
    store.book.remove(f"person/{person(0).subject}")
    store.book.renumber_all(1000)
    assert all(record.n > 1000 for record in store.book.live(OfficePerson))
    assert store.book.version("gate-2") > 1000
    assert {r.subject: r.face for r in store.book.after("gate-1", 1000) if isinstance(r, PersonRecord)} == {
        person(1).subject: None,
        person(2).subject: face(2),
        person(3).subject: None,
        person(4).subject: None,
    }


def test_two_writers_see_each_others_records(tmp_path, person):
    with (
        closing(Store.create(tmp_path / "office", "market-south")) as one,
        closing(Store.open(tmp_path / "office")) as two,
    ):
        one.book.put(person(1))
        assert two.book.put(person(2)) == 2
        two.book.remove(f"person/{person(1).subject}")
        assert [record.subject for record in one.book.live(OfficePerson)] == [person(2).subject]
        assert one.book.digest("gate-1") == two.book.digest("gate-1")
