"""A hundred thousand steps with random faults, and each fault of each part alone."""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from gated.access.visits import VisitOutcome
from gated.door.door_machine import MAX_LEASE_S
from gated.events import DoorClosed, DoorOpened, DoorReleased, DoorSecured
from gated.journal.journal import Journal
from tests.fakes.day import RELEASE_S, STEP_S, SimulatedDay
from tests.fakes.faults import Verb
from tests.fakes.history import violations
from tests.fakes.timeline import Timeline

STEPS = 100_000


@pytest.fixture
def day():
    day = SimulatedDay(Timeline(seed=11))
    yield day
    assert violations(day.history) == []
    day.hardware.close()
    assert not day.hardware.is_driven


def events(day, kind):
    """Return the events of one kind, in order."""
    return [fact.what for fact in day.history if isinstance(fact.what, kind)]


def grants(day):
    return [outcome for outcome in events(day, VisitOutcome) if outcome.decision.grant]


def denials(day):
    return [outcome.decision.reason for outcome in events(day, VisitOutcome) if not outcome.decision.grant]


def words(day, word):
    return [fact.at for fact in day.history if fact.what == word]


def stranger(day):
    return -day.people[0]


def resident_comes(day, stays_s=2.0, then_s=3.0):
    day.comes(day.people[3], stays_s)
    day.run(stays_s + then_s)


def live(day, dice):
    """Simulate one random step: people, the leaf, the button, cards, faults, and sometimes the death of the brain."""
    timeline, hardware = day.timeline, day.hardware
    if day.visitor is None and timeline.happens(0.3, STEP_S):
        embedding = dice.choice([*day.people, stranger(day), -day.people[5]])
        day.comes(embedding, dice.uniform(0.2, 6.0), 0.95 if dice.random() < 0.8 else 0.1)
    if hardware.is_driven and timeline.happens(0.8, STEP_S):
        hardware.leaf_is_open = True
    elif hardware.leaf_is_open and timeline.happens(0.5, STEP_S):
        hardware.leaf_is_open = False
    elif timeline.happens(0.005, STEP_S):
        hardware.leaf_is_open = True  # forced open
    hardware.button_is_pressed = timeline.happens(0.4 if hardware.button_is_pressed else 0.02, STEP_S)
    day.card = str(dice.randrange(10**9)) if timeline.happens(0.1, STEP_S) else None
    if timeline.happens(0.2, STEP_S):
        dice.choice(list(day.parts.values())).inflict(dice.choice([*Verb, None, None, None]))
    if timeline.happens(0.01, STEP_S):
        day.disconnect()
    day.step()


def test_no_fault_of_any_part_opens_the_lock_without_a_cause_in_100_000_steps():
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}: SimulatedDay(Timeline({seed}))")
    day = SimulatedDay(Timeline(seed))
    began = time.monotonic()
    for _ in range(STEPS):
        live(day, day.timeline.dice)
    print(f"{STEPS:,} steps, {len(grants(day)):,} grants, {len(words(day, 'on')):,} times on", end=" ")
    print(f"and {len(day.history):,} facts in {time.monotonic() - began:.1f} s")
    assert violations(day.history) == []
    assert len(grants(day)) > 100
    assert len(denials(day)) > 100
    assert len(words(day, "press")) > 50
    day.hardware.close()


def test_the_same_seed_gives_the_same_day():
    days = []
    for _ in range(2):
        day = SimulatedDay(Timeline(5))
        for _ in range(3000):
            live(day, day.timeline.dice)
        day.hardware.close()
        days.append([(fact.at, fact.what if isinstance(fact.what, str) else type(fact.what)) for fact in day.history])
    assert len(days[0]) > 100
    assert days[0] == days[1]


def test_without_faults_a_resident_is_granted_and_a_stranger_denied(day):
    resident_comes(day)
    day.comes(stranger(day), 4.0)
    day.run(6.0)
    assert len(grants(day)) == 1
    assert denials(day) == ["unknown"]
    assert len(words(day, "on")) == len(words(day, "off")) == 1
    assert words(day, "off")[0] - words(day, "on")[0] == pytest.approx(RELEASE_S)


