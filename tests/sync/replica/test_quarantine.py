"""Signed records that look like poisoning stay in quarantine until a person at the gate accepts them."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.composite import Composite
from gated.events import RecordQuarantined
from gated.gallery.holdings import Holdings
from gated.gallery.search import Row
from gated.people.held_records import Allowed
from gated.protocol.face_messages import FaceTemplates, SealedFace
from gated.protocol.record_messages import Delta
from gated.protocol.wire_records import Tombstone
from gated.sync.quarantine import BLOCK, WINDOW_S, Allowance, find_duplicates

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


def quarantined(followed):
    return [(e.subject, e.why) for e in followed.facts(RecordQuarantined)]


def accept(followed, kit, number):
    holdings = Holdings.open(followed.state, kit.site)
    try:
        return holdings.accept(kit.subject(number))
    finally:
        holdings.close()


def odd_face(kit, number, vectors, **other):
    """Return a face sealed to this gate with arbitrary content."""
    said = {"subject": kit.subject(number), "embedder_sha256": kit.embedder, "vectors": vectors} | other
    sealed = kit.me.party.seal(msgspec.json.encode(FaceTemplates(**said))).decode()
    return SealedFace(id=f"odd{number}", embedder_sha256=said["embedder_sha256"], count=len(vectors), sealed=sealed)


def test_most_of_five_hundred_new_people_are_held_back(follow, office, kit):
    followed = follow(most_new_per_hour=20)
    office.put(*(kit.person(number) for number in range(1, 501)))
    followed.hear(office.delta())
    assert followed.people().keys() == {kit.subject(number) for number in range(1, 21)}
    assert quarantined(followed) == [(kit.subject(number), "bulk") for number in range(21, 501)]
    mark = followed.replica.mark
    assert (mark.quarantined, mark.version, mark.digest) == (480, 500, office.digest)


def test_the_hour_is_a_sliding_window(follow, office, kit):
    followed = follow(most_new_per_hour=2)
    for number in range(1, 7):
        office.put(kit.person(number))
        followed.hear(office.delta(number - 1))
        followed.now += 1900.0
    assert [subject for subject, _ in quarantined(followed)] == []
    office.put(*(kit.person(number) for number in (7, 8, 9)))
    followed.hear(office.delta(6))
    assert quarantined(followed) == [(kit.subject(8), "bulk"), (kit.subject(9), "bulk")], "one of the last hour counts"


def test_changes_of_known_people_do_not_count(follow, office, kit):
    followed = follow(most_new_per_hour=3)
    office.put(*(kit.person(number) for number in (1, 2, 3)))
    followed.hear(office.delta())
    for name in "abc":
        office.put(*(kit.person(number, name=name) for number in (1, 2, 3)))
        followed.hear(office.delta(office.version - 3))
    assert quarantined(followed) == []
    assert {person.name for person in followed.people().values()} == {"c"}


def test_a_first_snapshot_does_not_count_and_a_later_one_does(follow, office, kit):
    followed = follow(most_new_per_hour=2)
    office.put(*(kit.person(number) for number in range(1, 11)))
    followed.hear_word(office.word())
    followed.hear(*office.snapshot())
    assert (len(followed.people()), quarantined(followed)) == (10, [])
    office.put(*(kit.person(number) for number in range(11, 21)))
    followed.hear(*office.snapshot())
    assert len(followed.people()) == 12
    assert len(quarantined(followed)) == 8
    assert followed.replica.mark.digest == office.digest


def test_a_held_person_who_is_removed_is_deleted(follow, office, kit):
    followed = follow(most_new_per_hour=1)
    office.put(kit.person(1), kit.person(2))
    followed.hear(office.delta())
    assert followed.replica.mark.quarantined == 1
    office.remove(2)
    assert [receipt.subject for receipt in followed.hear(office.delta(2))] == [kit.subject(2)]
    assert (followed.replica.mark.quarantined, followed.replica.mark.digest) == (0, office.digest)
    assert not accept(followed, kit, 2)


def test_an_accepted_person_arrives_with_the_next_heartbeat_and_survives_a_restart(follow, office, kit):
    followed = follow(most_new_per_hour=1)
    office.put(*(kit.person(number, face=kit.face(number)) for number in (1, 2, 3)))
    followed.hear(office.delta())
    assert followed.people().keys() == {kit.subject(1)}
    assert followed.hear_word(office.word()) == []
    assert accept(followed, kit, 2)
    assert followed.replica.mark.digest != office.digest
    followed.restart()
    followed.converge(office)
    assert followed.people().keys() == {kit.subject(1), kit.subject(2)}
    assert followed.finds(2) == kit.subject(2)
    assert followed.replica.mark.quarantined == 1
    assert followed.replica.mark.digest == office.digest
    assert not accept(followed, kit, 2)


def test_an_older_record_does_not_restore_an_accepted_person(follow, office, kit):
    followed = follow(most_new_per_hour=1)
    office.put(kit.person(1), kit.person(2))
    kept = office.delta()
    office.put(kit.person(2, status="suspended"))
    followed.hear(kept, office.delta(2))
    accept(followed, kit, 2)
    followed.hear(kept)
    assert kit.subject(2) not in followed.people()
    followed.converge(office)
    assert followed.people()[kit.subject(2)].status == "suspended"


def test_an_accepted_person_missing_from_a_snapshot_is_deleted(follow, office, kit):
    followed = follow(most_new_per_hour=1)
    office.put(kit.person(1), kit.person(2))
    followed.hear(office.delta())
    accept(followed, kit, 2)
    office.remove(2)
    followed.replica._pull.wants_snapshot = True
    followed.hear(*office.snapshot())
    assert followed.replica._holdings.get(f"person/{kit.subject(2)}").is_gone


def test_a_duplicate_face_is_held_and_its_person_stays(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1, pictures=3)))
    followed.hear(office.delta())
    office.put(kit.person(2, face=kit.face(2, like=1, pictures=2)), kit.person(3, face=kit.face(3)))
    followed.hear(office.delta(1))
    assert followed.people().keys() == {kit.subject(number) for number in (1, 2, 3)}
    assert quarantined(followed) == [(kit.subject(2), "duplicate")]
    assert followed.finds(1) == kit.subject(1)
    assert followed.finds(3) == kit.subject(3)
    assert followed.replica.mark.quarantined == 1
    assert followed.replica.mark.digest == office.digest


def test_the_first_of_two_equal_faces_in_a_batch_is_kept(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)), kit.person(2, face=kit.face(2, like=1)))
    followed.hear(office.delta())
    assert quarantined(followed) == [(kit.subject(2), "duplicate")]
    assert followed.finds(1) == kit.subject(1)


def test_a_person_who_replaces_a_leaving_one_in_a_batch_is_no_duplicate(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)))
    followed.hear(office.delta())
    office.put(kit.person(2, face=kit.face(2, like=1)))
    office.remove(1)
    followed.hear(office.delta(1))
    assert quarantined(followed) == []
    assert followed.finds(1) == kit.subject(2)


def test_a_new_face_of_the_same_person_is_no_duplicate(followed, office, kit):
    """It still waits as a changed face: step by step, such pictures could lead to any other person's face."""
    office.put(kit.person(1, face=kit.face(1)))
    followed.hear(office.delta())
    office.put(kit.person(1, face=kit.face(1, pictures=4)))
    followed.hear(office.delta(1))
    assert quarantined(followed) == [(kit.subject(1), "changed")]
    assert accept(followed, kit, 1)
    followed.converge(office)
    followed.replica._holdings.register.tidy()
    assert followed.replica._holdings.register._templates.count() == 4


