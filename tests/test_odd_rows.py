"""One damaged value in one row of a gate's database costs only that row. The gate leaves the row out and reports it."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from gated.access.guess_counts import Guess
from gated.access.guess_store import GuessStore
from gated.access.pass_ledger import PassLedger
from gated.access.passes import VisitorPass
from gated.brain import Brain
from gated.config.settings_trial import begin
from gated.errors import GatedError, StateError
from gated.face.vision_start import gate_vision
from gated.gallery.gallery import Gallery
from gated.gallery.repair import repair
from gated.journal.recent_rows import last_time, read_newest
from gated.people import held_records
from gated.people.access_rule import AccessRule, put_access_rules
from gated.people.credential_store import Credentials
from gated.people.held_records import Allowed
from gated.people.keyring import KeyRing
from gated.people.preferences import NO_PREFERENCES
from gated.protocol.command_messages import Offer
from gated.service.start_events import first_facts
from gated.storage.database import connect
from gated.sync.command_desk import CommandDesk
from gated.sync.quarantine import Allowance
from gated.update.rehearsal import SCHEMAS
from tests.fakes.recording_door import RecordingDoor

from .odd_rows import BAD_TEXT, ODD, columns, dice, spoil
from .test_broken_card import GATE, NOW, PEOPLE, SITE, STRANGERS, face, home  # noqa: F401 - a fixture

CASES = int(os.environ.get("GATED_TEST_ODD_ROWS", "16"))
"""Number of damages to try, of about 3,000. Set it higher after a change to the code that reads the databases."""
FILL = """
    INSERT INTO rights (subject, door, valid_from) SELECT subject, 'main', '2020-01-01T00:00:00+00:00' FROM people
     WHERE household = 'h0';
    INSERT INTO rights (household, valid_until) VALUES ('h1', '2999-01-01T00:00:00+00:00');
    INSERT INTO rights (role, schedule) VALUES ('staff', 'hours');
    INSERT INTO preferences SELECT subject, 12.0, 5.0, 'touch' FROM people WHERE household = 'h1';
    UPDATE replica SET version = 9;
    INSERT INTO records (key, n, is_gone, is_wanted, suspended_n, templates)
     SELECT 'person/' || subject, rowid, 0, 0, 0, 1 FROM people WHERE household < 'h3';
    INSERT INTO records (key, n, is_gone, is_wanted, suspended_n, templates, at)
     VALUES ('person/eeeeeeeeeeeeeeee', 8, 1, 0, 0, 2, '2026-01-01T00:00:00+00:00');
    INSERT INTO claims (id, subject, digest, label) SELECT 'aa', subject, zeroblob(32), 'x' FROM people LIMIT 1;
    INSERT INTO schedules (name, days, start, until)
     VALUES ('hours', 'mon tue wed thu fri sat sun holiday', '00:00', '00:00');
    INSERT INTO calendars (name, holidays, workdays) VALUES ('2026', '2026-10-01 2026-10-02', '2026-10-10');
    INSERT INTO gates (gate, keys) VALUES ('back', '{"keys": []}');
    INSERT INTO trusted_gates VALUES ('back', '{"keys": []}', 'here');
    INSERT INTO gone_gates VALUES ('{"keys": []}');
    INSERT INTO agreed SELECT subject, 'transfer' FROM people LIMIT 1;
    INSERT INTO weak_pins SELECT subject, '2026-01-01T00:00:00+00:00' FROM people LIMIT 1;
    INSERT INTO marks (subject, kind) SELECT subject, 'child' FROM people LIMIT 1;
    INSERT INTO erasures DEFAULT VALUES;
