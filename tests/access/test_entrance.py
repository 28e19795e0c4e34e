"""All ways in under one roof: one lockdown, one set of rights, and faces by the same rules as cards."""

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from gated.access import entrance
from gated.access.entrance import Entrance, Tell
from gated.access.lockdown import begin_lockdown, end_lockdown
from gated.config import parse
from gated.errors import StateError
from gated.events import MAIN, SECOND, AccessDenied, AccessGranted, FreePassage, Lockdown, WayDenied, WayGranted
from gated.face.messages import Observation, VisionReady
from gated.gallery import Gallery, Person
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import Preferences, Right
from gated.gallery.issuing import give_card
from gated.gallery.people import RECOGNISE, Consent
from gated.types import SubjectId

ANN = SubjectId("a" * 16)
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
SHA = "e" * 64
READY = VisionReady("evaluation", "evaluation", "an_embedder", SHA, 4, 0.5, 0.5)


class Door:
    """A lock that only remembers."""

    def __init__(self):
        self.released, self.locked_down = [], []

    def release(self, visit, lease_s, decided_at, door=MAIN, cause="grant"):
        self.released.append(SimpleNamespace(lease_s=lease_s, door=door, cause=cause))

    def lockdown(self, on):
        self.locked_down.append(on)


class Yard:
    """A gate with Ann in its gallery, and a card of hers."""

    def __init__(self, state, **tables):
        plain = {"site": {"id": "courtyard-2"}, "gate": {"id": "front"}, "state_dir": str(state)}
        self.settings = parse({**plain, **tables}, state)
        self.state, self.door, self.at = state, Door(), NOON
        self.reported, self.told, self.preferred, self.lost = [], [], [], {}
        self.gallery = Gallery.open(state, "courtyard-2", SHA, 4)
        consent = Consent(RECOGNISE, "paper-1", "2026-11", NOON)
        with self.gallery.enrolling():
            self.gallery.add(Person(ANN, "Ann", "12", "active", NOON, (consent,)), [np.array([1, 0, 0, 0], np.float32)])
        self.store = Credentials.open(state, "courtyard-2")
        give_card(self.store, "4711", ANN)
        self.entrance = self.opened()

    def opened(self):
        tell = Tell(self.reported.append, self.told.append, self.preferred.append, self.lost.__setitem__)
        return Entrance(self.settings, self.gallery, self.door, tell, lambda: self.at)

    def show_face(self, track=1):
        """Three good looks at Ann's face."""
        self.entrance.faces.begin(READY)
        loop_now = time.monotonic()
        for number in range(3):
            seen = Observation(
                track, number, loop_now - 0.1 + 0.01 * number, (0, 0, 90, 120), 0.9, pad_score=0.9,
                embedding=np.array([1, 0, 0, 0], "<f4").tobytes(),
            )  # fmt: skip
            self.entrance.faces.observe(seen)

    def kinds(self):
        return [type(fact) for fact in self.reported]


@pytest.fixture
async def yard(tmp_path):
    yard = Yard(tmp_path)
    yield yard
    yard.entrance.close()


async def test_a_face_and_a_card_open_alike(yard):
    yard.show_face()
    await yard.entrance.ways.card("4711")
    assert [r.lease_s for r in yard.door.released] == [8.0, 8.0]
    assert yard.kinds() == [AccessGranted, WayGranted]


async def test_whoever_may_not_pass_now_is_refused_by_face_as_by_card(tmp_path):
    yard = Yard(tmp_path, schedules={"night": {"start": "22:00", "end": "06:00"}})
    yard.store.set_rights(ANN, [Right(schedule="night")])
    yard.entrance.close()
    yard.entrance = yard.opened()
    yard.show_face()
    await yard.entrance.ways.card("4711")
    yard.entrance.close()
    assert yard.door.released == []
    assert [(type(f), f.reason) for f in yard.reported] == [(AccessDenied, "schedule"), (WayDenied, "schedule")]


async def test_what_somebody_asked_for_counts_from_the_moment_they_are_recognised(yard):
    yard.store.set_preferences(ANN, Preferences(release_s=20.0, search_s=9.0, first="touch"))
    yard.entrance.close()
    yard.entrance = yard.opened()
    yard.show_face()
    assert yard.door.released[0].lease_s == 20.0
    assert yard.preferred == ["touch"]


async def test_a_grant_to_somebody_who_asked_for_nothing_says_so(yard):
    yard.show_face()
    assert yard.preferred == [None]


