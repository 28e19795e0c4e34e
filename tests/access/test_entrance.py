"""All credential types together: one lockdown, one set of access rules, and the same rules for faces and cards."""

import asyncio
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gated.access import entrance
from gated.access.attack_response import FIRST_REST_S
from gated.access.entrance import Entrance, EntranceReports
from gated.access.lockdown import begin_lockdown, end_lockdown
from gated.access.permissions import with_office
from gated.access.schedules import WEEKDAYS, Calendar
from gated.access.visit_rate import PASSES_AT_ONCE, RATE_EXCEEDED, VISITS_AT_ONCE
from gated.config import Schedule, parse
from gated.errors import StateError
from gated.events import (
    MAIN,
    SECOND,
    AccessDenied,
    AccessGranted,
    CredentialDenied,
    CredentialGranted,
    Lockdown,
    PresentationAttack,
    ScheduledUnlock,
)
from gated.face.vision_messages import CodeSeen, Observation, TrackEnded, VisionReady
from gated.gallery.gallery import Gallery
from gated.people.access_rule import AccessRule
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card
from gated.people.preferences import Preferences
from gated.people.schedule_values import CalendarDays
from gated.people.store import RECOGNISE, Consent, Person
from gated.types import SubjectId
from tests.fakes.recording_door import RecordingDoor

ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
SHA = "e" * 64
READY = VisionReady("evaluation", "evaluation", "an_embedder", SHA, 4, 0.5, 0.5)


class Yard:
    """A gate with Ann and her card."""

    def __init__(self, state, **tables):
        plain = {"site": {"id": "courtyard-2"}, "gate": {"id": "front"}, "state_dir": str(state)}
        self.settings = parse({**plain, **tables}, state)
        self.state, self.door, self.at = state, RecordingDoor(), NOON
        self.reported, self.told, self.preferred, self.lost = [], [], [], {}
        self.gallery = Gallery.open(state, "courtyard-2", SHA, 4)
        consent = Consent(RECOGNISE, "paper-1", "2026-11", NOON)
        with self.gallery.enrolling():
            self.gallery.add(Person(ANN, "Ann", "12", "active", NOON, (consent,)), [np.array([1, 0, 0, 0], np.float32)])
        self.store = Credentials.open(state, "courtyard-2")
        issue_card(self.store, "4711", ANN)
        self.entrance = self.opened()

    def opened(self):
        tell = EntranceReports(self.reported.append, self.told.append, self.preferred.append, self.lost.__setitem__)
        return Entrance(self.settings, self.gallery, self.door, tell, lambda: self.at)

    def show_face(self, track=1, pad_score=0.9, face=(1, 0, 0, 0), looks=6):
        """Show three looks of Ann's face, or of another face."""
        self.entrance.faces.begin(READY)
        loop_now = time.monotonic()
        for number in range(looks):
            seen = Observation(
                track, number, loop_now - 0.1 + 0.01 * number, (0, 0, 90, 120), 0.9, pad_score=pad_score,
                embedding=np.array(face, "<f4").tobytes(),
            )  # fmt: skip
            self.entrance.faces.observe(seen)

    def kinds(self):
        return [type(fact) for fact in self.reported]


@pytest.fixture
async def yard(tmp_path):
    yard = Yard(tmp_path)
    yield yard
    yard.entrance.close()


async def test_a_face_and_a_card_open_in_the_same_way(yard):
    yard.show_face()
    await yard.entrance.credentials.handle_card("4711")
    assert [r.lease_s for r in yard.door.released] == [8.0, 8.0]
    assert yard.kinds() == [AccessGranted, CredentialGranted]


async def test_an_imitated_face_rests_and_the_persons_other_credentials_work(yard):
    """Three prints of Ann's face within a minute: her face opens nothing, her card still works, and the office is
    told.
    """
    with yard.gallery.enrolling():
        consent = Consent(RECOGNISE, "paper-2", "2026-11", NOON)
        yard.gallery.add(Person(BOB, "Bob", "13", "active", NOON, (consent,)), [np.array([0, 1, 0, 0], np.float32)])
    yard.entrance.close()
    yard.entrance = yard.opened()
    for _ in range(2):
        yard.show_face(pad_score=0.01)
    yard.show_face()
    assert len(yard.door.released) == 1, "two attacks are no reason to refuse Ann herself"
    yard.show_face(pad_score=0.01)
    assert yard.reported[-1] == PresentationAttack(3, FIRST_REST_S, ANN)
    yard.show_face()
    assert (type(yard.reported[-1]), yard.reported[-1].reason) == (AccessDenied, "resting")
    yard.show_face(face=(0, 1, 0, 0))
    assert yard.reported[-1].subject == BOB
    await yard.entrance.credentials.handle_card("4711")
    assert [type(fact) for fact in yard.reported[-2:]] == [AccessGranted, CredentialGranted]
    assert len(yard.door.released) == 3