"""
FILES = tuple(SCHEMAS)


@pytest.fixture(scope="module")
def used(home, tmp_path_factory):  # noqa: F811
    """Yield the home with a row in every table. `copy()` returns a fresh copy of its folder."""
    whole, embedder = home
    folder = tmp_path_factory.mktemp("used")
    made = iter(range(10**6))

    def copied(source):
        target = folder / str(next(made))
        shutil.copytree(source, target)
        config = target / "gated.toml"
        config.write_text(config.read_text().replace(str(source), str(target)))
        return target

    filled = copied(whole)
    with contextlib.closing(sqlite3.connect(filled / "state" / "people.db")) as people:
        people.executescript(FILL)
    with contextlib.closing(sqlite3.connect(filled / "state" / "commands.db")) as commands:
        commands.executescript("INSERT INTO commands (number, id, reply) VALUES (5, 'abc', x'7b7d')")
    with contextlib.closing(sqlite3.connect(filled / "state" / "templates.db", isolation_level=None)) as templates:
        templates.execute("INSERT INTO erasures DEFAULT VALUES")
    with contextlib.closing(PassLedger(filled / "state")) as ledger:
        ledger.spend(visitor(57, 2**31, 2), NOW)
    with contextlib.closing(GuessStore(filled / "state")) as log:
        log.write(Guess(1, log.now(), (log.place("door/main"),)))
    with contextlib.closing(connect(filled / "state" / "snapshot.db", SCHEMAS["snapshot.db"])) as staged:
        staged.execute("INSERT INTO snapshot (version, digest, parts) VALUES (99, 'abc', 2)")
        staged.execute("INSERT INTO parts VALUES (0, x'00')")
    yield SimpleNamespace(whole=filled, copy=lambda: copied(filled), embedder=embedder)
    shutil.rmtree(folder)


async def live(folder, embedder, *, is_repaired):
    """Run a gate on that folder, repaired first if `is_repaired`. Return the count of cards that open, and of known
    faces.
    """
    config = folder / "gated.toml"
    start = begin(config)
    state = start.settings.state
    repaired = repair(state) if is_repaired else []
    entries = read_newest(state, SITE, GATE)
    facts = first_facts(start.settings, start, entries, repaired)
    brain = Brain(start.settings, config, gate_vision(start.settings), last_time(entries), facts)
    door, entrance = RecordingDoor(), brain.entrance
    try:
        entrance.credentials._responder._release = door.release
        with contextlib.suppress(GatedError):
            replica, side = brain.following._build()
            assert replica.mark.version >= 0
            side.close()
        watch = asyncio.create_task(entrance.run())
        await asyncio.sleep(0.02)
        for number in STRANGERS:
            await entrance.credentials.handle_card(number)
        assert door.released == []
        for number in range(PEOPLE):
            await entrance.credentials.handle_card(f"w26:12-100{number}")
        with contextlib.suppress(GatedError):
            brain.gallery.people()
        known = [brain.gallery.search(face(number, embedder.dimension)) for number in range(PEOPLE)]
        assert not watch.done(), "the entrance has not ended"
        watch.cancel()
        await asyncio.wait([watch])
    finally:
        entrance.close()
        brain.gallery.close()
        brain._journal.close(0.3)
    return len(door.released), sum(any(one.score > 0.9 for one in found) for found in known)


def damages(used):
    """Return every combination of file, table, column, value, and whether the gate repairs its files at the start."""
    places = [(name, *place) for name in FILES for place in columns(used.whole / "state" / name)]
    return [(*place, value, is_repaired) for place in places for value in ODD for is_repaired in (True, False)]


def test_any_damaged_value_leaves_the_gate_running_and_keeps_nobody_else_out(used):
    every = damages(used)
    for name, table, column, value, is_repaired in dice("gate").sample(every, min(CASES, len(every))):
        folder = used.copy()
        if spoil(folder / "state" / name, table, column, value):
            opened, known = asyncio.run(live(folder, used.embedder, is_repaired=is_repaired))
            said = f"{table}.{column} in {name} became {value!r}"
            assert opened >= PEOPLE - 1, said
            assert known >= PEOPLE - 1, said
        shutil.rmtree(folder)


def ring_of(folder):
    return KeyRing.open_best(folder / "state", SITE)


def test_every_database_of_a_gate_is_among_them_and_has_a_row_in_every_table(used):
    assert {path.name for path in (used.whole / "state").glob("*.db")} == set(FILES)
    for name in FILES:
        tables = {table for table, _ in columns(used.whole / "state" / name)}
        with contextlib.closing(connect(used.whole / "state" / name, SCHEMAS[name])) as opened:
            every = {row[0] for row in opened.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert {table for table in every - tables if not table.startswith(("_", "sqlite_"))} == set(), name


@pytest.mark.parametrize("value", [5, None, b"x", 1e308])
@pytest.mark.parametrize(
    ("table", "column"),
    [("people", "household"), ("credentials", "digest"), ("credentials", "last_used_at"), ("schedules", "days"),
     ("calendars", "workdays"), ("gates", "gate")],
)  # fmt: skip
def test_a_row_that_was_damaged_while_the_gate_lives_is_left_out_counted_and_told(used, table, column, value):
    folder = used.copy()
    spoil(folder / "state" / "people.db", table, column, value)
    may_be = (table, column, value) in {("credentials", "last_used_at", None), ("credentials", "digest", b"x")}
    with contextlib.closing(ring_of(folder)) as ring:
        assert (f"1 of {table}" in ring.left_out) != may_be
        assert ("damaged" in ring.left_out) != may_be
        assert len([number for number in range(PEOPLE) if ring.card(f"w26:12-100{number}")]) >= PEOPLE - 1


def test_an_undamaged_database_reports_nothing(used):
    with contextlib.closing(ring_of(used.copy())) as ring:
        assert ring.left_out == ""


@pytest.mark.parametrize("is_repaired", [True, False])
@pytest.mark.parametrize("column", ["door", "schedule", "valid_from", "valid_until"])
def test_a_damaged_access_rule_denies_its_owner_alone(used, column, is_repaired):
    folder = used.copy()
    assert spoil(folder / "state" / "people.db", "rights", column, b"x")
    if is_repaired:
        repair(folder / "state")
    with contextlib.closing(Credentials.open(folder / "state", SITE)) as store:
        holders = store.holders().values()
        assert len(holders) == PEOPLE
        assert sum(right.schedule == "?" for each in holders for right in each.rules) == 1


@pytest.mark.parametrize("column", ["n", "suspended_n"])
def test_a_version_beyond_any_office_does_not_keep_later_records_away(used, column):
    """A gate refuses records that are older than its version."""
    folder = used.copy()
    path = folder / "state" / "people.db"
    assert spoil(path, "replica", "version", 2**63 - 1)
    assert spoil(path, "records", column, 2**63 - 1)
    repair(folder / "state")
    with contextlib.closing(connect(path, SCHEMAS["people.db"])) as people:
        assert held_records.version(people) < 1000
        assert held_records.newest(people) < 1000


@pytest.mark.parametrize(
    ("column", "value"), [("spent", 2**63 - 1), ("recent", b"x"), ("batch", "x"), ("batch_until", None)]
)
def test_a_damaged_counter_of_new_people_counts_as_spent(used, column, value):
    """Otherwise the limits would begin again, and a stolen office key could bring as many people once more."""
    folder = used.copy()
    path = folder / "state" / "people.db"
    assert spoil(path, "allowance", column, value)
    repair(folder / "state")
    with contextlib.closing(connect(path, SCHEMAS["people.db"])) as people:
        allowed = held_records.allowed(people)
    allowance = Allowance(10, 1000, allowed)
    assert (allowance.remaining(allowed, 0.0, NOW), allowance.by_office(allowed)) == (0, 0)
    assert allowance.remaining(allowed, 3600.0, NOW) == 10, "the limit of an hour is over after an hour"


def test_mending_another_table_keeps_the_counters_of_new_people(used):
    folder = used.copy()
    path = folder / "state" / "people.db"
    before = Allowed(recent=2, recent_at=NOW.isoformat(), spent=7)
    with contextlib.closing(connect(path, SCHEMAS["people.db"])) as people:
        held_records.allow(people, before)
    assert spoil(path, "replica", "version", 2**63 - 1)
    repair(folder / "state")
    with contextlib.closing(connect(path, SCHEMAS["people.db"])) as people:
        assert held_records.allowed(people) == before


@pytest.mark.parametrize("count", [2**63 - 1, -(2**63), 2**62, -1])
def test_a_damaged_count_of_access_rules_does_not_keep_new_rules_away(used, count):
    folder = used.copy()
    assert spoil(folder / "state" / "people.db", "rights_said", "rows", count)
    with contextlib.closing(connect(folder / "state" / "people.db", SCHEMAS["people.db"])) as people:
        owner, value = people.execute("SELECT whose, value FROM rights_said LIMIT 1").fetchone()
        for rules in ([AccessRule("main")], [AccessRule("main"), AccessRule("main", "hours")], []):
            put_access_rules(people, owner, value, rules)
            counted = people.execute("SELECT rows FROM rights_said WHERE (whose, value) = (?, ?)", (owner, value))
            assert [row[0] for row in counted] == [len(rules)][: len(rules)]


@pytest.mark.parametrize(
    ("column", "value"), [("release_s", 1e308), ("release_s", -1.0), ("search_s", 0.0), ("first", "x")]
)
def test_a_wish_that_nobody_can_have_had_is_as_everybodys(used, column, value):
    folder = used.copy()
    assert spoil(folder / "state" / "people.db", "preferences", column, value)
    with contextlib.closing(Credentials.open(folder / "state", SITE)) as store:
        assert {each.preferences for each in store.holders().values()} == {NO_PREFERENCES}


@pytest.mark.parametrize(("name", "table", "column"), [("people.db", "people", "face"), ("people.db", "people", "name"),
                                                       ("templates.db", "templates", "sealed")])  # fmt: skip
def test_nothing_is_swept_away_because_a_row_cannot_be_read(used, name, table, column):
    """A row that cannot be read keeps its face's key, because the row may become readable again."""
    folder = used.copy()
    assert spoil(folder / "state" / name, table, column, 7)
    state = folder / "state"
    opened = Gallery.open(state, SITE, used.embedder.embedder_sha256, used.embedder.dimension)
    with contextlib.closing(opened) as gallery:
        assert "1 of" in gallery.left_out
        assert gallery.template_count == PEOPLE - 1
    with contextlib.closing(sqlite3.connect(state / "templates.db")) as templates:
        assert templates.execute("SELECT count(*) FROM data_keys").fetchone()[0] == PEOPLE


