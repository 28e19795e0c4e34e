"""Tests the office's commands: people for every gate, and orders that report their outcome."""

import json
import re
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from gated.cli import main
from gated.journal.chain import genesis, row_digest
from gated.office.office_person import OfficePerson, hashed_pin
from gated.office.running_processes import mark_serving as serving_for
from gated.office.running_processes import owner_check
from gated.office.store import Store
from gated.pin.rule import is_weak
from gated.protocol.command_messages import ReplyFinding
from gated.protocol.event_messages import EventBatch, WireEvent
from gated.protocol.jose import Identity
from gated.protocol.record_messages import RemovalReceipt
from gated.protocol.status_messages import Status
from gated.protocol.wire_records import ScheduleRecord, Tombstone, WireAccessRule, WireMark

SITE = "market-south"


@pytest.fixture
def gate(store):
    store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
    return "gate-1"


@pytest.fixture
def ann(office):
    return office("person", "add", "--name", "Ann", "--household", "2-401").split()[-1]


def shown(office, subject):
    return json.loads(office("person", "show", subject, "--json"))


def test_a_folder_without_an_office_gives_the_command_to_create_one(tmp_path):
    done = CliRunner().invoke(main, ["office", "--dir", str(tmp_path / "none"), "gates"])
    assert done.exit_code == 1
    assert "gated office init" in done.output


def test_a_person_is_added_changed_and_listed(office, ann):
    office("person", "change", ann, "--name", "Anne", "--role", "staff")
    [row] = json.loads(office("person", "list", "--json"))
    assert (row["subject"], row["name"], row["household"], row["role"]) == (ann, "Anne", "2-401", "staff")
    assert "Anne" in office("person", "list")
    assert "2-401" in office("person", "show", ann)


def test_an_id_made_by_a_gate_is_kept_and_unique(office):
    arguments = ("person", "add", "--name", "Bo", "--household", "1", "--subject", "0123456789abcdef")
    assert office(*arguments) == "added Bo (1), 0123456789abcdef\n"
    assert "already exists" in office(*arguments, check=1)
    assert "subject: expected 16 hex digits" in office(*arguments[:-1], "not-an-id", "--yes", check=1)


def test_a_consent_has_a_reference_and_a_notice(office, ann):
    office("person", "change", ann, "--consent", "paper-1", check=2)
    office("person", "change", ann, "--transfer", check=2)
    office("person", "change", ann, "--consent", "paper-1", "--notice", "v3", "--transfer")
    said = shown(office, ann)["consents"]
    assert [(each["purpose"], each["reference"], each["notice"]) for each in said] == [
        ("recognise", "paper-1", "v3"),
        ("transfer", "paper-1", "v3"),
    ]


@pytest.mark.parametrize(("withdrawn", "left"), [("transfer", ["recognise"]), ("recognise", [])])
def test_a_consent_is_withdrawn(office, ann, withdrawn, left):
    office("person", "change", ann, "--consent", "paper-1", "--notice", "v3", "--transfer")
    office("person", "change", ann, "--withdraw", withdrawn)
    assert [each["purpose"] for each in shown(office, ann)["consents"]] == left


def test_a_person_is_suspended_and_resumed(office, ann):
    office("person", "suspend", ann)
    assert shown(office, ann)["status"] == "suspended"
    office("person", "resume", ann)
    assert shown(office, ann)["status"] == "active"


def test_a_removed_person_stays_removed(office, store, ann):
    assert "add --yes" in office("person", "remove", ann, check=2)
    office("person", "remove", ann, "--yes")
    assert isinstance(store.book.get(f"person/{ann}"), Tombstone)
    assert "was removed" in office("person", "show", ann, check=1)
    assert "was removed" in office("person", "add", "--name", "X", "--household", "1", "--subject", ann, check=1)


def test_an_unknown_id_gives_an_error_that_names_the_search_command(office):
    for command in ("show", "suspend", "resume", "remove"):
        assert "person list" in office("person", command, "0123456789abcdef", check=1)


