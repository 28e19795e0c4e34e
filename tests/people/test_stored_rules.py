"""The access rules that apply to a person: the person's own, else the household's, else the role's."""

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gated.people.access_rule import AccessRule
from gated.people.store import Person
from gated.types import SubjectId

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
OFFICE = AccessRule("main", "office", NOON, NOON + timedelta(days=1))


def test_household_rules_apply_to_people_without_their_own(store, live) -> None:
    ann, bob, eve = live("a"), live("b"), live("e", "1-101")
    store.set_access_rules(ann, [OFFICE], "household")
    store.set_access_rules(bob, [AccessRule("second")])
    rights = {subject: holder.rules for subject, holder in store.holders().items()}
    assert rights == {ann: (OFFICE,), bob: (AccessRule("second"),), eve: ()}
    assert store.access_rules_of(bob, "household") == [OFFICE]
    assert store.access_rules_of(eve, "household") == []


def test_role_rules_apply_where_no_nearer_rules_exist(store, live) -> None:
    ann, bob, eve = live("a"), live("b"), live("e", "1-101")
    for subject in (ann, eve):
        store.set_role(subject, "staff")
    store.set_access_rules(eve, [OFFICE], "role")
    assert {subject: holder.rules for subject, holder in store.holders().items()} == {
        ann: (OFFICE,),
        bob: (),
        eve: (OFFICE,),
    }
    assert store.access_rules_of(ann, "role") == [OFFICE]
    assert store.access_rules_of(bob, "role") == []


@given(said=st.sets(st.sampled_from(["subject", "household", "role"])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_most_specific_rules_win(store, said) -> None:
    ann = SubjectId("a" * 16)
    with suppress(sqlite3.IntegrityError):
        store._people.add(Person(ann, "Ann", "2-401", "active", NOON, ()))
    for whose in ("role", "household", "subject"):
        store.set_access_rules(ann, [AccessRule(schedule=whose)] if whose in said else [], whose)
    most_special = [AccessRule(schedule=whose) for whose in ("subject", "household", "role") if whose in said]
    assert list(store.holders()[ann].rules) == most_special[:1]


def test_a_household_and_a_role_of_the_same_name_are_not_mixed_up(store, live) -> None:
    ann, bob = live("a", "staff"), live("b")
    store.set_role(bob, "staff")
    store.set_access_rules(ann, [AccessRule("main")], "household")
    assert store.holders()[bob].rules == ()
    store.set_access_rules(bob, [AccessRule("second")], "role")
    assert (store.holders()[ann].rules, store.holders()[bob].rules) == (
        (AccessRule("main"),),
        (AccessRule("second"),),
    )


def test_role_rules_stay_when_nobody_has_the_role(store, register, live) -> None:
    """Otherwise the next person with this role could pass every door at any hour."""
    ann, bob = live("a"), live("b", "1-101")
    store.set_role(ann, "staff")
    store.set_access_rules(ann, [OFFICE], "role")
    register.remove(ann)
    assert store.holders()[bob].rules == ()
    store.set_role(bob, "staff")
    assert store.holders()[bob].rules == (OFFICE,)
