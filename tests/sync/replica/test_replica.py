"""Deltas become people and access rules exactly once, in any order of arrival, and no version falls."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gated.access.access_rules import Refusal, judge_holder
from gated.access.schedules import Calendar
from gated.config import Schedule
from gated.errors import StateError
from gated.events import PersonRemoved, PersonResumed, PersonSuspended, RecordsApplied
from gated.gallery.enrolment import enrol, enrol_known
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.gallery.register import Register
from gated.people.access_rule import AccessRule
from gated.people.credential_store import Credentials
from gated.people.face_mark import FaceMark
from gated.people.issuing import issue_card
from gated.people.schedule_values import CalendarDays
from gated.people.store import Person
from gated.protocol.record_messages import Delta, RecordRequest, RemovalReceipt
from gated.protocol.wire_records import (
    GateRecord,
    HouseholdRecord,
    RoleRecord,
    ScheduleRecord,
    Tombstone,
    WireAccessRule,
    WireCard,
    WireMark,
    WirePreferences,
)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
LATER = "2099-01-01T00:00:00+08:00"


def enrol_here(gate, kit, number):
    """Enrol a person at the gate itself."""
    with closing(Gallery.open(gate.state, kit.site, kit.embedder, kit.dimension)) as gallery:
        return enrol(
            gallery, f"Local {number}", "1-101", [kit.vector(number)], consent=f"local-{number}", notice="n1",
            threshold=0.7, at=NOON,
        ).subject  # fmt: skip


def record_of(kit, subject, **other):
    return msgspec.structs.replace(kit.person(1, **other), subject=subject)


def test_a_person_arrives_complete(followed, office, kit):
    office.put(
        kit.person(
            1,
            role="Staff",
            rights=[WireAccessRule("main", "work", None, LATER)],
            cards=[WireCard("c1", "0012345", "blue", None, LATER, 3)],
            pin="739184",
            duress_pin="281946",
            wishes=WirePreferences(12.0, None, "touch"),
            face=kit.face(1, pictures=3),
            consents=kit.consents(1, "recognise", "transfer"),
        )
    )
    assert followed.hear(office.delta()) == []
    (person,) = followed.people().values()
    assert (person.name, person.household, person.role) == ("Resident Number 1", "Block 4 Flat 1", "staff")
    assert [consent.purpose for consent in person.consents] == ["recognise", "transfer"]
    ring = followed.ring()
    holder = ring.holder(kit.subject(1))
    assert [(right.door, right.schedule, right.valid_until.isoformat()) for right in holder.rules] == [
        ("main", "work", LATER)
    ]
    assert (holder.preferences.release_s, holder.preferences.first) == (12.0, "touch")
    card = ring.card("12345")
    assert (card.id, card.subject, card.label, card.uses_left) == ("c1", kit.subject(1), "blue", 3)
    assert [ring.pin(digits).is_duress for digits in ("739184", "281946")] == [False, True]
    assert followed.finds(1) == kit.subject(1)
    assert followed.events == [RecordsApplied(version=1, added=1, changed=0, removed=0)]
    assert followed.replica.mark.digest == office.digest


def test_a_repeated_record_changes_nothing_and_is_not_reported(followed, office, kit):
    office.put(kit.person(1, cards=[WireCard("c1", "12345", uses=2)]), kit.person(2))
    followed.hear(office.delta())
    before, changes, mark = list(followed.events), followed.changes, followed.replica.mark
    with followed.store() as store:
        store.use("c1", NOON)
    assert followed.hear(office.delta(), office.delta(1)) == []
    assert (followed.events, followed.changes, followed.replica.mark) == (before, changes, mark)
    assert followed.ring().card("12345").uses_left == 1


def test_a_replayed_old_delta_restores_nobody(followed, office, kit):
    office.put(kit.person(1), kit.person(2, status="suspended"))
    kept = office.delta()
    office.put(kit.person(2))
    office.remove(1)
    followed.hear(kept, office.delta(2), kept)
    assert set(followed.people()) == {kit.subject(2)}
    assert followed.people()[kit.subject(2)].status == "active"
    followed.restart()
    followed.hear(kept)
    assert set(followed.people()) == {kit.subject(2)}


def test_an_old_delta_restores_nobody_at_a_gate_that_never_had_them(followed, office, kit):
    office.put(kit.person(1))
    kept = office.delta()
    office.remove(1)
    office.put(kit.person(2), kit.person(3))
    followed.hear_word(office.word())
    followed.hear(*office.snapshot())
    assert not followed.replica._holdings.get(f"person/{kit.subject(1)}").is_gone, "it never heard of them"
    followed.hear(kept)
    assert followed.people().keys() == {kit.subject(2), kit.subject(3)}


def test_after_a_gap_only_removals_count_and_the_rest_is_requested(followed, office, kit):
    office.put(*(kit.person(number) for number in (1, 2, 3)))
    followed.hear(office.delta())
    office.put(kit.person(4))
    after = office.version
    office.put(kit.person(1, status="suspended"), kit.person(5), kit.person(2, name="Another"))
    office.remove(3)
    said = followed.hear(office.delta(after))
    receipt, request = said
    assert (receipt.subject, receipt.n, receipt.templates) == (kit.subject(3), office.version, 0)
    assert request == RecordRequest(**kit.us, after=3)
    people = followed.people()
    assert people.keys() == {kit.subject(1), kit.subject(2)}
    assert people[kit.subject(1)].status == "suspended"
    assert people[kit.subject(2)].name == "Resident Number 2"
    assert followed.replica.mark.version == 3
    followed.hear(*office.answer(request))
    assert followed.people().keys() == {kit.subject(number) for number in (1, 2, 4, 5)}
    assert followed.replica.mark.digest == office.digest


def test_after_a_gap_rules_of_groups_wait_for_the_missing_records(followed, office, kit):
    office.put(RoleRecord(n=0, role="staff", rights=[WireAccessRule("main", "never")]), kit.person(1, role="staff"))
    followed.hear(office.delta())
    office.put(kit.person(1, role="helper"))
    after = office.version
    office.put(Tombstone(n=0, key="role/staff"))
    followed.hear(office.delta(after))
    assert followed.ring().holder(kit.subject(1)).rules != ()
    followed.hear(office.delta(2))
    assert followed.ring().holder(kit.subject(1)).rules == ()


def test_the_newest_number_of_a_key_wins_in_any_order(followed, office, kit):
    office.put(kit.person(1))
    followed.hear(office.delta())
    (middle,) = office.put(kit.person(2))
    (newest,) = office.put(kit.person(1, status="suspended"))
    followed.hear(Delta(**kit.us, after=2, upto=3, records=[newest]))  # the delta before it is missing
    (older,) = [msgspec.structs.replace(kit.person(1), n=2)]
    followed.hear(Delta(**kit.us, after=1, upto=2, records=[middle, older]))
    assert followed.people()[kit.subject(1)].status == "suspended"


def test_a_removed_person_loses_key_name_and_card_and_the_receipt_is_repeated(followed, office, kit):
    office.put(kit.person(1, name="安妮 Unmistakable", cards=[WireCard("c1", "12345")], face=kit.face(1, pictures=2)))
    followed.hear(office.delta())
    secrets = [part for part in ("安妮", "Unmistakable", "paper-2026-00001") for part in [part.encode()]]
    assert followed.traces(*secrets)
    office.remove(1)
    (receipt,) = followed.hear(office.delta(1))
    assert isinstance(receipt, RemovalReceipt)
    assert (receipt.subject, receipt.n, receipt.templates) == (kit.subject(1), 2, 2)
    assert datetime.fromisoformat(receipt.at).utcoffset() == timedelta(0)
    assert followed.hear(office.delta(1)) == [receipt]
    followed.restart()
    assert followed.hear(office.delta(1)) == [receipt]
    assert followed.people() == {}
    assert followed.finds(1) is None
    assert followed.ring().card("12345") is None
    assert followed.traces(*secrets) == []
    assert followed.facts() == [PersonRemoved(kit.subject(1), 2)]


def test_an_unknown_removed_person_gets_a_receipt_too(followed, office, kit):
    office.put(kit.person(1))
    office.remove(1)
    (receipt,) = followed.hear(office.delta())
    assert (receipt.subject, receipt.templates) == (kit.subject(1), 0)
    assert followed.facts() == []


def test_no_receipt_is_sent_before_the_traces_are_erased(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)))
    followed.hear(office.delta())
    for connection in followed.replica._holdings.register._stores.connections:
        connection.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(followed.state / "templates.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM templates").fetchall()
        office.remove(1)
        assert followed.hear(office.delta(1)) == []
        assert followed.people() == {}
        followed.now += 1.0
        assert followed.replica.due(followed.now) == []
    followed.now += 10.0
    assert [said.subject for said in followed.replica.due(followed.now)] == [kit.subject(1)]
    assert followed.replica.due(followed.now + 10.0) == []


def test_suspensions_and_their_ends_are_reported_once(followed, office, kit):
    office.put(kit.person(1))
    followed.hear(office.delta())
    office.put(kit.person(1, status="suspended"))
    followed.hear(office.delta(1))
    office.put(kit.person(1, status="suspended", name="Ann"))
    followed.hear(office.delta(2))
    office.put(kit.person(1))
    followed.hear(office.delta(3))
    assert followed.facts() == [PersonSuspended(kit.subject(1)), PersonResumed(kit.subject(1))]
    assert [(e.version, e.added, e.changed) for e in followed.facts(RecordsApplied)] == [
        (1, 1, 0), (2, 0, 1), (3, 0, 1), (4, 0, 1)
    ]  # fmt: skip


def test_the_mark_shows_the_highest_number_received_early(followed, office, kit):
    office.put(kit.person(1), kit.person(2))
    followed.hear(office.delta())
    assert (followed.replica.mark.version, followed.replica.mark.newest) == (2, 2)
    office.put(kit.person(3))
    followed.hear(office.delta(2))
    office.put(kit.person(4))
    office.remove(1)
    followed.hear(office.delta(4))
    assert (followed.replica.mark.version, followed.replica.mark.newest) == (3, 5)
    followed.replica.suspend(kit.subject(2), 9)
    assert (followed.replica.mark.version, followed.replica.mark.newest) == (3, 9)
    followed.restart()
    assert followed.replica.mark.newest == 9


def test_a_command_suspends_before_its_record_and_an_older_record_does_not_undo_it(followed, office, kit):
    office.put(kit.person(1))
    followed.hear(office.delta())
    assert followed.replica.suspend(kit.subject(1), 3)
    assert followed.people()[kit.subject(1)].status == "suspended"
    assert followed.facts() == [PersonSuspended(kit.subject(1))]
    assert followed.replica.mark.digest == office.digest, "a command is no record"
    office.put(kit.person(1, name="Still on its way"))
    followed.hear(office.delta(1))
    assert followed.people()[kit.subject(1)].name == "Still on its way"
    assert followed.people()[kit.subject(1)].status == "suspended"
    office.put(kit.person(1, status="suspended", name="As the command said"))
    followed.hear(office.delta(2))
    assert followed.people()[kit.subject(1)].name == "As the command said"
    assert followed.replica.mark.digest == office.digest
    office.put(kit.person(1))
    followed.hear(office.delta(3))
    assert followed.people()[kit.subject(1)].status == "active"


def test_a_command_older_than_the_records_undoes_no_record(followed, office, kit):
    office.put(kit.person(1, status="suspended"), kit.person(1))
    followed.hear(office.delta())
    assert followed.replica.suspend(kit.subject(1), 1)
    assert followed.people()[kit.subject(1)].status == "active"


def test_a_suspension_of_an_unknown_person_applies_when_they_arrive(followed, office, kit):
    assert not followed.replica.suspend(kit.subject(1), 2)
    office.put(kit.person(1))
    followed.hear(office.delta())
    assert followed.people()[kit.subject(1)].status == "suspended"
    office.remove(1)
    followed.hear(office.delta(1))
    assert not followed.replica.suspend(kit.subject(1), 9)


def test_a_command_suspends_a_person_known_only_here(followed, kit):
    local = enrol_here(followed, kit, 7)
    assert followed.replica.suspend(local, 1)
    assert followed.people()[local].status == "suspended"


def test_an_older_office_changes_nothing_and_is_logged_once(followed, office, kit, caplog):
    office.put(kit.person(1), kit.person(2))
    followed.hear(office.delta())
    mark = followed.replica.mark
    backup = type(office)()
    backup.put(kit.person(1, status="suspended"))
    for _ in range(3):
        assert followed.hear_word(backup.word()) == []
    assert followed.hear(backup.delta(), *backup.snapshot()) == []
    assert followed.replica.mark == mark
    assert followed.people()[kit.subject(1)].status == "active"
    assert len([r for r in caplog.records if "older records" in r.message]) == 1


def test_a_jump_of_over_ten_million_is_refused_and_logged(followed, office, kit, caplog):
    office.put(kit.person(1))
    office.version = 10_000_001
    for hear in (
        lambda: followed.hear(office.delta()),
        lambda: followed.hear(*office.snapshot()),
        lambda: followed.hear_word(office.word()),
        lambda: followed.hear(Delta(**kit.us, after=9_000_000, upto=2**63 - 1, records=[])),
    ):
        assert hear() == []
    assert (followed.replica.mark.version, followed.people()) == (0, {})
    assert any("jumped" in record.message for record in caplog.records)
    office.version = 10_000_000
    followed.hear(office.delta())
    assert followed.replica.mark.version == 10_000_000


def test_a_record_numbered_beyond_its_message_is_ignored(followed, kit):
    record = msgspec.structs.replace(kit.person(1), n=50)
    followed.hear(Delta(**kit.us, after=0, upto=5, records=[record]))
    assert (followed.replica.mark.version, followed.people()) == (0, {})


def test_a_newer_heartbeat_causes_a_request_and_an_equal_one_does_not(followed, office, kit):
    assert followed.hear_word(office.word()) == []
    office.put(kit.person(1))
    assert followed.hear_word(office.word()) == [RecordRequest(**kit.us, after=0)]
    assert followed.hear_word(office.word()) == [], "it is on its way"
    assert followed.replica.due(2.9) == []
    assert followed.replica.due(3.0) == [RecordRequest(**kit.us, after=0)]
    followed.hear(office.delta())
    assert followed.replica.due(100.0) == []
    assert followed.hear_word(office.word()) == []


def test_after_a_reconnection_the_next_heartbeat_causes_a_request(followed, office, kit):
    office.put(kit.person(1))
    assert followed.hear_word(office.word())
    followed.replica.restart()
    assert followed.replica.due(50.0) == []
    assert followed.hear_word(office.word()) == [RecordRequest(**kit.us, after=0)]


def test_a_person_added_here_is_taken_over_by_their_record_and_keeps_their_face(followed, office, kit):
    local = enrol_here(followed, kit, 7)
    with followed.store() as store:
        issue_card(store, "777777", local)
    office.put(record_of(kit, local, household="3-303", consents=kit.consents(7, "recognise")))
    followed.hear(office.delta())
    assert followed.people()[local].household == "3-303"
    assert followed.finds(7) == local, "sealed anew under the paper that the office names"
    assert followed.ring().card("777777") is None, "the record says all that they have"
    office.put(record_of(kit, local, name="Another", consents=kit.consents(7, "recognise")))
    followed.hear(office.delta(1))
    assert followed.finds(7) == local


def test_without_consent_no_face_is_kept(followed, office, kit):
    local = enrol_here(followed, kit, 7)
    office.put(kit.person(1, face=kit.face(1)), record_of(kit, local, consents=kit.consents(7, "recognise")))
    followed.hear(office.delta())
    assert (followed.finds(1), followed.finds(7)) == (kit.subject(1), local)
    keys = followed.replica._holdings.register._templates.keys
    assert {subject for subject, _ in keys()} == {kit.subject(1), local}
    office.put(
        kit.person(1, face=kit.face(1), consents=kit.consents(1, "transfer")),
        record_of(kit, local, consents=kit.consents(7)),
    )
    followed.hear(office.delta(2))
    assert (followed.finds(1), followed.finds(7)) == (None, None)
    assert keys() == {}, "not even the key is left"
    office.put(kit.person(1, face=kit.face(1)))
    followed.hear(office.delta(4))
    assert followed.finds(1) is None, "they had a face here: nobody knows any more whether it is the same"
    accept(followed, kit, 1)
    assert followed.finds(1) == kit.subject(1)


def test_a_withdrawn_office_face_is_deleted_and_one_made_here_stays(followed, office, kit):
    local = enrol_here(followed, kit, 7)
    said = kit.consents(7, "recognise")
    office.put(kit.person(1, face=kit.face(1)), record_of(kit, local, consents=said))
    followed.hear(office.delta())
    office.put(kit.person(1), record_of(kit, local, consents=said, name="Another"))
    followed.hear(office.delta(2))
    assert (followed.finds(1), followed.finds(7)) == (None, local)


def accept(followed, kit, number):
    """Accept this person at the gate."""
    with closing(Holdings.open(followed.state, kit.site)) as holdings:
        assert holdings.accept(kit.subject(number))


def test_a_face_enrolled_again_here_is_not_replaced_by_its_predecessor(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)))
    followed.hear(office.delta())
    with closing(Gallery.open(followed.state, kit.site, kit.embedder, kit.dimension)) as gallery:
        enrol_known(gallery, kit.subject(1), [kit.vector(11)], threshold=0.7, at=NOON)
    accept(followed, kit, 1)
    office.put(kit.person(1, face=kit.face(1), name="Another"))
    followed.hear(office.delta(1))
    assert (followed.finds(11), followed.finds(1)) == (kit.subject(1), None)
    office.put(kit.person(1, name="Another"))
    followed.hear(office.delta(2))
    assert followed.finds(11) == kit.subject(1), "it was made here"
    office.put(kit.person(1, face=kit.face(1, like=12)))
    followed.hear(office.delta(3))
    assert (followed.finds(12), followed.finds(11)) == (None, kit.subject(1)), "it waits for somebody here"
    accept(followed, kit, 1)
    assert (followed.finds(12), followed.finds(11)) == (kit.subject(1), None)


def test_a_new_face_replaces_the_old_one(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1, pictures=3)))
    followed.hear(office.delta())
    office.put(kit.person(1, face=kit.face(1, like=21)))
    followed.hear(office.delta(1))
    accept(followed, kit, 1)
    followed.replica._holdings.register.tidy()
    assert (followed.finds(21), followed.finds(1)) == (kit.subject(1), None)
    assert followed.replica._holdings.register._templates.count() == 1


def test_a_face_stays_when_only_the_paper_changes(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)))
    followed.hear(office.delta())
    office.put(kit.person(1, face=kit.face(1), consents=kit.consents(99, "recognise")))
    followed.hear(office.delta(1))
    assert followed.finds(1) == kit.subject(1)
    office.put(kit.person(1, consents=kit.consents(99, "recognise")))
    followed.hear(office.delta(2))
    assert followed.finds(1) is None, "and it is the office's still"


def test_a_card_of_another_person_waits_until_it_is_free(followed, office, kit, caplog):
    office.put(kit.person(1, cards=[WireCard("c1", "55501")]))
    followed.hear(office.delta())
    office.put(kit.person(2, cards=[WireCard("c2", "0055501"), WireCard("c3", "55503")]))
    with caplog.at_level(logging.WARNING):
        followed.hear(office.delta(1))
    ring = followed.ring()
    assert ring.card("55501").subject == kit.subject(1)
    assert ring.card("55503").subject == kit.subject(2)
    assert len(caplog.records) == 1
    assert "55501" not in caplog.text
    office.put(kit.person(1))
    followed.hear(office.delta(2))
    assert followed.ring().card("55501").subject == kit.subject(2)


def test_a_card_of_a_removed_person_is_free(followed, office, kit):
    office.put(kit.person(1, cards=[WireCard("c1", "55501")]), kit.person(2, cards=[WireCard("c2", "55501")]))
    office.remove(1)
    followed.hear(office.delta())
    assert followed.ring().card("55501").subject == kit.subject(2)


def test_cards_change_their_holder_in_one_delta(followed, office, kit):
    office.put(kit.person(1, cards=[WireCard("c1", "55501")]), kit.person(2, cards=[WireCard("c2", "55502")]))
    followed.hear(office.delta())
    office.put(kit.person(1, cards=[WireCard("c1", "55502")]), kit.person(2, cards=[WireCard("c2", "55501")]))
    followed.hear(office.delta(2))
    assert followed.ring().card("55501").subject == kit.subject(2)
    assert followed.ring().card("55502").subject == kit.subject(1)


def test_a_record_does_not_replace_a_guests_card(followed, office, kit):
    with followed.store() as store:
        issue_card(store, "55501", None)
    office.put(kit.person(1, cards=[WireCard("c1", "55501")]))
    followed.hear(office.delta())
    assert followed.ring().card("55501").subject is None


def test_used_visits_stay_counted_when_the_record_repeats_or_adds_more(followed, office, kit):
    def said(uses, **other):
        office.put(kit.person(1, cards=[WireCard("c1", "55501", uses=uses)], **other))
        followed.hear(office.delta(office.version - 1))
        return followed.ring().card("55501").uses_left

    assert said(5) == 5
    with followed.store() as store:
        store.use("c1", NOON)
        store.use("c1", NOON)
    assert said(5, name="Another") == 3
    assert said(7) == 5
    assert said(1) == 0
    assert said(None) is None
    assert followed.ring().card("55501").last_used_at == NOON


def test_a_card_with_an_invalid_number_or_time_is_skipped_without_its_number_in_the_log(followed, office, kit, caplog):
    cards = [WireCard("c1", "!!55501"), WireCard("c2", "55502", valid_until="tomorrow"), WireCard("c3", "55503")]
    office.put(kit.person(1, cards=cards))
    followed.hear(office.delta())
    ring = followed.ring()
    assert [ring.card(number) is not None for number in ("!!55501", "55502", "55503")] == [False, False, True]
    assert "5550" not in caplog.text
    assert followed.replica.mark.digest == office.digest


def test_group_rules_apply_until_the_office_removes_them(followed, office, kit):
    office.put(
        HouseholdRecord(n=0, household="2-401", rights=[WireAccessRule("main", "work")]),
        RoleRecord(n=0, role="Staff", rights=[WireAccessRule("second", "work")]),
        kit.person(1, household="2-401"),
        kit.person(2, role="staff"),
    )
    followed.hear(office.delta())
    assert [followed.ring().holder(kit.subject(n)).rules[0].door for n in (1, 2)] == ["main", "second"]
    office.put(Tombstone(n=0, key="household/2-401"), Tombstone(n=0, key="role/Staff"))
    assert followed.hear(office.delta(4)) == []
    assert [followed.ring().holder(kit.subject(n)).rules for n in (1, 2)] == [(), ()]


def test_rules_of_an_empty_household_stay(followed, office, kit):
    office.put(
        HouseholdRecord(n=0, household="2-401", rights=[WireAccessRule("main")]), kit.person(1, household="2-401")
    )
    office.remove(1)
    followed.hear(office.delta())
    office.put(kit.person(2, household="2-401"))
    followed.hear(office.delta(3))
    assert followed.ring().holder(kit.subject(2)).rules[0].door == "main"


def test_schedules_are_applied_and_invalid_ones_never_match(followed, office):
    office.put(
        ScheduleRecord(n=0, name="work", days=["mon", "fri"], start="08:00", end="18:00"),
        ScheduleRecord(n=0, name="odd", days=["someday"], start="00:00", end="00:00"),
        ScheduleRecord(n=0, name="gone", days=["mon"], start="8", end="18:00"),
    )
    followed.hear(office.delta())
    assert followed.ring().schedules["work"] == Schedule(("mon", "fri"), "08:00", "18:00")
    assert {followed.ring().schedules[name].days for name in ("odd", "gone")} == {()}
    office.put(Tombstone(n=0, key="schedule/gone"))
    followed.hear(office.delta(3))
    assert followed.ring().schedules.keys() == {"work", "odd"}


@pytest.mark.parametrize(
    "other",
    [
        {"rights": [WireAccessRule(None, None, "yesterday")]},
        {"rights": [WireAccessRule(None, None, None, "2026-03-01")]},
        {"role": "two words"},
    ],
)
def test_an_invalid_rule_admits_nobody_and_is_stored(followed, office, kit, other):
    office.put(kit.person(1, **other))
    followed.hear(office.delta())
    assert followed.replica.mark.digest == office.digest
    holder = followed.ring().holder(kit.subject(1))
    assert judge_holder(holder, "main", NOON, Calendar({}, (), UTC)) in {Refusal.EXPIRED, Refusal.NOT_YET}


def test_impossible_preferences_become_defaults_and_texts_are_escaped(followed, office, kit):
    office.put(kit.person(1, wishes=WirePreferences(900.0), name="A\x1b[2Jnn", added_at="once", role="staff"))
    followed.hear(office.delta())
    assert followed.ring().holder(kit.subject(1)).preferences.release_s is None
    assert "\x1b" not in followed.people()[kit.subject(1)].name
    assert followed.replica.mark.digest == office.digest


def test_gates_are_identified_by_their_keys(followed, office, kit):
    office.put(GateRecord(n=0, gate="north", keys=kit.neighbour.party.dump().decode()))
    followed.hear(office.delta())
    assert followed.replica._holdings.keys_of("north") is not None
    office.put(Tombstone(n=0, key="gate/north"))
    followed.hear(office.delta(1))
    assert followed.replica._holdings.keys_of("north") is None


def test_a_reported_change_is_already_on_disk(followed, office, kit):
    seen = []
    followed.replica._on_change = lambda: seen.append(set(followed.people()))
    office.put(kit.person(1))
    followed.hear(office.delta())
    office.remove(1)
    followed.hear(office.delta(1))
    assert seen == [{kit.subject(1)}, set()]


def test_an_unstored_record_has_no_effect_and_is_requested_again(followed, office, kit):
    office.put(kit.person(1, face=kit.face(1)))
    for connection in followed.replica._holdings.register._stores.connections:
        connection.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(followed.state / "people.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(Exception, match="another process"):
            followed.hear(office.delta())
    assert (followed.events, followed.changes, followed.replica.mark.version) == ([], 0, 0)
    followed.converge(office)
    assert followed.finds(1) == kit.subject(1)


def test_another_process_sees_people_from_records(followed, office, kit):
    office.put(kit.person(1))
    followed.hear(office.delta())
    with closing(Register.open(followed.state, kit.site)) as register:
        register.admit(Person("b" * 16, "Bob", "1-101", "active", NOON, ()))
        assert len(register.people()) == 2
    with closing(Credentials.open(followed.state, kit.site)) as store:
        assert len(store.holders()) == 2


def test_a_closed_replica_may_be_closed_again(followed):
    followed.replica.close()
    followed.replica.close()
    followed.open()


def test_a_wrong_folder_raises_a_state_error(tmp_path, kit):
    (tmp_path / "people.db").write_bytes(b"no database at all, " * 300)
    with pytest.raises(StateError):
        kit.Followed(tmp_path)


@pytest.mark.parametrize(
    ("sent", "readings"),
    [
        ("0006729715", ["0006729715", "w26:102-45043", "w34:102-45043", "66aff3".zfill(8), "w40:010066aff3"]),
        ("6729715", ["0006729715", "w26:102-45043"]),
        ("W26:12-3456", ["w26:12-3456", "0000789888", "w34:12-3456"]),
        ("04A1B2C3", ["w32:04A1B2C3", "w34:1185-45763", "0077705923", "3283263748"]),
    ],
)
def test_a_card_of_the_office_opens_by_every_reading_with_any_office_version(followed, office, kit, sent, readings):
    office.put(kit.person(1, cards=[WireCard("c1", sent)]))
    followed.hear(office.delta())
    assert [followed.ring().card(reading).id for reading in readings] == ["c1"] * len(readings)


def test_two_indistinguishable_cards_of_the_office_open_for_neither(followed, office, kit):
    """An office older than card readings does not notice the clash; the gate must not admit the wrong person."""
    office.put(
        kit.person(1, cards=[WireCard("c1", "W32:04A1B2C3")]), kit.person(2, cards=[WireCard("c2", "W32:77A1B2C3")])
    )
    followed.hear(office.delta())
    ring = followed.ring()
    assert ring.card("w26:161-45763") is None
    assert [each.id for each in ring.cards("w26:161-45763")] == ["c1", "c2"]
    assert (ring.card("w32:04A1B2C3").id, ring.card("w32:77A1B2C3").id) == ("c1", "c2")


def test_a_card_with_a_new_number_opens_by_that_only(followed, office, kit):
    office.put(kit.person(1, cards=[WireCard("c1", "0006729715")]))
    followed.hear(office.delta())
    office.put(kit.person(1, cards=[WireCard("c1", "W32:77A1B2C3")]))
    followed.hear(office.delta(1))
    ring = followed.ring()
    assert ring.card("0006729715") is ring.card("w26:102-45043") is None
    assert ring.card("w26:161-45763").id == "c1"


NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
CALENDAR = Calendar({}, (), ZoneInfo("UTC"))
SPELLINGS = ("3-502", "３－５０２", "3–502", "3 - 502", "3—502")
ALWAYS, NEVER_NOW = WireAccessRule(None, None), WireAccessRule("second")


@pytest.mark.parametrize("lives", SPELLINGS)
@pytest.mark.parametrize("said", SPELLINGS)
def test_rules_bind_a_household_in_every_spelling(followed, office, kit, lives, said):
    office.put(kit.person(1, household=lives), HouseholdRecord(n=0, household=said, rights=[NEVER_NOW]))
    followed.hear(office.delta())
    assert judge_holder(followed.ring().holder(kit.subject(1)), "main", NOW, CALENDAR) is Refusal.DOOR
    office.put(Tombstone(n=0, key=f"household/{said}"))
    followed.hear(office.delta(2))
    assert judge_holder(followed.ring().holder(kit.subject(1)), "main", NOW, CALENDAR) is None


def test_a_rule_with_a_second_credential_arrives_for_every_door_of_a_household(followed, office, kit):
    rights = [WireAccessRule("+*"), WireAccessRule("+gate-2/main")]
    office.put(kit.person(1, household="12"), HouseholdRecord(n=0, household="12", rights=rights))
    followed.hear(office.delta())
    holder = followed.ring().holder(kit.subject(1))
    assert holder.rules == (AccessRule(needs_second=True), AccessRule("gate-2/main", needs_second=True))
    assert judge_holder(holder, "main", NOW, CALENDAR) is Refusal.SECOND_MISSING


def test_a_mark_arrives_and_ends_with_the_record(followed, office, kit):
    mark = WireMark("of a newer version", "2031-04-02T00:00:00+08:00")
    office.put(kit.person(1, mark=mark), kit.person(2, mark=WireMark("child", "soon")))
    followed.hear(office.delta())
    marks = [followed.ring().holder(kit.subject(n)).mark for n in (1, 2)]
    assert marks == [FaceMark(mark.kind, datetime.fromisoformat(mark.until)), FaceMark("child")]
    office.put(kit.person(1))
    followed.hear(office.delta(2))
    assert followed.ring().holder(kit.subject(1)).mark is None


def test_the_strictest_rules_of_two_spellings_apply_and_each_is_removed_alone(followed, office, kit):
    office.put(
        kit.person(1, household="3-502"),
        HouseholdRecord(n=0, household="３－５０２", rights=[NEVER_NOW]),
        HouseholdRecord(n=0, household="3-502", rights=[ALWAYS]),
    )
    followed.hear(office.delta())
    assert judge_holder(followed.ring().holder(kit.subject(1)), "main", NOW, CALENDAR) is Refusal.DOOR
    office.put(Tombstone(n=0, key="household/３－５０２"))
    followed.hear(office.delta(3))
    assert judge_holder(followed.ring().holder(kit.subject(1)), "main", NOW, CALENDAR) is None


def test_a_calendar_of_the_office_is_stored_replaced_and_removed(followed, office):
    def year(**days):
        return ScheduleRecord(n=0, name="calendar-2027", days=[], start="00:00", end="00:00", **days)

    office.put(year(holidays=["2027-02-06", "rubbish", "2027-02-30"], workdays=["2027-02-14", "2027-02-06"]))
    followed.hear(office.delta())
    assert followed.ring().days == CalendarDays(frozenset({"2027-02-06"}), frozenset({"2027-02-14"}))
    assert "calendar-2027" not in followed.ring().schedules
    office.put(year(holidays=["2027-02-07"]))
    followed.hear(office.delta(1))
    assert followed.ring().days == CalendarDays(frozenset({"2027-02-07"}))
    office.put(Tombstone(n=0, key="schedule/calendar-2027"))
    followed.hear(office.delta(2))
    assert followed.ring().days == CalendarDays()


def test_an_access_rule_for_another_gate_admits_nobody_here(followed, office, kit):
    office.put(
        kit.person(1, rights=[WireAccessRule("Gate-2/*")]), kit.person(2, rights=[WireAccessRule("gate-3/main")])
    )
    followed.hear(office.delta())
    here = [judge_holder(followed.ring().holder(kit.subject(n)), "main", NOW, CALENDAR, gate="gate-2") for n in (1, 2)]
    assert here == [None, Refusal.DOOR]