# -- counters ----------------------------------------------------------------------------------------------------------


def visitor(number, not_after, uses=1):
    return VisitorPass(bytes([number]) * 16, SITE, GATE, "main", 0, not_after, uses)


@pytest.mark.parametrize("value", [None, "nonsense", b"x", 0.5, BAD_TEXT])
@pytest.mark.parametrize("column", ["uses", "not_after"])
def test_a_damaged_use_gives_nobody_another_one_and_shuts_out_no_other_guest(tmp_path, column, value):
    with contextlib.closing(PassLedger(tmp_path)) as ledger:
        assert ledger.spend(visitor(1, 2**31), NOW)
    assert spoil(tmp_path / "passes.db", "spent", column, value)
    with contextlib.closing(PassLedger(tmp_path)) as ledger:
        with contextlib.suppress(StateError):
            assert not ledger.spend(visitor(1, 2**31), NOW)
        assert ledger.spend(visitor(2, 2**31), NOW)


@pytest.mark.parametrize("value", [None, "nonsense", b"x", 0.5, BAD_TEXT])
def test_a_ledger_that_forgot_how_far_it_forgot_brings_no_pass_back(tmp_path, value):
    ends = int(NOW.timestamp()) + 3600
    with contextlib.closing(PassLedger(tmp_path)) as ledger:
        assert ledger.spend(visitor(1, ends), NOW)
        assert spoil(tmp_path / "passes.db", "horizon", "at", value)
        assert spoil(tmp_path / "passes.db", "horizon", "copy", value)
        with pytest.raises(StateError, match=r"passes\.db"):
            ledger.spend(visitor(3, ends + 60), NOW)
    with contextlib.closing(PassLedger(tmp_path)) as ledger:
        assert not ledger.spend(visitor(2, ends), NOW)
        assert ledger.spend(visitor(3, ends + 60), NOW)


