"""Tests of many new people at once, announced or accepted by the office.

The gate admits at most the installer's number, and never more.
"""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.events import RecordAccepted, RecordQuarantined
from gated.gallery.holdings import Holdings
from gated.people.held_records import Allowed
from gated.sync.quarantine import WINDOW_S, Allowance

STEPS = ["join", "announce", "restart", "wait"]
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


def held(followed):
    return {(each.subject, each.why) for each in followed.replica.quarantined()}


def join(followed, office, kit, numbers):
    """Send people who are new to the gate, in one delta."""
    before = office.version
    office.put(*(kit.person(number) for number in numbers))
    followed.hear(office.delta(before))


def test_many_new_people_at_once_are_held_unless_announced(follow, office, kit):
    unannounced, announced = follow(most_new_per_hour=200), follow(most_new_per_hour=200, most_new_in_batch=300)
    assert announced.replica.announce(216, 6.0).outcome == "done"
    office.put(*(kit.person(number) for number in range(1, 217)))
    for gate in (unannounced, announced):
        gate.hear(office.delta())
    assert len(held(unannounced)) == 16
    assert (len(announced.people()), held(announced)) == (216, set())
    mark = unannounced.replica.mark
    assert (mark.people, mark.quarantined, announced.replica.mark.people) == (200, 16, 216)


def test_an_announced_batch_survives_a_restart_and_ends_with_its_number(follow, office, kit):
    followed = follow(most_new_per_hour=5, most_new_in_batch=300)
    followed.replica.announce(20, 6.0)
    join(followed, office, kit, range(1, 11))
    followed.restart()
    join(followed, office, kit, range(11, 31))
    assert len(followed.people()) == 20
    assert held(followed) == {(kit.subject(number), "bulk") for number in range(21, 31)}


@pytest.mark.parametrize(("total", "comes"), [(0, 5), (3, 5), (12, 12), (1000, 40)])
def test_no_announcement_exceeds_the_installers_limit(follow, office, kit, total, comes):
    followed = follow(most_new_per_hour=5, most_new_in_batch=total)
    outcome = followed.replica.announce(40, 6.0)
    assert outcome.outcome == ("done" if total else "refused")
    join(followed, office, kit, range(1, 61))
    assert len(followed.people()) == comes
    assert len(held(followed)) == 60 - comes


def test_the_total_limits_all_batches_and_restarts_until_it_is_renewed_at_the_gate(follow, office, kit):
    followed = follow(most_new_per_hour=1, most_new_in_batch=10)
    for start in (1, 21, 41):
        followed.replica.announce(10, 72.0)
        join(followed, office, kit, range(start, start + 10))
        followed.restart()
        followed.replica.due(followed.now)
    assert len(followed.people()) == 10, "what joined within an hour before a start counts again"
    followed.now += 2 * WINDOW_S
    join(followed, office, kit, (71, 72))
    assert len(followed.people()) == 10 + 1, "and one an hour"
    assert followed.replica.announce(10, 6.0).outcome == "refused"
    with closing(Holdings.open(followed.state, kit.site)) as holdings:
        assert holdings.renew() == 10
    assert followed.replica.announce(10, 6.0).outcome == "done"
    join(followed, office, kit, range(81, 91))
    assert len(followed.people()) == 21


def test_a_batch_ends_after_its_hours(follow, office, kit):
    followed = follow(most_new_per_hour=1, most_new_in_batch=10)
    followed.replica.announce(10, 1.0)
    followed.replica.wall += timedelta(hours=1)
    join(followed, office, kit, range(1, 6))
    assert len(followed.people()) == 1


def test_a_restart_gives_no_new_hour(follow, office, kit):
    followed = follow(most_new_per_hour=3)
    join(followed, office, kit, range(1, 4))
    followed.restart()
    join(followed, office, kit, range(4, 6))
    assert len(held(followed)) == 2
    followed.now += WINDOW_S + 1
    join(followed, office, kit, range(6, 8))
    assert len(held(followed)) == 2, "an hour later there is room again"


@pytest.mark.parametrize(("later_s", "room"), [(0, 0), (3599, 0), (-60, 0), (3601, 3)])
def test_old_arrivals_are_forgotten_but_not_by_a_clock_set_back(later_s, room):
    before = Allowed(recent=3, recent_at=NOON.isoformat())
    allowance = Allowance(3, 0, before)
    assert allowance.remaining(before, 0.0, NOON + timedelta(seconds=later_s)) == room