async def test_a_lockdown_refuses_face_and_card_until_it_is_ended(yard):
    assert yard.door.locked_down == [False], "the latch may remember an old one"
    task = asyncio.create_task(yard.entrance.run())
    begin_lockdown(yard.state, "the office", NOON)
    await until(lambda: yard.door.locked_down == [False, True])
    yard.show_face()
    await yard.entrance.ways.card("4711")
    assert yard.door.released == []
    assert [f.reason for f in yard.reported if not isinstance(f, Lockdown)] == ["lockdown", "lockdown"]
    end_lockdown(yard.state)
    await until(lambda: yard.door.locked_down[-1] is False)
    yard.show_face(track=2)
    assert len(yard.door.released) == 1
    assert [f for f in yard.reported if isinstance(f, Lockdown)] == [Lockdown("the office"), Lockdown("", is_over=True)]
    task.cancel()
    await asyncio.wait([task])


async def test_a_gate_that_starts_in_a_lockdown_is_in_one(tmp_path):
    begin_lockdown(tmp_path, "the office", NOON)
    yard = Yard(tmp_path)
    assert yard.door.locked_down == [True]
    await yard.entrance.ways.card("4711")
    yard.entrance.close()
    assert yard.door.released == []


async def test_free_passage_is_renewed_at_its_own_door(tmp_path):
    yard = Yard(
        tmp_path, second_door={"lock_pin": 4, "free_passage": "day"},
        schedules={"day": {"start": "00:00", "end": "00:00"}},
    )  # fmt: skip
    yard.entrance.close()
    assert [(r.door, r.cause) for r in yard.door.released] == [(SECOND, "schedule")]
    assert yard.reported == [FreePassage("day", door=SECOND)]


async def test_a_card_that_is_given_now_opens_within_a_moment(yard):
    task = asyncio.create_task(yard.entrance.run())
    give_card(yard.store, "9999", ANN)
    await until(lambda: yard.entrance._ring.card("9999") is not None)
    await yard.entrance.ways.card("9999")
    assert len(yard.door.released) == 1
    task.cancel()
    await asyncio.wait([task])


async def test_a_people_database_that_is_gone_is_a_loss_and_whoever_was_known_still_gets_in(yard, monkeypatch):
    def fail():
        raise StateError("people.db: cannot be used")

    task = asyncio.create_task(yard.entrance.run())
    monkeypatch.setattr(yard.entrance._ring, "reload_if_changed", fail)
    await until(lambda: yard.lost.get("credentials"))
    await yard.entrance.ways.card("4711")
    assert len(yard.door.released) == 1
    task.cancel()
    await asyncio.wait([task])


async def until(holds, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


async def test_whoever_has_changed_something_need_not_wait_for_the_next_look(yard, monkeypatch):
    monkeypatch.setattr(entrance, "WATCH_S", 3600.0)
    task = asyncio.create_task(yard.entrance.run())
    await until(lambda: "gallery" in yard.lost)  # the first look is over
    begin_lockdown(yard.state, "the office", NOON)
    yard.entrance.look()
    await until(lambda: yard.door.locked_down == [False, True])
    task.cancel()
    await asyncio.wait([task])


async def test_hours_that_the_office_names_count_and_the_settings_own_ones_win(tmp_path):
    yard = Yard(
        tmp_path, second_door={"lock_pin": 4, "free_passage": "day"},
        schedules={"day": {"start": "00:00", "end": "00:00"}},
    )  # fmt: skip
    yard.store.set_rights(ANN, [Right(schedule="visits")])
    task = asyncio.create_task(yard.entrance.run())
    await until(lambda: yard.entrance._ring.holder(ANN).rights)
    await yard.entrance.ways.card("4711")
    assert yard.door.released[-1].door == SECOND, "nobody knows these hours yet"
    with yard.store.changing() as connection:
        rows = [("visits", "mon tue wed thu fri sat sun", "00:00", "00:00"), ("day", "", "00:00", "00:00")]
        connection.executemany("INSERT INTO schedules VALUES (?, ?, ?, ?)", rows)
    await until(lambda: "visits" in yard.entrance.ways.calendar.schedules)
    await yard.entrance.ways.card("4711")
    assert yard.door.released[-1].door == MAIN
    assert yard.entrance._passage.calendar.allows("day", NOON)
    task.cancel()
    await asyncio.wait([task])