@pytest.mark.parametrize("kept", [b"{}", b"[", b"\xff", b"null", b'{"kind": 5}'])
def test_an_answer_that_was_damaged_is_not_given_again_and_nothing_is_done_twice(tmp_path, kept):
    with contextlib.closing(CommandDesk(tmp_path, SITE, GATE)) as desk:
        desk._ledger.execute("INSERT INTO commands (number, id, reply) VALUES (5, 'abc', ?)", (kept,))
        assert desk.answer_offer(Offer(site=SITE, gate=GATE, command="abc"), 0.0) is None


@pytest.mark.parametrize("odd", ["nonsense", "", "2027-01-15T12:00:00", "9999-12-31T23:59:59-14:00", "\0", "5"])
def test_a_damaged_allowance_lets_nobody_join_more(odd):
    wall = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
    damaged = Allowed(recent=5, recent_at=odd, batch=9, batch_until=odd)
    allowance = Allowance(5, 20, damaged)
    assert allowance.remaining(damaged, 0.0, wall) == 0
    for field in ("recent", "spent", "batch"):
        for number in (2**63 - 1, -(2**63)):
            one = Allowed(**{"recent_at": wall.isoformat(), field: number})
            assert Allowance(5, 20, one).remaining(one, 0.0, wall + timedelta(seconds=1)) <= 5
