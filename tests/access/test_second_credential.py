"""Two credential kinds where one is not enough: the window between them, and the whole gate."""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.access_rules import PERSONAL, Refusal, judge_credential, judge_holder
from gated.access.lockdown import begin_lockdown, end_lockdown, read_last_record
from gated.access.schedules import Calendar
from gated.access.second_credential import MOST_WAITING, FirstCredential, SecondCredentials, kind_of
from gated.config import Schedule
from gated.events import AccessDenied, AccessGranted, CredentialDenied, CredentialGranted, Duress, PresentationAttack
from gated.face.vision_messages import Observation
from gated.people.access_rule import AccessRule, Holder
from gated.people.credential import Credential
from gated.people.face_mark import FaceMark
from gated.people.issuing import issue_card, set_pin
from gated.people.store import RECOGNISE, Consent, Person
from gated.types import CredentialKind, SubjectId
from tests.access.test_entrance import ANN, BOB, NOON, Yard

CALENDAR = Calendar({"night": Schedule(start="22:00", end="06:00")}, (), ZoneInfo("UTC"))
NIGHT, DAY = datetime(2027, 1, 15, 23, 0, tzinfo=UTC), datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
FACE, CARD, PIN = CredentialKind.FACE, CredentialKind.CARD, CredentialKind.PIN
BOTH = AccessRule(schedule="night", needs_second=True)
"""At night, two kinds."""
ANNS_CARD = Credential("c" * 16, CARD, ANN, b"digest")

kinds = st.frozensets(st.sampled_from(list(CredentialKind)), max_size=4)
one_kind = st.sampled_from(sorted(PERSONAL)).map(lambda kind: frozenset({kind}))
moments = st.none() | st.sampled_from([NIGHT, DAY])
rules = st.builds(
    AccessRule,
    door=st.none() | st.sampled_from(["main", "second"]),
    schedule=st.none() | st.sampled_from(["night", "gone"]),
    needs_second=st.booleans(),
)
marks = st.none() | st.builds(
    FaceMark,
    st.sampled_from(["child", "alike", "newer"]),
    st.none() | st.sampled_from([DAY, NIGHT + timedelta(days=1)]),
)
holders = st.builds(
    Holder,
    is_suspended=st.booleans(),
    rules=st.lists(rules, max_size=4).map(tuple),
    other_spellings=st.lists(st.lists(rules, max_size=2).map(tuple), max_size=2).map(tuple),
    mark=marks,
)


# -- the rule ---------------------------------------------------------------------------------------------------------


@given(holders, moments, one_kind)
def test_one_kind_never_opens_where_every_rule_demands_two(
    holder: Holder, at: datetime | None, shown: frozenset[CredentialKind]
) -> None:
    if holder.rules and all(rule.needs_second for rule in holder.rules):
        assert judge_holder(holder, "main", at, CALENDAR, kinds=shown) is not None


@given(holders, moments)
def test_a_marked_face_alone_never_opens_while_the_mark_holds(holder: Holder, at: datetime | None) -> None:
    if holder.mark is not None and holder.mark.holds(at):
        assert judge_holder(holder, "main", at, CALENDAR) is not None


@given(holders, moments, kinds, kinds)
def test_more_kinds_never_refuse_where_fewer_kinds_opened(
    holder: Holder, at: datetime | None, some: frozenset[CredentialKind], more: frozenset[CredentialKind]
) -> None:
    more |= {CARD} if FACE in more else frozenset()  # a marked face alone is a demand of its own
    if judge_holder(holder, "main", at, CALENDAR, kinds=some) is None:
        assert judge_holder(holder, "main", at, CALENDAR, kinds=some | more) is None


@given(holders, moments, kinds)
def test_two_kinds_open_exactly_where_the_rules_without_demands_open(
    holder: Holder, at: datetime | None, shown: frozenset[CredentialKind]
) -> None:
    plain = Holder(
        holder.is_suspended,
        tuple(AccessRule(rule.door, rule.schedule) for rule in holder.rules),
        tuple(tuple(AccessRule(rule.door, rule.schedule) for rule in each) for each in holder.other_spellings),
    )
    with_two = judge_holder(holder, "main", at, CALENDAR, kinds=shown | {FACE, CARD})
    assert with_two == judge_holder(plain, "main", at, CALENDAR)