def test_a_held_face_keeps_the_old_one_in_use(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)), kit.person(2, face=kit.face(2)))
    followed.hear(office.delta())
    office.put(kit.person(2, face=kit.face(2, like=1, pictures=2)))
    followed.hear(office.delta(2))
    assert followed.finds(2) == kit.subject(2)
    assert followed.replica.mark.quarantined == 1
    office.put(kit.person(2, face=kit.face(2)))
    followed.hear(office.delta(3))
    assert followed.finds(2) == kit.subject(2)
    assert followed.replica.mark.quarantined == 0


def test_twins_are_both_admitted_after_an_acceptance_at_the_gate(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)), kit.person(2, face=kit.face(2, like=1)))
    followed.hear(office.delta())
    assert accept(followed, kit, 2)
    followed.converge(office)
    assert followed.replica.mark.quarantined == 0
    register = followed.replica._holdings.register
    assert {row.subject for row in register.opened(kit.embedder).rows} == {kit.subject(1), kit.subject(2)}


BAD = [np.full(32, np.nan), np.full(32, np.inf), np.zeros(32), np.full(32, 9e9), np.full(32, 1e-42), np.eye(31)[0]]


@pytest.mark.parametrize("bad", BAD, ids=["nan", "infinite", "zero", "huge", "denormal", "short"])
def test_an_invalid_embedding_is_never_stored(followed, office, kit, bad):
    vectors = [kit.vector(1).tobytes(), bad.astype("<f4").tobytes()]
    office.put(kit.person(1, face=odd_face(kit, 1, vectors)))
    followed.hear(office.delta())
    assert quarantined(followed) == [(kit.subject(1), "vector")]
    assert followed.replica._holdings.register._templates.count() == 0
    assert followed.people().keys() == {kit.subject(1)}
    accept(followed, kit, 1)
    followed.converge(office)
    assert followed.replica._holdings.register._templates.count() == 0


