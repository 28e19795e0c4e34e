from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.access_rules import CLOSEST_FIRST, Refusal, judge_credential, judge_holder
from gated.access.schedules import Calendar
from gated.config import Schedule
from gated.people.access_rule import AccessRule, Holder
from gated.people.credential import Credential
from gated.types import SubjectId

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
CALENDAR = Calendar(
    {"always": Schedule(), "days": Schedule(start="08:00", end="18:00"), "sundays": Schedule(("sun",))},
    (),
    ZoneInfo("UTC"),
)
ANN = SubjectId("a" * 16)
CARD = Credential("c" * 16, "card", ANN, b"digest")
GUEST = replace(CARD, subject=None)
RESIDENT = Holder()

times = st.none() | st.floats(-8760, 8760).map(lambda hours: NOON + timedelta(hours=hours))
doors = st.sampled_from(["main", "second"])
names = st.none() | st.sampled_from(["always", "days", "sundays", "gone"])
rights = st.builds(AccessRule, door=st.none() | doors, schedule=names, valid_from=times, valid_until=times)
holders = st.builds(Holder, is_suspended=st.booleans(), rules=st.lists(rights, max_size=4).map(tuple))
credentials = st.builds(
    replace,
    st.sampled_from([CARD, GUEST]),
    valid_from=times,
    valid_until=times,
    uses_left=st.none() | st.integers(-2, 3),
)


def asked(
    credential: Credential | None = CARD,
    holder: Holder | None = RESIDENT,
    door: str = "main",
    at: datetime | None = NOON,
) -> Refusal | None:
    return judge_credential(credential, holder, door, at, CALENDAR)


def test_a_resident_with_a_plain_card_may_use_every_door_at_all_hours() -> None:
    for door in ("main", "second"):
        for at in (NOON, NOON + 12 * HOUR, None):
            assert asked(door=door, at=at) is None


def test_an_unknown_credential_does_not_open() -> None:
    assert asked(None) is Refusal.UNKNOWN
    assert asked(None, None) is Refusal.UNKNOWN


def test_a_card_of_a_removed_person_does_not_open() -> None:
    assert asked(CARD, None) is Refusal.UNKNOWN


def test_a_guests_card_is_valid_only_for_its_own_window() -> None:
    today = replace(GUEST, valid_from=NOON - HOUR, valid_until=NOON + HOUR)
    assert asked(today, None) is None
    assert asked(today, None, at=NOON + HOUR) is Refusal.EXPIRED
    assert asked(today, None, at=NOON - 2 * HOUR) is Refusal.NOT_YET


def test_the_window_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    card = replace(CARD, valid_from=NOON, valid_until=NOON + HOUR)
    moment = timedelta(microseconds=1)
    assert asked(card, at=NOON - moment) is Refusal.NOT_YET
    assert asked(card, at=NOON) is None
    assert asked(card, at=NOON + HOUR - moment) is None
    assert asked(card, at=NOON + HOUR) is Refusal.EXPIRED


@pytest.mark.parametrize("left", [0, -1])
def test_a_card_without_uses_left_does_not_open(left: int) -> None:
    assert asked(replace(CARD, uses_left=left)) is Refusal.USED_UP
    assert asked(replace(CARD, uses_left=1)) is None


def test_a_suspended_person_is_refused_with_any_credential_and_rule() -> None:
    for at in (NOON, None):
        assert asked(holder=Holder(True, (AccessRule(),)), at=at) is Refusal.SUSPENDED
        assert judge_holder(Holder(True), "main", at, CALENDAR) is Refusal.SUSPENDED


def test_an_access_rule_for_one_door_does_not_open_the_other() -> None:
    holder = Holder(rules=(AccessRule(door="second"),))
    assert asked(holder=holder, door="second") is None
    assert asked(holder=holder, door="main") is Refusal.DOOR


def test_one_matching_access_rule_is_enough() -> None:
    holder = Holder(rules=(AccessRule(schedule="sundays"), AccessRule(door="second"), AccessRule(schedule="days")))
    assert asked(holder=holder) is None
    assert asked(holder=holder, at=NOON + 8 * HOUR) is Refusal.SCHEDULE


def test_a_deleted_schedule_lets_nobody_pass() -> None:
    assert asked(holder=Holder(rules=(AccessRule(schedule="gone"),))) is Refusal.SCHEDULE


def test_expired_access_rules_do_not_become_unlimited_access() -> None:
    assert asked(holder=Holder(rules=(AccessRule(valid_until=NOON),))) is Refusal.EXPIRED
    assert asked(holder=Holder(rules=(AccessRule(valid_from=NOON + HOUR),))) is Refusal.NOT_YET


def test_without_a_trusted_clock_only_access_that_needs_no_clock_is_granted() -> None:
    assert asked(at=None) is None
    assert asked(replace(CARD, uses_left=2), at=None) is None
    assert asked(replace(CARD, valid_until=NOON + HOUR), at=None) is Refusal.CLOCK
    assert asked(replace(CARD, valid_from=NOON - HOUR), at=None) is Refusal.CLOCK
    assert asked(holder=Holder(rules=(AccessRule(schedule="always"),)), at=None) is Refusal.CLOCK
    assert asked(holder=Holder(rules=(AccessRule(door="main"),)), at=None) is None