async def test_a_vision_restart_during_an_attack_gives_no_extra_try(yard):
    for _ in range(3):
        yard.show_face(pad_score=0.01, looks=2)
        yard.entrance.faces.stop()
    assert yard.reported == [PresentationAttack(3, FIRST_REST_S, ANN)]


async def test_a_print_without_a_match_stops_nobody(yard):
    for _ in range(9):
        yard.show_face(pad_score=0.01, face=(0, 0, 0, 1))
    assert yard.kinds().count(PresentationAttack) == 1
    assert [fact.subject for fact in yard.reported if isinstance(fact, PresentationAttack)] == [None]
    yard.show_face(pad_score=0.6)
    yard.entrance.faces.observe(TrackEnded(1, time.monotonic()))
    assert yard.reported[-1].reason == "undecided", "PAD is strict now"
    yard.show_face()
    assert yard.kinds()[-1] is AccessGranted


async def test_the_rest_of_a_face_survives_a_restart_of_the_brain(yard):
    for _ in range(3):
        yard.show_face(pad_score=0.01)
        yard.entrance.close()
        yard.entrance = yard.opened()
    assert yard.reported[-1] == PresentationAttack(3, FIRST_REST_S, ANN)
    yard.show_face()
    assert (type(yard.reported[-1]), yard.reported[-1].reason) == (AccessDenied, "resting")
    await yard.entrance.credentials.handle_card("4711")
    assert yard.kinds()[-1] is CredentialGranted


async def test_a_person_without_access_now_is_refused_by_face_and_by_card(tmp_path):
    yard = Yard(tmp_path, schedules={"night": {"start": "22:00", "end": "06:00"}})
    yard.store.set_access_rules(ANN, [AccessRule(schedule="night")])
    yard.entrance.close()
    yard.entrance = yard.opened()
    yard.show_face()
    await yard.entrance.credentials.handle_card("4711")
    yard.entrance.close()
    assert yard.door.released == []
    assert [(type(f), f.reason) for f in yard.reported] == [(AccessDenied, "schedule"), (CredentialDenied, "schedule")]


async def test_preferences_apply_from_the_moment_a_face_is_recognised(yard):
    yard.store.set_preferences(ANN, Preferences(release_s=20.0, search_s=9.0, first="touch"))
    yard.entrance.close()
    yard.entrance = yard.opened()
    yard.show_face()
    assert yard.door.released[0].lease_s == 20.0
    assert yard.preferred == ["touch"]


async def test_a_grant_without_preferences_records_none(yard):
    yard.show_face()
    assert yard.preferred == [None]


async def test_a_lockdown_refuses_face_and_card_until_its_end(yard):
    assert yard.door.locked_down == [False], "the latch may remember an old one"
    task = asyncio.create_task(yard.entrance.run())
    begin_lockdown(yard.state, "the office", NOON)
    await until(lambda: yard.door.locked_down == [False, True])
    yard.show_face()
    await yard.entrance.credentials.handle_card("4711")
    assert yard.door.released == []
    assert [f.reason for f in yard.reported if not isinstance(f, Lockdown)] == ["lockdown", "lockdown"]
    end_lockdown(yard.state)
    await until(lambda: yard.door.locked_down[-1] is False)
    yard.show_face(track=2)
    assert len(yard.door.released) == 1
    assert [f for f in yard.reported if isinstance(f, Lockdown)] == [Lockdown("the office"), Lockdown("", is_over=True)]
    task.cancel()
    await asyncio.wait([task])


async def test_a_restarted_gate_stays_in_the_lockdown(tmp_path):
    begin_lockdown(tmp_path, "the office", NOON)
    yard = Yard(tmp_path)
    assert yard.door.locked_down == [True]
    await yard.entrance.credentials.handle_card("4711")
    yard.entrance.close()
    assert yard.door.released == []


async def test_free_passage_is_renewed_at_its_own_door(tmp_path):
    yard = Yard(
        tmp_path, second_door={"lock_pin": 4, "free_passage": "day"},
        schedules={"day": {"start": "00:00", "end": "00:00"}},
    )  # fmt: skip
    yard.entrance.close()
    assert [(r.door, r.cause) for r in yard.door.released] == [(SECOND, "schedule")]
    assert yard.reported == [ScheduledUnlock("day", door=SECOND)]


async def test_a_new_card_opens_within_a_moment(yard):
    task = asyncio.create_task(yard.entrance.run())
    issue_card(yard.store, "9999", ANN)
    await until(lambda: yard.entrance._ring.card("9999") is not None)
    await yard.entrance.credentials.handle_card("9999")
    assert len(yard.door.released) == 1
    task.cancel()
    await asyncio.wait([task])


async def test_a_lost_people_database_is_a_loss_and_known_people_still_get_in(yard, monkeypatch):
    def fail():
        raise StateError("people.db: cannot be used")

    task = asyncio.create_task(yard.entrance.run())
    monkeypatch.setattr(yard.entrance._ring, "reload_if_changed", fail)
    await until(lambda: yard.lost.get("credentials"))
    await yard.entrance.credentials.handle_card("4711")
    assert len(yard.door.released) == 1
    task.cancel()
    await asyncio.wait([task])