def test_a_card_belongs_to_one_person_and_its_number_is_never_shown(office, ann, store):
    bo = office("person", "add", "--name", "Bo", "--household", "1").split()[-1]
    card = office("person", "card", ann, "--number", "0006729715", "--label", "blue").split()[-1]
    assert "in use already" in office("person", "card", bo, "--number", "6729715", check=1)
    assert "6729715" not in office("person", "show", ann) + office("person", "show", ann, "--json")
    assert store.book.person(ann).cards[0].number == "0006729715"
    office("person", "card", ann, "--take", card)
    assert store.book.person(ann).cards == []
    assert "no card" in office("person", "card", ann, "--take", card, check=1)


@pytest.mark.parametrize(
    ("given", "again", "why"),
    [
        ("0006729715", "102,45043", "lower 24 bits are the same"),
        ("0006729715", "w34:102-45043", "in use already"),
        ("04:A1:B2:C3", "c3b2a104", "in use already"),
        ("w32:04A1B2C3", "w32:77A1B2C3", "lower 24 bits are the same"),
    ],
)
def test_an_indistinguishable_card_is_refused_with_the_reason(office, ann, given, again, why):
    bo = office("person", "add", "--name", "Bo", "--household", "1").split()[-1]
    card = office("person", "card", ann, "--number", given).split()[-1]
    told = office("person", "card", bo, "--number", again, check=1)
    assert why in told
    assert card in told


def test_a_random_number_is_refused_and_the_readings_of_a_card_are_shown(office, ann):
    assert "changes each time" in office("person", "card", ann, "--number", "08A1B2C3", check=1)
    office("person", "card", ann, "--number", "08A1B2C3", "--same-each-time")
    told = office("person", "card", ann, "--number", "\uff10\uff10\uff10\uff16\uff17\uff12\uff19\uff17\uff11\uff15")
    assert "printed 102,45043" in told
    assert "w34:102-45043" in told


def test_an_invalid_card_is_refused(office, ann):
    assert "digits or letters" in office("person", "card", ann, "--number", "12", check=1)
    office("person", "card", ann, check=2)


def test_a_card_is_valid_from_its_first_to_its_last_day(office, ann, store):
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    office("person", "card", ann, "--number", "1234", "--until", today.isoformat(), "--uses", "3")
    [card] = store.book.person(ann).cards
    assert datetime.fromisoformat(card.valid_until).date() == today + timedelta(days=1)
    assert card.uses == 3
    office("person", "card", ann, "--number", "5678", "--until", "2020-01-01", check=2)


def test_a_pin_is_read_from_standard_input_and_never_shown(office, ann, store):
    office("person", "pin", ann, typed="739154\n")
    office("person", "pin", ann, "--duress", typed="286094\n")
    who = store.book.person(ann)
    assert (who.has_pin, who.has_duress_pin) == (True, True)
    assert (who.pin, who.duress_pin) == ("", ""), "the digits are kept nowhere"
    assert "739154" not in office("person", "show", ann) + office("person", "show", ann, "--json")
    office("person", "pin", ann, "--take")
    who = store.book.person(ann)
    assert (who.has_pin, who.has_duress_pin) == (False, False)


def test_the_office_makes_a_pin_shows_it_once_and_prints_the_budget(office, ann, store):
    said = office("person", "pin", ann, typed="")
    pin = "".join(re.search(r"(\d{3}) (\d{3})", said).groups())
    assert not is_weak(pin, 6)
    assert store.book.person(ann).pins == [hashed_pin(pin, store.book.pin_salt, is_duress=False)]
    assert pin not in office("person", "show", ann) + office("person", "show", ann, "--json")
    told = json.loads(office("pins", "--json"))
    assert (told["pins"], told["is_short"]) == (1, False)
    assert "years" in office("pins")


def test_a_weak_pin_and_a_neighbours_pin_get_the_same_refusal(office, ann):
    bo = office("person", "add", "--name", "Bo", "--household", "1").split()[-1]
    office("person", "pin", ann, typed="739154\n")
    said = {
        office("person", "pin", bo, typed=f"{pin}\n", check=1)
        for pin in ("739154", "123456", "520520", "19900512", "12")
    }
    assert len(said) == 1
    assert "needs a PIN beside it" in office("person", "pin", bo, "--duress", typed="286094\n", check=1)


