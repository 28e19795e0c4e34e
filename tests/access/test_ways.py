"""Cards, PINs and passes at a gate with a real people.db, a real ledger and a lock that only remembers."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gated.access.answers import WayOutcome
from gated.access.passes import PassLedger
from gated.access.rights import Refusal
from gated.access.schedule import Calendar
from gated.access.ways import Passes, Ways
from gated.config import ReaderSettings, Schedule
from gated.errors import LatchError
from gated.events import Duress, ReleaseRefused, TooManyAttempts, WayDenied, WayGranted
from gated.gallery import Person, Register, pins
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import AS_EVERYBODY, Preferences, Right
from gated.gallery.issuing import give_card, set_pin
from gated.gallery.keyring import KeyRing
from gated.types import SubjectId

ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Gate:
    """One gate with two doors: what was released, reported and told."""

    def __init__(self, state, office):
        self.state = state
        self.register = Register.open(state, "courtyard-2")
        for subject in (ANN, BOB):
            self.register.admit(Person(subject, f"Neighbour {subject[0]}", "2-401", "active", NOON, ()))
        self.store = Credentials.open(state, "courtyard-2")
        self.ring = KeyRing(self.store)
        self.ledger = PassLedger(state)
        self.at = NOON
        self.latch_answers, self.on_release = True, lambda: None
        self.released, self.reported, self.told = [], [], []
        self.ways = Ways(
            ReaderSettings(attempts=3, attempts_s=3600, rest_s=3600),
            self.ring,
            Calendar({"days": Schedule(start="08:00", end="18:00")}, (), ZoneInfo("UTC")),
            {"main": 8.0, "second": 5.0},
            release=self._release,
            report=self.reported.append,
            on_outcome=self.told.append,
            wall=lambda: self.at,
            passes=Passes(office.public, "courtyard-2", "front", self.ledger),
        )

    def _release(self, visit, lease_s, decided_at, door):
        self.on_release()
        if not self.latch_answers:
            raise LatchError("the latch does not answer")
        self.released.append((lease_s, door))

    def follow(self):
        self.ring.reload_if_changed()

    def card(self, number="12345678", subject=ANN, **more):
        card = give_card(self.store, number, subject, **more)
        self.follow()
        return card

    def pin(self, digits="492716", subject=ANN, **more):
        pin, _ = set_pin(self.store, digits, subject, least=6, **more)
        self.follow()
        return pin

    def said(self, kind):
        return [event for event in self.reported if isinstance(event, kind)]

    @property
    def reasons(self):
        return [event.reason for event in self.said(WayDenied)]

    @property
    def results(self):
        return [outcome.result for outcome in self.told]

    def close(self):
        self.ways.close()
        self.ledger.close()
        self.store.close()
        self.register.close()


@pytest.fixture
def gate(tmp_path, office) -> Iterator[Gate]:
    gate = Gate(tmp_path / "state", office)
    yield gate
    gate.close()


async def test_a_residents_card_opens_and_is_told_in_the_journal_and_at_the_gate(gate):
    card = gate.card()
    await gate.ways.card("12345678")
    assert gate.released == [(8.0, "main")]
    assert gate.told == [WayOutcome("granted", "card", "main", AS_EVERYBODY)]
    (granted,) = gate.reported
    assert granted == WayGranted("card", granted.visit, card.id, ANN, "main", is_first=True)


async def test_a_residents_pin_opens(gate):
    pin = gate.pin()
    await gate.ways.pin("492716", "second")
    assert gate.released == [(5.0, "second")]
    (granted,) = gate.reported
    assert granted == WayGranted("pin", granted.visit, pin.id, ANN, "second", is_first=True)


async def test_a_visitors_pass_opens_as_often_as_it_says(gate, office):
    text = office.issue(uses=2)
    for _ in range(3):
        await gate.ways.visitor_pass(text)
    assert gate.released == [(8.0, "main")] * 2
    assert gate.results == ["granted", "granted", "refused"]
    assert gate.reasons == [Refusal.REPLAYED]
    credentials = {event.credential for event in gate.reported}
    assert len(credentials) == 1
    assert {event.subject for event in gate.reported} == {None}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"site": "courtyard-3"}, "door"),
        ({"door": "second"}, "door"),
        ({"ends_h": -0.5}, "expired"),
        ({"begins_h": 0.5}, "not_yet"),
    ],
)
async def test_a_pass_for_another_place_or_hour_does_not_open(gate, office, told, reason):
    await gate.ways.visitor_pass(office.issue(**told))
    assert (gate.released, gate.reasons, gate.results) == ([], [reason], ["refused"])


async def test_a_pass_that_the_site_did_not_sign_does_not_open(gate):
    await gate.ways.visitor_pass("G1.AAAA")
    await gate.ways.visitor_pass("' OR 1=1 --")
    assert (gate.released, gate.reasons) == ([], [Refusal.FORGED] * 2)


async def test_without_a_sites_key_no_pass_opens(gate, office):
    gate.ways._passes = None
    await gate.ways.visitor_pass(office.issue())
    assert (gate.released, gate.reasons) == ([], [Refusal.UNKNOWN])


async def test_what_nobody_was_given_does_not_open_and_is_not_kept(gate):
    gate.card()
    gate.pin()
    await gate.ways.card("87654321")
    await gate.ways.pin("318205")
    assert gate.released == []
    assert gate.reported == [WayDenied("card", "unknown"), WayDenied("pin", "unknown")]
    assert gate.results == ["refused", "refused"]
    assert not any(secret in repr(gate.reported + gate.told) for secret in ("87654321", "318205"))


async def test_the_first_use_is_told_once_and_written_down(gate):
    gate.card()
    for hours in range(3):
        gate.at = NOON + hours * HOUR
        await gate.ways.card("12345678")
    assert [granted.is_first for granted in gate.said(WayGranted)] == [True, False, False]
    gate.ways.close()
    (card,) = gate.store.all()
    assert (card.first_used_at, card.last_used_at) == (NOON, NOON + 2 * HOUR)


async def test_a_refused_card_was_not_used(gate):
    gate.card(valid_until=NOON)
    await gate.ways.card("12345678")
    gate.ways.close()
    assert (gate.reasons, gate.store.all()[0].first_used_at) == (["expired"], None)


async def test_a_guests_card_opens_today_only_and_only_so_often(gate):
    gate.card(subject=None, valid_from=NOON - HOUR, valid_until=NOON + HOUR, uses=2)
    for at in (NOON - 2 * HOUR, NOON, NOON, NOON, NOON + HOUR):
        gate.at = at
        await gate.ways.card("12345678")
    assert len(gate.released) == 2
    assert gate.reasons == ["not_yet", "used_up", "expired"]


async def test_a_counted_use_is_counted_once_however_many_hold_the_card_at_once(gate):
    gate.card(uses=1)
    await asyncio.gather(*(gate.ways.card("12345678", door) for door in ("main", "second") for _ in range(2)))
    assert len(gate.released) == 1
    assert gate.reasons == ["used_up"] * 3


@pytest.mark.parametrize("way", ["card", "pin"])
async def test_a_suspended_person_is_refused_by_every_way(gate, way):
    gate.card()
    gate.pin()
    gate.register.suspend(ANN)
    gate.follow()
    await getattr(gate.ways, way)({"card": "12345678", "pin": "492716"}[way])
    assert (gate.released, gate.reasons) == ([], ["suspended"])
    assert gate.ways.may_pass_by_face(ANN, "main", NOON) is Refusal.SUSPENDED


async def test_rights_hold_for_every_way_alike(gate):
    gate.card()
    gate.pin()
    gate.store.set_rights(ANN, [Right("second", "days")])
    gate.follow()
    await gate.ways.card("12345678", "main")
    await gate.ways.pin("492716", "main")
    assert gate.ways.may_pass_by_face(ANN, "main", gate.at) is Refusal.DOOR
    assert gate.reasons == ["door"] * 2
    gate.at = NOON + 8 * HOUR
    await gate.ways.card("12345678", "second")
    await gate.ways.pin("492716", "second")
    assert gate.ways.may_pass_by_face(ANN, "second", gate.at) is Refusal.SCHEDULE
    assert gate.reasons == ["door"] * 2 + ["schedule"] * 2
    gate.at = NOON
    await gate.ways.card("12345678", "second")
    await gate.ways.pin("492716", "second")
    assert gate.ways.may_pass_by_face(ANN, "second", gate.at) is None
    assert len(gate.released) == 2


def test_a_face_of_somebody_who_is_gone_does_not_pass(gate):
    assert gate.ways.may_pass_by_face(ANN, "main", NOON) is None
    gate.register.remove(ANN)
    gate.follow()
    assert gate.ways.may_pass_by_face(ANN, "main", NOON) is Refusal.UNKNOWN


async def test_a_door_that_there_is_not_never_opens(gate, office):
    gate.card()
    gate.pin()
    await gate.ways.card("12345678", "cellar")
    await gate.ways.pin("492716", "cellar")
    await gate.ways.visitor_pass(office.issue(door="cellar"), "cellar")
    assert (gate.released, gate.reasons) == ([], ["door"] * 3)
    assert gate.ways.may_pass_by_face(ANN, "cellar", NOON) is Refusal.DOOR


async def test_without_a_trusted_clock_plain_cards_and_pins_open_and_what_needs_it_does_not(gate, office):
    gate.card()
    gate.pin()
    gate.card("11223344", BOB, valid_until=NOON + HOUR)
    gate.at = None
    for _ in range(5):
        await gate.ways.card("11223344")
        await gate.ways.visitor_pass(office.issue())
    assert (gate.released, set(gate.reasons)) == ([], {"clock"})
    await gate.ways.card("12345678")
    await gate.ways.pin("492716")
    assert len(gate.released) == 2
    assert gate.said(TooManyAttempts) == []


async def test_in_a_lockdown_nobody_is_let_in_and_nobody_is_blamed(gate, office):
    gate.card()
    gate.pin()
    gate.ways.is_locked_down = True
    for _ in range(5):
        await gate.ways.card("12345678")
        await gate.ways.pin("492716")
        await gate.ways.visitor_pass(office.issue())
    assert gate.ways.may_pass_by_face(ANN, "main", NOON) is Refusal.LOCKDOWN
    assert (gate.released, set(gate.reasons), gate.said(TooManyAttempts)) == ([], {"lockdown"}, [])
    gate.ways.is_locked_down = False
    await gate.ways.card("12345678")
    assert len(gate.released) == 1


async def test_too_many_failures_rest_that_way_at_that_door_and_no_other(gate, office):
    gate.card()
    gate.pin()
    for number in range(3):
        await gate.ways.card(f"8765432{number}")
    assert gate.said(TooManyAttempts) == [TooManyAttempts("card", 3, "main")]
    assert gate.results == ["refused", "refused", "resting"]
    gate.reported.clear()
    await gate.ways.card("12345678")
    assert (gate.released, gate.reported, gate.results[-1]) == ([], [], "resting")
    await gate.ways.card("12345678", "second")
    await gate.ways.pin("492716")
    await gate.ways.visitor_pass(office.issue())
    assert [door for _, door in gate.released] == ["second", "main", "main"]


async def test_pins_that_are_typed_all_at_once_are_no_more_guesses_than_the_limit(gate, monkeypatch):
    gate.pin()
    asked = []
    verify = pins.verify
    monkeypatch.setattr(pins, "verify", lambda pin_hash, peppered: asked.append(pin_hash) or verify(pin_hash, peppered))
    guesses = [f"{number:06}" for number in range(100_000, 100_020)]
    await asyncio.gather(*(gate.ways.pin(guess) for guess in guesses), gate.ways.pin("492716"))
    assert len(asked) == 3
    assert gate.results.count("resting") == 19
    assert gate.released == []


async def test_a_miss_and_a_hit_cost_the_same_number_of_verifications(gate, monkeypatch):
    gate.pin()
    gate.pin("318205", BOB)
    asked = []
    verify = pins.verify
    monkeypatch.setattr(pins, "verify", lambda pin_hash, peppered: asked.append(pin_hash) or verify(pin_hash, peppered))
    costs = set()
    for typed in ("492716", "318205", "318206", "", "'; DROP TABLE people; --"):
        asked.clear()
        await gate.ways.pin(typed)
        costs.add(len(asked))
    assert len(costs) == 1
    assert len(gate.released) == 2


async def test_argon2_does_not_hold_up_the_gate(gate, monkeypatch):
    gate.pin()
    is_asked, may_answer = asyncio.Event(), threading.Event()
    loop, verify = asyncio.get_running_loop(), pins.verify

    def slow(pin_hash, peppered):
        loop.call_soon_threadsafe(is_asked.set)
        assert may_answer.wait(60)
        return verify(pin_hash, peppered)

    monkeypatch.setattr(pins, "verify", slow)
    gate.card()
    typed = asyncio.create_task(gate.ways.pin("492716"))
    await is_asked.wait()
    await gate.ways.card("12345678")
    assert [granted.way for granted in gate.said(WayGranted)] == ["card"]
    may_answer.set()
    await typed
    assert [granted.way for granted in gate.said(WayGranted)] == ["card", "pin"]


async def test_a_duress_pin_opens_as_always_and_tells_only_the_journal(gate):
    plain, duress = gate.pin(), gate.pin("318205", is_duress=True)
    await gate.ways.pin("492716")
    await gate.ways.pin("318205")
    assert gate.released[0] == gate.released[1]
    assert gate.told[0] == gate.told[1]
    granted = gate.said(WayGranted)
    assert [event.credential for event in granted] == [plain.id, duress.id]
    assert gate.said(Duress) == [Duress(ANN, granted[1].visit, "main")]


async def test_a_duress_that_does_not_open_still_calls_for_help(gate):
    gate.pin()
    gate.pin("318205", is_duress=True)
    gate.register.suspend(ANN)
    gate.follow()
    await gate.ways.pin("318205")
    assert gate.released == []
    assert len(gate.said(Duress)) == 1


async def test_what_somebody_prefers_counts_from_the_moment_they_are_known(gate):
    wish = Preferences(release_s=20.0, first="touch")
    gate.card()
    gate.store.set_preferences(ANN, wish)
    gate.follow()
    await gate.ways.card("12345678", "second")
    assert gate.released == [(20.0, "second")]
    assert gate.told == [WayOutcome("granted", "card", "second", wish)]
    assert gate.ways.preferences(ANN) == wish
    assert gate.ways.preferences(BOB) == AS_EVERYBODY


async def test_on_a_full_or_broken_disk_plain_ways_open_and_counted_ones_do_not(gate, office, caplog):
    gate.card()
    gate.pin()
    gate.card("11223344", BOB, uses=5)
    gate.store._connection.execute("PRAGMA query_only = ON")
    gate.ledger._connection.execute("PRAGMA query_only = ON")
    for _ in range(5):
        await gate.ways.card("11223344")
        await gate.ways.visitor_pass(office.issue())
    assert (gate.released, set(gate.reasons), gate.said(TooManyAttempts)) == ([], {"undecided"}, [])
    await gate.ways.card("12345678")
    await gate.ways.pin("492716")
    assert len(gate.released) == 2
    gate.ways.close()
    assert caplog.text.count("could not be written down") == 2
    assert caplog.text.count("could not be counted") == 10
    gate.store._connection.execute("PRAGMA query_only = OFF")
    assert gate.store.of(BOB)[0].uses_left == 5


async def test_a_disk_that_does_not_answer_holds_up_no_plain_card(gate, monkeypatch):
    monkeypatch.setattr("gated.access.ways.COUNT_S", 0.05)
    gate.card()
    gate.pin()
    gate.card("11223344", BOB, uses=5)
    gate.store._connection.execute("PRAGMA busy_timeout = 60000")
    other = sqlite3.connect(gate.state / "people.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(20):
        await gate.ways.card("12345678")
        await gate.ways.pin("492716")
    await gate.ways.card("11223344")
    assert len(gate.released) == 40
    assert gate.reasons == ["undecided"]
    other.execute("ROLLBACK")
    other.close()
    gate.ways.close()
    assert gate.store.of(ANN)[0].last_used_at == NOON
    assert gate.store.of(BOB)[0].uses_left == 5


async def test_where_no_latch_answers_nobody_is_told_that_it_opened_and_no_use_is_lost(gate):
    gate.card(uses=1)
    gate.latch_answers = False
    await gate.ways.card("12345678")
    (refused,) = gate.said(ReleaseRefused)
    assert (refused.door, gate.results) == ("main", ["refused"])
    gate.latch_answers = True
    await gate.ways.card("12345678")
    assert len(gate.released) == 1


async def test_where_no_latch_answers_a_visitors_pass_is_good_for_as_many_visits_as_before(gate, office):
    text = office.issue(uses=2)
    gate.latch_answers = False
    for _ in range(5):
        await gate.ways.visitor_pass(text)
    assert (gate.results, len(gate.said(ReleaseRefused))) == (["refused"] * 5, 5)
    gate.latch_answers = True
    for _ in range(3):
        await gate.ways.visitor_pass(text)
    assert (len(gate.released), gate.reasons) == (2, [Refusal.REPLAYED])


async def test_a_pass_that_is_refused_gives_no_use_back(gate, office):
    text = office.issue()
    for _ in range(3):
        await gate.ways.visitor_pass(text)
    assert (len(gate.released), gate.reasons) == (1, [Refusal.REPLAYED] * 2)


async def test_on_a_disk_that_breaks_meanwhile_a_use_that_was_not_released_stays_counted(gate, office, caplog):
    text = office.issue()
    gate.latch_answers = False
    gate.on_release = lambda: gate.ledger._connection.execute("PRAGMA query_only = ON")
    await gate.ways.visitor_pass(text)
    gate.ways.close()
    assert "a pass could not be written down" in caplog.text
    assert office.read(text).credential not in caplog.text
    gate.ledger._connection.execute("PRAGMA query_only = OFF")
    assert not gate.ledger.spend(office.read(text), NOON)


@pytest.mark.parametrize(
    "hostile",
    ["' OR 1=1 --", "x'; DROP TABLE credentials; --", "12345678' UNION SELECT * FROM people --", "%", "\x00" * 100,
     "\udc80", "\uff11\uff12\uff13", "A" * 100_000, "", "\r\n", "${jndi:ldap://x}", "<script>alert(1)</script>"],
)  # fmt: skip
async def test_whatever_is_shown_or_typed_opens_nothing_and_is_written_nowhere(gate, hostile, caplog):
    gate.card()
    gate.pin()
    before = gate.store.all()
    await gate.ways.card(hostile)
    await gate.ways.pin(hostile)
    await gate.ways.visitor_pass(hostile)
    assert (gate.released, gate.results) == ([], ["refused"] * 3)
    assert gate.store.all() == before
    if hostile.strip():
        assert hostile not in repr(gate.reported) + repr(gate.told) + caplog.text


# A release by the office, for somebody who called


def test_the_office_lets_somebody_in_as_any_grant_does(gate):
    assert gate.ways.remote("c" * 32) is None
    assert gate.ways.remote("d" * 32, "second") is None
    assert gate.released == [(8.0, "main"), (5.0, "second")]
    assert gate.told == [WayOutcome("granted", "remote", door, AS_EVERYBODY) for door in ("main", "second")]
    first, second = gate.reported
    assert first == WayGranted("remote", first.visit, "c" * 32)
    assert second == WayGranted("remote", second.visit, "d" * 32, door="second")
    assert first.visit != second.visit


def test_in_a_lockdown_the_office_lets_nobody_in_either(gate):
    gate.ways.is_locked_down = True
    assert gate.ways.remote("c" * 32) is Refusal.LOCKDOWN
    assert gate.released == gate.told == gate.reported == []


def test_a_door_that_is_not_there_is_not_released(gate):
    for _ in range(5):
        assert gate.ways.remote("c" * 32, "garage") is Refusal.DOOR
    assert gate.released == gate.told == gate.reported == [], "nobody at the gate tried anything"


def test_a_release_that_the_latch_does_not_hear_of_is_no_release(gate):
    gate.latch_answers = False
    assert gate.ways.remote("c" * 32) is Refusal.UNDECIDED
    assert gate.results == ["refused"]
    assert len(gate.said(ReleaseRefused)) == 1


async def test_the_office_lets_somebody_in_while_cards_rest_and_ends_no_rest(gate):
    for _ in range(4):
        await gate.ways.card("9999")
    assert gate.results[-1] == "resting"
    assert gate.ways.remote("c" * 32) is None
    await gate.ways.card("9999")
    assert gate.results[-2:] == ["granted", "resting"]