@given(holders, moments, kinds)
def test_a_suspended_person_is_refused_with_every_number_of_kinds(
    holder: Holder, at: datetime | None, shown: frozenset[CredentialKind]
) -> None:
    suspended = Holder(True, holder.rules, holder.other_spellings, mark=holder.mark)
    assert judge_holder(suspended, "main", at, CALENDAR, kinds=shown) is Refusal.SUSPENDED


@pytest.mark.parametrize("shown", [FACE, CARD, PIN])
def test_a_pass_or_a_remote_command_is_no_second_credential(shown: CredentialKind) -> None:
    others = {CredentialKind.PASS, CredentialKind.REMOTE}
    refusal = judge_holder(Holder(rules=(BOTH,)), "main", NIGHT, CALENDAR, kinds=frozenset({shown, *others}))
    assert refusal is Refusal.SECOND_MISSING


def test_one_rule_with_fewer_demands_is_enough() -> None:
    holder = Holder(rules=(BOTH, AccessRule("main")))
    assert judge_holder(holder, "main", NIGHT, CALENDAR) is None
    assert judge_holder(holder, "second", NIGHT, CALENDAR) is Refusal.SECOND_MISSING


def test_a_mark_concerns_the_face_and_no_card() -> None:
    for kind in ("child", "alike", "of a newer version"):
        holder = Holder(mark=FaceMark(kind))
        assert judge_holder(holder, "main", DAY, CALENDAR) is Refusal.SECOND_MISSING
        assert judge_credential(ANNS_CARD, holder, "main", DAY, CALENDAR) is None


def test_a_mark_ends_at_its_time_and_holds_without_a_clock() -> None:
    mark = FaceMark("child", until=DAY)
    assert [mark.holds(at) for at in (DAY - timedelta(seconds=1), DAY, None)] == [True, False, True]


def test_an_expired_card_is_no_first_credential() -> None:
    expired = Credential("c" * 16, CARD, ANN, b"digest", valid_until=DAY)
    used_up = Credential("c" * 16, CARD, ANN, b"digest", uses_left=0)
    holder = Holder(rules=(BOTH,))
    assert judge_credential(expired, holder, "main", NIGHT, CALENDAR) is Refusal.EXPIRED
    assert judge_credential(used_up, holder, "main", NIGHT, CALENDAR) is Refusal.USED_UP
    assert judge_credential(ANNS_CARD, holder, "main", NIGHT, CALENDAR) is Refusal.SECOND_MISSING


@pytest.mark.parametrize("door", [None, "main", "east/main", "east/*"])
def test_an_older_gate_knows_no_door_of_a_rule_with_two_kinds(door: str | None) -> None:
    stored = AccessRule(door, needs_second=True).stored_door
    assert stored is not None
    assert judge_holder(Holder(rules=(AccessRule(stored),)), "main", DAY, CALENDAR, gate="east") is Refusal.DOOR


# -- the window -------------------------------------------------------------------------------------------------------


def waiting(
    kind: CredentialKind = FACE, subject: SubjectId = ANN, ends_at: float = 15.0, **more: Callable[[], object]
) -> FirstCredential:
    return FirstCredential(subject, kind, "main", ends_at, **more)  # type: ignore[arg-type]


@given(st.floats(allow_nan=True), st.floats(allow_nan=True), st.floats(0, 100))
def test_a_window_that_has_ended_never_opens_again(first_at: float, later: float, ends_at: float) -> None:
    second = SecondCredentials(15.0)
    second.begin(waiting(ends_at=ends_at), 0.0)
    if second.first("main", ANN, CARD, first_at) is None and later >= first_at:
        assert second.first("main", ANN, CARD, later) is None


@given(st.sampled_from([ANN, BOB]), st.sampled_from(["main", "second"]), st.sampled_from([FACE, CARD, PIN]))
def test_only_another_kind_of_the_same_person_at_the_same_door_completes(
    subject: SubjectId, door: str, kind: CredentialKind
) -> None:
    second = SecondCredentials(15.0)
    second.begin(waiting(), 0.0)
    found = kind_of(second.first(door, subject, kind, 1.0))
    assert found == ({FACE} if (subject, door) == (ANN, "main") and kind is not FACE else set())


def test_the_second_person_never_ends_the_window_of_the_first() -> None:
    second = SecondCredentials(15.0)
    second.begin(waiting(), 0.0)
    second.begin(waiting(subject=BOB), 1.0)
    assert second.recognised("main", 2.0) == {ANN, BOB}
    second.complete(second.first("main", BOB, CARD, 2.0))
    assert second.recognised("main", 2.0) == {ANN}