def test_access_rules_and_preferences_of_a_person_are_set_and_cleared(office, ann, store):
    office("schedule", "set", "day", "--days", "mon,fri", "--start", "06:00", "--end", "22:00")
    office("person", "rights", ann, "--door", "main", "--schedule", "day")
    office("person", "prefer", ann, "--release-s", "12", "--first", "touch")
    who = store.book.person(ann)
    assert [(right.door, right.schedule) for right in who.rights] == [("main", "day")]
    assert (who.wishes.release_s, who.wishes.first) == (12.0, "touch")
    office("person", "rights", ann, "--clear")
    office("person", "prefer", ann, "--clear")
    who = store.book.person(ann)
    assert (who.rights, who.wishes.release_s) == ([], None)
    office("person", "prefer", ann, check=2)
    office("person", "rights", ann, check=2)


def test_a_card_or_pin_beside_the_face_is_sent_to_the_gates(office, ann, store):
    office("schedule", "set", "day", "--start", "06:00", "--end", "22:00")
    office("person", "rights", ann, "--schedule", "day")
    office("person", "rights", ann, "--with-card-or-pin", "--add")
    assert store.book.person(ann).rights == [WireAccessRule(None, "day"), WireAccessRule("+*")]
    shown = json.loads(office("person", "show", ann, "--json"))["rights"]
    assert [(rule["door"], rule["with_card_or_pin"]) for rule in shown] == [(None, None), (None, True)]
    office("rights", "role", "staff", "--with-card-or-pin", "--door", "main")
    office("rights", "role", "staff", "--door", "second", "--add")
    (row,) = json.loads(office("rights", "list", "--json"))
    assert [(rule["door"], rule["with_card_or_pin"]) for rule in row["rights"]] == [("main", True), ("second", None)]
    assert "with card or pin" in office("rights", "list")


def test_a_mark_is_sent_to_the_gates_and_removed(office, ann, store):
    office("person", "mark", ann, "--child", "--until", "2099-01-31")
    assert store.book.person(ann).mark == WireMark("child", "2099-02-01T00:00:00+08:00")
    assert "child" in office("person", "show", ann)
    office("person", "mark", ann, "--none")
    assert store.book.person(ann).mark is None
    office("person", "mark", ann, check=2)


def test_access_rules_of_households_and_roles_are_set(office):
    office("person", "add", "--name", "Ann", "--household", "2-401")
    office("schedule", "set", "day", "--end", "22:00")
    office("rights", "household", "2-401", "--door", "main")
    office("rights", "role", "Staff", "--schedule", "day")
    rows = json.loads(office("rights", "list", "--json"))
    assert [(row["of"], row["name"]) for row in rows] == [("household", "2-401"), ("role", "staff")]
    assert "2-401" in office("rights", "list")
    office("rights", "household", "2-401", "--clear")
    assert len(json.loads(office("rights", "list", "--json"))) == 1
    office("rights", "household", "2-401", "--clear", check=1)


@pytest.mark.parametrize(
    ("option", "wrong", "says"),
    [
        ("--days", "someday", '"mon"'),
        ("--start", "25:00", "start: expected a time of day, HH:MM"),
        ("--start", "24:00", "start: expected a time of day, HH:MM"),
        ("--start", "noon", "HH:MM"),
        ("--end", "24:01", "24:00 for the end of the day"),
        ("--end", "8h", "HH:MM"),
        ("--end", "18.00", "HH:MM"),
    ],
)
def test_an_invalid_time_or_day_is_named(office, option, wrong, says):
    told = office("schedule", "set", "day", option, wrong, check=1)
    assert says in told
    assert not any(word in told for word in ("regex", "enum", "`", "null"))


def test_a_schedule_may_end_with_the_day(office, store):
    office("schedule", "set", "day", "--start", "08:00", "--end", "24:00")
    [told] = store.book.live(ScheduleRecord)
    assert (told.start, told.end) == ("08:00", "00:00")  # gates of every version can read 00:00


def test_schedules_are_listed_and_removed(office):
    office("schedule", "set", "day")
    assert [each["name"] for each in json.loads(office("schedule", "list", "--json"))] == ["day"]
    assert "day" in office("schedule", "list")
    office("schedule", "remove", "day")
    assert "nothing" in office("schedule", "list")