def test_the_most_specific_of_several_refusals_is_reported() -> None:
    far = (AccessRule(door="second"), AccessRule(valid_until=NOON - HOUR), AccessRule(schedule="sundays"))
    assert asked(holder=Holder(rules=far)) is Refusal.SCHEDULE
    assert asked(holder=Holder(rules=far[:2])) is Refusal.EXPIRED
    assert asked(holder=Holder(rules=far), at=None) is Refusal.CLOCK


@given(credentials, holders, doors, times)
def test_every_answer_is_one_of_the_defined_answers(
    credential: Credential, holder: Holder, door: str, at: datetime | None
) -> None:
    answer = asked(credential, holder, door, at)
    assert answer is None or answer in {*CLOSEST_FIRST, Refusal.SUSPENDED, Refusal.USED_UP}


@given(credentials, holders, doors, times)
def test_access_granted_without_a_clock_is_granted_at_every_hour(
    credential: Credential, holder: Holder, door: str, at: datetime | None
) -> None:
    if asked(credential, holder, door, None) is None:
        assert asked(credential, holder, door, at) is None


@given(credentials, holders, doors, times)
def test_every_grant_is_in_its_window_has_uses_and_belongs_to_a_permitted_person(
    credential: Credential, holder: Holder, door: str, at: datetime | None
) -> None:
    if asked(credential, holder, door, at) is not None:
        return
    assert not holder.is_suspended
    assert credential.uses_left is None or credential.uses_left > 0
    assert at is not None or (credential.valid_from is None and credential.valid_until is None)
    assert at is None or credential.valid_from is None or at >= credential.valid_from
    assert at is None or credential.valid_until is None or at < credential.valid_until
    assert not holder.rules or any(right.door in (None, door) for right in holder.rules)


@given(credentials, holders, doors, times, rights)
def test_a_narrower_access_rule_never_opens_more(
    credential: Credential, holder: Holder, door: str, at: datetime | None, right: AccessRule
) -> None:
    if asked(credential, holder, door, at) is not None:
        assert asked(credential, replace(holder, is_suspended=True), door, at) is not None
        assert asked(replace(credential, uses_left=0), holder, door, at) is not None
        assert asked(replace(credential, valid_until=NOON - timedelta(days=9999)), holder, door, at) is not None
    if asked(credential, replace(holder, rules=(right,)), door, at) is None:
        assert asked(credential, replace(holder, rules=()), door, at) is None


@given(holders, doors, times)
def test_a_plain_card_has_exactly_the_access_of_the_face(holder: Holder, door: str, at: datetime | None) -> None:
    assert asked(CARD, holder, door, at) == judge_holder(holder, door, at, CALENDAR)


# -- access rules of one gate, and different spellings ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "gate", "door", "may_pass"),
    [
        ("east/*", "east", "main", True),
        ("east/*", "east", "second", True),
        ("east/*", "west", "main", False),
        ("east/main", "east", "main", True),
        ("east/main", "east", "second", False),
        ("east/main", "west", "main", False),
        ("main", "west", "main", True),
        (None, "west", "second", True),
        ("east/*", "", "main", False),
        ("/*", "east", "main", False),
    ],
)
def test_an_access_rule_may_name_one_gate(named: str | None, gate: str, door: str, may_pass: bool) -> None:
    holder = Holder(rules=(AccessRule(named),))
    assert judge_holder(holder, door, NOON, CALENDAR, gate=gate) is (None if may_pass else Refusal.DOOR)
    assert judge_credential(CARD, holder, door, NOON, CALENDAR, gate=gate) is (None if may_pass else Refusal.DOOR)


def test_the_rule_under_another_spelling_must_also_permit_access() -> None:
    day, sunday = AccessRule(schedule="days"), AccessRule(schedule="sundays")
    assert judge_holder(Holder(rules=(day,)), "main", NOON, CALENDAR) is None
    assert judge_holder(Holder(rules=(day,), other_spellings=((sunday,),)), "main", NOON, CALENDAR) is Refusal.SCHEDULE
    assert judge_holder(Holder(rules=(day,), other_spellings=((sunday, day),)), "main", NOON, CALENDAR) is None


@given(holders, st.lists(st.lists(rights, max_size=3).map(tuple), max_size=3).map(tuple), doors)
def test_another_spelling_never_admits_a_refused_person(holder: Holder, also: tuple, door: str) -> None:
    refused = judge_holder(holder, door, NOON, CALENDAR)
    with_others = judge_holder(replace(holder, other_spellings=also), door, NOON, CALENDAR)
    assert refused is None or with_others is not None


def test_a_schedule_is_found_under_every_spelling() -> None:
    assert CALENDAR.allows("Ａlways", NOON)
    assert not CALENDAR.allows("sundays ", NOON)