def test_a_completed_window_completes_once() -> None:
    done: list[str] = []
    second = SecondCredentials(15.0)
    second.begin(waiting(PIN, complete=lambda: done.append("pin")), 0.0)
    assert second.complete(second.first("main", ANN, FACE, 1.0)) is PIN
    assert second.first("main", ANN, FACE, 1.0) is None
    assert second.complete(None) is None
    assert done == ["pin"]


def test_the_same_kind_again_prolongs_the_window_and_keeps_its_guess() -> None:
    done: list[str] = []
    second = SecondCredentials(15.0)
    second.begin(waiting(PIN, complete=lambda: done.append("first")), 0.0)
    second.begin(waiting(PIN, ends_at=20.0, complete=lambda: done.append("second")), 5.0)
    second.complete(second.first("main", ANN, FACE, 19.0))
    assert done == ["first"]


def test_an_overdue_window_is_denied_once() -> None:
    second = SecondCredentials(15.0)
    second.begin(waiting(), 0.0)
    assert second.expire(14.9) == []
    assert [each.subject for each in second.expire(15.0)] == [ANN]
    assert second.expire(99.0) == []


def test_a_card_that_was_removed_meanwhile_does_not_count() -> None:
    second = SecondCredentials(15.0)
    second.begin(waiting(CARD, is_valid=lambda: False), 0.0)
    assert second.first("main", ANN, FACE, 1.0) is None


def test_the_number_of_windows_has_a_limit() -> None:
    second = SecondCredentials(15.0)
    people = [SubjectId(f"{number:016x}") for number in range(MOST_WAITING + 1)]
    for subject in people:
        second.begin(waiting(subject=subject), 0.0)
    assert second.recognised("main", 1.0) == set(people[1:])


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_an_odd_time_begins_no_window(odd: float) -> None:
    second = SecondCredentials(15.0)
    second.begin(waiting(), odd)
    second.begin(waiting(ends_at=odd), 0.0)
    assert second.recognised("main", 1.0) == frozenset()


# -- the whole gate ---------------------------------------------------------------------------------------------------


class SureYard(Yard):
    """A gate where Ann needs two kinds. Bob lives in the same household and has a card."""

    def __init__(self, state, **tables):
        super().__init__(state, **tables)
        consent = Consent(RECOGNISE, "paper-2", "2026-11", NOON)
        with self.gallery.enrolling():
            self.gallery.add(Person(BOB, "Bob", "12", "active", NOON, (consent,)), [self.face((0, 1, 0, 0))])
        issue_card(self.store, "4712", BOB)
        set_pin(self.store, "492716", ANN, least=6)
        self.store.set_access_rules(ANN, [AccessRule(needs_second=True)])
        self.follow()

    @staticmethod
    def face(values):
        import numpy as np

        return np.array(values, np.float32)

    def follow(self):
        self.entrance._ring.reload_if_changed()
        self.gallery.reload_if_changed()

    async def card(self, number="4711"):
        await self.entrance.credentials.handle_card(number)

    async def pin(self, digits="492716", flat=None):
        await self.entrance.credentials.handle_pin(digits, flat=flat)

    def wait(self):
        """Let the window end."""
        self.entrance.deny_overdue(time.monotonic() + self.settings.access.second_credential_s)

    @property
    def results(self):
        return [outcome.result for outcome in self.told]


@pytest.fixture
async def yard(tmp_path):
    yard = SureYard(tmp_path)
    yield yard
    yard.entrance.close()


async def test_a_face_opens_after_the_card_of_the_same_person(yard):
    yard.show_face()
    assert yard.door.released == []
    assert yard.results == ["second"]
    assert yard.reported == []
    await yard.card()
    assert len(yard.door.released) == 1
    (granted,) = yard.reported
    assert (type(granted), granted.subject, granted.also) == (CredentialGranted, ANN, "face")
    yard.wait()
    assert len(yard.reported) == 1


async def test_a_card_opens_after_the_face_of_the_same_person(yard):
    await yard.card()
    assert yard.results == ["second_face"]
    yard.show_face()
    assert len(yard.door.released) == 1
    (granted,) = yard.reported
    assert (type(granted), granted.subject, granted.also) == (AccessGranted, ANN, "card")