PARTS = Composite.of((8, 24), (0.5, 0.5), [[0.1] * 8, [0.1] * 24])


def joined(number):
    """Return a vector with two valid parts."""
    vector = np.random.default_rng(number).standard_normal(32).astype(np.float32)
    return PARTS.join([vector[place] / np.linalg.norm(vector[place]) for place in PARTS.slices])


def test_a_vector_with_a_damaged_part_is_never_stored(follow, office, kit):
    """It has length 1, so that it passes the check of the whole vector."""
    there, alone = follow(composite=PARTS), np.eye(32, dtype=np.float32)[0]
    for number, vectors in {1: [joined(1), alone], 2: [joined(2)]}.items():
        office.put(kit.person(number, face=odd_face(kit, number, [each.tobytes() for each in vectors])))
    there.hear(office.delta())
    assert quarantined(there) == [(kit.subject(1), "vector")]
    assert there.replica._holdings.register._templates.count() == 1


def test_neighbours_who_share_a_direction_are_no_duplicates_at_a_centred_gate(follow, office, kit):
    """They are compared as the search compares them."""
    shared = np.full(32, 0.6, np.float32)
    faces = {}
    for number in range(1, 13):
        vector = shared + np.random.default_rng(number).standard_normal(32).astype(np.float32) * np.float32(0.3)
        faces[number] = PARTS.join([vector[place] / np.linalg.norm(vector[place]) for place in PARTS.slices])
    assert float(faces[1] @ faces[2]) > kit.threshold
    strong = Composite.of((8, 24), (0.5, 0.5), [[0.3] * 8, [0.18] * 24])
    for composite, held in ((strong, 0), (None, len(faces) - 1)):
        there = follow(composite=composite)
        office.put(*(kit.person(n, face=odd_face(kit, n, [face.tobytes()])) for n, face in faces.items()))
        there.hear(office.delta())
        assert len(quarantined(there)) == held


def test_a_face_with_wrong_person_count_or_key_is_held(followed, office, kit):
    right = [kit.vector(1).tobytes()]
    sealed_elsewhere = kit.neighbour.party.seal(msgspec.json.encode(FaceTemplates(kit.subject(5), kit.embedder, right)))
    faces = {
        1: odd_face(kit, 1, right, subject=kit.subject(9)),
        2: msgspec.structs.replace(odd_face(kit, 2, right), count=2),
        3: msgspec.structs.replace(odd_face(kit, 3, right), embedder_sha256="cd" * 32),
        4: odd_face(kit, 4, [b"abc"]),
        5: msgspec.structs.replace(odd_face(kit, 5, right), sealed=sealed_elsewhere.decode()),
        6: msgspec.structs.replace(odd_face(kit, 6, right), sealed="no seal"),
        7: msgspec.structs.replace(odd_face(kit, 7, right), sealed=kit.me.party.seal(b"[1, 2]").decode()),
    }
    office.put(*(kit.person(number, face=face) for number, face in faces.items()))
    followed.hear(office.delta())
    assert quarantined(followed) == [(kit.subject(number), "vector") for number in faces]
    assert followed.replica._holdings.register._templates.count() == 0


def test_a_face_of_another_embedder_is_stored_and_not_searched(followed, office, kit):
    foreign = odd_face(kit, 1, [np.eye(48, dtype="<f4")[0].tobytes()], embedder_sha256="cd" * 32)
    office.put(kit.person(1, face=foreign), kit.person(2, face=kit.face(2)))
    followed.hear(office.delta())
    assert quarantined(followed) == []
    opened = followed.replica._holdings.register.opened(kit.embedder)
    assert (opened.foreign, opened.unreadable, len(opened.rows)) == (1, 0, 1)


def test_events_and_log_have_no_name(follow, office, kit, caplog):
    followed = follow(most_new_per_hour=1)
    office.put(kit.person(1, face=kit.face(1)), kit.person(2), kit.person(1, face=odd_face(kit, 1, [b"1234"])))
    followed.hear(office.delta())
    logged = caplog.text + str(followed.events)
    for secret in ("Resident", "Block", "paper-"):
        assert secret not in logged