# -- gates ------------------------------------------------------------------------------------------------------------


def test_the_gates_are_listed_with_their_progress(office, store, gate, ann):
    assert json.loads(office("gates", "--json"))[0]["state"] == "never heard"
    status = Status(site=SITE, gate=gate, version="0.1.0", door="secured", degraded=["vision"])
    store.gate_table.record_status(gate, status, is_changed=True, is_fresh=True, at="2026-11-23T07:58:00Z")
    [row] = json.loads(office("gates", "--json"))
    assert (row["state"], row["records"], row["degraded"]) == ("online", "0 of 2", ["vision", "gate_outdated"])
    new = replace(status, can=[*status.can, "verifiers"])
    store.gate_table.record_status(gate, new, is_changed=True, is_fresh=True, at="2026-11-23T07:59:00Z")
    assert json.loads(office("gates", "--json"))[0]["degraded"] == ["vision"]
    assert "vision" in office("gates")


@pytest.fixture
def old_gate(store, gate):
    """Return a gate of a version that knows neither marks nor rules with two kinds."""
    status = Status(site=SITE, gate=gate, version="0.1.0", can=["verifiers"])
    store.gate_table.record_status(gate, status, is_changed=True, is_fresh=True, at="2026-11-23T07:58:00Z")
    return gate


def update_gate(store, gate):
    new = Status(site=SITE, gate=gate, version="0.2.0", can=["verifiers", "two_kinds"])
    store.gate_table.record_status(gate, new, is_changed=True, is_fresh=True, at="2026-11-23T07:59:00Z")


def test_a_mark_names_the_gates_that_ignore_it(office, store, old_gate, ann):
    printed = office("person", "mark", ann, "--alike")
    assert f"{old_gate} has gated 0.1.0, which ignores marks" in printed
    assert json.loads(office("gates", "--json"))[0]["degraded"] == ["mark_ignored"]
    update_gate(store, old_gate)
    assert "ignores marks" not in office("person", "mark", ann, "--alike")
    assert json.loads(office("gates", "--json"))[0]["degraded"] == []


def test_the_removal_of_a_mark_names_no_gate(office, old_gate, ann):
    assert "ignores marks" not in office("person", "mark", ann, "--none")


@pytest.mark.parametrize("owner", [("person", "rights"), ("rights", "household"), ("rights", "role")])
def test_a_rule_with_two_kinds_names_the_gates_that_do_not_know_it(office, store, old_gate, ann, owner):
    store.add_gate("gate-2", Identity.make().party.dump(), "0a0c")
    rule = (*owner, {"rights": ann, "household": "2-401", "role": "resident"}[owner[1]], "--with-card-or-pin")
    assert f"{old_gate} has gated 0.1.0, which does not know this rule" in office(*rule)
    assert "does not know this rule" in office(*rule, "--gate", old_gate.upper())
    assert "does not know this rule" not in office(*rule, "--gate", "gate-2")
    assert "does not know this rule" not in office(*rule[:-1], "--door", "main")
    update_gate(store, old_gate)
    assert "does not know this rule" not in office(*rule)


def happen(store, gate, kinds):
    rows, before = [], genesis(SITE, gate, "j")
    for seq, kind in enumerate(kinds, 1):
        body = json.dumps({"kind": kind, "door": "main"})
        before = row_digest(before, seq, b"2026-11-23T07:58:00Z", kind.encode(), body.encode())
        rows.append(WireEvent(seq, "2026-11-23T07:58:00Z", kind, body, before))
    first = genesis(SITE, gate, "j")
    batch = EventBatch(site=SITE, gate=gate, journal="j", after=0, first=1, last=len(rows), prev=first, events=rows)
    store.journals.store_batch(batch)


def test_the_newest_events_are_shown(office, store, gate):
    happen(store, gate, ["door_opened", "door_closed", "tampered"])
    assert [json.loads(line)["kind"] for line in office("events", "-n", "2", "--json").splitlines()] == [
        "door_closed",
        "tampered",
    ]
    assert "tampered" in office("events", "--gate", gate)
    office("events", "--gate", "nowhere", check=1)