async def test_a_card_and_a_pin_open_without_a_camera(yard):
    await yard.card()
    await yard.pin()
    assert [fact.also for fact in yard.reported] == ["card"]
    assert len(yard.door.released) == 1


async def show_first(yard, kind):
    match kind:
        case "face":
            yard.show_face()
        case "card":
            await yard.card()
        case "pin":
            await yard.pin()
    assert yard.results == ["second" if kind == "face" else "second_face"]


@pytest.mark.parametrize("first", ["face", "card", "pin"])
async def test_one_kind_alone_is_denied_when_its_time_is_up(yard, first):
    await show_first(yard, first)
    yard.wait()
    assert yard.door.released == []
    (denied,) = yard.reported
    assert denied.reason == Refusal.SECOND_MISSING
    assert type(denied) is (AccessDenied if first == "face" else CredentialDenied)
    assert denied.subject == ANN


async def test_the_card_of_another_person_never_completes(yard):
    yard.store.set_access_rules(BOB, [AccessRule(needs_second=True)])
    yard.follow()
    yard.show_face()
    await yard.card("4712")
    assert yard.door.released == []
    yard.wait()
    assert [fact.reason for fact in yard.reported] == [Refusal.SECOND_MISSING] * 2


async def test_the_same_card_twice_is_one_kind(yard):
    await yard.card()
    await yard.card()
    assert yard.door.released == []


async def test_a_late_card_begins_anew(yard):
    yard.show_face()
    yard.wait()
    await yard.card()
    assert yard.door.released == []
    assert yard.results == ["second", "second_face"]


async def test_a_lockdown_beats_completion(yard):
    yard.show_face()
    begin_lockdown(yard.state, "the office", NOON)
    yard.entrance._apply_lockdown(read_last_record(yard.state))
    await yard.card()
    assert yard.door.released == []
    assert yard.reported[-1].reason == "lockdown"


async def test_a_suspension_beats_completion(yard):
    yard.show_face()
    yard.entrance.permissions.revoke(frozenset({ANN}))
    await yard.card()
    assert yard.door.released == []
    assert yard.reported[-1].reason == "suspended"


async def test_a_card_that_was_removed_does_not_complete_the_face(yard):
    await yard.card()
    (card,) = (each for each in yard.store.of(ANN) if each.kind == CARD)
    with yard.store.changing():
        yard.store.delete(card.id)
    yard.follow()
    yard.show_face()
    assert yard.door.released == []


async def test_a_face_that_rests_meanwhile_completes_nothing(yard):
    yard.show_face()
    for _ in range(3):
        yard.show_face(pad_score=0.1)
    assert any(isinstance(fact, PresentationAttack) for fact in yard.reported)
    await yard.card()
    assert yard.door.released == []


async def test_a_guess_after_a_face_counts_for_the_household_of_the_face(tmp_path):
    yard = SureYard(tmp_path, readers={"attempts": 2, "rest_s": 60})
    try:
        yard.show_face()
        for digits in ("835270", "835271"):
            await yard.pin(digits)
        assert yard.door.released == []
        told = len(yard.told)
        await yard.pin("492716", flat="12")
        assert [outcome.result for outcome in yard.told[told:]] == ["resting"]
    finally:
        yard.entrance.close()


async def test_a_pin_that_waits_stays_a_guess_until_both_have_opened(tmp_path):
    yard = SureYard(tmp_path, readers={"attempts": 2, "rest_s": 60})
    try:
        await yard.pin()
        assert yard.entrance.credentials.budget._counts.has_counts
        yard.show_face()
        assert len(yard.door.released) == 1
        assert not yard.entrance.credentials.budget._counts.has_counts
    finally:
        yard.entrance.close()


async def test_after_a_face_the_pin_needs_no_flat_number(tmp_path):
    yard = SureYard(tmp_path, readers={"pin_by_household": True})
    try:
        await yard.pin("", flat="492716")
        assert yard.door.released == []
        yard.show_face()
        await yard.pin("", flat="492716")
        assert len(yard.door.released) == 1
    finally:
        yard.entrance.close()


async def test_a_duress_pin_opens_as_usual_and_is_reported_once(yard):
    set_pin(yard.store, "835274", ANN, least=6, is_duress=True)
    yard.follow()
    await yard.pin("835274")
    assert [type(fact) for fact in yard.reported] == [Duress]
    assert yard.results == ["second_face"]
    yard.show_face()
    assert len(yard.door.released) == 1
    assert [type(fact) for fact in yard.reported] == [Duress, AccessGranted]