class TestCamera:
    """A stranger stands before the gate, then a resident walks up to a failing camera."""

    def test_off_nobody_is_granted_until_it_works_again(self, day):
        day.camera.inflict(Verb.OFF)
        resident_comes(day)
        assert day.history == []
        day.camera.inflict(None)
        resident_comes(day)
        assert len(grants(day)) == 1

    def test_stuck_on_a_resident_grants_that_visit_once(self, day):
        day.comes(day.people[3], 3.0)
        day.run(1.0)
        day.camera.inflict(Verb.STUCK)
        day.run(60.0)
        assert len(grants(day)) == 1
        assert len(words(day, "on")) == 1

    def test_stuck_on_an_empty_view_grants_nobody(self, day):
        day.run(1.0)
        day.camera.inflict(Verb.STUCK)
        resident_comes(day)
        assert day.history == []

    def test_garbage_is_always_denied(self, day):
        day.camera.inflict(Verb.GARBAGE)
        day.run(300.0)
        assert grants(day) == words(day, "on") == []
        assert set(denials(day)) <= {"odd", "attack", "unknown"}
        assert denials(day)

    def test_wrong_faces_are_denied_as_strangers(self, day):
        day.camera.inflict(Verb.WRONG)
        resident_comes(day, stays_s=4.0)
        assert grants(day) == []
        assert denials(day) == ["unknown"]

    def test_slow_frames_take_longer_and_still_need_as_many_frames(self, day):
        day.camera.inflict(Verb.SLOW)
        day.comes(day.people[3], 2.0)
        day.run(2.5)
        assert grants(day) == []
        assert words(day, "on") == []

    def test_delayed_frames_are_too_old_for_a_grant(self, day):
        day.run(3.0)
        day.camera.inflict(Verb.DELAYED)
        resident_comes(day, stays_s=5.0)
        assert events(day, VisitOutcome) == []
        assert words(day, "on") == []

    def test_intermittent_frames_grant_a_resident_once_a_visit(self, day):
        """After a dark time longer than a track's patience, the same person starts a new visit."""
        day.camera.inflict(Verb.INTERMITTENT)
        resident_comes(day, stays_s=8.0)
        visits = [outcome.visit for outcome in grants(day)]
        assert visits
        assert len(set(visits)) == len(visits) == len(events(day, DoorReleased))