def test_a_deeply_nested_event_of_a_stolen_gate_is_shown_unchanged(office, store, gate):
    body = '{"kind":"tampered","more":' + "[" * 7000 + "]" * 7000 + "}"
    at, first = "2026-11-23T07:58:00Z", genesis(SITE, gate, "j")
    row = WireEvent(1, at, "tampered", body, row_digest(first, 1, at.encode(), b"tampered", body.encode()))
    store.journals.store_batch(
        EventBatch(site=SITE, gate=gate, journal="j", after=0, first=1, last=1, prev=first, events=[row])
    )
    assert json.loads(office("events", "--json"))["unreadable"] == body
    assert "unreadable" in office("events")


def test_receipts_show_which_gates_have_not_answered(office, store, gate, ann):
    store.add_gate("gate-0", Identity.make().party.dump(), "0a0c")
    office("person", "add", "--name", "Bo", "--household", "1")
    n = store.book.remove(f"person/{ann}")
    assert "not confirmed yet" in office("receipts", check=1)
    for name in (gate, "gate-0"):
        receipt = RemovalReceipt(site=SITE, gate=name, subject=ann, n=n, templates=3, at="2026-11-23T08:00:00Z")
        store.receipts.store(name, receipt)
    rows = json.loads(office("receipts", ann, "--json"))
    assert [(row["gate"], row["templates"]) for row in rows] == [("gate-0", 3), ("gate-1", 3)]
    office("receipts")


def test_an_alarm_is_open_until_it_is_marked_as_handled(office, store, gate):
    office("alarms")
    store.alarms.open(gate, "cloned", "", "2026-11-23T08:00:00Z")
    assert "another device has its keys" in office("alarms", check=1)
    [alarm] = json.loads(office("alarms", "--json", check=1))
    office("alarms", "--settle", alarm["id"])
    office("alarms", "--settle", alarm["id"], check=1)
    assert "cloned" in office("alarms", "--all")


# -- orders -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path, store):
    """Hold the lock of a serving office, so that commands see one."""
    with closing(serving_for(tmp_path / "office", 0, 1)):
        yield


@pytest.fixture
def serving(store, served, tmp_path):
    """Return a function that settles each order in a thread, as a gate and a serving office would."""

    def settle(state, why="", findings=(), *, then=lambda another, placed: None):
        def work():
            with closing(Store.open(tmp_path / "office")) as another:
                end = time.monotonic() + 30
                while time.monotonic() < end and not (placed := another.commands.open()):
                    time.sleep(0.02)
                for each in placed:
                    then(another, each)
                    another.commands.finish(each, state, why, findings)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    return settle


def test_a_release_prints_its_result(office, gate, serving):
    thread = serving("done", "the door is released")
    order = ("release", gate, "--operator", "li", "--reason", "a delivery", "--wait", 30)
    assert office(*order) == "gate-1: done: the door is released\n"
    thread.join()
    thread = serving("refused", "a lockdown")
    assert office(*order, check=1) == "gate-1: refused: a lockdown\n"
    thread.join()


def test_a_release_needs_an_operator_and_a_reason(office, gate):
    office("release", gate, "--reason", "x", check=2)
    office("release", gate, "--operator", "li", check=2)
    office("release", "gate-9", "--operator", "li", "--reason", "x", check=1)


ORDERS = [
    ("release", "gate-1", "--operator", "li", "--reason", "x"),
    ("lockdown", "all", "on"),
    ("lockdown", "gate-1", "off"),
    ("restart", "gate-1"),
    ("models", "gate-1", "site"),
    ("diagnose", "gate-1"),
]


@pytest.mark.parametrize("order", ORDERS)
def test_without_a_serving_office_no_command_is_sent_and_the_error_is_immediate(office, store, gate, order):
    began = time.monotonic()
    said = office(*order, check=1)
    assert time.monotonic() - began < 5, "no waiting"
    assert "no `gated office serve`" in said
    assert "Nothing was sent" in said
    assert store.commands.open() == []
    assert store.commands.unreported_cancellations() == []