@pytest.mark.parametrize(("typed", "confirmed"), [(["492716"], 1), (["835274"], 0), (["492716", "835274"], 0)])
async def test_a_card_after_a_duress_pin_confirms_no_waiting_face(yard, typed, confirmed):
    """The attack: a robber stands before the camera, and a new face of the victim waits."""
    set_pin(yard.store, "835274", ANN, least=6, is_duress=True)
    yard.follow()
    opened = []
    yard.entrance.credentials.on_opened = opened.append
    for digits in typed:
        await yard.pin(digits)
    await yard.card()
    assert len(yard.door.released) == 1
    assert len(opened) == confirmed


async def test_a_card_with_counted_uses_is_never_the_first(yard):
    issue_card(yard.store, "4713", ANN, uses=1)
    yard.follow()
    await yard.card("4713")
    assert yard.reported[-1].reason == Refusal.SECOND_MISSING
    yard.show_face()
    await yard.card("4713")
    assert len(yard.door.released) == 1


async def test_a_rule_at_night_demands_nothing_by_day(tmp_path):
    yard = SureYard(tmp_path, schedules={"night": {"start": "22:00", "end": "06:00"}})
    try:
        day = AccessRule(schedule="night", needs_second=True), AccessRule(valid_until=NOON + timedelta(hours=1))
        yard.store.set_access_rules(ANN, day)
        yard.follow()
        yard.show_face()
        assert len(yard.door.released) == 1
        yard.at = NOON + timedelta(hours=8)
        yard.show_face(track=2)
        assert len(yard.door.released) == 1
        assert yard.results == ["second"]
    finally:
        yard.entrance.close()


async def test_the_gate_denies_an_overdue_window_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.access.entrance.SECOND_CHECK_S", 0.01)
    yard = SureYard(tmp_path)
    yard.entrance._second.window_s = 0.05
    running = asyncio.create_task(yard.entrance._end_windows())
    try:
        yard.show_face()
        async with asyncio.timeout(30):
            while not yard.reported:
                await asyncio.sleep(0.01)
        assert [fact.reason for fact in yard.reported] == [Refusal.SECOND_MISSING]
    finally:
        running.cancel()
        yard.entrance.close()


# -- judged at the moment of completion -------------------------------------------------------------------------------


async def show_second(yard, kind):
    match kind:
        case "face":
            yard.show_face(track=2)
        case "card":
            await yard.card()
        case "pin":
            await yard.pin()


PAIRS = [(first, second) for first in ("face", "card", "pin") for second in ("face", "card", "pin") if first != second]


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_two_kinds_of_one_person_open(yard, first, second):
    await show_first(yard, first)
    await show_second(yard, second)
    assert len(yard.door.released) == 1


def remove_pin(yard):
    with yard.store.changing():
        yard.store.set_pins(ANN, [])


def change_pin(yard):
    set_pin(yard.store, "835274", ANN, least=6)


def suspend(yard):
    yard.gallery._register.suspend(ANN)


def remove_person(yard):
    yard.gallery._register.remove(ANN)


def forbid(yard):
    yard.store.set_access_rules(ANN, [AccessRule("second", needs_second=True)])


def end_rule(yard):
    yard.store.set_access_rules(ANN, [AccessRule(needs_second=True, valid_until=NOON)])


def lock_down(yard):
    begin_lockdown(yard.state, "the office", NOON)
    yard.entrance._apply_lockdown(read_last_record(yard.state))


@pytest.mark.parametrize("change", [suspend, remove_person, forbid, end_rule, lock_down])
@pytest.mark.parametrize(("first", "second"), [("face", "card"), ("card", "face"), ("pin", "card")])
async def test_a_change_within_the_window_denies_the_completion(yard, first, second, change):
    await show_first(yard, first)
    change(yard)
    yard.follow()
    await show_second(yard, second)
    assert yard.door.released == []


@pytest.mark.parametrize("change", [remove_pin, change_pin])
@pytest.mark.parametrize("second", ["face", "card"])
async def test_a_pin_that_was_removed_or_replaced_meanwhile_does_not_complete(yard, second, change):
    await show_first(yard, "pin")
    change(yard)
    yard.follow()
    await show_second(yard, second)
    assert yard.door.released == []