async def until(holds, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_change_by_this_process_applies_without_waiting_for_the_next_check(yard, monkeypatch):
    monkeypatch.setattr(entrance, "CHANGE_CHECK_S", 3600.0)
    task = asyncio.create_task(yard.entrance.run())
    await until(lambda: "gallery" in yard.lost)  # the first check is done
    begin_lockdown(yard.state, "the office", NOON)
    yard.entrance.request_reload()
    await until(lambda: yard.door.locked_down == [False, True])
    task.cancel()
    await asyncio.wait([task])


async def test_schedules_of_the_office_apply_and_the_gates_own_schedules_win(tmp_path):
    yard = Yard(
        tmp_path, second_door={"lock_pin": 4, "free_passage": "day"},
        schedules={"day": {"start": "00:00", "end": "00:00"}},
    )  # fmt: skip
    yard.store.set_access_rules(ANN, [AccessRule(schedule="visits")])
    task = asyncio.create_task(yard.entrance.run())
    await until(lambda: yard.entrance._ring.holder(ANN).rules)
    await yard.entrance.credentials.handle_card("4711")
    assert yard.door.released[-1].door == SECOND, "nobody knows these hours yet"
    with yard.store.changing() as connection:
        rows = [("visits", "mon tue wed thu fri sat sun", "00:00", "00:00"), ("day", "", "00:00", "00:00")]
        connection.executemany("INSERT INTO schedules (name, days, start, until) VALUES (?, ?, ?, ?)", rows)
    await until(lambda: "visits" in yard.entrance.permissions.calendar.schedules)
    await yard.entrance.credentials.handle_card("4711")
    assert yard.door.released[-1].door == MAIN
    assert yard.entrance.permissions.is_unlocked("day", NOON)
    task.cancel()
    await asyncio.wait([task])


async def test_calendar_days_of_the_office_apply_to_people_and_unlock_no_door(tmp_path):
    """The office declares a Saturday a working day. It applies to people's schedules, but not to the
    unlock schedule.
    """
    saturday = datetime(2026, 5, 9, 4, 0, tzinfo=UTC)
    own = Calendar({"work": Schedule(WEEKDAYS[:5])}, (), ZoneInfo("Asia/Shanghai"))
    merged = with_office(own, {}, CalendarDays(workdays=frozenset({"2026-05-09"})))
    assert not own.allows("work", saturday)
    assert merged.allows("work", saturday)
    yard = Yard(tmp_path, schedules={"work": {"days": list(WEEKDAYS[:5])}}, door={"free_passage": "work"})
    task = asyncio.create_task(yard.entrance.run())
    with yard.store.changing() as connection:
        insert = "INSERT INTO calendars (name, holidays, workdays) VALUES ('calendar-2026', '', '2026-05-09')"
        connection.execute(insert)
    await until(lambda: "2026-05-09" in yard.entrance.permissions.calendar.workdays)
    assert yard.entrance.permissions.calendar.allows("work", saturday)
    assert not yard.entrance.permissions.is_unlocked("work", saturday)
    task.cancel()
    await asyncio.wait([task])


def test_for_a_day_that_both_name_the_gates_settings_win():
    own = Calendar({}, ("2026-10-01",), ZoneInfo("Asia/Shanghai"), ("2026-10-10",))
    holidays, workdays = ("2026-10-10", "2026-10-02"), ("2026-10-01", "2026-10-11", "2026-10-02")
    merged = with_office(own, {}, CalendarDays(frozenset(holidays), frozenset(workdays)))
    assert merged.holidays == {"2026-10-01", "2026-10-02"}
    assert merged.workdays == {"2026-10-10", "2026-10-11"}


# A compromised vision process


async def test_a_flood_of_faces_is_limited_across_restarts_of_vision(yard):
    """`VisionReady` resets the visits, but not the limit on new faces. The gate reports the limit."""
    for track in range(1000):
        yard.show_face(track, face=(0, 0, 1, 0))
        yard.entrance.faces.observe(TrackEnded(track, time.monotonic()))
    assert VISITS_AT_ONCE <= len(yard.reported) <= VISITS_AT_ONCE + 100
    assert yard.lost["crowd"] == RATE_EXCEEDED
    assert yard.door.released == []


@pytest.mark.parametrize("text", ["G1.A", None], ids=["one pass again and again", "another each time"])
async def test_a_flood_of_passes_is_bounded(tmp_path, text, caplog):
    yard = Yard(tmp_path, readers={"pass_key": "site.pub"})
    for number in range(2000):
        yard.entrance.readers.handle_code(CodeSeen(text or f"G1.{number}", 0.0))
        await asyncio.sleep(0)
    assert len(yard.reported) + len(yard.told) <= 2 * PASSES_AT_ONCE + 20
    assert len(caplog.records) <= PASSES_AT_ONCE + 10
    yard.entrance.close()