def test_a_person_held_for_their_number_can_be_accepted_by_the_office(follow, office, kit):
    followed = follow(most_new_per_hour=200, most_new_in_batch=300)
    join(followed, office, kit, range(1, 218))
    waiting = sorted(each.subject for each in followed.replica.quarantined())
    assert len(waiting) == 17
    outcome = followed.replica.accept(waiting, "li")
    assert (outcome.outcome, outcome.why) == ("done", "accepted 17 of 17")
    assert {finding.level for finding in outcome.findings} == {"accepted"}
    assert {(fact.subject, fact.operator) for fact in followed.facts(RecordAccepted)} == {(s, "li") for s in waiting}
    followed.converge(office, size=50)
    assert (len(followed.people()), held(followed)) == (217, set())


def test_the_office_accepts_only_up_to_the_installers_limit(follow, office, kit):
    followed = follow(most_new_per_hour=2, most_new_in_batch=3)
    join(followed, office, kit, range(1, 11))
    waiting = sorted(each.subject for each in followed.replica.quarantined())
    for _ in range(3):
        outcome = followed.replica.accept(waiting, "li")
        followed.restart()
    assert outcome.outcome == "refused"
    followed.converge(office)
    assert len(followed.people()) == 5
    assert all(len(finding.says) <= 200 for finding in outcome.findings)
    with closing(Holdings.open(followed.state, kit.site)) as holdings:
        for each in followed.replica.quarantined():
            assert holdings.accept(each.subject), "somebody at the gate may"
    followed.converge(office)
    assert len(followed.people()) == 10


def test_the_office_can_never_accept_a_face_of_another_person(follow, office, kit):
    followed = follow(most_new_per_hour=100, most_new_in_batch=100)
    office.put(kit.person(1, face=kit.face(1)))
    followed.hear(office.delta())
    twin = kit.person(2, face=kit.face(2, like=1))
    office.put(twin)
    followed.hear(office.delta(1))
    assert held(followed) == {(kit.subject(2), "duplicate")}
    outcome = followed.replica.accept([kit.subject(2)], "li")
    assert outcome.outcome == "refused"
    assert "at the gate" in outcome.findings[0].says
    assert held(followed) == {(kit.subject(2), "duplicate")}
    assert followed.facts(RecordAccepted) == []


def test_a_person_accepted_by_number_is_held_again_for_a_duplicate_face(follow, office, kit):
    followed = follow(most_new_per_hour=1, most_new_in_batch=100)
    office.put(kit.person(1, face=kit.face(1)), kit.person(2, face=kit.face(2, like=1)))
    followed.hear(office.delta())
    assert held(followed) == {(kit.subject(2), "bulk")}
    assert followed.replica.accept([kit.subject(2)], "li").outcome == "done"
    followed.converge(office)
    assert held(followed) == {(kit.subject(2), "duplicate")}
    assert followed.finds(1) == kit.subject(1)


def test_a_person_who_is_not_held_cannot_be_accepted(follow, kit):
    outcome = follow(most_new_in_batch=100).replica.accept([kit.subject(1)], "li")
    assert (outcome.outcome, outcome.findings[0].says) == ("refused", "is not held back here")


def test_an_announced_district_of_3600_is_admitted_and_not_one_person_more(follow, office, kit):
    followed = follow(most_new_per_hour=200, most_new_in_batch=3600)
    followed.replica.announce(3600, 24.0)
    office.put(*(kit.person(number) for number in range(1, 3602)))
    for after in range(0, office.version, 500):
        followed.hear(office.delta(after, min(after + 500, office.version)))
    mark = followed.replica.mark
    assert (mark.people, mark.quarantined) == (3600, 1)
    assert [fact.subject for fact in followed.facts(RecordQuarantined)] == [kit.subject(3601)]


@given(
    per_hour=st.integers(1, 6),
    in_all=st.integers(0, 20),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 12)), max_size=40),
)
def test_the_installers_limits_hold_against_a_stolen_office(per_hour, in_all, steps):
    """Any hour admits at most the hourly number. Beyond that, all batches together never exceed the total number."""
    allowance, allowed, now, wall, joined = Allowance(per_hour, in_all), Allowed(), 0.0, NOON, []
    for step, number in steps:
        if step == "announce":
            left = allowance.by_office(allowed)
            allowed = replace(allowed, batch=min(number, left), batch_until=(wall + timedelta(hours=1)).isoformat())
        elif step == "restart":
            allowance = Allowance(per_hour, in_all, allowed)
        elif step == "wait":
            now, wall = now + 600.0 * number, wall + timedelta(seconds=600 * number)
        else:
            count = min(number, allowance.remaining(allowed, now, wall))
            if count:
                allowed = allowance.spend(allowed, count, now, wall)
                allowance.note_joined(allowed, now)
            joined += [now] * count
        assert allowed.spent <= in_all
        for end in set(joined):
            within = [at for at in joined if end - WINDOW_S < at <= end]
            assert len(within) <= per_hour + in_all
    hours = now / WINDOW_S + 1
    assert len(joined) <= per_hour * (int(hours) + 1) + in_all