class TestContact:
    """A leaf that stays closed, or opens after a grant, with a failing contact."""

    def test_off_a_cut_wire_is_one_forced_open_event(self, day):
        day.run(1.0)
        day.hardware.contact.inflict(Verb.OFF)
        day.run(30.0)
        assert events(day, DoorOpened) == [DoorOpened("nothing")]
        assert words(day, "on") == []

    def test_stuck_closed_the_lease_still_holds_without_events(self, day):
        """Stuck closed, the contact never reports the opening. The lock follows its lease alone."""
        day.hardware.contact.inflict(Verb.STUCK)
        day.comes(day.people[3], 2.0)
        day.run(0.6)
        day.hardware.leaf_is_open = True
        day.run(5.0)
        assert events(day, DoorOpened) == []
        assert events(day, DoorSecured) == [DoorSecured("lease")]

    def test_stuck_open_the_lease_still_holds_with_one_event(self, day):
        day.comes(day.people[3], 2.0)
        day.run(0.6)
        day.hardware.leaf_is_open = True
        day.run(0.2)
        day.hardware.contact.inflict(Verb.STUCK)
        day.hardware.leaf_is_open = False
        day.run(20.0)
        assert events(day, DoorOpened) == [DoorOpened("grant")]
        assert events(day, DoorClosed) == []
        assert events(day, DoorSecured) == [DoorSecured("lease")]

    def test_garbage_on_the_contact_can_only_shorten_a_release(self, day):
        day.hardware.contact.inflict(Verb.GARBAGE)
        resident_comes(day, then_s=10.0)
        assert len(words(day, "on")) == 1
        assert words(day, "off")[0] - words(day, "on")[0] <= RELEASE_S
        assert len(events(day, DoorOpened)) > 10

    def test_wrong_a_closed_leaf_reads_as_forced_open_and_releases_nothing(self, day):
        day.run(1.0)
        day.hardware.contact.inflict(Verb.WRONG)
        day.run(10.0)
        assert events(day, DoorOpened) == [DoorOpened("nothing")]
        assert words(day, "on") == []

    def test_slow_the_opening_is_reported_late_and_the_lease_holds(self, day):
        day.comes(day.people[3], 2.0)
        day.run(0.5)
        day.hardware.contact.inflict(Verb.SLOW)
        day.hardware.leaf_is_open = True
        day.run(5.0)
        assert events(day, DoorOpened) == [DoorOpened("grant")]
        assert events(day, DoorSecured) == [DoorSecured("lease")]

    def test_delayed_past_the_lease_the_opening_counts_as_forced(self, day):
        """Better a false alarm than a forced door without one."""
        day.comes(day.people[3], 2.0)
        day.run(2.0)
        day.hardware.contact.inflict(Verb.DELAYED)
        day.run(1.0)
        day.hardware.leaf_is_open = True
        day.run(5.0)
        assert events(day, DoorOpened) == [DoorOpened("nothing")]

    def test_an_intermittent_contact_can_end_a_release_and_never_starts_one(self, day):
        day.hardware.contact.inflict(Verb.INTERMITTENT)
        day.run(30.0)
        assert words(day, "on") == []
        assert {opened.after for opened in events(day, DoorOpened)} == {"nothing"}


class TestButton:
    """The exit button needs no decision. Each press that arrives is one release."""

    def press(self, day, for_s=0.5):
        day.hardware.button_is_pressed = True
        day.run(for_s)
        day.hardware.button_is_pressed = False

    def test_off_a_cut_wire_releases_nothing(self, day):
        day.hardware.button.inflict(Verb.OFF)
        self.press(day)
        day.run(5.0)
        assert day.history == []

    def test_stuck_pressed_releases_once_for_one_lease(self, day):
        day.hardware.button_is_pressed = True
        day.run(0.2)
        day.hardware.button.inflict(Verb.STUCK)
        day.run(60.0)
        assert len(words(day, "on")) == len(words(day, "off")) == 1
        assert words(day, "off")[0] - words(day, "on")[0] == pytest.approx(RELEASE_S)

    def test_garbage_releases_at_each_false_press_within_its_lease(self, day):
        """Software cannot tell a false press from a real one. Only wiring can."""
        day.hardware.button.inflict(Verb.GARBAGE)
        day.run(20.0)
        day.hardware.button.inflict(None)
        day.run(RELEASE_S + 1)
        assert len(events(day, DoorReleased)) == len(words(day, "press"))
        assert not day.hardware.is_driven

    def test_wrong_a_shorted_button_releases_once(self, day):
        day.hardware.button.inflict(Verb.WRONG)
        day.run(60.0)
        assert events(day, DoorReleased) == [DoorReleased("rex", RELEASE_S)]
        assert events(day, DoorSecured) == [DoorSecured("lease")]

    def test_slow_a_long_press_still_releases(self, day):
        day.hardware.button.inflict(Verb.SLOW)
        self.press(day, for_s=2.0)
        day.run(5.0)
        assert events(day, DoorReleased) == [DoorReleased("rex", RELEASE_S)]

    def test_delayed_a_press_releases_later_and_once(self, day):
        day.run(3.0)
        day.hardware.button.inflict(Verb.DELAYED)
        pressed_at = day.timeline.now
        self.press(day)
        day.run(6.0)
        assert [at - pressed_at for at in words(day, "on")] == [pytest.approx(2.0, abs=0.3)]

    def test_intermittent_releases_only_while_pressed(self, day):
        day.hardware.button.inflict(Verb.INTERMITTENT)
        day.run(10.0)
        assert day.history == []
        self.press(day, for_s=5.0)
        day.run(RELEASE_S + 1)
        assert words(day, "on")
        assert not day.hardware.is_driven