@pytest.mark.parametrize("order", ORDERS)
def test_a_command_reported_as_failed_is_cancelled_on_disk(office, store, gate, served, order):
    said = office(*order, "--wait", 0.1, check=1)
    assert "not done: no answer in 0.1 s" in said
    assert "will not carry it out later" in said
    assert store.commands.open() == []
    [cancelled] = store.commands.unreported_cancellations()
    assert cancelled.state == "cancelled"


def test_a_gate_of_an_older_version_gets_no_command_until_it_is_updated(office, store, gate, served):
    status = Status(site=SITE, gate=gate, version="0.1.0")
    store.gate_table.record_status(gate, status, is_changed=True, is_fresh=True, at="2026-11-23T07:58:00Z")
    assert "update that gate first" in office("restart", gate, check=1)
    assert store.commands.open() == []


def test_an_office_process_for_other_gates_does_not_count_for_this_gate(office, store, gate, tmp_path):
    others = [(number, 4) for number in range(4) if not owner_check(number, 4)(gate)]
    with closing(serving_for(tmp_path / "office", *others[0])):
        assert "no `gated office serve`" in office("restart", gate, check=1)


def test_a_command_with_unknown_result_is_not_reported_as_failed(office, store, gate, serving, monkeypatch):
    """The office gave the final word, and no answer came in time."""
    monkeypatch.setattr("gated.office.command_store.GO_S", 0.3)

    def goes(another, placed):
        another.commands.answer_begin(SITE, placed, "nonce", time.monotonic(), datetime.now(UTC))
        while another.commands.get(placed.id).is_open:
            time.sleep(0.02)

    thread = serving("unknown", then=goes)
    said = office("restart", gate, "--wait", 1.0, check=1)
    thread.join()
    assert "may have carried out the command" in said
    assert "not done" not in said
    assert f"gated office events --gate {gate}" in said


def test_progress_messages_of_a_gate_are_shown(office, store, gate, serving):
    def talks(another, placed):
        another.commands.store_progress(placed.id, "2 of 5 looks")
        time.sleep(0.3)

    thread = serving("done", then=talks)
    assert "gate-1: 2 of 5 looks" in office("models", gate, "site", "--wait", 30)
    thread.join()


def test_a_lockdown_of_all_gates_is_sent_to_every_gate(office, store, gate, served):
    store.add_gate("gate-2", Identity.make().party.dump(), "0a0c")
    said = office("lockdown", "all", "on", "--wait", 0.2, "--operator", "li", check=1)
    assert [(each.gate, each.content.action.on) for each in store.commands.unreported_cancellations()] == [
        ("gate-1", True),
        ("gate-2", True),
    ]
    assert "gate-1: not done" in said
    assert "gate-2: not done" in said


def test_the_findings_of_a_doctor_command_are_shown(office, gate, serving):
    thread = serving("done", findings=[ReplyFinding("camera", "bad", "no frames")])
    assert "no frames" in office("diagnose", gate, "--wait", 30)
    thread.join()
    thread = serving("done", findings=[ReplyFinding("camera", "bad", "no frames")])
    [row] = json.loads(office("diagnose", gate, "--wait", 30, "--json"))
    assert row["findings"] == [{"part": "camera", "level": "bad", "says": "no frames"}]
    thread.join()


def test_a_person_without_consent_is_not_enrolled(office, store, gate, ann):
    assert "not agreed" in office("enrol", gate, ann, check=1)
    assert store.commands.open() == []


def test_too_long_settings_are_refused_before_sending(office, store, gate, served, tmp_path):
    file = tmp_path / "gate.toml"
    for text in ("#" + "x" * 20_000, "#" + "户" * 19_000):
        file.write_text(text)
        assert "no gate accepts this command" in office("settings", gate, file, check=1)
    file.write_text("[access]\nthreshold = 0.5\n")
    office("settings", gate, file, "--wait", 0, check=1)
    assert store.commands.unreported_cancellations()[0].content.action.toml.startswith("[access]")


def test_a_failed_change_leaves_everything_unchanged(office, ann, store):
    office("person", "change", ann, "--name", "x" * 300, check=1)
    assert isinstance(store.book.get(f"person/{ann}"), OfficePerson)
    assert store.book.person(ann).name == "Ann"