@pytest.mark.parametrize("second", ["face", "card"])
async def test_a_pin_that_was_stored_again_unchanged_completes(yard, second):
    await show_first(yard, "pin")
    with yard.store.changing():
        yard.store.set_pins(ANN, [each for each in yard.store.of(ANN) if each.kind == PIN])
    yard.follow()
    await show_second(yard, second)
    assert len(yard.door.released) == 1


@pytest.mark.parametrize("second", ["face", "pin"])
async def test_a_card_whose_validity_ends_meanwhile_does_not_complete(yard, second):
    issue_card(yard.store, "4714", ANN, valid_until=NOON + timedelta(seconds=5))
    yard.follow()
    await yard.card("4714")
    assert yard.results == ["second_face"]
    yard.at = NOON + timedelta(seconds=5)
    await show_second(yard, second)
    assert yard.door.released == []


async def test_a_valid_card_after_one_that_has_ended_begins_the_window_anew(yard):
    issue_card(yard.store, "4714", ANN, valid_until=NOON + timedelta(seconds=5))
    yard.follow()
    await yard.card("4714")
    yard.at = NOON + timedelta(seconds=5)
    await yard.card()
    yard.show_face()
    assert len(yard.door.released) == 1


async def test_a_lockdown_that_ends_within_the_window_leaves_the_window_open(yard):
    await show_first(yard, "face")
    lock_down(yard)
    await yard.card()
    end_lockdown(yard.state, "the office")
    yard.entrance._apply_lockdown(read_last_record(yard.state))
    await yard.card()
    assert len(yard.door.released) == 1


@pytest.mark.parametrize("uses_face", [True, False])
async def test_a_lockdown_while_the_disk_counts_a_use_denies_and_gives_the_use_back(yard, uses_face):
    if not uses_face:
        yard.store.set_access_rules(ANN, [])
    issue_card(yard.store, "4713", ANN, uses=1)
    yard.follow()
    if uses_face:
        yard.show_face()
    is_disk_ready = threading.Event()
    yard.entrance.credentials._writer.submit(is_disk_ready.wait)
    waiting_card = asyncio.create_task(yard.card("4713"))
    await asyncio.sleep(0.05)
    lock_down(yard)
    is_disk_ready.set()
    await waiting_card
    yard.entrance.credentials.close()
    assert yard.door.released == []
    assert yard.reported[-1].reason == Refusal.LOCKDOWN
    assert [each.uses_left for each in yard.store.of(ANN) if each.uses_left is not None] == [1]


# -- a face that is there already -------------------------------------------------------------------------------------


def see(yard, track=1, pad_score=0.9, face=(1, 0, 0, 0), looks=6):
    """Show more looks at a face that is there already."""
    now = time.monotonic()
    for number in range(looks):
        at, probe = now - 0.05 + 0.005 * number, yard.face(face).astype("<f4").tobytes()
        seen = Observation(track, number, at, (0, 0, 90, 120), 0.9, pad_score=pad_score, embedding=probe)
        yard.entrance.faces.observe(seen)


async def refused_face(yard, **look):
    """Let a face be refused that stays before the gate."""
    yard.show_face(**look)
    for outcome in yard.entrance.faces._visits.tick(time.monotonic() + 60):
        yard.entrance.faces._act(outcome)
    await asyncio.sleep(0.1)
    see(yard)
    assert yard.door.released == []


async def test_a_face_that_was_refused_counts_after_the_card_without_leaving_first(yard):
    """The gate asks for the face after the card, so it must look at the person who stands there."""
    await refused_face(yard, face=(0.4, 0, 0.9165, 0))
    await yard.card()
    see(yard)
    assert len(yard.door.released) == 1


async def test_a_print_is_not_judged_again_after_a_card(yard):
    await refused_face(yard, pad_score=0.01)
    await yard.card()
    see(yard)
    assert yard.door.released == []


async def test_a_face_that_was_let_in_is_not_let_in_again_by_the_card_of_somebody_else(yard):
    yard.store.set_access_rules(ANN, [])
    yard.store.set_access_rules(BOB, [AccessRule(needs_second=True)])
    yard.follow()
    yard.show_face()
    assert len(yard.door.released) == 1
    await yard.card("4712")
    see(yard)
    assert len(yard.door.released) == 1