class TestLock:
    """A relay or coil that does not follow its input. Software cannot repair it, but it drives it correctly."""

    def coil(self, day, seconds):
        seen = []
        for _ in range(round(seconds / STEP_S)):
            day.step()
            seen.append(day.hardware.coil.read())
        return seen

    def test_off_the_gate_drives_the_lock_but_the_coil_does_not_move(self, day):
        day.hardware.coil.inflict(Verb.OFF)
        day.comes(day.people[3], 2.0)
        assert not any(self.coil(day, 5.0))
        assert len(words(day, "on")) == len(words(day, "off")) == 1

    def test_stuck_a_welded_relay_is_driven_off_and_each_opening_is_forced(self, day):
        day.comes(day.people[3], 1.0)
        day.run(1.0)
        day.hardware.coil.inflict(Verb.STUCK)
        assert all(self.coil(day, 5.0))
        assert not day.hardware.is_driven
        day.hardware.leaf_is_open = True
        day.run(1.0)
        assert events(day, DoorOpened) == [DoorOpened("nothing")]

    @pytest.mark.parametrize("verb", [Verb.GARBAGE, Verb.WRONG, Verb.INTERMITTENT])
    def test_only_leases_drive_the_lock_whatever_its_fault(self, day, verb):
        day.hardware.coil.inflict(verb)
        self.coil(day, 10.0)
        assert words(day, "on") == []
        resident_comes(day)
        assert len(words(day, "on")) == len(words(day, "off")) == 1

    @pytest.mark.parametrize("verb", [Verb.SLOW, Verb.DELAYED])
    def test_a_late_lock_drops_within_its_delay_after_the_lease(self, day, verb):
        day.run(3.0)
        day.hardware.coil.inflict(verb)
        day.comes(day.people[3], 1.0)
        seen = self.coil(day, 10.0)
        assert any(seen)
        assert not any(seen[round((RELEASE_S + 3.0) / STEP_S) :])


class TestCard:
    @pytest.mark.parametrize("verb", [None, *Verb])
    def test_no_card_and_no_fault_of_its_reader_releases_the_lock(self, day, verb):
        day.run(3.0)
        day.reader.inflict(verb)
        for card in (None, "0", "4711" * 10, "'; DROP TABLE person"):
            day.card = card
            day.run(10.0)
        assert day.history == []


class TestClock:
    @pytest.mark.parametrize("verb", list(Verb))
    def test_decisions_and_leases_use_monotonic_time_only(self, day, verb):
        sound = SimulatedDay(Timeline(seed=11))
        day.wall.inflict(verb)
        for each in (sound, day):
            each.run(3.0)
            resident_comes(each)
            each.comes(stranger(each), 4.0)
            each.run(6.0)
        sound.hardware.close()
        assert [fact.at for fact in day.history] == [fact.at for fact in sound.history]
        assert len(words(day, "on")) == 1

    @pytest.mark.parametrize("verb", list(Verb))
    def test_the_journal_keeps_its_order_and_its_chain(self, day, verb, tmp_path):
        journal = Journal.open(tmp_path, "courtyard-2", "front")
        day.run(3.0)
        day.wall.inflict(verb)
        for number in range(5):
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=day.wall.read())
            journal.append(DoorReleased("rex", 3.0, str(number)), at)
            day.run(0.5)
        assert [entry.event.visit for entry in journal.entries()] == list("01234")
        assert journal.verify() is None
        journal.close()


def test_a_dead_brain_ends_its_lease_but_the_exit_button_works(day):
    day.comes(day.people[3], 1.0)
    day.run(1.0)
    day.disconnect()
    assert not day.hardware.is_driven
    day.hardware.button_is_pressed = True
    day.run(0.5)
    day.disconnect()
    assert day.hardware.is_driven
    day.run(RELEASE_S)
    assert not day.hardware.is_driven
    assert RELEASE_S <= MAX_LEASE_S