def test_suspended_records_do_not_bypass_the_hour(follow, office, kit):
    followed = follow(most_new_per_hour=2)
    said = office.put(*(kit.person(number, status="suspended") for number in range(1, 6)))
    followed.hear(Delta(**kit.us, after=4, upto=5, records=[said[4]]))  # it leaves a gap
    followed.hear(office.delta())
    office.put(*(kit.person(number) for number in range(1, 6)))
    followed.hear(office.delta(5))
    active = [person for person in followed.people().values() if person.status == "active"]
    assert len(active) == 2


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(0, 3 * WINDOW_S), st.integers(0, 4), st.booleans(), st.booleans()), max_size=30),
)
def test_no_hour_exceeds_its_limit_across_restarts(most, steps):
    allowance, allowed, joined = Allowance(most, 0), Allowed(), []
    for now, asked, restarts, is_trusted in sorted(steps):
        if restarts:
            allowance = Allowance(most, 0, allowed)
        wall = NOON + timedelta(seconds=now) if is_trusted else None
        granted = min(asked, allowance.remaining(allowed, now, wall))
        if granted:
            allowed = allowance.spend(allowed, granted, now, wall)
            allowance.note_joined(allowed, now)
        joined += [now] * granted
        assert len([at for at in joined if at > now - WINDOW_S]) <= most


@pytest.mark.parametrize(
    ("joined_at", "restarted_at", "left"),
    [
        (NOON, None, 0),
        (None, NOON + timedelta(days=9), 0),
        (None, None, 0),
        (NOON, NOON - timedelta(days=9), 0),
        (NOON, NOON + timedelta(minutes=59), 0),
        (NOON, NOON + timedelta(hours=1), 5),
    ],
)
def test_after_a_restart_only_a_trusted_clock_ends_the_hour(joined_at, restarted_at, left):
    """Attack: the hourly allowance is used up, the clock is changed, and the office commands a restart."""
    first = Allowance(5, 0)
    allowed = first.spend(Allowed(), 5, 100.0, joined_at)
    again = Allowance(5, 0, allowed)
    assert again.remaining(allowed, 10.0, restarted_at) == left
    assert again.remaining(allowed, 10.0 + WINDOW_S, None) == 5, "an hour of its own has passed"


def test_with_an_untrusted_clock_no_batch_begins_or_continues(follow, office, kit):
    followed = follow(most_new_per_hour=0, most_new_in_batch=9)
    followed.replica.wall = None
    assert followed.replica.announce(5, 2.0).outcome == "refused"
    followed.replica.wall = NOON
    assert followed.replica.announce(5, 2.0).outcome == "done"
    office.put(kit.person(1))
    followed.replica.wall = None
    followed.hear(office.delta())
    assert followed.people() == {}
    followed.replica.wall = NOON + timedelta(hours=1)
    office.put(kit.person(2))
    followed.hear(office.delta(1))
    assert list(followed.people()) == [kit.subject(2)]


def test_a_gate_without_people_left_is_not_a_new_gate(follow, office, kit):
    """Attack: the office removes all people, so that a snapshot could bring any number of strangers at once."""
    followed = follow(most_new_per_hour=2)
    office.put(kit.person(1), kit.person(2))
    followed.hear(office.delta())
    office.put(*(Tombstone(n=0, key=f"person/{kit.subject(number)}") for number in (1, 2)))
    followed.hear(office.delta(2))
    office.put(*(kit.person(number) for number in range(3, 30)))
    followed.replica._pull.wants_snapshot = True
    for part in office.snapshot():
        followed.hear(part)
    assert followed.people() == {}
    assert len(followed.replica.quarantined()) == 27


def slowly(stored, arriving, threshold):
    """Find the same people as `find_duplicates`, with one comparison after the other."""
    known, found = [(row.subject, row.vector) for row in stored], set()
    for subject, vectors in arriving:
        if any(float(old @ new) >= threshold for who, old in known if who != subject for new in vectors):
            found.add(subject)
        else:
            known += [(subject, vector) for vector in vectors]
    return found


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), max_size=6), st.integers(0, 4))
def test_duplicates_are_found_as_by_comparing_every_pair(arrivals, stored):
    def picture(who, which):
        vector = np.random.default_rng(who // 2).standard_normal(16) + 0.2 * np.random.default_rng(
            (who, which)
        ).standard_normal(16)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    rows = [Row(f"stored{who}", "", "active", picture(who, 9)) for who in range(stored)]
    faces = [(f"new{at}", [picture(who, which) for which in range(count)]) for at, (who, count) in enumerate(arrivals)]
    assert find_duplicates(rows, faces, 0.8) == slowly(rows, faces, 0.8)


def test_duplicates_are_found_across_blocks_and_a_rejected_face_rejects_no_other():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((2 * BLOCK + 10, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    faces = [(str(number), [vector]) for number, vector in enumerate(vectors)]
    late = [("late", [vectors[3]]), ("later", [vectors[3]])]
    assert find_duplicates([], [*faces, *late], 0.99) == {"late", "later"}
    assert find_duplicates([], [*faces, *late], 0.99, allowed={"late"}) == {"later"}
    assert find_duplicates([Row("x", "", "active", vectors[0])], faces, 0.99) == {"0"}
    assert find_duplicates([Row("0", "", "active", vectors[0])], faces, 0.99) == set()
    assert find_duplicates([], [], 0.99) == set()
